"""Leaving the device altogether: where a script can be left, it says so, and how to save what it begins again from."""

from collections.abc import Callable
from typing import Final

from carbonshift.training import autoload, framework
from carbonshift.training.left_note import leave_note
from carbonshift.training.talk import say

__all__ = ["LEFT_CODE", "leave_if_asked"]

LEFT_CODE: Final = 75
"""The exit code of a training that has saved and wants to be begun again later. Source: EX_TEMPFAIL, sysexits.h."""


def leave_if_asked(save: Callable[[], object]) -> None:
    """At the end of an iteration, its schedulers stepped: where the agent wants this training to leave the device,
    call `save` and end with `LEFT_CODE`; else return at once.

    Calling it is what tells the agent that it may want so. All ranks of a job are asked in the same iteration, each
    calls `save`, which may thus be collective, and none ends before all have saved; where one of them could not, all
    train on. The script begins again from what was saved when it is next started: as after a crash.

    Raises: SystemExit; what `save` raises, after which this training is not asked again.
    """
    if not autoload.is_asked_to_leave():
        return
    try:
        save()
    except Exception:
        autoload.stay()
        framework.true_of_all_ranks(False)
        raise
    if not framework.true_of_all_ranks(True):
        autoload.stay()
        say("another rank could not save: this training goes on")
        return
    steps = autoload.leave()
    leave_note(steps, autoload.name())
    say(f"left the device after {steps} steps; to be begun again")
    raise SystemExit(LEFT_CODE)
