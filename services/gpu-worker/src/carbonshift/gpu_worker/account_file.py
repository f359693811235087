"""A board's account on disk, so that a restart goes on counting where the last run left off."""

import logging
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import astuple, dataclass
from datetime import datetime
from pathlib import Path

from pydantic import TypeAdapter

from carbonshift.common.events.base import NAME
from carbonshift.gpu_worker.board_file import board_file
from carbonshift.gpu_worker.ledger import Line
from carbonshift.gpu_worker.sums import Sums

__all__ = ["AccountFile", "SavedAccount"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedAccount:
    """The account as it stood `at`."""

    region: str
    since: datetime
    at: datetime
    counter_j: float | None
    """What the board's energy counter showed then; None where it has none."""
    total: Sums
    jobs: Mapping[str, Sums]
    lines: tuple[Line, ...]


SAVED = TypeAdapter(SavedAccount)


class AccountFile:
    """One file a board, named by its UUID. It outlives a kill; not flushed to disk, it may lose some to a power cut."""

    def __init__(self, folder: Path, uuid: str) -> None:
        self._path = board_file(folder, uuid)
        self._fails = False

    def load(self) -> SavedAccount | None:
        """What was saved; None where nothing was, or where it cannot be made out, which is then laid aside."""
        try:
            return _sound(SAVED.validate_json(self._path.read_bytes()))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            aside = self._path.with_suffix(".unreadable")
            log.warning(
                "%s says nothing: the account begins anew, and what is there is %s: %s", self._path, aside, error
            )
            with suppress(OSError):
                self._path.replace(aside)
            return None

    def save(self, account: SavedAccount) -> None:
        """Replace what was saved. Where that fails counting goes on, and the next try may do."""
        part = self._path.with_suffix(".part")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(SAVED.dump_json(account))
            part.replace(self._path)
        except OSError as error:
            if not self._fails:
                log.warning("the account is not saved, a restart would count from the last save on: %s", error)
            self._fails = True
        else:
            self._fails = False


def _sound(account: SavedAccount) -> SavedAccount:
    """`account`, which was not necessarily written here. Raises ValueError for what could not be published."""
    moments = [account.since, account.at, *(moment for line in account.lines for moment in (line.start, line.end))]
    if any(moment.tzinfo is None for moment in moments):
        raise ValueError("a time without a zone")
    if any(line.end <= line.start for line in account.lines):
        raise ValueError("an interval that ends before it begins")
    jobs = {*account.jobs, *(job for line in account.lines for job in line.jobs)}
    if odd := sorted(job for job in jobs if not NAME.fullmatch(job)):
        raise ValueError(f"{odd[0]!r} is no job's name")
    parts = [part for line in account.lines for part in (line.drawn, *line.jobs.values())]
    numbers = [number for sums in (account.total, *account.jobs.values(), *parts) for number in astuple(sums)]
    if not all(map(math.isfinite, numbers)):
        raise ValueError("a number that is none")
    if any(min(part.energy_j, part.seconds) < 0.0 for part in parts):
        raise ValueError("energy below zero")
    return account
