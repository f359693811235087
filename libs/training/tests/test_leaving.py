"""Leaving the device where a script says it can: saved, ended with the agreed code, begun again elsewhere."""

from carbonshift.training.leaving import LEFT_CODE
from carbonshift.training.page import CANNOT, HOLD, LEAVE, MAY_LEAVE, PARKED, QUIET, RUN, TIER

SAVES = """
import os
note = os.memfd_create("carbonshift-left-at")
os.environ["CARBONSHIFT_LEFT_AT"] = f"/proc/{{os.getpid()}}/fd/{{note}}"
import atexit
atexit.register(lambda: print("note", os.pread(note, 99, 0).decode()))
from carbonshift.training import leave_if_asked
from loop_hook import Loop
session()
for step in range(1, 6):
    Loop.step()
    {leave}
print("done")
"""


def test_asked_to_leave_it_saves_after_the_step_it_waited_at_and_ends(agent, loop):
    process = loop(SAVES.format(leave="leave_if_asked(lambda: print('saved', step))"))
    agent.admit(target=2)
    agent.quiet(2)
    assert agent.words[MAY_LEAVE] == 1
    agent.words[TIER] = LEAVE
    agent.release(3)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (LEFT_CODE, "saved 2\nnote 2 job\n")
    assert err == "carbonshift: left the device after 2 steps; to be begun again\n"
    assert agent.words[PARKED] == LEAVE


def test_a_script_that_cannot_be_left_stops_at_the_next_step_instead(agent, loop):
    process = loop(SAVES.format(leave="pass"))
    agent.admit(target=2)
    agent.quiet(2)
    assert agent.words[MAY_LEAVE] == 0
    agent.words[TIER] = LEAVE
    agent.release(3)
    agent.quiet(3)
    assert agent.words[QUIET] == 3
    agent.release(RUN)
    assert process.communicate(timeout=60) == ("done\nnote \n", "")


def test_not_asked_it_does_nothing(agent, loop):
    process = loop(SAVES.format(leave="leave_if_asked(lambda: print('saved', step))"))
    agent.admit(target=RUN)
    assert process.communicate(timeout=60) == ("done\nnote \n", "")


def test_one_that_cannot_save_trains_on_and_is_not_asked_again(agent, loop):
    process = loop(
        SAVES.format(
            leave="""
    def save():
        print("tries", step)
        raise OSError("disk full")
    try:
        leave_if_asked(save)
    except OSError:
        pass"""
        )
    )
    agent.admit(target=2)
    agent.quiet(2)
    agent.words[TIER] = LEAVE
    agent.release(RUN)
    assert process.communicate(timeout=60) == ("tries 2\ndone\nnote \n", "")
    assert agent.words[CANNOT] == 1 << LEAVE


def test_one_that_has_saved_and_trains_on_takes_its_note_back(agent, loop):
    process = loop(
        SAVES.format(
            leave="""
    try:
        leave_if_asked(lambda: print("saved", step))
    except SystemExit:
        print(os.pread(note, 99, 0).decode())
        agent_asks_once = True"""
        )
    )
    agent.admit(target=4)
    agent.quiet(4)
    agent.words[TIER] = LEAVE
    agent.release(RUN)
    out, _ = process.communicate(timeout=60)
    assert out.split("\n")[:2] == ["saved 4", "4 job"]
    assert agent.words[PARKED] == (LEAVE if out.endswith("note 5 job\n") else HOLD)
