"""`carbonshift doctor`: what this host can do, and what to do about each lack."""

import asyncio
import json
import platform
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from carbonshift.backtest.bench import most_efficient_limit_w
from carbonshift.cli.options import JsonFlag
from carbonshift.common.embedded import find_binary, held_url
from carbonshift.common.errors import CarbonShiftError
from carbonshift.common.plugins import plugin_names
from carbonshift.common.power_curve import RESNET18_V100
from carbonshift.common.reach import reach_broker
from carbonshift.common.settings import Settings
from carbonshift.decide.settings import DecideSettings
from carbonshift.explain.settings import ExplainSettings
from carbonshift.forecast.settings import ForecastSettings
from carbonshift.gpu_worker.doctor import DeviceReport, inspect_devices
from carbonshift.ingest.settings import IngestSettings

__all__ = ["doctor"]

YES = {True: "yes", False: "no", None: "?"}
GROUPS = ("sources", "policies", "forecasters", "devices", "hooks")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the table: `ok`, `lack` (something works less well) or `broken`."""

    what: str
    verdict: str
    found: str
    remedy: str = ""
    detail: dict[str, Any] | None = None
    """All that is known, for programs."""


def doctor(*, as_json: JsonFlag = False) -> None:
    """Say what this host can do: Python, broker, devices, plug-ins, keys; and the remedy for each lack."""
    reports, unreadable = _devices()
    findings = [*_python(), *_broker(), *unreadable, *_plugins(), *_setpoints(), *_keys()]
    if as_json:
        everything = [*findings, *_device_findings(reports)]
        typer.echo(json.dumps([asdict(finding) for finding in everything], indent=2))
    else:
        console = Console(highlight=False)
        table = _table("", "what", "found", "what to do")
        for finding in findings:
            table.add_row(_marked(finding.verdict), finding.what, finding.found, finding.remedy)
        console.print(table, "")
        console.print(_device_table(reports), "")
        for number, report in _numbered(reports):
            state = _marked("lack" if report.lacks else "ok")
            console.print(f"{number:>2}  {state}  {escape(report.uuid or report.backend)}")
            if report.lacks:
                console.print(Padding(_lack_table(report), (0, 0, 1, 3)))
    if any(finding.verdict == "broken" for finding in findings):
        raise typer.Exit(1)


def _table(*columns: str, leading: int = 0) -> Table:
    table = Table(box=None, header_style="bold", leading=leading)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _marked(verdict: str) -> str:
    colour = {"ok": "green", "lack": "yellow", "broken": "red"}[verdict]
    return f"[{colour}]{verdict}[/]"


def _python() -> Iterator[Finding]:
    yield Finding("Python", "ok", f"{platform.python_version()} on {sys.platform} {platform.machine()}")
    try:
        yield Finding("torch", "ok", version("torch"))
    except PackageNotFoundError:
        yield Finding("torch", "lack", "not installed here", "install it where training runs; nothing else needs it")


def _broker() -> Iterator[Finding]:
    try:
        settings = Settings.load()
    except CarbonShiftError as error:
        yield Finding("settings", "broken", error.problem, error.remedy)
        return
    try:
        yield Finding("nats-server", "ok", f"embedded: {find_binary().name} of this installation")
    except CarbonShiftError as error:
        yield Finding("nats-server", "lack" if settings.nats_url else "broken", error.problem, error.remedy)
    url = settings.nats_url or held_url(settings.state_dir / "broker")
    if not url:
        yield Finding("broker", "ok", "none runs; a command that needs one starts it")
        return
    try:
        asyncio.run(reach_broker(settings.model_copy(update={"nats_url": url})))
    except CarbonShiftError as error:
        yield Finding("broker", "broken", error.problem, error.remedy)
    else:
        origin = "NATS_URL" if settings.nats_url else "the embedded one"
        yield Finding("broker", "ok", f"{origin} answers at {url.rpartition('@')[2]}")


def _devices() -> tuple[list[DeviceReport], list[Finding]]:
    """What the backends report, or why they do not."""
    try:
        return inspect_devices(), []
    except CarbonShiftError as error:
        return [], [Finding("devices", "broken", error.problem, error.remedy)]


def _device_findings(reports: list[DeviceReport]) -> Iterator[Finding]:
    for report in reports:
        what = f"device {report.name}" if report.uuid else f"devices by {report.backend}"
        if report.uuid:
            yield Finding(what, "ok", f"{report.uuid}: {report.rung}", detail=asdict(report))
        for lack in report.lacks:
            yield Finding(what, "lack", lack.what, lack.remedy)


def _device_table(reports: list[DeviceReport]) -> Table:
    """A row a device: 80 columns hold it, since each cell holds several lines."""
    table = _table("", "device", "driven by", "limit, W", "energy", "state", leading=1)
    for number, report in _numbered(reports):
        if not report.uuid:
            continue
        nominal = "\nestimated" if report.nominal else ""
        parts = f"\nparts {len(report.instances)}" if report.instances else ""
        table.add_row(
            number,
            "\n".join(filter(None, (escape(report.name), report.pci_bus_id, f"by {report.backend}"))),
            f"{report.rung}\nclocks {'lockable' if report.locks_clocks else 'fixed'}\nlow clocks {YES[report.slows]}",
            f"now {_w(report.power_limit_w)}\n"
            f"obeys {_w(report.enforced_limit_w)}\n"
            f"boots at {_w(report.default_limit_w)}\n"
            f"range {_w(report.min_limit_w)}-{_w(report.max_limit_w)}{nominal}",
            f"{report.energy_basis or '?'}\npower {'told' if report.reads_power else 'not told'}",
            f"persists {YES[report.persistent]}\nMIG {YES[report.divides]}{parts}\nprocesses {len(report.process_ids)}",
        )
    return table


def _lack_table(report: DeviceReport) -> Table:
    """What a device lacks, and what to do about each."""
    table = _table("what is missing", "what to do")
    for lack in report.lacks:
        table.add_row(escape(lack.what), escape(lack.remedy))
    return table


def _numbered(reports: list[DeviceReport]) -> Iterator[tuple[str, DeviceReport]]:
    """Those that speak of no device have no number."""
    number = 0
    for report in reports:
        number += bool(report.uuid)
        yield str(number) if report.uuid else "", report


def _w(watts: float | None) -> str:
    return "?" if watts is None else f"{watts:.0f}"


def _plugins() -> Iterator[Finding]:
    for group in GROUPS:
        names = plugin_names(f"carbonshift.{group}")
        yield Finding(
            group, "ok" if names else "broken", ", ".join(names) or "none", "" if names else "reinstall carbonshift"
        )


def _setpoints() -> Iterator[Finding]:
    """What the setpoints of Eco-Pulse cost beside others, by the backtests behind docs/savings.md."""
    try:
        settings = DecideSettings.load()
    except CarbonShiftError as error:
        yield Finding("settings of decide", "broken", error.problem, error.remedy)
        return
    best_w, green_w = most_efficient_limit_w(RESNET18_V100), settings.green_power_limit_w
    found = f"{green_w:.0f} W on the reference board"
    if green_w > best_w:
        remedy = (
            f"set CARBONSHIFT_GREEN_POWER_LIMIT_W and CARBONSHIFT_AMBER_POWER_LIMIT_W to {best_w:.0f}: the most"
            " efficient cap cost less on every recording backtested; jobs with a deadline are planned instead"
        )
        yield Finding("setpoint of GREEN", "lack", found, remedy)
    else:
        yield Finding("setpoint of GREEN", "ok", found)


def _keys() -> Iterator[Finding]:
    """Whether each is there; never what it is, and nobody is asked whether it is right."""
    try:
        settings, forecast, explain = IngestSettings.load(), ForecastSettings.load(), ExplainSettings.load()
    except CarbonShiftError as error:
        yield Finding("settings of ingest, forecast and explain", "broken", error.problem, error.remedy)
        return
    keys = (
        (
            "WattTime",
            "WATTTIME_USERNAME and WATTTIME_PASSWORD",
            settings.watttime_username and settings.watttime_password,
            "caiso-outlook needs none",
        ),
        ("Electricity Maps", "ELECTRICITYMAPS_API_KEY", settings.electricitymaps_api_key, "caiso-outlook needs none"),
        ("OpenAI", "OPENAI_API_KEY", forecast.openai_api_key, "forecasts need none"),
        ("Anthropic", "ANTHROPIC_API_KEY", explain.anthropic_api_key, "narratives need none"),
    )
    for provider, names, given, without_it in keys:
        if given:
            yield Finding(f"key of {provider}", "ok", f"{names} set")
        else:
            yield Finding(f"key of {provider}", "lack", "none", f"set {names} to use it; {without_it}")
