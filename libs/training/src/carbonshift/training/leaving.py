"""Leaving the device altogether: where a script can be left, it says so, and how to save what it begins again from."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from carbonshift.training import autoload, framework
from carbonshift.training.talk import say

__all__ = ["LEFT_AT", "LEFT_CODE", "leave_if_asked"]

LEFT_CODE: Final = 75
"""The exit code of a training that has saved and wants to be begun again later. Source: EX_TEMPFAIL, sysexits.h."""
LEFT_AT: Final = "CARBONSHIFT_LEFT_AT"
"""Names the file to which a process that leaves writes the steps done and its job: for whoever begins it again."""


def leave_if_asked(save: Callable[[], object]) -> None:
    """At the end of an iteration, its schedulers stepped: where the agent wants this training to leave the device,
    call `save` and end with `LEFT_CODE`; else return at once.

    Calling it is what tells the agent that it may want so. All ranks of a job are asked in the same iteration, each
    calls `save`, which may thus be collective, and none ends before all have saved. The script begins again from what
    was saved when it is next started: as after a crash.

    Raises: SystemExit; what `save` raises, after which the training goes on being asked at its next pause.
    """
    if not autoload.is_asked_to_leave():
        return
    save()
    framework.meet_all_ranks()
    steps = autoload.leave()
    if path := os.environ.get(LEFT_AT):
        with suppress(OSError):  # whoever named it is gone, or on another host
            Path(path).write_text(f"{steps} {autoload.name()}", encoding="ascii")
    say(f"left the device after {steps} steps; to be begun again")
    raise SystemExit(LEFT_CODE)
