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
    GridState,
    PowerTarget,
    Pulse,
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
