"""The one exchange by which a training process joins an agent: a line of JSON each way, the page beside the answer.

After it the socket carries single bytes that mean "look at the page", and its end means that the other side is gone.
"""

import json
import re
import socket
from dataclasses import asdict, dataclass
from typing import Final

from carbonshift.training.page import attach

__all__ = ["JOB_NAME", "MESSAGE_BYTES", "PROTOCOL", "Hello", "RefusedError", "ask", "refuse", "welcome"]

PROTOCOL: Final = 1
MESSAGE_BYTES: Final = 4096
"""No message is longer."""
JOB_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""A job's name is one token of a subject."""


class RefusedError(Exception):
    """The agent, or what listens in its place, has not let this process join; the text says why."""

    def __init__(self, reason: str, *, lasting: bool) -> None:
        super().__init__(reason)
        self.lasting = lasting
        """Whether it will not the next time either."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """What a process says of itself. Its pid and uid come from the kernel, not from here."""

    job: str
    rank: int
    world_size: int
    stands_in: bool = False
    """It does not train: it is to begin a training again that has left, once the agent lets that run."""
    protocol: int = PROTOCOL

    def line(self) -> bytes:
        """One line of JSON."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def of(cls, line: bytes) -> "Hello":
        """Read what `line` wrote; fields of a newer protocol are ignored. Raises ValueError, with the reason."""
        said = json.loads(line)
        if not isinstance(said, dict) or said.get("protocol") != PROTOCOL:
            raise ValueError(f"it does not speak protocol {PROTOCOL}")
        job, rank, world_size = said.get("job"), said.get("rank"), said.get("world_size")
        if not isinstance(job, str) or not JOB_NAME.fullmatch(job):
            raise ValueError(f"the job name {job!r} is not 1 to 64 letters, digits, _ or -")
        if type(rank) is not int or type(world_size) is not int or not 0 <= rank < world_size:
            raise ValueError(f"rank {rank!r} of {world_size!r} makes no sense")
        return cls(job=job, rank=rank, world_size=world_size, stands_in=said.get("stands_in") is True)


def ask(agent: socket.socket, hello: Hello) -> memoryview:
    """Join: say hello on a connected blocking socket with a timeout, return the words of the page that comes back.

    Raises: OSError, ValueError; RefusedError where the answer holds no page.
    """
    agent.sendall(hello.line(), socket.MSG_NOSIGNAL)
    answer, fds, _, _ = socket.recv_fds(agent, MESSAGE_BYTES, 1, socket.MSG_CMSG_CLOEXEC)
    if not fds:
        said = json.loads(answer) if answer else {}
        if not isinstance(said, dict) or "refused" not in said:
            raise ValueError("what listens there answered nothing that an agent would")
        raise RefusedError(str(said["refused"]), lasting=said.get("lasting") is not False)
    return attach(fds[0])


def welcome(process: socket.socket, page: int) -> None:
    """Let a process join: pass it the file descriptor of its page. Raises OSError."""
    socket.send_fds(process, [json.dumps({"protocol": PROTOCOL}).encode() + b"\n"], [page])


def refuse(process: socket.socket, reason: str, *, lasting: bool = True) -> None:
    """Turn a process away, for good or, not `lasting`, until it asks again. Raises OSError."""
    process.send(json.dumps({"refused": reason, "lasting": lasting}).encode() + b"\n", socket.MSG_NOSIGNAL)
