"""The good hours in which no job is known to have run. Pure."""

from bisect import bisect_left
from datetime import timedelta
from itertools import accumulate

from carbonshift.common.events import Pulse
from carbonshift.explain.digest.heard import Heard, laid_out

__all__ = ["green_idle"]


def green_idle(heard: Heard) -> timedelta:
    """How long the state was GREEN while no job drew anything, but to wait; to the interval."""
    worked = [(draw.start, draw.end) for draw in heard.draws if draw.worked]
    starts = [start for start, _ in worked]
    until = list(accumulate((end for _, end in worked), max))  # an account may be longer than the next
    idle = timedelta(0)
    for start, end, told in laid_out(heard.states, heard.span):
        index = bisect_left(starts, end) - 1  # the last that began before the end
        if told.state is Pulse.GREEN and (index < 0 or until[index] <= start):
            idle += end - start
    return idle
