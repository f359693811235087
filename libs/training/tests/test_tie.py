"""Losing an agent and finding one again: a loop without torch, and an agent whose moves the test makes."""

import signal
from pathlib import Path

import pytest

from carbonshift.training.page import ACK, FINAL_STEP, QUIET, RUN, STEP

UNTIL_STOPPED = """
import os
os.environ["CARBONSHIFT_FAIL"] = "{fail}"
from loop_hook import Loop
session(remaining_steps=10**9)
while not os.path.exists("{stop}"):
    Loop.step()
print("done")
"""


@pytest.fixture
def stop(tmp_path) -> Path:
    return tmp_path / "stop"


def ends(process, stop):
    """(what it printed, what it said on stderr), once it was told to end and has."""
    stop.touch()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out.split(), err


def paused(agent):
    """The step at which the process has come to rest, having been asked to."""
    agent.release(0)
    while not agent.words[ACK]:
        assert agent.process.recv(256), "the process is gone"
    agent.quiet(agent.words[ACK])
    return agent.words[QUIET]


def test_a_running_process_joins_the_agent_that_comes_after_the_one_it_lost(agent, loop, stop):
    process = loop(UNTIL_STOPPED.format(fail="open", stop=stop))
    agent.admit(target=RUN)
    agent.process.close()
    agent.admit(target=RUN)
    assert agent.process.recv(256)  # what it says of itself stands in the page then
    before = agent.words[STEP]
    assert before > 0
    assert agent.words[FINAL_STEP] == 10**9
    assert paused(agent) >= before
    agent.release(RUN)
    out, err = ends(process, stop)
    assert out == ["done"]
    assert err.splitlines() == [
        "carbonshift: the agent is gone; the training goes on by itself",
        "carbonshift: under control again",
    ]


def test_a_process_that_began_without_an_agent_joins_the_first_that_comes(agent, loop, stop):
    hidden = agent.path.rename(agent.path.with_name("hidden"))
    process = loop(UNTIL_STOPPED.format(fail="open", stop=stop))
    assert "not under control" in process.stderr.readline()
    hidden.rename(agent.path)
    agent.admit(target=RUN)
    assert ends(process, stop) == (["done"], "carbonshift: under control again\n")


def test_failing_closed_a_paused_process_waits_for_another_agents_word(agent, loop, stop):
    process = loop(UNTIL_STOPPED.format(fail="closed", stop=stop))
    agent.admit(target=RUN)
    step = paused(agent)
    agent.process.close()
    assert process.stderr.readline() == "carbonshift: the agent is gone; it waits for an agent\n"
    agent.admit(target=0)
    agent.quiet(step)
    agent.release(step + 3)
    agent.quiet(step + 3)
    agent.release(RUN)
    assert ends(process, stop) == (["done"], "carbonshift: under control again\n")


def test_failing_closed_nothing_runs_beyond_the_first_step_without_an_agent(agent, loop, stop):
    hidden = agent.path.rename(agent.path.with_name("hidden"))
    process = loop(UNTIL_STOPPED.format(fail="closed", stop=stop))
    assert process.stderr.readline().endswith("it waits for an agent\n")
    hidden.rename(agent.path)
    agent.admit(target=0)
    agent.quiet(1)
    agent.release(RUN)
    assert ends(process, stop)[0] == ["done"]


def test_failing_closed_a_trainer_that_saves_on_sigterm_is_let_go(agent, loop):
    process = loop("""
import os, signal
os.environ["CARBONSHIFT_FAIL"] = "closed"
from loop_hook import Loop
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
session()
while not asked:
    Loop.step()
print("saved")
""")
    agent.admit(target=0)
    agent.quiet(1)
    agent.listener.close()
    agent.process.close()
    assert process.stderr.readline().endswith("it waits for an agent\n")
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "saved\n")
    assert err == "carbonshift: signal 15 came while it waited for an agent; the training goes on by itself\n"


def test_what_is_neither_open_nor_closed_is_said_and_open(agent, loop, stop):
    process = loop(UNTIL_STOPPED.format(fail="shut", stop=stop))
    agent.admit(target=RUN)
    _, err = ends(process, stop)
    assert err == "carbonshift: CARBONSHIFT_FAIL='shut' is neither open nor closed; it is open\n"
