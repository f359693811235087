"""What every registered training hook keeps: a step is counted once, however many hooks there are."""

import subprocess
import sys

import pytest
import torch

from carbonshift.training.hook import GROUP, registered

POINTS = {point.name: point for point in registered(None)}
OUTSIDE = """
from torch.optim.optimizer import register_optimizer_step_post_hook


class Mine:
    name = "mine"

    def install(self, step_done):
        return register_optimizer_step_post_hook(step_done).remove
"""
NO_FRAMEWORK = """
import sys
from carbonshift.training.hook import registered

for point in registered(None):
    point.load()().install(lambda *_: None)
print(*sorted({"transformers", "lightning", "pytorch_lightning", "accelerate"} & set(sys.modules)))
"""


@pytest.fixture
def outside(tmp_path, monkeypatch):
    """A distribution that is not in this repository, and its hook."""
    info = tmp_path / "somebody-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: somebody\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\nmine = somebodys_hook:Mine\n")
    (tmp_path / "somebodys_hook.py").write_text(OUTSIDE)
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.fixture
def step():
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([weight], lr=0.1)

    def step():
        weight.grad = torch.ones(2)
        optimizer.step()

    return step


def counted(hook, step):
    """How often each of two steps calls; after the hook was taken out, none does."""
    calls = []
    remove = hook.install(lambda *_: calls.append(1))
    step()
    once = len(calls)
    step()
    assert len(calls) == 2 * once
    remove()
    step()
    assert len(calls) == 2 * once
    return once


@pytest.mark.parametrize("name", POINTS)
def test_a_hook_counts_each_step_once_or_leaves_counting_to_another(name, step):
    hook = POINTS[name].load()()
    assert hook.name == name
    assert counted(hook, step) in {0, 1}


def test_all_hooks_together_count_a_step_once(step):
    calls = []
    removes = [point.load()().install(lambda *_: calls.append(1)) for point in POINTS.values()]
    step()
    step()
    for remove in removes:
        remove()
    step()
    assert len(calls) == 2


def test_a_hook_from_outside_the_tree_is_one_of_them(outside, step):
    (point,) = registered(frozenset({"mine"}))
    assert "mine" in {each.name for each in registered(None)}
    assert counted(point.load()(), step) == 1


def test_installed_before_their_frameworks_they_import_none():
    found = subprocess.run([sys.executable, "-c", NO_FRAMEWORK], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
