"""The AsyncAPI document of all events, out of their classes and of what each service really reads and publishes."""

import re
from importlib.metadata import version
from typing import Any
from urllib.parse import unquote

from faststream import FastStream
from faststream.specification import AsyncAPI
from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema

from carbonshift.common.events import EVENTS, DeadLetter, Event
from carbonshift.common.events.base import NAME, Name
from carbonshift.common.settings import Settings
from carbonshift.common.streams import DURABLES
from carbonshift.decide.app import build as build_decide
from carbonshift.decide.settings import DecideSettings
from carbonshift.explain.app import build as build_explain
from carbonshift.explain.settings import ExplainSettings
from carbonshift.forecast.app import build as build_forecast
from carbonshift.forecast.settings import ForecastSettings
from carbonshift.gpu_worker.app import build as build_gpu_worker
from carbonshift.gpu_worker.settings import GpuWorkerSettings
from carbonshift.ingest.app import build as build_ingest
from carbonshift.ingest.settings import IngestSettings

__all__ = ["asyncapi_document"]

NOWHERE = "nats://127.0.0.1:4222"
"""Never connected to: the services are only built, to see what they subscribe to and publish."""
HEADERS = {
    "type": "object",
    "required": ["Nats-Msg-Id", "ce-specversion", "ce-id", "ce-type", "ce-source", "ce-time"],
    "properties": {
        "Nats-Msg-Id": {"type": "string", "description": "The event's id: a repeat is dropped."},
        "ce-specversion": {"const": "1.0"},
        "ce-id": {"type": "string"},
        "ce-type": {"type": "string"},
        "ce-source": {"type": "string"},
        "ce-time": {"type": "string", "format": "date-time"},
    },
}


def asyncapi_document() -> dict[str, Any]:
    """AsyncAPI 3.0: a channel for each subject, a message for each type, an operation for each service and subject."""
    prefix = Settings.model_fields["subject_prefix"].default
    _, schemas = models_json_schema(
        [(kind, "serialization") for kind in EVENTS], ref_template="#/components/schemas/{model}"
    )
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "CarbonShift",
            "version": version("carbonshift"),
            "description": "Events of a GPU fleet that follows the power grid. Times are RFC 3339 UTC; every field"
            " with a dimension carries its unit in its name. Each event is in a JetStream stream.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {"nats": {"host": "127.0.0.1:4222", "protocol": "nats"}},
        "channels": {kind.__name__: _channel(kind, prefix) for kind in EVENTS},
        "operations": _operations(prefix),
        "components": {
            "messages": {kind.__name__: _message(kind) for kind in EVENTS},
            "schemas": schemas["$defs"],
        },
    }


def _channel(kind: type[Event], prefix: str) -> dict[str, Any]:
    parameters = re.findall(r"{(\w+)}", kind.address)
    pattern = TypeAdapter(Name).json_schema()["pattern"]
    return {
        "address": f"{prefix}.{kind.address}",
        "summary": _summary(kind),
        "messages": {kind.__name__: {"$ref": f"#/components/messages/{kind.__name__}"}},
        "parameters": {name: {"description": f"The {name}: one token, {pattern}."} for name in parameters},
        "bindings": {"nats": {}},
    }


def _message(kind: type[Event]) -> dict[str, Any]:
    return {
        "name": kind.__name__,
        "title": kind.__name__,
        "summary": _summary(kind),
        "contentType": "application/json",
        "headers": HEADERS,
        "payload": {"$ref": f"#/components/schemas/{kind.__name__}"},
    }


def _summary(kind: type[Event]) -> str:
    return (kind.__doc__ or "").split("\n", maxsplit=1)[0]


def _operations(prefix: str) -> dict[str, Any]:
    """Who sends and who receives, read off the built services and their durables."""
    by_subject = {kind.subjects(prefix): kind for kind in EVENTS}
    operations: dict[str, Any] = {}
    for service, app in _services().items():
        broker = app.broker
        assert broker is not None  # noqa: S101  # every service of ours has one
        wired = AsyncAPI(broker).to_specification().to_jsonable()
        pairs: set[tuple[str, type[Event]]] = {("send", DeadLetter)}
        pairs |= {("receive", kind) for durable in DURABLES if durable.name == service for kind in durable.kinds}
        for operation in wired["operations"].values():
            pairs |= {(operation["action"], kind) for kind in _kinds(_address(wired, operation), by_subject)}
        for action, kind in sorted(pairs, key=lambda pair: (pair[0], pair[1].__name__)):
            operations[f"{service}-{action}-{kind.__name__}"] = {
                "action": action,
                "channel": {"$ref": f"#/channels/{kind.__name__}"},
                "summary": f"{service} {action}s {kind.__name__}.",
            }
    return operations


def _address(wired: dict[str, Any], operation: dict[str, Any]) -> str:
    """The subject of an operation in FastStream's own document."""
    name = unquote(operation["channel"]["$ref"].removeprefix("#/channels/"))
    return str(wired["channels"][name]["address"])


def _kinds(subject: str, by_subject: dict[str, type[Event]]) -> set[type[Event]]:
    """The types a subscription takes: its subject may name one region where the type's has a wildcard."""
    return {
        kind
        for wildcard, kind in by_subject.items()
        if re.fullmatch(wildcard.replace(".", r"\.").replace("*", rf"({NAME.pattern}|\*)"), subject)
    }


def _services() -> dict[str, FastStream]:
    return {
        "ingest": build_ingest(IngestSettings(nats_url=NOWHERE)),
        "decide": build_decide(DecideSettings(nats_url=NOWHERE)),
        "forecast": build_forecast(ForecastSettings(nats_url=NOWHERE)),
        "explain": build_explain(ExplainSettings(nats_url=NOWHERE)),
        "gpu-worker": build_gpu_worker(GpuWorkerSettings(nats_url=NOWHERE)),
    }
