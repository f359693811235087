"""The socket at which training processes join: who may, and who they are."""

import shutil
import socket
import struct
from pathlib import Path

from carbonshift.gpu_worker.errors import ControlSocketError

__all__ = ["listener_at", "peer"]


def peer(connection: socket.socket) -> tuple[int, int]:
    """The (pid, uid) that connected, as the kernel noted it. Source: unix(7), SO_PEERCRED."""
    pid, uid, _ = struct.unpack(
        "3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    )
    return pid, uid


def listener_at(path: Path, group: str | None) -> socket.socket:
    """A listening, non-blocking socket at `path`, for this user, root and `group`. Raises ControlSocketError."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _take_over(path)
        listener.bind(str(path))
        path.chmod(0o600)  # before `listen`: until then nobody can connect
        if group is not None:
            shutil.chown(path, group=group)
            path.chmod(0o660)
        listener.listen(128)
    except LookupError as error:
        listener.close()
        path.unlink()
        raise ControlSocketError(f"there is no group {group}", "make it, or name one that this worker is in") from error
    except OSError as error:
        listener.close()
        raise ControlSocketError(
            f"cannot listen at {path}: {error}", "choose a short path in a folder that this user may write to"
        ) from error
    listener.setblocking(False)
    return listener


def _take_over(path: Path) -> None:
    """Remove the socket of an agent that is dead. Raises OSError where one lives, or where `path` is something else."""
    if not path.exists():
        return
    if not path.is_socket():
        raise FileExistsError(f"{path} is not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise FileExistsError("another agent listens there")
