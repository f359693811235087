"""Who gets tokens: those who may run, by the state or by their plan, within what others ask for."""

from datetime import timedelta

import pytest

from carbonshift.common.events import (
    Account,
    EnergyBasis,
    PowerTarget,
    Pulse,
    RunState,
    WorkerTelemetry,
)
from carbonshift.decide.machine import RegionMemory, step
from carbonshift.decide.policies.eco_pulse import EcoPulse
from carbonshift.decide.settings import DecideSettings, SiteBudget
from carbonshift.decide.token_desk import SILENT_DEVICE_SECONDS, TokenDesk

SITE = SiteBudget(ramp_w_per_minute=600, budget_w=1_000, token_w=50)


def state(tick, pulse):
    _, _, made = step(RegionMemory(), tick(0), EcoPulse(DecideSettings()), DecideSettings())
    return made.model_copy(update={"state": pulse, "run": pulse is not Pulse.RED})


def device(tick, job=None, **changes):
    values = {
        "worker": "w",
        "site": "s",
        "region": "caiso",
        "device_uuid": f"GPU-{job}",
        "observed_at": tick(0).interval_start,
        "power_w": 43,
        "power_limit_w": 100,
        "enforced_limit_w": 100,
        "allowance_w": 43,
        "ceiling_w": 250,
        "energy_j": 0,
        "energy_basis": EnergyBasis.MODELLED,
        "account": Account(since=tick(0).interval_start),
        "run_state": RunState.PAUSED,
        "job": job,
    }
    return WorkerTelemetry.model_validate(values | changes)


def desk_of(*devices):
    desk = TokenDesk(DecideSettings(sites={"s": SITE}))
    for one in devices:
        desk.heard(one, 0.0)
    return desk


def watts(desk, tick, pulse, planned=None, now=1.0):
    found = desk.issue(tick(0), state(tick, pulse), planned or {}, now, tick(0).interval_start)
    return sum(token.watts for token in found)


@pytest.mark.parametrize(
    ("pulse", "planned", "wanted_w"),
    [
        (Pulse.RED, {}, 0),
        (Pulse.RED, {"a": True}, 250),
        (Pulse.RED, {"a": True, "b": True}, 450),
        (Pulse.GREEN, {}, 450),
        (Pulse.GREEN, {"a": False}, 250),
        (Pulse.GREEN, {"a": False, "b": False}, 0),
        (Pulse.UNKNOWN, {"a": True}, 0),
    ],
)
def test_a_plan_outranks_the_state_for_its_job_alone(tick, pulse, planned, wanted_w):
    """Each of two boards lacks 207 W, in tokens of 50 W."""
    assert watts(desk_of(device(tick, "a"), device(tick, "b")), tick, pulse, planned) == wanted_w


def test_a_target_lowers_the_budget_while_it_is_in_force(tick):
    start = tick(0).interval_start
    for begins, ends, granted_w in ((-1, 1, 50), (1, 2, 250), (-2, -1, 250)):
        desk = desk_of(device(tick, "a"))
        target = PowerTarget(
            site="s",
            limit_w=120,
            start=start + timedelta(hours=begins),
            end=start + timedelta(hours=ends),
            requested_by="utility",
        )
        desk.targeted(target, start)
        assert watts(desk, tick, Pulse.GREEN) == granted_w


def test_the_lowest_of_several_targets_counts_and_other_sites_do_not(tick):
    start = tick(0).interval_start
    desk = desk_of(device(tick, "a"))
    for site, limit_w in (("s", 200), ("s", 100), ("s", 300), ("t", 1)):
        span = {"start": start, "end": start + timedelta(hours=1)}
        desk.targeted(PowerTarget(site=site, limit_w=limit_w, requested_by="utility", **span), start)
    assert watts(desk, tick, Pulse.GREEN) == 50


def test_a_silent_device_is_forgotten(tick):
    desk = desk_of(device(tick, "a"))
    assert list(desk.sites_of("caiso", SILENT_DEVICE_SECONDS)) == ["s"]
    assert desk.sites_of("elsewhere", 1.0) == {}
    assert watts(desk, tick, Pulse.GREEN, now=SILENT_DEVICE_SECONDS + 1) == 0
