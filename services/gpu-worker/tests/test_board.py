"""A board in a worker's hands: what its counter, or its power, tells of energy."""

from datetime import UTC, datetime, timedelta

import pytest

from carbonshift.common.events import EnergyBasis
from carbonshift.gpu_worker.board import Board
from carbonshift.gpu_worker.devices.simulated import SimulatedDevice
from carbonshift.gpu_worker.errors import DeviceTroubleError, ForeignLimitError
from carbonshift.gpu_worker.keeper import LimitChange
from carbonshift.gpu_worker.limits import OwnLimits
from carbonshift.gpu_worker.meter import Load

START = datetime(2025, 7, 1, 12, tzinfo=UTC)


@pytest.fixture
def device():
    return SimulatedDevice("SIM-1")


class Clock:
    """Monotonic seconds, moved by hand."""

    seconds = 1_000.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def settled(clock):
    """Settles a board in live time, some seconds after START by both clocks."""

    async def settle(board, seconds):
        clock.seconds = 1_000.0 + seconds
        return await board.settle(START + timedelta(seconds=seconds), live=True)

    return settle


async def boarded(device, folder, clock):
    board = Board(device, OwnLimits([device], folder), monotonic_seconds=clock)
    await board.open()
    return board


async def test_energy_comes_from_the_counter_and_survives_its_reset(tmp_path, device, clock, settled, monkeypatch):
    """A driver reload puts the counter back to zero: what it shows then was drawn since."""
    counts_j = iter([1_000.0, 3_000.0, 5.0])
    board = await boarded(device, tmp_path, clock)
    monkeypatch.setattr(device, "energy_j", lambda: next(counts_j))
    sums = [(await settled(board, second)).energy_j for second in (0, 10, 20)]
    assert sums == [0.0, 2_000.0, 2_005.0]


async def test_a_counter_that_does_not_answer_for_a_while_loses_nothing(tmp_path, device, clock, settled, monkeypatch):
    counts_j = iter([1_000.0, None, 3_500.0])
    board = await boarded(device, tmp_path, clock)
    monkeypatch.setattr(device, "energy_j", lambda: next(counts_j))
    sums = [(await settled(board, s)).energy_j for s in (0, 10, 20)]
    assert sums == [0.0, 0.0, 2_500.0]


async def test_a_board_that_goes_on_counts_what_was_drawn_while_nobody_looked(
    tmp_path, device, clock, settled, monkeypatch
):
    board = await boarded(device, tmp_path, clock)
    monkeypatch.setattr(device, "energy_j", lambda: 9_000.0)
    await board.resume(START, 1_000.0)
    meter = await settled(board, 3_600)
    assert (meter.energy_j, meter.work_seconds, board.counter_j) == (8_000.0, 0.0, 9_000.0)


async def test_integrated_power_says_by_how_much_it_may_be_off(tmp_path, device, clock, settled, monkeypatch):
    """Between two readings the truth lies between what was read last; and a sensor may be off by 5 %."""
    watts = iter([100.0, 200.0, 200.0, 60.0, 60.0])
    monkeypatch.setattr(device, "power_w", lambda: next(watts))
    monkeypatch.setattr(device, "energy_basis", EnergyBasis.INTEGRATED)
    board = await boarded(device, tmp_path, clock)
    meters = [await settled(board, s) for s in (0, 10, 20)]
    assert [meter.energy_j for meter in meters] == [0.0, 1_500.0, 3_500.0]
    assert [meter.error_j for meter in meters] == [0.0, pytest.approx(575.0), pytest.approx(1_175.0)]
    board.note_load(Load.PARKED)
    parked = [await settled(board, s) for s in (30, 40)]
    assert parked[0].error_j - meters[-1].error_j == pytest.approx(10 * (70.0 + 0.05 * 130.0))  # it fell meanwhile
    assert parked[1].error_j - parked[0].error_j == pytest.approx(10 * (70.0 + 0.05 * 60.0))


async def test_a_real_draw_over_replayed_time_is_its_power_times_that_time(tmp_path, device, clock, monkeypatch):
    counts_j = iter([0.0, 500.0])
    board = await boarded(device, tmp_path, clock)
    monkeypatch.setattr(device, "energy_j", lambda: next(counts_j))
    await board.settle(START, live=False)
    clock.seconds += 1.0
    assert (await board.settle(START + timedelta(hours=1), live=False)).energy_j == 500.0 * 3_600


async def test_what_was_counted_this_very_moment_waits_for_the_next_and_replayed_time_does_not(tmp_path, device, clock):
    board = await boarded(device, tmp_path, clock)
    first = await board.settle(START, live=True)
    assert await board.settle(START + timedelta(milliseconds=10), live=True) == first
    assert (await board.settle(START + timedelta(hours=1), live=False)).at == START + timedelta(hours=1)


async def test_without_a_counter_nobody_knows_what_was_drawn_while_nobody_looked(tmp_path, device, clock, settled):
    board = await boarded(device, tmp_path, clock)
    await board.resume(START - timedelta(days=3), 1_000.0)
    assert (await settled(board, 0)).energy_j == 0.0
    assert (await settled(board, 10)).energy_j == pytest.approx(10 * device.power_w())


@pytest.mark.parametrize("step", [timedelta(hours=-1), timedelta(days=30)])
async def test_a_wall_clock_that_is_set_makes_no_energy_and_loses_none(tmp_path, device, clock, settled, step):
    board = await boarded(device, tmp_path, clock)
    await settled(board, 0)
    for second in range(1, 11):
        clock.seconds = 1_000.0 + second
        meter = await board.settle(START + step + timedelta(seconds=second), live=True)
    assert meter.energy_j == pytest.approx(10 * device.power_w(), rel=0.11)  # the second in which it was set


async def test_a_cap_of_which_nobody_knows_whether_it_was_set_is_given_back_and_not_tried_at_once(
    tmp_path, device, clock, monkeypatch
):
    """The driver takes it, and then does not answer."""
    limits = OwnLimits([device], tmp_path)
    board = Board(device, limits, seconds_between_caps=1.0, monotonic_seconds=clock)
    await board.open()

    async def cap(uuid, limit_w, *, nominal):
        await OwnLimits.cap(limits, uuid, limit_w, nominal=nominal)
        raise DeviceTroubleError("it has not answered", "see dmesg")

    monkeypatch.setattr(limits, "cap", cap)
    with pytest.raises(DeviceTroubleError):
        await board.cap(150.0)
    assert device.power_limit_w() == 150.0
    assert await board.cap(140.0) is None
    assert board.waits_seconds == 1.0
    await board.read()
    assert await board.restore() == LimitChange(from_w=150.0, to_w=250.0)
    assert board.captured_w == 250.0


async def test_a_foreign_limit_is_over_when_the_captured_one_stands_again(tmp_path, device, clock):
    board = await boarded(device, tmp_path, clock)
    await board.cap(150.0)
    device.set_power_limit_w(180.0)
    await board.read()
    with pytest.raises(ForeignLimitError):
        await board.cap(150.0)
    device.set_power_limit_w(250.0)
    await board.read()
    assert not board.foreign
    assert await board.cap(120.0)
