"""The control page: what an agent and a training process read of each other without a system call.

One page a process, 8-byte words in native order, mapped by both. Each word has one writer. Words 0 to 15 are the
agent's, words 16 to 31 the process's: two cache lines each, since processors fetch lines in pairs.
"""

import fcntl
import mmap
import os
from typing import Final

__all__ = [
    "ACK",
    "AGREED",
    "AWAY_BYTES",
    "CANNOT",
    "DEADLINE_MS",
    "DOWN_US",
    "FINAL_STEP",
    "HEARTBEAT",
    "HOLD",
    "LEASE_MS",
    "LEAVE",
    "MAY_LEAVE",
    "MEMORY_BYTES",
    "OFFLOAD",
    "PAGE_BYTES",
    "PARKED",
    "PROCESS_WORDS",
    "QUIET",
    "RUN",
    "STEP",
    "TARGET",
    "TIER",
    "UP_US",
    "USD_MICROS_PER_GPU_HOUR",
    "attach",
    "create",
    "private",
]

PAGE_BYTES: Final = 4096
RUN: Final = 1 << 63
"""The target that no step reaches."""

TARGET: Final = 0
"""Written by the agent: a process whose step has reached it stops. 0 stops it after the step in flight."""
HEARTBEAT: Final = 1
"""Written by the agent: grows for as long as the agent lives and thinks."""
LEASE_MS: Final = 2
"""Written by the agent: a heartbeat that stood still for this long, in milliseconds, ends a pause."""
AGREED: Final = 3
"""Written by the agent: the step at which all processes of the job have arrived: synchronise the device now.

In the page of a stand-in: how often it has counted as a training that has left."""
TIER: Final = 4
"""Written by the agent: how a process at rest shall wait, HOLD or OFFLOAD; LEAVE before it is let go, to leave."""

HOLD: Final = 0
"""All stays on the device."""
OFFLOAD: Final = 1
"""Parameters, gradients and optimizer state are in host memory meanwhile."""
LEAVE: Final = 2
"""It saves what it needs to begin again, where its script says it can, and ends."""

STEP: Final = 16
"""Written by the process: optimizer steps done, counted from its first one."""
ACK: Final = 17
"""Written by the process: the step at which it waits; 0 while it runs."""
QUIET: Final = 18
"""Written by the process: the step it waits at, once the device has no work left; 0 before that and while it runs."""
MEMORY_BYTES: Final = 19
"""Written by the process as it joins and as it falls quiet: CUDA memory allocated, or without CUDA its resident set."""
FINAL_STEP: Final = 20
"""Written by the process: the step its training ends at; 0 is unknown."""
DEADLINE_MS: Final = 21
"""Written by the process: when it has to be done, in milliseconds since 1970 UTC; 0 is none."""
USD_MICROS_PER_GPU_HOUR: Final = 22
"""Written by the process: what an hour of a GPU is worth, in millionths of a dollar; 0 is unknown."""
PARKED: Final = 23
"""Written by the process: the tier that it has reached; LEAVE once it has saved."""
CANNOT: Final = 24
"""Written by the process: the tiers that it has tried and cannot reach, 1 << tier each."""
DOWN_US: Final = 25
"""Written by the process: how long it last took to reach a tier deeper than HOLD, in microseconds."""
UP_US: Final = 26
"""Written by the process: how long it last took to come back from there, in microseconds."""
AWAY_BYTES: Final = 27
"""Written by the process: what it holds in host memory instead of on its devices."""
MAY_LEAVE: Final = 28
"""Written by the process: 1 where its script says where it can leave."""

PROCESS_WORDS: Final = range(16, 32)


def create() -> int:
    """A new page in memory, all zero, as a file descriptor; sealed, so that neither side can shrink it under the other.

    Raises: OSError.
    """
    fd = os.memfd_create("carbonshift-page", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(fd, PAGE_BYTES)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    except OSError:
        os.close(fd)
        raise
    return fd


def attach(fd: int) -> memoryview:
    """The words of the page behind `fd`, shared. Closes `fd`: the mapping needs it no more.

    Returns: shape (512,), unsigned 64-bit.
    Raises: OSError, or ValueError where `fd` is no whole page.
    """
    try:
        if not fcntl.fcntl(fd, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK:
            raise ValueError("the page could be taken away while it is in use")
        return memoryview(mmap.mmap(fd, PAGE_BYTES)).cast("Q")
    finally:
        os.close(fd)


def private(target: int) -> memoryview:
    """A page that nobody else sees, all zero but its target: what a process counts on while it has no agent.

    Returns: shape (512,), unsigned 64-bit.
    """
    words = memoryview(bytearray(PAGE_BYTES)).cast("Q")
    words[TARGET] = target
    return words
