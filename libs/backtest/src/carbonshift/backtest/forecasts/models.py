"""Which of the installed forecasters are evaluated, and which of them are slow."""

from carbonshift.backtest.forecasts.rolling import GROUP
from carbonshift.common.errors import InputError
from carbonshift.common.plugins import load_plugin, plugin_names

__all__ = ["BASELINES", "chosen", "is_slow"]

BASELINES = ("persistence", "seasonal-naive")
"""What every figure is set against: always among them."""
PUBLISHED = "day-ahead"
"""Has nothing to say where nothing is published."""


def chosen(text: str | None, *, day_ahead: bool) -> tuple[str, ...]:
    """The models that are asked for, the baselines first.

    Args:
        text: names with commas, or `all`; None: all that are not slow.
        day_ahead: whether published prices are heard: without them the model `day-ahead` is left out unless named.

    Raises: InputError naming the one that is not installed, or where a name is empty.
    """
    installed = plugin_names(GROUP)
    if text is None or text == "all":
        names = [
            name for name in installed if (day_ahead or name != PUBLISHED) and (text == "all" or not is_slow(name))
        ]
    else:
        names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise InputError(f"--models {text!r}: a name is missing", f"give all, or some of {', '.join(installed)}")
    for name in names:
        if name not in installed:
            raise InputError(f"--models {name!r} is not known", f"give all, or some of {', '.join(installed)}")
    return tuple(dict.fromkeys((*BASELINES, *names)))


def is_slow(name: str) -> bool:
    """Whether the forecaster says of itself `slow = True`: left out unless asked for, and then on fewer origins."""
    return bool(getattr(load_plugin(GROUP, name), "slow", False))
