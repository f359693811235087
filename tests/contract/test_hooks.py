"""What every registered training hook keeps: one call for each step, none after it was taken out."""

from importlib.metadata import entry_points

import pytest
import torch

HOOKS = {entry.name: entry for entry in entry_points(group="carbonshift.hooks")}


@pytest.fixture(params=sorted(HOOKS))
def hook(request):
    return HOOKS[request.param].load()()


def test_each_step_calls_once_until_the_hook_is_removed(hook):
    calls = []
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([weight], lr=0.1)

    def step():
        weight.grad = torch.ones(2)
        optimizer.step()

    assert hook.name in HOOKS
    remove = hook.install(lambda *_: calls.append(1))
    step()
    step()
    assert len(calls) == 2
    remove()
    step()
    assert len(calls) == 2
