"""What runs a training and begins it again is not to be noticed: arguments, output, exit code and signals."""

import os
import pty
import signal
import subprocess
import sys

import pytest

from carbonshift.training import begin_again


def run(script, *arguments, **options):
    command = [sys.executable, "-P", "-m", begin_again.__name__, sys.executable, "-c", script, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def test_arguments_input_output_and_exit_code_are_the_trainings_own():
    process = run(
        "import sys; print(sys.argv[1:], sys.stdin.read()); sys.exit(7)", "--lr", "a b", stdin=subprocess.PIPE
    )
    assert process.communicate("said", timeout=60) == ("['--lr', 'a b'] said\n", "")
    assert process.returncode == 7


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_is_passed_on_once_and_how_it_ended_is_how_this_ends(number):
    process = run(
        """
import signal, sys, time
heard = []
signal.signal(int(sys.argv[1]), lambda number, _: heard.append(number))
print("ready", flush=True)
while not heard:
    time.sleep(0.01)
time.sleep(0.3)
print(len(heard), flush=True)
signal.signal(int(sys.argv[1]), signal.SIG_DFL)
signal.raise_signal(int(sys.argv[1]))
""",
        str(int(number)),
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert process.stdout.readline() == "1\n"
    assert process.wait(60) == -number
    process.communicate()


def test_ctrl_c_in_a_terminal_reaches_the_training_once():
    """The terminal sends it to the whole group: this process, and the training."""
    ours, theirs = pty.openpty()
    script = """
import signal, time
heard = []
signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
print("ready", flush=True)
while not heard:
    time.sleep(0.01)
time.sleep(0.3)
print(len(heard), flush=True)
"""
    take_terminal = f"import fcntl, os, sys, termios; fcntl.ioctl({theirs}, termios.TIOCSCTTY, 0); "
    command = [sys.executable, "-P", "-m", begin_again.__name__, sys.executable, "-c", script]
    with subprocess.Popen(
        [sys.executable, "-c", take_terminal + "os.execv(sys.argv[1], sys.argv[1:])", *command],
        start_new_session=True,
        pass_fds=(theirs,),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "ready\n"
        os.write(ours, b"\x03")
        assert process.communicate(timeout=60)[0] == "1\n"
        assert process.returncode == 0
    os.close(ours)
    os.close(theirs)


def test_killed_it_takes_the_training_with_it():
    process = run("import os, time; print(os.getpid(), flush=True); time.sleep(600)")
    assert int(process.stdout.readline()) != process.pid
    process.kill()
    assert process.communicate(timeout=60)[0] == ""  # its end of the pipe is closed by the training's own end
