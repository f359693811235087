"""The captured limit through the ways a worker can end; the board is one that outlives its worker."""

from datetime import UTC, datetime

import pytest

from carbonshift.gpu_worker.board import Board, LimitChange
from carbonshift.gpu_worker.captured import CapturedLimits
from carbonshift.gpu_worker.devices.simulated import SimulatedDevice
from carbonshift.gpu_worker.errors import CapRefusedError, CapturedLimitError

UUID = "GPU-2f1c/odd name"


@pytest.fixture
def device():
    device = SimulatedDevice(UUID)
    device.set_power_limit_w(230.0)  # an operator's, below the default
    return device


async def test_after_a_kill_the_next_start_restores_what_stood_before_the_first_cap(tmp_path, device):
    killed = Board("simulated", device, CapturedLimits(tmp_path))
    assert await killed.open() is None
    await killed.cap(150.0)
    await killed.cap(120.0)
    started = Board("simulated", device, CapturedLimits(tmp_path))
    assert await started.open() == LimitChange(from_w=120.0, to_w=230.0)
    assert device.power_limit_w() == started.captured_w == 230.0
    assert not list(tmp_path.iterdir())


async def test_a_cap_never_rises_above_the_captured_limit(tmp_path, device):
    board = Board("simulated", device, CapturedLimits(tmp_path))
    await board.open()
    await board.cap(150.0)
    assert await board.cap(250.0) == LimitChange(from_w=150.0, to_w=230.0)


async def test_a_board_that_was_never_capped_is_not_written_down(tmp_path, device):
    board = Board("simulated", device, CapturedLimits(tmp_path))
    await board.open()
    assert await board.cap(230.2) is None
    assert await board.restore() is None
    assert not list(tmp_path.iterdir())


async def test_a_limit_that_an_operator_set_between_two_caps_is_the_one_to_go_back_to(tmp_path, device):
    board = Board("simulated", device, CapturedLimits(tmp_path))
    await board.open()
    await board.cap(150.0)
    await board.restore()
    device.set_power_limit_w(200.0)
    assert await board.cap(120.0) == LimitChange(from_w=200.0, to_w=120.0)
    assert await board.restore() == LimitChange(from_w=120.0, to_w=200.0)


async def test_a_restore_that_is_refused_stays_to_be_done(tmp_path, device, monkeypatch):
    board = Board("simulated", device, CapturedLimits(tmp_path))
    await board.open()
    await board.cap(150.0)

    def refuse(limit_w: float) -> float:
        raise CapRefusedError(f"no {limit_w:g} W", "ask again")

    with monkeypatch.context() as patch:
        patch.setattr(device, "set_power_limit_w", refuse)
        with pytest.raises(CapRefusedError):
            await board.restore()
        assert CapturedLimits(tmp_path).left_over(UUID) == 230.0
    assert await board.restore() == LimitChange(from_w=150.0, to_w=230.0)


def test_a_half_written_file_is_refused_with_its_name(tmp_path):
    limits = CapturedLimits(tmp_path)
    limits.capture(UUID, 230.0)
    limits.capture(UUID, 100.0)  # what stands now may be our own cap
    assert limits.left_over(UUID) == 230.0
    (file,) = tmp_path.iterdir()
    file.write_text('{"uuid": "')
    with pytest.raises(CapturedLimitError, match=file.name):
        limits.left_over(UUID)
    assert CapturedLimits(tmp_path / "none").left_over(UUID) is None


async def test_energy_comes_from_the_counter_and_survives_its_reset(tmp_path, device, monkeypatch):
    """A driver reload puts the counter back to zero: the draw of that span is the power then read."""
    counts_j, seconds = iter([1_000.0, 3_000.0, 5.0]), iter([0.0, 10.0, 20.0])
    monkeypatch.setattr(device, "energy_j", lambda: next(counts_j))
    monkeypatch.setattr(device, "power_w", lambda: 77.0)
    board = Board("simulated", device, CapturedLimits(tmp_path), lambda: next(seconds))
    await board.open()
    start = datetime(2025, 7, 1, 12, tzinfo=UTC)
    sums = [(await board.settle(start.replace(second=second))).energy_j for second in (0, 10, 20)]
    assert sums == [0.0, 2_000.0, 2_770.0]
