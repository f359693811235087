"""Every registered hook, and the optimizer's in particular, on real torch in this process."""

import pytest
import torch

from carbonshift.training import framework
from carbonshift.training.gate import gate
from carbonshift.training.hook import Hook, registered
from carbonshift.training.hooks.optimizer_step import OptimizerStep
from carbonshift.training.page import RUN, private


@pytest.fixture
def counted():
    """The calls of an installed hook."""
    calls = []
    remove = OptimizerStep().install(lambda *_: calls.append(framework.inside_backward()))
    yield calls
    remove()


def train(optimizer, parameter, steps):
    def closure():
        optimizer.zero_grad()
        loss = parameter.square().sum()
        loss.backward()
        return loss

    for _ in range(steps):
        closure()
        optimizer.step(closure)


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW, torch.optim.LBFGS])
def test_one_call_a_step_whatever_the_optimizer(counted, kind):
    parameter = torch.nn.Parameter(torch.ones(3))
    train(kind([parameter], lr=0.1), parameter, 5)
    assert counted == [False] * 5


def test_a_step_from_inside_backward_is_known_as_such(counted):
    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.SGD([parameter], lr=0.1)
    parameter.register_post_accumulate_grad_hook(lambda _: optimizer.step())
    parameter.square().sum().backward()
    assert counted == [True]


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")  # dynamo's own imports
def test_a_compiled_step_goes_through_the_gate_and_is_compiled_once():
    """Neither the counter, new at every call, nor the page, exchanged now and then, is a reason to compile anew."""
    joins = []

    def join(_seconds):
        joins.append(1)
        raise ConnectionRefusedError("nobody")

    opened = gate(join)
    remove = OptimizerStep().install(opened.step_done)
    try:
        parameter = torch.nn.Parameter(torch.ones(3))
        optimizer = torch.optim.SGD([parameter], lr=0.1)
        step = torch.compile(optimizer.step, backend="eager")
        torch._dynamo.utils.counters.clear()
        for _ in range(30):
            parameter.grad = torch.ones(3)
            step()
        assert joins
        assert not torch._dynamo.utils.counters["recompiles"]
        assert torch._dynamo.utils.counters["stats"]["unique_graphs"] <= 2
    finally:
        remove()


@pytest.mark.parametrize("point", list(registered(None)), ids=lambda point: point.name)
def test_every_registered_hook_goes_in_and_comes_out(point):
    hook: Hook = point.load()()
    assert hook.name == point.name
    hook.install(lambda *_: None)()


def test_a_removed_hook_counts_no_more():
    calls = []
    OptimizerStep().install(lambda *_: calls.append(1))()
    parameter = torch.nn.Parameter(torch.ones(3))
    train(torch.optim.SGD([parameter], lr=0.1), parameter, 1)
    assert calls == []


def test_a_private_page_holds_nothing_but_its_target():
    assert private(RUN).tolist() == [RUN] + [0] * 511
