"""What boards drew in a span, interval by interval; of each board and interval the last account counts. Pure."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from carbonshift.common.energy_basis import EnergyBasis
from carbonshift.common.events import EnergyUse
from carbonshift.explain.digest.span import Span

__all__ = ["Draw", "Draws"]

LONGEST_SECONDS = 7 * 86_400
MOST_J = 1e12
"""A megawatt for a week: no board draws so much in an interval, so an account of more is left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """What all boards together drew in one interval, as far as it lies in the span."""

    start: datetime
    end: datetime
    energy_j: float
    parked_j: float
    """The part of it drawn while training waited."""
    worked: bool
    """Whether a job drew any of it that did not wait."""


@dataclass(slots=True)
class _Row:
    """One interval: a number for each board, by the order in which the boards were first heard of."""

    seconds: int
    energy_j: "array[float]" = field(default_factory=lambda: array("d"))
    parked_j: "array[float]" = field(default_factory=lambda: array("d"))
    worked: bytearray = field(default_factory=bytearray)
    """1 where a job drew that did not wait."""


class Draws:
    """Keeps 17 bytes for each board and interval, and no event: 49 MB for 10,000 boards and a day of five minutes."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self._boards: dict[tuple[str, str], int] = {}
        self._rows: dict[datetime, _Row] = {}
        self.bases: set[EnergyBasis] = set()
        """Where the figures come from."""
        self.impossible: set[tuple[str, str, datetime]] = set()
        """Boards and intervals with an account of more than any board can draw: it is in no figure."""

    def hear(self, use: EnergyUse) -> None:
        """Take in one account; it takes the place of what was told of its board and interval before."""
        if use.energy_j > MOST_J:
            self.impossible.add((use.worker, use.device_uuid, use.interval_start))
            return
        board = self._boards.setdefault((use.worker, use.device_uuid), len(self._boards))
        row = self._rows.setdefault(use.interval_start, _Row(min(use.interval_seconds, LONGEST_SECONDS)))
        unheard = [0.0] * (board + 1 - len(row.energy_j))  # none where the row is longer
        row.energy_j.extend(unheard)
        row.parked_j.extend(unheard)
        row.worked.extend(map(bool, unheard))
        row.energy_j[board] = use.energy_j
        row.parked_j[board] = min(use.parked_j, use.energy_j)
        row.worked[board] = any(share.energy_j > share.parked_j for share in use.shares)
        self.bases.add(use.energy_basis)

    def __bool__(self) -> bool:
        return bool(self._rows)

    def __iter__(self) -> Iterator[Draw]:
        """By interval, rising in time; of one that lies in the span in part, that part by its time."""
        for start, row in sorted(self._rows.items()):
            length = timedelta(seconds=row.seconds)
            first, last = max(start, self._span.start), min(start + length, self._span.end)
            if first < last:
                share = (last - first) / length
                yield Draw(
                    start=first,
                    end=last,
                    energy_j=sum(row.energy_j) * share,
                    parked_j=sum(row.parked_j) * share,
                    worked=any(row.worked),
                )
