"""A board in a worker's hands: what its counter, or its power, tells of energy."""

from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from carbonshift.common.events import EnergyBasis
from carbonshift.gpu_worker.board import Board
from carbonshift.gpu_worker.devices.simulated import SimulatedDevice
from carbonshift.gpu_worker.limits import OwnLimits
from carbonshift.gpu_worker.meter import Load

START = datetime(2025, 7, 1, 12, tzinfo=UTC)


@pytest.fixture
def device():
    return SimulatedDevice("SIM-1")


async def boarded(device, folder, monotonic_seconds=None):
    """A board for which ten seconds pass at each look at the clock, unless told otherwise."""
    board = Board(device, OwnLimits([device], folder), monotonic_seconds=monotonic_seconds or count(0, 10).__next__)
    await board.open()
    return board


async def test_energy_comes_from_the_counter_and_survives_its_reset(tmp_path, device, monkeypatch):
    """A driver reload puts the counter back to zero: what it shows then was drawn since."""
    counts_j = iter([1_000.0, 3_000.0, 5.0])
    board = await boarded(device, tmp_path)
    monkeypatch.setattr(device, "energy_j", lambda: next(counts_j))
    sums = [(await board.settle(START + timedelta(seconds=second), live=True)).energy_j for second in (0, 10, 20)]
    assert sums == [0.0, 2_000.0, 2_005.0]


async def test_a_counter_that_does_not_answer_for_a_while_loses_nothing(tmp_path, device, monkeypatch):
    counts_j = iter([1_000.0, None, 3_500.0])
    board = await boarded(device, tmp_path)
    monkeypatch.setattr(device, "energy_j", lambda: next(counts_j))
    sums = [(await board.settle(START + timedelta(seconds=s), live=True)).energy_j for s in (0, 10, 20)]
    assert sums == [0.0, 0.0, 2_500.0]


async def test_a_board_that_goes_on_counts_what_was_drawn_while_nobody_looked(tmp_path, device, monkeypatch):
    board = await boarded(device, tmp_path)
    monkeypatch.setattr(device, "energy_j", lambda: 9_000.0)
    await board.resume(START, 1_000.0)
    meter = await board.settle(START + timedelta(hours=1), live=True)
    assert (meter.energy_j, meter.work_seconds, board.counter_j) == (8_000.0, 0.0, 9_000.0)


async def test_integrated_power_says_by_how_much_it_may_be_off(tmp_path, device, monkeypatch):
    """Between two readings the truth lies between what was read last; and a sensor may be off by 5 %."""
    watts = iter([100.0, 200.0, 200.0, 60.0, 60.0])
    monkeypatch.setattr(device, "power_w", lambda: next(watts))
    monkeypatch.setattr(device, "energy_basis", EnergyBasis.INTEGRATED)
    board = await boarded(device, tmp_path)
    meters = [await board.settle(START + timedelta(seconds=s), live=True) for s in (0, 10, 20)]
    assert [meter.energy_j for meter in meters] == [0.0, 1_500.0, 3_500.0]
    assert [meter.error_j for meter in meters] == [0.0, pytest.approx(575.0), pytest.approx(1_175.0)]
    board.note_load(Load.PARKED)
    parked = [await board.settle(START + timedelta(seconds=s), live=True) for s in (30, 40)]
    assert parked[0].error_j - meters[-1].error_j == pytest.approx(10 * (70.0 + 0.05 * 130.0))  # it fell meanwhile
    assert parked[1].error_j - parked[0].error_j == pytest.approx(10 * (70.0 + 0.05 * 60.0))


async def test_a_real_draw_over_replayed_time_is_its_power_times_that_time(tmp_path, device, monkeypatch):
    counts_j, seconds = iter([0.0, 500.0]), iter([0.0, 0.0, 1.0, 1.0])
    board = await boarded(device, tmp_path, monotonic_seconds=lambda: next(seconds))
    monkeypatch.setattr(device, "energy_j", lambda: next(counts_j))
    await board.settle(START, live=False)
    assert (await board.settle(START + timedelta(hours=1), live=False)).energy_j == 500.0 * 3_600


async def test_what_was_counted_this_very_moment_waits_for_the_next_and_replayed_time_does_not(tmp_path, device):
    board = await boarded(device, tmp_path, monotonic_seconds=lambda: 7.0)
    first = await board.settle(START, live=True)
    assert await board.settle(START + timedelta(milliseconds=10), live=True) == first
    assert (await board.settle(START + timedelta(hours=1), live=False)).at == START + timedelta(hours=1)
