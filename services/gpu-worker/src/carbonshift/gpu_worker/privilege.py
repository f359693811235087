"""Keeps of all privileges the one that a driver asks for. Source: capabilities(7), prctl(2); Linux alone."""

import ctypes
import sys
from contextlib import suppress
from pathlib import Path

__all__ = ["CAP_SYS_ADMIN", "effective", "keep_only_sys_admin"]

CAP_SYS_ADMIN = 21  # linux/capability.h
LAST_CAP = Path("/proc/sys/kernel/cap_last_cap")
STATUS = Path("/proc/self/status")
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 24, 38, 47, 4
VERSION_3 = 0x20080522


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def keep_only_sys_admin() -> None:
    """Drop every other capability, for good, from this thread and those it starts; without any it does nothing.

    Call it before there is a second thread. Raises: OSError where the kernel refuses.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    held = effective()
    _checked(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    if not held:
        return
    for capability in range(int(LAST_CAP.read_text(encoding="ascii")) + 1):
        if capability != CAP_SYS_ADMIN:
            with suppress(OSError):  # without CAP_SETPCAP: what is not permitted stays so under no_new_privs
                _checked(libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0))
    with suppress(OSError):
        _checked(libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
    kept = held & 1 << CAP_SYS_ADMIN
    sets = (_Sets * 2)(_Sets(kept, kept, kept), _Sets(0, 0, 0))
    _checked(libc.capset(ctypes.byref(_Header(VERSION_3, 0)), sets))


def effective(status: Path = STATUS) -> int:
    """The capabilities in force, as bits; elsewhere than on Linux 0."""
    try:
        fields = dict(line.split(":", 1) for line in status.read_text(encoding="ascii").splitlines())
        return int(fields["CapEff"], 16)
    except (OSError, KeyError, ValueError):
        return 0


def _checked(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, "the kernel keeps its privileges")
