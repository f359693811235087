"""A word before a framework's method, whenever the framework is imported, and its call unharmed."""

import importlib
import inspect
import sys

import pytest

from carbonshift.training.before import _Finder, before

FRAMEWORK = '''
import {amid}
class Trainer:
    def fit(self, data, *, epochs=1):
        """Fits."""
        return data * epochs
'''


@pytest.fixture
def framework(tmp_path, monkeypatch):
    """Write a module; `amid` is what it imports before it has its class."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(name, amid="os"):
        (tmp_path / f"{name}.py").write_text(FRAMEWORK.format(amid=amid))
        return name

    before_this = list(sys.meta_path)
    yield write
    sys.meta_path[:] = before_this


def heard(act, framework_name):
    calls = []
    take_out = before(framework_name, "Trainer.fit", lambda *args, **kwargs: calls.append((args[1:], kwargs)) or act())
    return calls, take_out


@pytest.mark.parametrize("first", [True, False])
def test_it_is_called_with_the_arguments_of_each_call_until_taken_out(framework, first):
    name = framework(f"framework_{first}")
    if first:
        importlib.import_module(name)
    calls, take_out = heard(lambda: None, name)
    trainer = importlib.import_module(name).Trainer()
    assert trainer.fit(3, epochs=2) == 6
    assert calls == [((3,), {"epochs": 2})]
    assert list(inspect.signature(trainer.fit).parameters) == ["data", "epochs"]
    take_out()
    assert trainer.fit(3) == 3
    assert len(calls) == 1
    assert not hasattr(trainer.fit, "__wrapped__")


def test_a_framework_amid_its_import_is_waited_for(framework, tmp_path):
    """As transformers, whose trainer imports torch, which imports us."""
    calls = []
    (tmp_path / "us.py").write_text(
        "import sys\n"
        "from carbonshift.training.before import before\n"
        "assert not hasattr(sys.modules['amid'], 'Trainer')\n"
        "before('amid', 'Trainer.fit', lambda *args: sys.modules['us'].calls.append(args[1:]))\n"
        "calls = []\n"
    )
    framework("amid", amid="us")
    from amid import Trainer

    assert Trainer().fit(3) == 3
    calls = sys.modules["us"].calls
    assert calls == [(3,)]
    assert type(sys.modules["amid"]) is type(sys)


def test_taken_out_before_the_import_it_never_goes_in(framework):
    calls, take_out = heard(lambda: None, framework("late"))
    take_out()
    assert importlib.import_module("late").Trainer().fit(1) == 1
    assert calls == []


def test_what_goes_wrong_is_said_and_harms_no_call(framework, capsys):
    heard(lambda: 1 / 0, framework("unlucky"))
    assert importlib.import_module("unlucky").Trainer().fit(2) == 2
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_a_framework_that_has_changed_is_imported_as_ever(framework, capsys):
    before(framework("changed"), "Trainer.train", print)
    assert importlib.import_module("changed").Trainer().fit(2) == 2
    assert "changed is not as it was" in capsys.readouterr().err


def test_waiting_leaves_every_other_import_alone(framework):
    heard(lambda: None, framework("waited_for"))
    assert sum(isinstance(finder, _Finder) for finder in sys.meta_path) == 1
    assert importlib.util.find_spec("not_there_at_all") is None
