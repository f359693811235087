"""What a script says of its training, and what its framework knows of it: whose word stands in the agent's page."""

import pytest

import carbonshift.training
from carbonshift.training.page import DEADLINE_MS, FINAL_STEP, RUN

NINE = 1_795_510_800_000  # 2026-11-24T09:00Z, in milliseconds since 1970


def ends(process):
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    return out.split()


@pytest.mark.parametrize("text", ["2026-11-24T09:00Z", "2026-11-24T10:00:00+01:00"])
def test_a_deadline_may_be_text(agent, loop, text):
    process = loop(f"from loop_hook import Loop; session(deadline={text!r}); Loop.step()")
    agent.admit(target=RUN)
    assert ends(process) == []
    assert agent.words[DEADLINE_MS] == NINE


@pytest.mark.parametrize(
    ("text", "problem"), [("2026-11-24T09:00", "no time zone"), ("2026-11-24", "no time zone"), ("soon", "no time;")]
)
def test_a_deadline_without_a_zone_or_a_date_is_told_how_to_be_written(text, problem):
    with pytest.raises(ValueError, match=rf"{text}.*{problem}.*2026-11-24T09:00Z"):
        carbonshift.training.session(deadline=text)


def test_as_a_context_manager_it_ends_with_no_step_left(agent, loop):
    process = loop("""
from loop_hook import Loop
with session(job="mine", remaining_steps=9):
    Loop.step()
    Loop.step()
Loop.step()
""")
    agent.admit(target=2)
    agent.quiet(2)
    assert (agent.hello.job, agent.words[FINAL_STEP]) == ("mine", 9)
    agent.release(RUN)
    ends(process)
    assert agent.words[FINAL_STEP] == 2


def test_the_scripts_word_counts_before_the_frameworks_and_that_before_the_environments(agent, loop):
    process = loop("""
import os
os.environ["CARBONSHIFT_TOTAL_STEPS"] = "100"
session()
from loop_hook import Loop
from carbonshift.training.autoload import expect
Loop.step()
expect(remaining_steps=49)
Loop.step()
session(remaining_steps=8)
expect(remaining_steps=99)
Loop.step()
""")
    agent.admit(target=0)
    for step, final in ((1, 100), (2, 50), (3, 10)):
        agent.quiet(step)
        assert agent.words[FINAL_STEP] == final
        agent.release(step + 1)
    assert ends(process) == []


def test_a_forked_child_says_for_itself_what_is_left(agent, loop):
    process = loop("""
import os
from loop_hook import Loop
from carbonshift.training.autoload import expect
session(remaining_steps=8)
if not os.fork():
    expect(remaining_steps=5)
    Loop.step()
    os._exit(0)
os.wait()
""")
    agent.admit(target=RUN)
    assert ends(process) == []
    assert agent.words[FINAL_STEP] == 5


def test_a_loader_tells_what_is_left_at_each_epoch(agent, loop):
    """The second epoch is broken off, and a third one was not said."""
    process = loop("""
from loop_hook import Loop
from carbonshift.training import pausable
loader = pausable([1, 2, 3], epochs=2, steps_per_batch=2, job="mine", deadline="2026-11-24T09:00Z")
for epoch in range(3):
    for batch in loader:
        Loop.step()
        Loop.step()
        if epoch == 1:
            break
    print(epoch, batch)
""")
    agent.admit(target=0)
    for step, final in ((1, 12), (7, 12), (9, 14)):
        agent.release(step)
        agent.quiet(step)
        assert agent.words[FINAL_STEP] == final
    assert (agent.hello.job, agent.words[DEADLINE_MS]) == ("mine", NINE)
    agent.release(RUN)
    assert ends(process) == ["0", "3", "1", "1", "2", "3"]
