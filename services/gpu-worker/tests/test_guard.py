"""The guard against a driver at NVML's ABI: whatever becomes of the agent, the limit that was found is back."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import contextmanager

import pytest

from carbonshift.gpu_worker.captured import CapturedLimits
from carbonshift.gpu_worker.devices.nvml import NvmlBackend
from carbonshift.gpu_worker.errors import (
    CapRefusedError,
    CapturedLimitError,
    DeviceTroubleError,
    ForeignLimitError,
    GuardError,
    LeverChangedError,
    LimitUnsupportedError,
)
from carbonshift.gpu_worker.keeper import LimitChange
from carbonshift.gpu_worker.limits import GuardedLimits

PATIENCE_SECONDS = 60.0
LEASE_SECONDS = 2.0
LOWEST_MHZ = 300
CLOCKS = pytest.mark.parametrize("clocks", ["free", "slow"])
SET, LOCK, FREE = (
    f"nvmlDevice{name}" for name in ("SetPowerManagementLimit", "SetGpuLockedClocks", "ResetGpuLockedClocks")
)


@contextmanager
def capping(driver, folder, clocks="free"):
    """An agent that has begun to cap."""
    with driver.capping_agent(folder, LEASE_SECONDS, clocks=clocks) as process:
        assert process.stdout.readline() == "ready\n"
        assert process.stdout.readline() == "capped\n"
        yield process


def until(found):
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not found():
        assert time.monotonic() < give_up, "it has not come about"
        time.sleep(0.01)


def given_back(driver, folder):
    """Every board has the limit it had, its clocks are free, and no file says that there is something to give back."""
    boards = driver.state.board[: driver.state.boards]
    found = {(board.limit_mw, board.locked_high_mhz) for board in boards}
    return found == {(650_000, 0)} and not list(folder.glob("*"))


def slowed(driver):
    return all(board.locked_high_mhz == LOWEST_MHZ for board in driver.state.board[: driver.state.boards])


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "captured"


@pytest.mark.parametrize(
    ("how", "clocks"),
    [(signal.SIGKILL, "free"), (signal.SIGKILL, "slow"), (signal.SIGTERM, "free"), (signal.SIGINT, "free")],
)
def test_whatever_ends_the_agent_limits_and_clocks_are_back(fake_nvml, folder, how, clocks):
    driver = fake_nvml({}, {})
    with capping(driver, folder, clocks) as process:
        assert slowed(driver) == (clocks == "slow")
        process.send_signal(how)
        process.wait(PATIENCE_SECONDS)
    until(lambda: given_back(driver, folder))


@CLOCKS
def test_an_agent_that_hangs_loses_its_limits_after_the_lease_and_may_go_on(fake_nvml, folder, clocks):
    driver = fake_nvml()
    with capping(driver, folder, clocks) as process:
        process.send_signal(signal.SIGSTOP)
        until(lambda: given_back(driver, folder))
        process.send_signal(signal.SIGCONT)
        until(lambda: not given_back(driver, folder))
        until(lambda: slowed(driver) == (clocks == "slow"))  # it has heard that they were freed
        process.kill()
    until(lambda: given_back(driver, folder))


@CLOCKS
def test_both_killed_the_next_agent_s_guard_restores_first(fake_nvml, folder, freeze, clocks):
    driver = fake_nvml()
    with capping(driver, folder, clocks) as process:
        guards = {call.pid for call in driver.calls("nvmlDeviceSetPowerManagementLimit")}
        assert process.pid not in guards
        freeze(process)
        for pid in guards:
            os.kill(pid, signal.SIGKILL)
        process.kill()
    assert driver.board().limit_mw != 650_000
    assert slowed(driver) == (clocks == "slow")
    assert len(list(folder.iterdir())) == 1 + slowed(driver)
    before = len(driver.calls())
    freed = [(FREE, 0)] if slowed(driver) else []
    with driver.capping_agent(folder, LEASE_SECONDS) as process:
        assert process.stdout.readline() == "ready\n"
        changes = [(call.function, call.argument) for call in driver.calls()[before:] if call.function != "nvmlInit"]
        assert changes[: 1 + len(freed)] == [(SET, 650_000), *freed]
        process.kill()
    until(lambda: given_back(driver, folder))


@CLOCKS
def test_a_guard_that_is_killed_is_replaced_and_the_new_one_gives_back_first(fake_nvml, folder, clocks):
    driver = fake_nvml()
    with capping(driver, folder, clocks) as process:
        (guard,) = {call.pid for call in driver.calls("nvmlDeviceSetPowerManagementLimit")}
        os.kill(guard, signal.SIGKILL)
        until(lambda: {call.pid for call in driver.calls("nvmlDeviceSetPowerManagementLimit")} - {guard})
        first = next(call for call in driver.calls("nvmlDeviceSetPowerManagementLimit") if call.pid != guard)
        assert first.argument == 650_000
        if clocks == "slow":
            until(lambda: [call.function for call in driver.calls() if call.pid == first.pid].count(LOCK))
            assert [call.function for call in driver.calls() if call.pid == first.pid][2] == FREE  # after init and set
        process.kill()
    until(lambda: given_back(driver, folder))


async def test_a_lost_board_keeps_no_other_from_its_limit_when_the_guard_is_replaced_and_is_capped_once_back(
    nvml_here, folder, monkeypatch
):
    driver = nvml_here({}, {})
    restored = asyncio.Queue()
    limits = await limits_of(driver, folder, monkeypatch, lambda *what: restored.put_nowait(what))
    lost, kept = driver.uuid(0), driver.uuid(1)
    await limits.cap(lost, 300.0)
    (guard,) = {call.pid for call in driver.calls("nvmlDeviceSetPowerManagementLimit")}
    driver.board().lost = 1
    os.kill(guard, signal.SIGKILL)
    assert (await asyncio.wait_for(restored.get(), PATIENCE_SECONDS))[0] == kept
    assert await limits.cap(kept, 400.0) == LimitChange(from_w=650.0, to_w=400.0)
    with pytest.raises(DeviceTroubleError, match="does not see"):
        await limits.cap(lost, 300.0)
    driver.board().lost = 0
    assert await limits.cap(lost, 350.0) == LimitChange(from_w=650.0, to_w=350.0)  # what was left was undone before
    await limits.close()
    assert given_back(driver, folder)


async def test_what_is_left_on_a_board_that_is_driven_no_more_is_undone_too(nvml_here, folder, monkeypatch):
    driver = nvml_here({}, {"limit_mw": 300_000}, {"locked_high_mhz": LOWEST_MHZ})
    CapturedLimits(folder).capture(driver.uuid(1), 650.0)
    CapturedLimits(folder).note_slowed(driver.uuid(2))
    for name, value in driver.env.items():
        monkeypatch.setenv(name, value)
    (first, *_) = NvmlBackend().discover()
    limits = GuardedLimits("nvml", [first], folder, lease_seconds=LEASE_SECONDS, restored=lambda *_: None)
    assert await limits.start() == {driver.uuid(0): None}
    assert given_back(driver, folder)
    await limits.close()


async def test_a_guard_is_replaced_once_the_state_folder_can_be_written_to_again(nvml_here, folder, monkeypatch):
    driver = nvml_here()
    limits = await limits_of(driver, folder, monkeypatch)
    await limits.cap(driver.uuid(), 300.0)
    (guard,) = {call.pid for call in driver.calls("nvmlDeviceSetPowerManagementLimit")}
    (file,) = folder.iterdir()
    said = file.read_text()
    file.unlink()
    file.mkdir()  # nothing can be read or forgotten there
    os.kill(guard, signal.SIGKILL)
    await asyncio.sleep(1.5)
    file.rmdir()
    file.write_text(said)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not given_back(driver, folder):
            await asyncio.sleep(0.05)
        while True:
            try:
                await limits.cap(driver.uuid(), 400.0)
            except GuardError:
                await asyncio.sleep(0.05)
            else:
                break
    await limits.close()
    assert given_back(driver, folder)


def test_killed_at_random_moments_the_limit_is_back_every_time(fake_nvml, folder):
    driver = fake_nvml()
    driver.state.set_delay_us = 3_000
    moments = random.Random(5)
    for _ in range(5):
        with driver.capping_agent(folder, LEASE_SECONDS, clocks="both") as process:
            assert process.stdout.readline() == "ready\n"
            time.sleep(moments.uniform(0, 0.05))
            process.kill()
        until(lambda: given_back(driver, folder))


def test_a_second_agent_of_a_board_is_refused(fake_nvml, folder, tmp_path):
    driver = fake_nvml()
    with driver.capping_agent(folder, LEASE_SECONDS) as first:
        first.stdout.readline()
        second = driver.capping_agent(tmp_path / "other", LEASE_SECONDS)
        _, complaint = second.communicate(timeout=PATIENCE_SECONDS)
        assert f"another agent on this host drives {driver.uuid()}" in complaint
        first.kill()
    until(lambda: given_back(driver, folder))


async def limits_of(driver, folder, monkeypatch, restored=lambda *_: None, **given):
    for name, value in driver.env.items():
        monkeypatch.setenv(name, value)
    devices = NvmlBackend().discover()
    limits = GuardedLimits("nvml", devices, folder, lease_seconds=LEASE_SECONDS, restored=restored, **given)
    await limits.start()
    return limits


async def test_what_the_driver_refuses_is_told_as_it_is(nvml_here, folder, monkeypatch):
    driver = nvml_here()
    limits = await limits_of(driver, folder, monkeypatch)
    uuid = driver.uuid()
    assert await limits.cap(uuid, 300.0) == LimitChange(from_w=650.0, to_w=300.0)
    driver.state.permitted = 0
    with pytest.raises(CapRefusedError, match="CAP_SYS_ADMIN"):
        await limits.cap(uuid, 400.0)
    driver.state.permitted = 1
    driver.fail("nvmlDeviceSetPowerManagementLimit", 999, times=1)
    with pytest.raises(DeviceTroubleError, match="tried again"):
        await limits.cap(uuid, 400.0)
    driver.board().limit_mw = 500_000
    with pytest.raises(ForeignLimitError) as raised:
        await limits.cap(uuid, 400.0)
    assert raised.value.stands_w == 500.0
    await limits.close()
    assert driver.board().limit_mw == 500_000


@pytest.mark.parametrize(("may_raise", "highest_w"), [(False, 650.0), (True, 700.0)])
async def test_the_guard_lets_no_limit_above_the_captured_one_unless_told_that_it_may(
    nvml_here, folder, monkeypatch, may_raise, highest_w
):
    driver = nvml_here()
    limits = await limits_of(driver, folder, monkeypatch, may_raise=may_raise)
    await limits.cap(driver.uuid(), 300.0)
    assert await limits.cap(driver.uuid(), 900.0) == LimitChange(from_w=300.0, to_w=highest_w)
    await limits.close()
    assert given_back(driver, folder)


REFUSES_LIMITS = ("nvmlDeviceSetPowerManagementLimit", 3)  # not supported


async def test_a_board_that_tells_a_limit_and_takes_none_has_its_clocks_locked_and_freed(
    nvml_here, folder, monkeypatch
):
    driver = nvml_here()
    driver.fail(*REFUSES_LIMITS)
    limits, uuid = await limits_of(driver, folder, monkeypatch), driver.uuid()
    with pytest.raises(LeverChangedError, match="takes none"):
        await limits.cap(uuid, 300.0)
    assert not list(folder.iterdir())
    with pytest.raises(LeverChangedError):
        await limits.cap(uuid, 300.0)  # whoever has not heard is told again
    assert (await limits.cap(uuid, 500.0, nominal=True)).to_w == pytest.approx(700.0 * 1_380 / 1_980)
    assert driver.board().locked_high_mhz == 1_380
    assert len(driver.calls("nvmlDeviceSetPowerManagementLimit")) == 1
    await limits.close()
    assert driver.board().locked_high_mhz == 0
    assert given_back(driver, folder)


async def test_a_guard_that_takes_the_place_of_another_frees_the_clocks_and_goes_on_with_them(
    nvml_here, folder, monkeypatch
):
    driver = nvml_here()
    driver.fail(*REFUSES_LIMITS)
    restored = asyncio.Queue()
    limits = await limits_of(driver, folder, monkeypatch, lambda *told: restored.put_nowait(told))
    uuid = driver.uuid()
    with pytest.raises(LeverChangedError):
        await limits.cap(uuid, 300.0)
    for nominal_w, locked_mhz in ((500.0, 1_380), (700.0, 0)):  # killed while it has locked them, and while it has not
        await limits.cap(uuid, 400.0, nominal=True)
        await limits.cap(uuid, nominal_w, nominal=True)
        assert driver.board().locked_high_mhz == locked_mhz
        os.kill(driver.calls()[-1].pid, signal.SIGKILL)
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await restored.get() == (uuid, None, "guard")
        assert driver.board().locked_high_mhz == 0
        assert given_back(driver, folder)
    assert await limits.cap(uuid, 500.0, nominal=True)
    assert len(driver.calls("nvmlDeviceSetPowerManagementLimit")) == 1  # agent and guard agree without another refusal
    await limits.close()
    assert driver.board().locked_high_mhz == 0


async def test_a_board_that_takes_neither_limit_nor_clocks_refuses(nvml_here, folder, monkeypatch):
    driver = nvml_here({"clocks": 0})
    driver.fail(*REFUSES_LIMITS)
    limits = await limits_of(driver, folder, monkeypatch)
    with pytest.raises(LimitUnsupportedError):
        await limits.cap(driver.uuid(), 300.0)
    await limits.close()
    assert given_back(driver, folder)


async def test_a_cap_that_stands_as_limits_are_no_longer_taken_is_no_reason_for_another_lever(
    nvml_here, folder, monkeypatch
):
    driver = nvml_here()
    limits = await limits_of(driver, folder, monkeypatch)
    await limits.cap(driver.uuid(), 300.0)
    driver.fail(*REFUSES_LIMITS)
    with pytest.raises(LimitUnsupportedError):
        await limits.cap(driver.uuid(), 400.0)
    with pytest.raises(LimitUnsupportedError):
        await limits.restore(driver.uuid())
    assert list(folder.iterdir())
    driver.heal()
    await limits.close()
    assert given_back(driver, folder)


async def test_a_guard_killed_at_its_first_try_leaves_nothing_to_give_back(nvml_here, folder, monkeypatch):
    driver = nvml_here()
    driver.fail(*REFUSES_LIMITS)
    CapturedLimits(folder).capture(driver.uuid(), 650.0)
    limits = await limits_of(driver, folder, monkeypatch)
    assert given_back(driver, folder)
    await limits.close()


async def test_a_board_that_hangs_does_not_keep_another_from_its_limit(nvml_here, folder, monkeypatch):
    driver = nvml_here({}, {})
    limits = await limits_of(driver, folder, monkeypatch)
    driver.fail("nvmlDeviceSetPowerManagementLimit", 0, board=0, times=1, delay_seconds=5.0)
    hanging = asyncio.create_task(limits.cap(driver.uuid(0), 300.0))
    await asyncio.sleep(0.1)
    assert await limits.cap(driver.uuid(1), 300.0) == LimitChange(from_w=650.0, to_w=300.0)
    assert not hanging.done()
    await hanging
    await limits.close()
    assert given_back(driver, folder)


async def test_what_cannot_be_kept_safe_is_not_capped(nvml_here, folder, monkeypatch):
    driver = nvml_here()
    limits = await limits_of(driver, folder, monkeypatch)
    (folder / f"{driver.uuid()}.part").mkdir(parents=True)  # as a full disk: nothing can be written there
    with pytest.raises(CapturedLimitError, match="cannot be kept safe"):
        await limits.cap(driver.uuid(), 300.0)
    assert driver.board().limit_mw == 650_000
    assert not driver.calls("nvmlDeviceSetPowerManagementLimit")
    await limits.close()


async def test_a_lost_board_is_trouble_and_gets_its_limit_once_it_is_back(nvml_here, folder, monkeypatch):
    driver = nvml_here()
    limits = await limits_of(driver, folder, monkeypatch)
    await limits.cap(driver.uuid(), 300.0)
    driver.board().lost = 1
    with pytest.raises(DeviceTroubleError):
        await limits.cap(driver.uuid(), 400.0)
    closing = asyncio.create_task(limits.close())
    await asyncio.sleep(0.1)
    driver.board().lost = 0
    await closing
    assert given_back(driver, folder)


def test_it_is_small():
    """Stdlib and NVML alone: what it does not import cannot break it."""
    script = textwrap.dedent("""
        import sys
        import carbonshift.gpu_worker.guard, carbonshift.gpu_worker.devices.nvml
        print(*sorted({name.split(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)))
    """)
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert {name for name in run.stdout.split() if not name.startswith(("_", "sitecustom", "carbonshift"))} == set()
