"""The ranks of one job on this host, as whoever stops them all reads and writes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from carbonshift.gpu_worker.training_process import TrainingProcess
from carbonshift.training.page import ACK, AGREED, MEMORY_BYTES, QUIET, RUN, STEP, TARGET

__all__ = ["LocalRanks", "Reading", "Step"]

Step = Annotated[int, Field(ge=0, lt=RUN)]
"""A step, or 0 for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How far some ranks are; one item a rank, by rank."""

    steps: tuple[Step, ...] = ()
    """Done."""
    acks: tuple[Step, ...] = ()
    """The step each waits at; 0 while it runs."""
    quiets: tuple[Step, ...] = ()
    """The step each waits at with its device quiet; else 0."""
    leaving: bool = False
    """Whether one has been released and still stands where it waited."""
    refused: str = ""
    """Why these ranks cannot be stopped; empty where they can."""

    def beside(self, other: "Reading") -> "Reading":
        """Of both."""
        return Reading(
            steps=self.steps + other.steps,
            acks=self.acks + other.acks,
            quiets=self.quiets + other.quiets,
            leaving=self.leaving or other.leaving,
        )


class LocalRanks:
    """Those that were here when it was made."""

    def __init__(self, members: Sequence[TrainingProcess]) -> None:
        self._members, self._releases = members, [process.releases for process in members]
        self.numbers = tuple(process.hello.rank for process in members)
        """Their ranks, from the lowest; one that is there twice makes no sense."""
        self.world_size = max(len(members), *(process.hello.world_size for process in members))
        """As they say, or how many are here if that is more."""

    @property
    def whole(self) -> bool:
        """Whether the job has no others."""
        return self.numbers == tuple(range(self.world_size))

    @property
    def unbroken(self) -> bool:
        """Whether all are still here, and nobody has released one since this was made."""
        return all(process.here for process in self._members) and self._releases == [
            process.releases for process in self._members
        ]

    @property
    def memory_used_bytes(self) -> int:
        """Kept by all of them together."""
        return sum(process.words[MEMORY_BYTES] for process in self._members)

    def stop_at(self, step: int) -> None:
        """Have each stop at `step`; never earlier than it is to stop already."""
        for process in self._members:
            if process.words[TARGET] == RUN or process.words[TARGET] < step:
                process.target(step)

    def agree(self, step: int) -> None:
        """Tell each that all of the job wait at `step`."""
        for process in self._members:
            if process.words[AGREED] != step:
                process.agree(step)

    def release(self) -> None:
        """Let each go, and call off whatever pause is under way."""
        for process in self._members:
            process.release()

    def read(self) -> Reading:
        """How far they are. Reads memory alone."""
        words = [process.words for process in self._members]
        return Reading(
            steps=tuple(page[STEP] for page in words),
            acks=tuple(page[ACK] for page in words),
            quiets=tuple(page[QUIET] for page in words),
            leaving=any(page[TARGET] == RUN and page[ACK] != 0 for page in words),
        )
