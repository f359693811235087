"""Where the steps of a training are seen, or foreseen: the protocol of a hook, and the hooks that are registered.

A hook is one file and one entry point in group `carbonshift.hooks`. All are installed unless the environment variable
`CARBONSHIFT_HOOKS` names some, separated by commas.
"""

from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import Final, Protocol

__all__ = ["GROUP", "Hook", "StepDone", "registered"]

GROUP: Final = "carbonshift.hooks"


class StepDone(Protocol):
    """Counts one step. Up to three positional arguments are ignored: a hook can hand it to a framework as it is."""

    def __call__(self, first: object = None, second: object = None, third: object = None, /) -> None: ...


class Hook(Protocol):
    """A place in a framework where an optimizer step has just been done, and no collective is pending.

    Or one where the framework knows what a step does not show, such as how many are left: for `autoload.expect`. Such a
    hook calls no `step_done`: a step is counted once, whatever frameworks it goes through.
    """

    name: str
    """The name it is registered under."""

    def install(self, step_done: StepDone, /) -> Callable[[], None]:
        """Have `step_done` called after each step, on the thread that stepped. Returns what takes it out again.

        Raises: anything, where its framework is absent; it is then left out, with a word on stderr.
        """
        ...


def registered(wanted: frozenset[str] | None) -> Iterator[EntryPoint]:
    """The registered hooks, one a name, or those of them that are `wanted`; ordered by name."""
    by_name = {point.name: point for point in entry_points(group=GROUP)}
    return (by_name[name] for name in sorted(by_name) if wanted is None or name in wanted)
