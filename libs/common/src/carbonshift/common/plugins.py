"""Finds plug-ins by entry point: ours and whoever else's, alike."""

from importlib.metadata import entry_points
from typing import Any

from carbonshift.common.errors import InputError

__all__ = ["load_plugin", "plugin_names"]


def plugin_names(group: str) -> list[str]:
    """The names registered in `group`, sorted."""
    return sorted({entry.name for entry in entry_points(group=group)})


def load_plugin(group: str, name: str) -> Any:
    """The object registered as `name` in `group`, for instance `carbonshift.policies`.

    Raises: InputError where nothing of that name is installed, or where it does not import.
    """
    for entry in entry_points(group=group):
        if entry.name == name:
            try:
                return entry.load()
            except (ImportError, AttributeError) as error:
                raise InputError(
                    f"{group}: {name} ({entry.value}) does not load: {error}", "mend or remove it"
                ) from error
    raise InputError(
        f"{group}: nothing is registered as {name!r}", f"installed: {', '.join(plugin_names(group)) or 'none'}"
    )
