"""What stands on the terminal while a fleet runs, whatever was written to the bus."""

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from carbonshift.cli.watching import Watch
from carbonshift.common.events import (
    Account,
    EnergyBasis,
    GridState,
    Narrative,
    Pulse,
    RunState,
    WorkerTelemetry,
)

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
STATE = GridState(
    region="caiso",
    interval_start=NOON,
    interval_seconds=300,
    state=Pulse.RED,
    since=NOON,
    score=0.9,
    price_norm=0.9,
    carbon_norm=0.9,
    power_limit_w=100.0,
    power_fraction=0.0,
    run=False,
    epoch=0,
    reasons=("price_critical",),
    valid_until=NOON,
    policy="eco-pulse",
)
TELEMETRY = WorkerTelemetry(
    worker="lab-a",
    site="lab",
    region="caiso",
    device_uuid="gpu-0",
    observed_at=NOON,
    power_w=100.0,
    power_limit_w=100.0,
    enforced_limit_w=100.0,
    allowance_w=250.0,
    ceiling_w=250.0,
    energy_j=1.0,
    energy_basis=EnergyBasis.MODELLED,
    account=Account(since=NOON),
    run_state=RunState.PAUSED,
    job="resnet",
)


def narrative(text):
    return Narrative(
        region="caiso",
        transition_id="transition:caiso:1",
        interval_start=NOON,
        text=text,
        model="template",
        facts={},
        fallback=False,
    )


def drawn(*events, terminal=True):
    """The characters that a terminal, or a file, is sent."""
    watch = Watch()
    for event in events:
        watch.take(event)
    console = Console(
        file=io.StringIO(), force_terminal=terminal, color_system="standard" if terminal else None, width=120
    )
    console.print(watch.picture("demo", 0.5))
    return console.file.getvalue()


@pytest.mark.parametrize("hostile", ["\x1b[2J\x1b[H", "\x1b]0;owned\x07", "\x9b2J", "\u202e", "\u200b", "\r", "\b"])
def test_no_character_of_a_narrative_acts_on_the_terminal(hostile):
    told = narrative(f"Training {hostile}paused.")
    assert hostile not in drawn(STATE, TELEMETRY, told)
    shown = drawn(STATE, TELEMETRY, told, terminal=False)
    assert "Training \ufffd" in shown
    assert not {*shown} & {chr(code) for code in (*range(10), *range(11, 32), *range(127, 160), 0x200B, 0x202E)}


def test_markup_of_the_console_is_shown_and_not_obeyed():
    told = narrative("[bold red]RED[/bold red] [link=https://example.org]here[/link]")
    shown = drawn(STATE, told)
    assert "[bold red]RED[/bold red] [link=https://example.org]here[/link]" in shown
    assert "\x1b]8;" not in shown
