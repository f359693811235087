import signal

from carbonshift.training.page import ACK, DEADLINE_MS, FINAL_STEP, MEMORY_BYTES, RUN, STEP, TARGET

TEN_STEPS = """
session(remaining_steps=10)
from loop_hook import Loop
for _ in range(10):
    Loop.step()
print("done")
"""


def ends(process):
    """(what it printed, what it said on stderr), once it has ended well."""
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out.split(), err


def test_it_stops_at_the_very_step_and_goes_on(agent, loop):
    process = loop(TEN_STEPS)
    agent.admit(target=0)
    agent.quiet(1)
    assert agent.hello.job == "job"
    assert agent.words[FINAL_STEP] == 10
    assert agent.words[DEADLINE_MS] == 0
    assert agent.words[MEMORY_BYTES] > 1_000_000
    agent.release(4)
    agent.quiet(4)
    agent.release(RUN)
    assert ends(process) == (["done"], "")
    assert agent.words[STEP] == 10
    assert agent.words[ACK] == 0


def test_without_an_agent_it_trains_and_says_so_once(agent, loop):
    agent.listener.close()
    out, err = ends(loop(TEN_STEPS))
    assert out == ["done"]
    assert err.startswith("carbonshift: not under control:")
    assert err.count("\n") == 1


def test_refused_it_trains_and_gives_the_reason(agent, loop):
    process = loop(TEN_STEPS)
    agent.refuse("wrong user")
    assert ends(process) == (["done"], "carbonshift: not under control: wrong user; the training goes on by itself\n")


def test_an_agent_that_dies_lets_it_go_for_good(agent, loop):
    process = loop(TEN_STEPS)
    agent.admit(target=0)
    agent.quiet(1)
    agent.process.close()  # the target still stands in the page
    assert ends(process) == (["done"], "carbonshift: the agent is gone; the training goes on by itself\n")


def test_an_agent_killed_with_unread_bytes_is_no_error_in_the_users_step(zombie, loop):
    process = loop(TEN_STEPS, zombie.path)
    assert ends(process) == (["done"], "carbonshift: the agent is gone; the training goes on by itself\n")
    assert zombie.process.wait() == -signal.SIGKILL


def test_an_agent_that_hangs_lets_it_go(agent, loop):
    process = loop(TEN_STEPS)
    agent.admit(target=0, lease_ms=1)
    assert ends(process)[1] == "carbonshift: the agent has stopped thinking; the training goes on by itself\n"


def test_a_trainer_that_saves_on_sigterm_is_let_go(agent, loop):
    process = loop("""
import signal
from loop_hook import Loop
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
session()
steps = 0
while not asked:
    Loop.step()
    steps += 1
print("saved", steps)
""")
    agent.admit(target=0)
    agent.quiet(1)
    process.send_signal(signal.SIGTERM)
    assert ends(process) == (
        ["saved", "1"],
        "carbonshift: signal 15 came during a pause; the training goes on by itself\n",
    )


def test_sigterm_without_a_handler_ends_a_paused_process(agent, loop):
    process = loop(TEN_STEPS)
    agent.admit(target=0)
    agent.quiet(1)
    process.terminate()
    assert process.wait(60) == -signal.SIGTERM


def test_what_a_signal_handler_raises_reaches_the_user(agent, loop):
    process = loop("""
import signal
from loop_hook import Loop
def give_up(*_): raise TimeoutError("mine")
signal.signal(signal.SIGUSR1, give_up)
session()
try:
    Loop.step()
except TimeoutError as error:
    print(error)
""")
    agent.admit(target=0)
    agent.quiet(1)
    process.send_signal(signal.SIGUSR1)
    assert ends(process) == (["mine"], "")
    assert agent.words[ACK] == 0


def test_a_forked_child_is_a_process_of_its_own(agent, loop):
    """Its steps do not count in the parent's page, and it does not keep the parent's connection open."""
    process = loop("""
import os
from loop_hook import Loop
session()
Loop.step()
sockets = lambda: [fd for fd in os.listdir("/proc/self/fd") if "socket:" in os.path.realpath("/proc/self/fd/" + fd)]
if not os.fork():
    print("child", len(sockets()), flush=True)
    Loop.step()
    Loop.step()
    os._exit(0)
os.wait()
print("parent", len(sockets()))
""")
    agent.admit(target=RUN)
    parent, parents_words = agent.process, agent.words
    agent.admit(target=RUN)
    child, childs_words = agent.process, agent.words
    assert ends(process) == (["child", "0", "parent", "1"], "")
    assert (parents_words[STEP], childs_words[STEP]) == (1, 2)
    assert parents_words[TARGET] == RUN
    parent.close()
    child.close()


def test_a_process_with_no_descriptor_left_to_wait_with_goes_on(agent, loop):
    process = loop("""
import os, resource
from loop_hook import Loop
session()
Loop.step()
resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) - 1, 4096))
Loop.step()
print("done")
""")
    agent.admit(target=2)
    out, err = ends(process)
    assert out == ["done"]
    assert "the training goes on by itself" in err
