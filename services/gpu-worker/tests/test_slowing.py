"""A board whose clocks are lowered while it is parked, by a guard at NVML's ABI: what its worker is told of them."""

import asyncio
import os
import signal
from datetime import UTC, datetime, timedelta

import pynvml
import pytest

from carbonshift.common.events import RunState
from carbonshift.gpu_worker import parked_training
from carbonshift.gpu_worker.board import Board
from carbonshift.gpu_worker.captured import CapturedLimits
from carbonshift.gpu_worker.crew import Crew, Holds
from carbonshift.gpu_worker.devices.nvml import NvmlBackend
from carbonshift.gpu_worker.devices.simulated import SimulatedDevice
from carbonshift.gpu_worker.errors import CapRefusedError, DeviceTroubleError, GuardError, LeverChangedError
from carbonshift.gpu_worker.keeper import LimitChange
from carbonshift.gpu_worker.limits import GuardedLimits, OwnLimits
from carbonshift.gpu_worker.parked_training import ParkedTraining
from carbonshift.gpu_worker.parking import Tier
from carbonshift.gpu_worker.settings import GpuWorkerSettings
from carbonshift.gpu_worker.spread_training import SpreadTraining
from carbonshift.gpu_worker.training_control import TrainingControl
from carbonshift.gpu_worker.training_process import JobView

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
LAPTOP = {"takes_limits": 0, "limit_mw": 115_000, "limited_mw": 115_000, "default_mw": 115_000}
LOCK, FREE = "nvmlDeviceSetGpuLockedClocks", "nvmlDeviceResetGpuLockedClocks"
LOWEST_MHZ = 300
PATIENCE_SECONDS = 60.0


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "captured"


@pytest.fixture
async def boarded(nvml_here, folder, monkeypatch):
    """The one board of a driver, its guard, and what that has given back unasked."""
    opened = []

    async def board_of(given=None, lease_seconds=10.0, fails=()):
        driver = nvml_here(given or {})
        for function, code in fails:
            driver.fail(function, code, times=1)
        for name, value in driver.env.items():
            monkeypatch.setenv(name, value)
        (device,) = NvmlBackend().discover()
        restored = asyncio.Queue()

        def told(_uuid, change, cause):
            board.note_restored(change)
            restored.put_nowait(cause)

        limits = GuardedLimits("nvml", [device], folder, lease_seconds=lease_seconds, restored=told)
        await limits.start()
        opened.append(limits)
        board = Board(device, limits)
        await board.open()
        return driver, board, limits, restored

    yield board_of
    for limits in opened:
        await limits.close()


def locked(driver):
    return driver.board().locked_high_mhz == LOWEST_MHZ


async def test_it_is_slowed_once_and_freed_once_whatever_its_cap_is_meanwhile(boarded, folder):
    driver, board, limits, _ = await boarded()
    assert (board.can_slow, board.slowed, board.capped) == (True, False, False)
    assert await board.slow_down() >= 0.0
    assert await board.slow_down() is None
    assert (board.slowed, board.capped, locked(driver)) == (True, True, True)
    assert [path.name for path in folder.iterdir()] == [f"{driver.uuid()}.clocks.json"]
    assert (await board.cap(300.0)).change == LimitChange(from_w=650.0, to_w=300.0)
    assert await board.speed_up() >= 0.0
    assert await board.speed_up() is None
    assert (board.slowed, board.capped, driver.board().limit_mw) == (False, True, 300_000)
    assert await board.slow_down() >= 0.0
    assert await board.restore() == LimitChange(from_w=300.0, to_w=650.0)
    assert (board.slowed, board.capped, driver.board().locked_high_mhz) == (False, False, 0)
    assert not list(folder.iterdir())
    assert {call.pid for call in driver.calls(LOCK)} == {limits._process.pid}


async def test_giving_back_clocks_alone_changes_no_limit(boarded, folder):
    driver, board, _, _ = await boarded()
    driver.board().limit_mw = 500_000  # somebody's, before any cap
    await board.read()
    await board.slow_down()
    assert await board.restore() is None
    assert (board.limit_w, driver.board().limit_mw, driver.board().locked_high_mhz) == (500.0, 500_000, 0)
    assert not list(folder.iterdir())


async def test_where_the_lever_is_the_clocks_they_are_locked_again_as_the_cap_says(boarded):
    driver, board, _, _ = await boarded(LAPTOP)
    await board.cap(80.0)
    await board.slow_down()
    await board.cap(100.0)
    assert locked(driver)
    await board.speed_up()
    assert (driver.board().locked_high_mhz, board.limit_w) == (1_620, pytest.approx(115.0 * 1_620 / 1_980))
    await board.restore()
    assert driver.board().locked_high_mhz == 0


async def test_a_lever_that_changes_while_it_is_slowed_leaves_it_slowed(boarded, folder):
    driver, board, _, _ = await boarded()
    driver.fail("nvmlDeviceSetPowerManagementLimit", pynvml.NVML_ERROR_NOT_SUPPORTED)
    await board.slow_down()
    with pytest.raises(LeverChangedError):
        await board.cap(300.0)
    await board.cap(500.0)
    assert locked(driver)
    assert (board.slowed, board.can_slow) == (True, True)
    await board.speed_up()
    assert driver.board().locked_high_mhz == 1_380
    await board.restore()
    assert (driver.board().locked_high_mhz, list(folder.iterdir())) == (0, [])


@pytest.mark.parametrize("code", [pynvml.NVML_ERROR_NO_PERMISSION, pynvml.NVML_ERROR_NOT_SUPPORTED])
async def test_a_refusal_is_told_once_and_costs_nothing_else(boarded, folder, code):
    driver, board, _, _ = await boarded()
    driver.fail(LOCK, code)
    with pytest.raises(CapRefusedError, match="refused 300 MHz") as raised:
        await board.slow_down()
    assert raised.value.remedy
    assert (board.can_slow, board.slowed, board.capped) == (False, False, False)
    assert await board.slow_down() is None
    assert not list(folder.iterdir())
    assert await board.cap(300.0)
    assert len(driver.calls(LOCK)) == 1


async def test_clocks_that_cannot_be_freed_now_stay_to_be_freed(boarded, folder):
    driver, board, _, _ = await boarded()
    await board.slow_down()
    driver.fail(FREE, pynvml.NVML_ERROR_NO_PERMISSION, times=1)
    driver.fail(FREE, pynvml.NVML_ERROR_UNKNOWN, times=1)
    for error in (CapRefusedError, DeviceTroubleError):
        with pytest.raises(error):
            await board.speed_up()
        assert (board.can_slow, board.capped, len(list(folder.iterdir()))) == (False, True, 1)
    assert await board.speed_up() >= 0.0
    assert (driver.board().locked_high_mhz, list(folder.iterdir())) == (0, [])


async def test_what_could_not_be_freed_as_the_agent_started_is_freed_before_training_goes_on(boarded, folder):
    CapturedLimits(folder).note_slowed("GPU-left")
    left = {"uuid": "GPU-left", "locked_high_mhz": LOWEST_MHZ}
    driver, board, _, _ = await boarded(left, fails=[(FREE, pynvml.NVML_ERROR_UNKNOWN)])
    assert locked(driver)
    assert not board.slowed
    assert await board.speed_up() is None  # as the guard opens the board
    assert (driver.board().locked_high_mhz, list(folder.iterdir())) == (0, [])


async def test_what_a_replaced_guard_could_not_free_is_freed_before_training_goes_on(boarded, folder):
    driver, board, limits, _ = await boarded()
    await board.slow_down()
    driver.fail(FREE, pynvml.NVML_ERROR_UNKNOWN, times=1)
    os.kill(limits._process.pid, signal.SIGKILL)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while limits.slowed:
            await asyncio.sleep(0.01)
    assert locked(driver)
    assert not board.slowed
    await board.speed_up()
    assert driver.board().locked_high_mhz == 0
    assert not list(folder.iterdir())


async def test_a_guard_that_is_replaced_has_freed_the_clocks_and_they_may_be_locked_anew(boarded, folder):
    driver, board, limits, restored = await boarded()
    await board.slow_down()
    os.kill(limits._process.pid, signal.SIGKILL)
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await restored.get() == "guard"
    assert (board.slowed, driver.board().locked_high_mhz, list(folder.iterdir())) == (False, 0, [])
    assert await board.slow_down() >= 0.0
    assert board.slowed
    assert locked(driver)


async def test_without_a_guard_nothing_is_slowed(boarded):
    driver, board, limits, _ = await boarded()
    await board.slow_down()
    await limits.close()
    assert (board.slowed, driver.board().locked_high_mhz) == (False, 0)
    with pytest.raises(GuardError):
        await board.slow_down()
    assert len(driver.calls(LOCK)) == 1
    assert not limits._unheard


async def test_an_agent_that_hung_beyond_the_lease_hears_that_clocks_were_freed(boarded):
    driver, board, limits, restored = await boarded(lease_seconds=0.4)
    await board.slow_down()
    beat = next(task for task in limits._tasks if task.get_coro().__name__ == "_beat")
    beat.cancel()
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await restored.get() == "lease"
    assert (board.slowed, driver.board().locked_high_mhz) == (False, 0)


@pytest.mark.parametrize("given", [{}, {"counter": 3}], ids=["by its counter", "by its handle"])
async def test_a_driver_that_was_loaded_anew_has_freed_them_and_they_may_be_locked_anew(boarded, folder, given):
    driver, board, _, _ = await boarded({"energy_mj": 10**9} | given)
    await board.settle(NOW, live=True)
    await board.slow_down()
    driver.reload()
    if given:
        pynvml.nvmlShutdown()
    board._looked_at_seconds -= 1.0
    await board.settle(NOW + timedelta(seconds=1), live=True)
    assert not board.slowed
    await board.slow_down()
    assert board.slowed
    assert locked(driver)
    driver.reload()
    await board.restore()
    assert (driver.board().locked_high_mhz, list(folder.iterdir())) == (0, [])


async def test_a_model_is_never_slowed(folder):
    device = SimulatedDevice("SIM-1")
    limits = OwnLimits([device], folder)
    await limits.start()
    board = Board(device, limits)
    await board.open()
    assert (board.can_slow, await board.slow_down(), await board.speed_up(), board.slowed) == (False, None, None, False)
    with pytest.raises(CapRefusedError):
        await limits.slow_down(device.uuid)
    assert not list(folder.glob("*"))


async def test_a_folder_that_cannot_be_written_to_is_nobody_to_give_clocks_back(boarded, folder):
    driver, board, _, _ = await boarded()
    (folder / f"{driver.uuid()}.clocks.part").mkdir(parents=True)
    with pytest.raises(GuardError, match="kept safe"):
        await board.slow_down()
    assert (board.slowed, board.can_slow, board.capped, driver.calls(LOCK)) == (False, True, False, [])


async def test_clocks_of_which_nobody_knows_whether_they_were_locked_are_freed_all_the_same(
    boarded, folder, monkeypatch
):
    """The driver locks them, later than anybody waits."""
    driver, board, limits, _ = await boarded()
    driver.fail(LOCK, 0, times=1, delay_seconds=0.5)
    with monkeypatch.context() as patch:
        patch.setattr("carbonshift.gpu_worker.limits.ANSWER_SECONDS", 0.1)
        with pytest.raises(DeviceTroubleError, match="has not answered"):
            await board.slow_down()
    assert (board.slowed, board.capped) == (False, True)
    assert await board.speed_up() >= 0.0
    assert (driver.board().locked_high_mhz, list(folder.iterdir()), limits.slowed) == (0, [], set())


def parked_view(*pids):
    return JobView(
        job="job",
        pid=pids[0],
        pids=frozenset(pids),
        world_size=len(pids),
        step=7,
        steps_per_s=0.0,
        run_state=RunState.PAUSED,
        memory_used_bytes=10**9,
        remaining_steps=None,
        deadline=None,
        usd_per_gpu_hour=None,
    )


@pytest.fixture
def parked_on(tmp_path, monkeypatch):
    """What parks on a board whose sensors need no time to settle, and what it has told."""
    monkeypatch.setattr(parked_training, "SETTLE_SECONDS", 0.0)
    told = []

    async def tell(**detail):
        told.append(detail["tier"])

    def on(board, *parking):
        settings = GpuWorkerSettings(state_dir=tmp_path, parking=list(parking) or [Tier.HOLD, Tier.LOW_CLOCKS])
        control = TrainingControl()
        spread = SpreadTraining(control, "carbonshift", "worker")
        crew = Crew(control, spread, Holds(), board.device.uuid, lambda _: True)
        return ParkedTraining(settings, board, crew, tell)

    on.told = told
    return on


async def test_a_parked_board_is_slowed_once_its_draw_is_known_and_while_nothing_else_computes_there(
    boarded, parked_on
):
    driver, board, _, _ = await boarded()
    parked, views, pids = parked_on(board), {"job": parked_view(11, 12)}, driver.state.board[0].pids
    pids[0], pids[1] = 11, 12

    async def look():
        await parked.sink(views, lambda _: 3_600.0)
        return locked(driver)

    assert not await look()
    parked.note_draw(121.7)
    assert await look()
    assert parked_on.told == [Tier.LOW_CLOCKS]
    pids[2] = 13  # somebody else's
    assert not await look()
    pids[2] = 0
    assert await look()
    await parked.free_clocks()
    assert not locked(driver)


@pytest.mark.parametrize(
    ("draw_w", "wait_seconds", "slowed"), [(121.7, 0.01, False), (20.0, 3_600.0, False), (121.7, 3_600.0, True)]
)
async def test_it_is_slowed_where_the_wait_is_worth_it(boarded, parked_on, draw_w, wait_seconds, slowed):
    """A context that draws no more than a bare board has nothing to save."""
    driver, board, _, _ = await boarded()
    parked, views = parked_on(board), {"job": parked_view(11)}
    for _ in range(2):
        await parked.sink(views, lambda _: wait_seconds)
        parked.note_draw(draw_w)
    assert locked(driver) is slowed


async def test_where_low_clocks_are_not_allowed_none_are_locked(boarded, parked_on):
    driver, board, _, _ = await boarded()
    parked, views = parked_on(board, Tier.OFFLOAD), {"job": parked_view(11)}
    for _ in range(3):
        await parked.sink(views, lambda _: 3_600.0)
        parked.note_draw(121.7)
    assert not locked(driver)
    await parked.close()


async def test_what_a_bare_board_draws_is_not_taken_for_a_parked_ones(boarded, parked_on):
    driver, board, _, _ = await boarded()
    parked, views = parked_on(board), {"job": parked_view(11)}
    await parked.sink(views, lambda _: 3_600.0)
    parked.ended("job")
    for _ in range(40):
        parked.note_draw(25.0)
    await parked.sink(views, lambda _: 3_600.0)
    parked.note_draw(121.7)
    await parked.sink(views, lambda _: 3_600.0)
    assert locked(driver)
