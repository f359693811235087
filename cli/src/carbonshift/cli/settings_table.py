"""The table of all settings, out of their classes: `python -m carbonshift.cli.settings_table > docs/settings.md`."""

import sys
from collections.abc import Iterator
from pathlib import Path

from pydantic import AliasChoices
from pydantic.fields import FieldInfo

from carbonshift.common.settings import Settings
from carbonshift.dashboard.settings import DashboardSettings
from carbonshift.decide.settings import DecideSettings
from carbonshift.explain.settings import ExplainSettings
from carbonshift.forecast.settings import ForecastSettings
from carbonshift.gpu_worker.settings import GpuWorkerSettings
from carbonshift.ingest.settings import IngestSettings

__all__ = ["settings_table"]

CLASSES: tuple[type[Settings], ...] = (
    IngestSettings,
    DecideSettings,
    ForecastSettings,
    ExplainSettings,
    GpuWorkerSettings,
    DashboardSettings,
)
HEAD = """<!-- generated: python -m carbonshift.cli.settings_table > docs/settings.md -->
# Settings

Each is an environment variable, or a key of the TOML file that `CARBONSHIFT_CONFIG` names: those of every service at
the top level, those of one service in a table of its name. The environment wins over the file. A name in the file that
no service knows is an error. Structured values are JSON in the environment.
"""


def settings_table() -> str:
    """Markdown: one table for what every service reads, and one a service."""
    tables = [f"{HEAD}\n## Every service\n\n{_table(Settings.model_fields)}"]
    for cls in CLASSES:
        own = {name: field for name, field in cls.model_fields.items() if not _is_shared(name, field)}
        if own:
            tables.append(f"## {cls.service}\n\n{_table(own)}")
    return "\n\n".join(tables) + "\n"


def _is_shared(name: str, field: FieldInfo) -> bool:
    """Whether it is what every service reads, with the same default."""
    shared = Settings.model_fields.get(name)
    return shared is not None and shared.default == field.default


def _table(fields: dict[str, FieldInfo]) -> str:
    return "\n".join(("| variable | in the file | default | what it does |", "|---|---|---|---|", *_rows(fields)))


def _rows(fields: dict[str, FieldInfo]) -> Iterator[str]:
    for name, field in fields.items():
        variable = _conventional(field) or f"CARBONSHIFT_{name.upper()}"
        text = " ".join((field.description or "").split()).replace("|", "\\|")
        yield f"| `{variable}` | `{name}` | {_default(field)} | {text} |"


def _conventional(field: FieldInfo) -> str | None:
    """The name the ecosystem has for it."""
    return str(field.validation_alias.choices[0]) if isinstance(field.validation_alias, AliasChoices) else None


def _default(field: FieldInfo) -> str:
    """What holds when nothing is set; a default that depends on the machine is not shown."""
    if field.default_factory is not None:
        made = field.get_default(call_default_factory=True, validated_data={})
        return "of the machine" if isinstance(made, str | Path) else f"`{_plain(made)}`"
    if isinstance(field.default, list):
        return f"`{','.join(str(one) for one in field.default)}`"
    return "none" if field.default is None else f"`{field.default}`"


def _plain(made: object) -> str:
    return str({key: value.model_dump(mode="json") for key, value in made.items()} if isinstance(made, dict) else made)


if __name__ == "__main__":
    sys.stdout.write(settings_table())
