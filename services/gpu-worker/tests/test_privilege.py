"""What is left of root's privileges, in a process of its own: dropped ones do not come back."""

import os
import subprocess
import sys

import pytest

from carbonshift.gpu_worker.privilege import CAP_SYS_ADMIN, effective

SHOWN = """
import os, subprocess, sys, threading
from carbonshift.gpu_worker.privilege import effective, keep_only_sys_admin
keep_only_sys_admin()
found = [effective()]
thread = threading.Thread(target=lambda: found.append(effective()))
thread.start(); thread.join()
child = "from carbonshift.gpu_worker.privilege import effective; print(effective())"
found.append(int(subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, check=True).stdout))
try:
    os.chown(sys.argv[1], 65534, 65534)
except PermissionError:
    found.append("may not chown")
print(*found, sep=",")
"""


def test_nothing_but_sys_admin_is_left_in_the_process_its_threads_and_its_children(tmp_path):
    if not effective() >> CAP_SYS_ADMIN & 1:
        pytest.skip("this user has no privilege to drop")
    file = tmp_path / "file"
    file.touch()
    run = subprocess.run([sys.executable, "-c", SHOWN, file], capture_output=True, text=True, check=False)
    assert run.stdout.strip() == f"{1 << CAP_SYS_ADMIN},{1 << CAP_SYS_ADMIN},{1 << CAP_SYS_ADMIN},may not chown", (
        run.stderr
    )


def test_without_any_it_goes_on_without():
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    script = "import os; from carbonshift.gpu_worker.privilege import effective, keep_only_sys_admin; "
    script += "effective(); os.setuid(65534); keep_only_sys_admin(); print(effective())"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert run.stdout.strip() == "0", run.stderr


def test_permission_is_read_from_the_kernel(tmp_path):
    status = tmp_path / "status"
    status.write_text("Name:\tpython\nCapEff:\t0000000000200000\n")
    assert effective(status) == 1 << CAP_SYS_ADMIN
    assert effective(tmp_path / "none") == 0
