"""Settings: `CARBONSHIFT_*` from the environment, or a TOML file named by CARBONSHIFT_CONFIG."""

import os
import tomllib
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from platformdirs import user_state_path
from pydantic import AliasChoices, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from carbonshift.common.errors import InputError

__all__ = ["SERVICES", "Settings"]

SERVICES = ("ingest", "decide", "forecast", "explain", "gpu-worker", "dashboard")
"""Every service, in the order in which a tick meets them; each has a table of its own in the TOML file."""


class TomlFile(PydanticBaseSettingsSource):
    """The file CARBONSHIFT_CONFIG names: its top level is for every service, a table for the service it names."""

    def get_field_value(self, field: object, field_name: str) -> tuple[Any, str, bool]:
        """Not used: the file is read whole."""
        raise NotImplementedError

    def __call__(self) -> dict[str, Any]:
        path = os.environ.get("CARBONSHIFT_CONFIG")
        if not path:
            return {}
        try:
            content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(f"CARBONSHIFT_CONFIG={path}: {error.strerror}", "name a file that can be read") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InputError(f"CARBONSHIFT_CONFIG={path}: {error}", "write it as TOML") from error
        service = getattr(self.settings_cls, "service", "")
        shared: dict[str, Any] = {key: value for key, value in content.items() if not isinstance(value, dict)}
        own: dict[str, Any] = content.get(service, {})
        tables = {key for key, value in content.items() if isinstance(value, dict)}
        if wrong := sorted(tables - {*SERVICES, service}):
            raise InputError(f"{path}: no service is named [{wrong[0]}]", f"the services are {', '.join(SERVICES)}")
        for where, keys, known in (
            ("", shared, Settings.model_fields),
            (f"[{service}] ", own, self.settings_cls.model_fields),
        ):
            for key in keys:
                if key not in known:
                    raise InputError(f"{path}: {where}has no setting {key!r}", "see docs/settings.md for their names")
        return shared | own


class Settings(BaseSettings):
    """What every service needs to know; a service's own settings extend it."""

    model_config = SettingsConfigDict(
        env_prefix="CARBONSHIFT_", extra="ignore", frozen=True, populate_by_name=True, use_attribute_docstrings=True
    )

    service: ClassVar[str] = "carbonshift"
    """Name of the service: its table in the TOML file, its durable, its dead letters."""

    nats_url: str | None = Field(default=None, repr=False, validation_alias=AliasChoices("NATS_URL", "nats_url"))
    """Servers of an existing NATS, comma-separated; without it the embedded one."""
    subject_prefix: str = Field(default="carbonshift", pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$")
    """First tokens of every subject."""
    stream_replicas: int = Field(default=1, ge=1, le=5)
    """Copies of each stream in a cluster."""
    state_dir: Path = Field(default_factory=lambda: user_state_path("carbonshift"))
    """Where the embedded broker keeps its store, and a worker its captured limits."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """How much a service tells on stderr: DEBUG, INFO, WARNING or ERROR."""
    log_format: Literal["text", "json"] = "text"
    """How it tells it: `text`, or `json`, an object a line."""
    http_host: str = "127.0.0.1"
    """Address at which a service answers over HTTP; there is no login, so beyond loopback keep others out."""
    http_port: int | None = Field(default=None, ge=0, le=65_535)
    """Port of `/metrics`, `/healthz` and `/readyz`, one of its own for each service of a machine; 0 = any that is free,
    and the log says which; without it a service does not answer."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is given in code wins over the environment, and that over the file."""
        del dotenv_settings, file_secret_settings  # one file, named on purpose
        return init_settings, env_settings, TomlFile(settings_cls)

    @classmethod
    def load(cls, **given: Any) -> Self:
        """The settings in force.

        Raises: InputError naming the first value that does not fit, where it stands and what fits.
        """
        try:
            return cls(**given)
        except SettingsError as error:  # a structured value that is no JSON
            raise InputError(f"settings of {cls.service}: {error}", "structured values are JSON") from error
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            name = ".".join(str(part) for part in first["loc"])
            problem = first["msg"].removeprefix("Value error, ")
            if not name:  # two settings that do not go together: the problem names them
                raise InputError(f"settings of {cls.service}: {problem}", "see docs/settings.md for both") from error
            where = name if name.isupper() else f"CARBONSHIFT_{name.upper()} (or {name} in the settings file)"
            raise InputError(f"{where}: {problem}", f"see docs/settings.md for what {name} takes") from error

    def servers(self) -> list[str]:
        """The URLs of the broker.

        Raises: InputError where there is none.
        """
        urls = [url.strip() for url in (self.nats_url or "").split(",") if url.strip()]
        if not urls:
            raise InputError("NATS_URL is not set", "set it, or run `carbonshift up`, which brings its own broker")
        return urls
