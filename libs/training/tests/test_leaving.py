"""Leaving the device where a script says it can: saved, ended with the agreed code, begun again elsewhere."""

from carbonshift.training.leaving import LEFT_CODE
from carbonshift.training.page import LEAVE, MAY_LEAVE, PARKED, QUIET, RUN, TIER

SAVES = """
import os
os.environ["CARBONSHIFT_LEFT_AT"] = "{folder}/left"
from carbonshift.training import leave_if_asked
from loop_hook import Loop
session()
for step in range(1, 6):
    Loop.step()
    {leave}
print("done")
"""


def test_asked_to_leave_it_saves_after_the_step_it_waited_at_and_ends(agent, loop, tmp_path):
    process = loop(SAVES.format(folder=tmp_path, leave="leave_if_asked(lambda: print('saved', step))"))
    agent.admit(target=2)
    agent.quiet(2)
    assert agent.words[MAY_LEAVE] == 1
    agent.words[TIER] = LEAVE
    agent.release(3)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (LEFT_CODE, "saved 2\n")
    assert err == "carbonshift: left the device after 2 steps; to be begun again\n"
    assert agent.words[PARKED] == LEAVE
    assert (tmp_path / "left").read_text() == "2 job"


def test_a_script_that_cannot_be_left_stops_at_the_next_step_instead(agent, loop, tmp_path):
    process = loop(SAVES.format(folder=tmp_path, leave="pass"))
    agent.admit(target=2)
    agent.quiet(2)
    assert agent.words[MAY_LEAVE] == 0
    agent.words[TIER] = LEAVE
    agent.release(3)
    agent.quiet(3)
    assert agent.words[QUIET] == 3
    agent.release(RUN)
    assert process.communicate(timeout=60) == ("done\n", "")


def test_not_asked_or_without_an_agent_it_costs_nothing_and_does_nothing(agent, loop, tmp_path):
    process = loop(SAVES.format(folder=tmp_path, leave="leave_if_asked(lambda: print('saved', step))"))
    agent.admit(target=RUN)
    assert process.communicate(timeout=60) == ("done\n", "")
