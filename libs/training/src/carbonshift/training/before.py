"""A word of ours before each call of a framework's method; the framework is not imported for it.

torch, and with it all of ours, is often imported amid the framework's own import: its module is there then, its classes
are not yet.
"""

import functools
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import ModuleType
from typing import Any, Final

from carbonshift.training.talk import say

__all__ = ["before"]

Then = Callable[[ModuleType], None]

_waiting: Final[dict[str, list[Then]]] = {}
"""What is to be done with a module, by its name, once its import is over."""


def before(module: str, method: str, act: Callable[..., object]) -> Callable[[], None]:
    """Have `act` called first at each call of `method`, such as "Trainer.fit", of `module`, with the same arguments.

    What `act` raises is said on stderr; the call goes on. Returns what takes it out again.
    """
    undo: list[Callable[[], None]] = []
    owner_name, _, name = method.partition(".")

    def put_in(found: ModuleType) -> None:
        owner = getattr(found, owner_name)
        original = vars(owner)[name]

        @functools.wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            if undo:
                try:
                    act(*args, **kwargs)
                except Exception as error:  # noqa: BLE001  the training matters more
                    say(f"what {module} knows of this training does not count: {error!r}")
            return original(*args, **kwargs)

        def put_back() -> None:
            if vars(owner).get(name) is call:  # else another has wrapped it since, and finds it silent
                setattr(owner, name, original)

        setattr(owner, name, call)
        undo.append(put_back)

    _once_imported(module, put_in)

    def take_out() -> None:
        if put_in in _waiting.get(module, ()):
            _waiting[module].remove(put_in)
        while undo:
            undo.pop()()

    return take_out


def _once_imported(name: str, then: Then) -> None:
    module = sys.modules.get(name)
    if module is not None and not _arriving(module):
        _do(name, module, then)
        return
    _waiting.setdefault(name, []).append(then)
    if type(module) is ModuleType:
        module.__class__ = _Arriving
    elif not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def _arriving(module: ModuleType) -> bool:
    """Whether its import is under way; importlib tells itself so."""
    return bool(getattr(ModuleType.__getattribute__(module, "__spec__"), "_initializing", False))


def _arrived(name: str, module: ModuleType) -> None:
    for then in _waiting.pop(name, ()):
        _do(name, module, then)


def _do(name: str, module: ModuleType, then: Then) -> None:
    try:
        then(module)
    except Exception as error:  # noqa: BLE001  it would break the user's import
        say(f"{name} is not as it was: {error!r}; its steps count, but not what it knows of this training")


class _Arriving(ModuleType):
    """A module found amid its import: whoever first asks it for something after that sets off what waits for it.

    Source: a module's `__class__` may be set, Python's data model, 3.3.2.1.
    """

    def __getattribute__(self, attribute: str) -> Any:
        if not _arriving(self):
            self.__class__ = ModuleType  # type: ignore[assignment]
            _arrived(ModuleType.__getattribute__(self, "__name__"), self)
        return ModuleType.__getattribute__(self, attribute)


class _Finder:
    """Finds nothing of its own: a module that is waited for is found as ever, and its import ends with what waits."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec that the other finders give, for a module that is waited for."""
        if name not in _waiting:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        spec = next(filter(None, (finder.find_spec(name, path, target) for finder in others)), None)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            load = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                load(module)
                _arrived(name, module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec
