"""The work of each job, out of the work of its board. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

__all__ = ["JobWork"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobWork:
    """Seconds at full power, by job, since each joined. Where several run at once each counts what the board does."""

    seconds: Mapping[str, float] = field(default_factory=dict)
    running: frozenset[str] = frozenset()
    """Those that have run since the last count."""
    counted_seconds: float = 0.0
    """The board's work at the last count."""

    def count(self, board_seconds: float, running: Iterable[str]) -> "JobWork":
        """With the work of the board up to now, `board_seconds`, for those that ran till now; from now `running` do."""
        done = board_seconds - self.counted_seconds
        more = {job: self.seconds.get(job, 0.0) + done for job in self.running}
        return JobWork(seconds={**self.seconds, **more}, running=frozenset(running), counted_seconds=board_seconds)

    def of(self, job: str) -> float:
        """What `job` has done."""
        return self.seconds.get(job, 0.0)

    def without(self, job: str) -> "JobWork":
        """With `job` forgotten: it has ended."""
        seconds = {name: done for name, done in self.seconds.items() if name != job}
        return replace(self, seconds=seconds, running=self.running - {job})
