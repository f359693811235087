"""The whole agent as a process, against a driver at NVML's ABI and a real broker: what becomes of its boards."""

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from carbonshift.common.events import (
    CarbonBasis,
    EnergyBasis,
    GridState,
    GridTick,
    JobStatus,
    PowerTarget,
    PriceMarket,
    Pulse,
    Quality,
    ResumeToken,
    WorkerEvent,
    WorkerEventKind,
    WorkerTelemetry,
)

PATIENCE_SECONDS = 60.0


@contextmanager
def agent(driver, bus, folder, **given):
    settings = {
        "NATS_URL": bus.url,
        "CARBONSHIFT_STATE_DIR": str(folder),
        "CARBONSHIFT_WORKER": "host",
        "CARBONSHIFT_DEVICE_BACKEND": "nvml",
        "CARBONSHIFT_MODELLED_JOB": "true",
        "CARBONSHIFT_TELEMETRY_SECONDS": "0.2",
        "CARBONSHIFT_GUARD_LEASE_SECONDS": "2",
    }
    command = [sys.executable, "-m", "carbonshift.gpu_worker"]
    environment = os.environ | driver.env | settings | given
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


async def until(found):
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not found():
            await asyncio.sleep(0.02)


def limits(driver):
    return [board.limit_mw for board in driver.state.board[: driver.state.boards]]


async def of_kind(bus, kind, count=1):
    def there(events):
        return sum(event.event is kind for event in events) >= count

    return [event for event in await bus.collect(WorkerEvent, when=there) if event.event is kind]


async def test_every_board_of_the_host_is_driven_and_has_its_limit_back_after_a_kill(fake_nvml, bus, tmp_path):
    driver = fake_nvml({}, {"limit_mw": 500_000})
    with agent(driver, bus, tmp_path) as process:
        registered = await of_kind(bus, WorkerEventKind.REGISTERED, 2)
        assert {event.device_uuid for event in registered} == {driver.uuid(0), driver.uuid(1)}
        assert [event.detail["captured_limit_w"] for event in registered] == [650.0, 500.0]
        assert len({event.id for event in registered}) == 2
        await until(lambda: limits(driver) == [200_000, 200_000])  # training waits for its first state
        told = await bus.collect(WorkerTelemetry, when=lambda found: len({one.device_uuid for one in found}) == 2)
        assert {one.energy_basis for one in told} == {"measured"}
        process.kill()
        await until(lambda: limits(driver) == [650_000, 500_000])
    assert not list((tmp_path / "captured-limits").iterdir())


def amber(fraction, slot=1):
    """A state of today that lets training run, and the token that lets it draw all of it."""
    now = datetime.now(UTC)
    state = GridState(
        region="caiso",
        interval_start=now,
        interval_seconds=60,
        state=Pulse.AMBER,
        since=now,
        score=None,
        price_norm=None,
        carbon_norm=None,
        power_limit_w=100.0 + 150.0 * fraction,
        power_fraction=fraction,
        run=True,
        epoch=1,
        reasons=(),
        valid_until=now + timedelta(hours=1),
        policy="eco-pulse",
    )
    token = ResumeToken(
        site="local", slot=slot, watts=2_000.0, not_before=now, expires_at=now + timedelta(hours=1), epoch=1
    )
    return state, token


@pytest.mark.parametrize(
    ("given", "limit_mw"),
    [
        ({}, 575_000),
        ({"CARBONSHIFT_SETPOINT": "absolute"}, 212_500),
        ({"CARBONSHIFT_SETPOINT_BY_MODEL": '{"*H100*": "default", "*": "absolute"}'}, 595_000),
    ],
)
async def test_a_setpoint_means_on_a_board_what_it_is_set_to(fake_nvml, bus, tmp_path, given, limit_mw):
    driver = fake_nvml()
    with agent(driver, bus, tmp_path, **given):
        await until(lambda: limits(driver) == [200_000])
        await bus.publish(*amber(0.75))
        await until(lambda: limits(driver) == [limit_mw])
    await until(lambda: limits(driver) == [650_000])


@pytest.mark.parametrize(
    ("given", "highest_mw"), [({}, 500_000), ({"CARBONSHIFT_MAY_RAISE": "true"}, 700_000)], ids=["not", "raised"]
)
async def test_a_limit_is_raised_only_where_it_may_and_given_back_after_a_kill(
    fake_nvml, bus, tmp_path, given, highest_mw
):
    driver = fake_nvml({"limit_mw": 500_000})
    with agent(driver, bus, tmp_path, **given) as process:
        await until(lambda: limits(driver) == [200_000])
        await bus.publish(*amber(1.0))
        await until(lambda: limits(driver) == [highest_mw])
        told = await bus.collect(
            WorkerTelemetry, when=lambda found: any(one.power_limit_w == highest_mw / 1_000 for one in found)
        )
        assert {one.ceiling_w for one in told if one.job} == {highest_mw / 1_000}
        process.kill()
        await until(lambda: not list((tmp_path / "captured-limits").iterdir()))
    asked = [call.argument for call in driver.calls("nvmlDeviceSetPowerManagementLimit")]
    assert max(asked) == highest_mw
    assert limits(driver) == [500_000]


@pytest.mark.parametrize(
    ("board", "differences", "warned"),
    [
        ({"limited_mw": 400_000}, [{}, {"enforced_w": 400.0}, {"enforced_w": 400.0}, {}], 1),
        ({"step_mw": 50_000}, [{}, {"asked_w": 575.0}, {}, {"asked_w": 325.0}], 0),
    ],
    ids=["outdone", "rounded"],
)
async def test_what_a_cap_came_to_is_said_and_another_limiter_warned_of_once(
    fake_nvml, bus, tmp_path, board, differences, warned
):
    driver = fake_nvml(board)
    with agent(driver, bus, tmp_path) as process:
        await until(lambda: limits(driver) == [200_000])
        for slot, fraction in enumerate((0.75, 0.8, 0.25), start=1):
            await bus.publish(*amber(fraction, slot))
            capped = await of_kind(bus, WorkerEventKind.CAPPED, 1 + slot)
        shown = await bus.count(WorkerTelemetry.stream)
        await bus.collect(WorkerTelemetry, when=lambda found: len(found) > shown + 10)
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=PATIENCE_SECONDS)
    told = [
        {name: event.detail[name] for name in event.detail if name in ("asked_w", "enforced_w")} for event in capped
    ]
    assert told == differences
    found = [line for line in log.splitlines() if f"{driver.uuid()} obeys 400 W of the 575 W that were set" in line]
    assert len(found) == warned
    asked = [call.argument for call in driver.calls("nvmlDeviceSetPowerManagementLimit")]
    assert asked == [200_000, 575_000, 600_000, 325_000, 650_000]  # what is rounded is not asked for again and again


@pytest.mark.parametrize("persistent", [False, True])
async def test_without_persistence_it_says_so_and_stays_the_board_s_client_until_the_limit_is_back(
    fake_nvml, bus, tmp_path, persistent
):
    driver = fake_nvml({"persistent": int(persistent), "default_mw": 650_000})
    with agent(driver, bus, tmp_path) as process:
        (registered,) = await of_kind(bus, WorkerEventKind.REGISTERED)
        assert registered.detail["persistent"] is persistent
        await until(lambda: limits(driver) == [200_000])
        (guard,) = {call.pid for call in driver.calls("nvmlDeviceSetPowerManagementLimit")}
        assert {process.pid, guard} <= set(driver.state.clients)
        passing_by = [sys.executable, "-c", "import pynvml; pynvml.nvmlInit(); pynvml.nvmlShutdown()"]
        client = await asyncio.create_subprocess_exec(*passing_by, env=os.environ | driver.env)
        assert await client.wait() == 0
        assert limits(driver) == [200_000]
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=PATIENCE_SECONDS)
    assert log.count("nvidia-smi -pm 1") == (not persistent)
    last = driver.calls()[-1]
    assert (last.pid, last.function, last.argument) == (guard, "nvmlDeviceSetPowerManagementLimit", 650_000)
    assert not {process.pid, guard} & {call.pid for call in driver.calls("nvmlShutdown")}  # they close it by ending
    assert limits(driver) == [650_000]


async def test_a_board_that_refuses_its_limit_is_driven_by_its_clocks_after_a_kill_of_both_too(
    fake_nvml, bus, tmp_path, freeze
):
    driver = fake_nvml()
    driver.fail("nvmlDeviceSetPowerManagementLimit", 3)
    with agent(driver, bus, tmp_path) as process:
        await until(lambda: driver.board().locked_high_mhz == 1_020)
        (refused,) = await of_kind(bus, WorkerEventKind.CAP_REFUSED)
        assert "clocks are locked instead" in refused.detail["remedy"]
        assert refused.detail["min_limit_w"] == pytest.approx(700.0 * 1_020 / 1_980)
        await bus.publish(*amber(0.6))
        await until(lambda: driver.board().locked_high_mhz == 1_500)  # of the 1596 MHz that 564 W of 700 stand for
        freeze(process)
        os.kill(driver.calls()[-1].pid, signal.SIGKILL)
        process.kill()
    assert driver.board().locked_high_mhz == 1_500
    before = len(driver.calls())
    with agent(driver, bus, tmp_path) as process:
        await until(lambda: driver.board().locked_high_mhz == 1_020)
        changes = [call for call in driver.calls()[before:] if call.function != "nvmlInit"]
        assert [(call.function, call.argument) for call in changes] == [
            ("nvmlDeviceResetGpuLockedClocks", 0),
            ("nvmlDeviceSetGpuLockedClocks", 1_020),
        ]
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0
    assert driver.board().locked_high_mhz == 0
    assert limits(driver) == [650_000]
    assert not list((tmp_path / "captured-limits").iterdir())


async def test_it_ends_with_every_limit_given_back(fake_nvml, bus, tmp_path):
    driver = fake_nvml()
    with agent(driver, bus, tmp_path) as process:
        await until(lambda: limits(driver) == [200_000])
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0, process.stderr.read()
        assert limits(driver) == [650_000]
        (restored,) = await of_kind(bus, WorkerEventKind.RESTORED)
        assert (restored.detail["to_w"], restored.detail["cause"]) == (650.0, "stop")


async def test_the_boards_of_a_host_share_a_target(fake_nvml, bus, tmp_path):
    driver = fake_nvml({}, {})
    now = datetime.now(UTC)
    over = now + timedelta(hours=1)
    green = GridState(
        region="caiso",
        interval_start=now,
        interval_seconds=60,
        state=Pulse.GREEN,
        since=now,
        score=None,
        price_norm=None,
        carbon_norm=None,
        power_limit_w=250.0,
        power_fraction=1.0,
        run=True,
        epoch=1,
        reasons=(),
        valid_until=over,
        policy="eco-pulse",
    )
    tokens = [
        ResumeToken(site="local", slot=slot, watts=1_000.0, not_before=now, expires_at=over, epoch=1) for slot in (1, 2)
    ]
    with agent(driver, bus, tmp_path):
        await until(lambda: limits(driver) == [200_000, 200_000])
        await bus.publish(green, *tokens)
        await until(lambda: limits(driver) == [650_000, 650_000])
        await bus.publish(PowerTarget(site="local", limit_w=700.0, start=now, end=over, requested_by="utility"))
        await until(lambda: limits(driver) == [350_000, 350_000])


async def test_another_s_limit_is_reported_once_and_left_to_stand(fake_nvml, bus, tmp_path):
    driver = fake_nvml()
    with agent(driver, bus, tmp_path) as process:
        await until(lambda: limits(driver) == [200_000])
        driver.board().limit_mw = 300_000
        (foreign,) = await of_kind(bus, WorkerEventKind.FOREIGN_LIMIT)
        assert foreign.detail["stands_w"] == 300.0
        sets = len(driver.calls("nvmlDeviceSetPowerManagementLimit"))
        await bus.collect(WorkerTelemetry, when=lambda found: sum(one.power_limit_w == 300.0 for one in found) > 5)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0
        assert len(driver.calls("nvmlDeviceSetPowerManagementLimit")) == sets
        assert limits(driver) == [300_000]


async def test_a_cap_that_a_reload_of_the_driver_lost_is_set_again(fake_nvml, bus, tmp_path):
    driver = fake_nvml()
    with agent(driver, bus, tmp_path):
        await until(lambda: limits(driver) == [200_000])
        await bus.collect(WorkerTelemetry, when=lambda found: any(one.energy_j > 0 for one in found))
        driver.reload()
        assert limits(driver) == [700_000]
        await until(lambda: limits(driver) == [200_000])
    await until(lambda: limits(driver) == [650_000])


@pytest.mark.parametrize("given", [{"permitted": 0}, {}])
async def test_without_permission_it_says_so_once_and_goes_on(fake_nvml, bus, tmp_path, given):
    driver = fake_nvml(
        {"max_mw": 70_000, "min_mw": 70_000, "default_mw": 70_000, "limit_mw": 70_000} if not given else {}
    )
    driver.state.permitted = given.get("permitted", 1)
    before = limits(driver)
    with agent(driver, bus, tmp_path) as process:
        if given:
            (refused,) = await of_kind(bus, WorkerEventKind.CAP_REFUSED)
            assert "CAP_SYS_ADMIN" in refused.detail["remedy"]
        await bus.collect(WorkerTelemetry, when=lambda found: len(found) > 5)
        assert limits(driver) == before
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0


async def test_a_second_agent_is_told_who_has_the_board(fake_nvml, bus, tmp_path):
    driver = fake_nvml()
    with agent(driver, bus, tmp_path / "one"):
        await until(lambda: limits(driver) == [200_000])
        with agent(driver, bus, tmp_path / "two", CARBONSHIFT_WORKER="other") as second:
            _, complaint = second.communicate(timeout=PATIENCE_SECONDS)
            assert second.returncode == 1
            assert f"another agent on this host drives {driver.uuid()}" in complaint
            assert "Traceback" not in complaint
        assert limits(driver) == [200_000]


def tick_of_this_hour(revision=0, price=50.0):
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    return GridTick(
        region="caiso",
        interval_start=start,
        interval_seconds=3 * 3_600,  # the hour may end meanwhile
        revision=revision,
        price_usd_per_mwh=price,
        carbon_g_per_kwh=250.0,
        carbon_basis=CarbonBasis.MARGINAL,
        price_quality=Quality.OBSERVED,
        carbon_quality=Quality.OBSERVED,
        price_market=PriceMarket.REAL_TIME,
        price_source="test",
        carbon_source="test",
        observed_at=datetime.now(UTC),
    )


async def told_that(bus, fits):
    """The first telemetry that fits."""
    return (await bus.collect(WorkerTelemetry, when=lambda found: bool(found) and fits(found[-1])))[-1]


async def last_of(bus, kind):
    """The last of the only kind that its stream holds now."""
    count = await bus.count(kind.stream)
    return (await bus.collect(kind, when=lambda found: len(found) == count))[-1]


async def test_energy_is_counted_once_over_a_kill_and_a_restart(fake_nvml, bus, tmp_path):
    """What the board drew while nobody looked is the board's, and no job's."""
    driver = fake_nvml()
    away_j = 1e6
    with agent(driver, bus, tmp_path) as process:
        await told_that(bus, lambda told: told.energy_j > 0)
        await bus.publish(tick_of_this_hour())
        first = await told_that(bus, lambda told: told.account.cost_usd > 0)
        assert first.energy_basis is EnergyBasis.MEASURED
        await until((tmp_path / "energy").is_dir)
        process.kill()
    driver.board().energy_mj += round(away_j * 1_000)
    with agent(driver, bus, tmp_path) as process:
        again = await told_that(bus, lambda told: told.energy_j > away_j)
        await bus.publish(tick_of_this_hour(revision=1, price=100.0))
        await told_that(bus, lambda told: told.account.cost_usd > 1.5 * away_j / 3.6e9 * 50)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0, process.stderr.read()
    counted_j = driver.board().energy_mj / 1_000
    last, status = await last_of(bus, WorkerTelemetry), await last_of(bus, JobStatus)
    assert away_j < last.energy_j <= counted_j
    assert again.account.since == first.account.since == last.account.since
    assert last.account.cost_usd == pytest.approx(last.energy_j / 3.6e9 * 100)
    assert last.account.marginal_carbon_g == pytest.approx(last.energy_j / 3.6e6 * 250)
    assert (last.account.unpriced_j, last.account.uncounted_j, last.account.error_j) == (0, 0, 0)
    assert status.job == "host"
    assert 0 < status.energy_j < away_j
    assert 0 < status.account.parked_j <= status.energy_j  # it waited for its first state


@pytest.mark.parametrize(("flag", "gone"), [("lost", 1), ("present", 0)])
async def test_a_board_lost_or_taken_out_while_it_runs_is_that_board_s_trouble_alone(
    fake_nvml, bus, tmp_path, flag, gone
):
    driver = fake_nvml({}, {})
    lost, kept = driver.uuid(0), driver.uuid(1)
    with agent(driver, bus, tmp_path) as process:
        await until(lambda: limits(driver) == [200_000, 200_000])
        setattr(driver.board(0), flag, gone)
        dark = await told_that(bus, lambda told: told.device_uuid == lost and told.power_w is None)
        assert (dark.power_limit_w, dark.enforced_limit_w) == (None, None)
        await told_that(bus, lambda told: told.device_uuid == kept and told.observed_at > dark.observed_at)
        setattr(driver.board(0), flag, 1 - gone)
        back = await told_that(
            bus, lambda told: told.device_uuid == lost and told.power_w and told.energy_j > dark.energy_j
        )
        assert back.account.since == dark.account.since
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0, process.stderr.read()
    assert limits(driver) == [650_000, 650_000]
