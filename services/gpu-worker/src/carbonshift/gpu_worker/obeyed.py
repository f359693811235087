"""What became of a cap: asked for, set, obeyed. Pure."""

from dataclasses import dataclass

from carbonshift.gpu_worker.keeper import SAME_W, LimitChange

__all__ = ["Cap"]

OBEYED_W = 1.0
"""An enforced limit that is lower than the one set by no more is taken for the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cap:
    """A power limit that was set."""

    change: LimitChange
    asked_w: float
    enforced_w: float | None
    """What the driver obeyed right after; None where it does not tell, or tells of something else."""

    @property
    def rounded(self) -> bool:
        """Whether the driver has made another limit of it."""
        return abs(self.asked_w - self.change.to_w) > SAME_W

    @property
    def outdone(self) -> bool:
        """Whether another limiter, a BMC say, holds the board lower."""
        return self.enforced_w is not None and self.enforced_w < self.change.to_w - OBEYED_W

    @property
    def differences(self) -> dict[str, float | None]:
        """What there is to say beside the limit that was set: nothing where all three are one."""
        asked = {"asked_w": self.asked_w} if self.rounded else {}
        return asked | ({"enforced_w": self.enforced_w} if self.outdone else {})
