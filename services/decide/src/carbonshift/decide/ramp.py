"""Resume tokens: power handed out so that in no window the site's committed watts rise faster than its ramp. Pure."""

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from carbonshift.common.events import GridState, Pulse, ResumeToken
from carbonshift.decide.settings import SiteBudget

__all__ = ["Draw", "grant"]

SHORTEST_SLOT_WALL_SECONDS = 0.2
"""What is over before anybody can have taken it is of no use: a fast replay has longer slots, and fewer."""
LARGEST_JITTER = 0.5
"""Of a slot: what is left after it is the time in which the token can be taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """What one device may draw as it stands, and what it could come to draw."""

    allowance_w: float
    ceiling_w: float


def grant(
    site_name: str,
    site: SiteBudget,
    state: GridState,
    draws: Iterable[Draw],
    outstanding: Iterable[ResumeToken],
    start: datetime,
    end: datetime,
) -> list[ResumeToken]:
    """The tokens for the ramp slots that begin in [start, end); none while the state is UNKNOWN: then nothing rises.

    Event time is cut into slots of `token_w / ramp_w_per_minute` minutes or longer, numbered from the Unix epoch. A
    slot gives at most one token, to be taken within the slot. A window of length L meets at most floor(L / slot) + 2
    slots, so the watts taken in it are at most ramp x L + 2 x token_w: the burst is two tokens. Jitter moves a token
    within its slot and does not touch the bound.

    Args:
        site_name: the site, part of each token's id.
        site: its budget.
        state: the verdict on the interval.
        draws: every live device of the site; one that may not run wants no more than it has.
        outstanding: tokens handed out before; those that have expired by `start` no longer count.
        start: event time from which on slots are free.
        end: event time up to which this call hands out.
    """
    if state.state is Pulse.UNKNOWN:
        return []
    draws = tuple(draws)
    handed_out_w = sum(token.watts for token in outstanding if token.expires_at > start)
    room_w = site.budget_w - sum(draw.allowance_w for draw in draws) - handed_out_w
    wanted_w = sum(max(draw.ceiling_w - draw.allowance_w, 0.0) for draw in draws) - handed_out_w
    count = min(math.floor(room_w / site.token_w), math.ceil(wanted_w / site.token_w))
    slot_seconds = max(site.slot_seconds, SHORTEST_SLOT_WALL_SECONDS * _speed(state))
    first = math.ceil(start.timestamp() / slot_seconds)
    behind_last = math.ceil(end.timestamp() / slot_seconds)
    slots = range(first, min(behind_last, first + max(count, 0)))
    return [_token(site_name, site, state, slot, slot_seconds) for slot in slots]


def _speed(state: GridState) -> float:
    """Seconds of event time per second of wall time."""
    return (state.replay.speed if state.replay else None) or 1.0


def _token(site_name: str, site: SiteBudget, state: GridState, slot: int, slot_seconds: float) -> ResumeToken:
    start = slot * slot_seconds
    return ResumeToken(
        site=site_name,
        slot=slot,
        watts=site.token_w,
        not_before=datetime.fromtimestamp(start + _jitter(site_name, state.epoch, slot) * slot_seconds, UTC),
        expires_at=datetime.fromtimestamp(start + slot_seconds, UTC),
        epoch=state.epoch,
        replay=state.replay,
    )


def _jitter(site_name: str, epoch: int, slot: int) -> float:
    """In [0, LARGEST_JITTER), the same for the same slot: a decision repeated after a crash makes the same token."""
    digest = hashlib.sha256(f"{site_name}:{epoch}:{slot}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 * LARGEST_JITTER
