"""The captured limit through the ways a worker can end; the board is one that outlives its worker."""

import pytest

from carbonshift.gpu_worker.board import Board
from carbonshift.gpu_worker.captured import CapturedLimits
from carbonshift.gpu_worker.devices.simulated import SimulatedDevice
from carbonshift.gpu_worker.errors import CapRefusedError, CapturedLimitError, DeviceTroubleError, ForeignLimitError
from carbonshift.gpu_worker.keeper import Keeper, LimitChange
from carbonshift.gpu_worker.limits import OwnLimits

UUID = "GPU-2f1c/odd name"


class Counting(SimulatedDevice):
    """With an energy counter, as a real one."""

    counter_j = 1_000.0

    def energy_j(self):
        return self.counter_j


@pytest.fixture
def device():
    device = Counting(UUID)
    device.set_power_limit_w(230.0)  # an operator's, below the default
    return device


def kept(device, folder):
    keeper = Keeper(device, CapturedLimits(folder))
    assert keeper.open() is None
    return keeper


async def boarded(device, folder, **options):
    limits = OwnLimits([device], folder)
    await limits.start()
    board = Board(device, limits, **options)
    await board.open()
    return board


def test_after_a_kill_the_next_start_restores_what_stood_before_the_first_cap(tmp_path, device):
    killed = kept(device, tmp_path)
    killed.cap(150.0)
    killed.cap(120.0)
    assert Keeper(device, CapturedLimits(tmp_path)).open() == LimitChange(from_w=120.0, to_w=230.0)
    assert device.power_limit_w() == 230.0
    assert not list(tmp_path.iterdir())


def test_a_cap_never_rises_above_the_captured_limit(tmp_path, device):
    keeper = kept(device, tmp_path)
    keeper.cap(150.0)
    assert keeper.cap(250.0) == LimitChange(from_w=150.0, to_w=230.0)


def test_where_it_may_be_raised_it_rises_and_falls_back_to_the_captured_limit(tmp_path, device):
    keeper = Keeper(device, CapturedLimits(tmp_path), may_raise=True)
    assert keeper.cap(250.0) == LimitChange(from_w=230.0, to_w=250.0)
    assert CapturedLimits(tmp_path).left_over(UUID) == 230.0
    assert keeper.restore() == LimitChange(from_w=250.0, to_w=230.0)


def test_a_board_that_was_never_capped_is_not_written_down(tmp_path, device):
    keeper = kept(device, tmp_path)
    assert keeper.cap(230.2) is None
    assert keeper.restore() is None
    assert not list(tmp_path.iterdir())


def test_a_limit_that_an_operator_set_between_two_caps_is_the_one_to_go_back_to(tmp_path, device):
    keeper = kept(device, tmp_path)
    keeper.cap(150.0)
    keeper.restore()
    device.set_power_limit_w(200.0)
    assert keeper.cap(120.0) == LimitChange(from_w=200.0, to_w=120.0)
    assert keeper.restore() == LimitChange(from_w=120.0, to_w=200.0)


def test_a_restore_that_is_refused_stays_to_be_done(tmp_path, device, monkeypatch):
    keeper = kept(device, tmp_path)
    keeper.cap(150.0)

    def refuse(limit_w: float) -> float:
        raise CapRefusedError(f"no {limit_w:g} W", "ask again")

    with monkeypatch.context() as patch:
        patch.setattr(device, "set_power_limit_w", refuse)
        with pytest.raises(CapRefusedError):
            keeper.restore()
        assert CapturedLimits(tmp_path).left_over(UUID) == 230.0
    assert keeper.restore() == LimitChange(from_w=150.0, to_w=230.0)


def test_somebody_else_s_limit_is_not_fought_and_not_undone(tmp_path, device):
    keeper = kept(device, tmp_path)
    keeper.cap(150.0)
    device.set_power_limit_w(180.0)
    with pytest.raises(ForeignLimitError, match="under 180 W") as raised:
        keeper.cap(120.0)
    assert raised.value.stands_w == device.power_limit_w() == 180.0
    with pytest.raises(ForeignLimitError):
        keeper.restore()
    assert device.power_limit_w() == 180.0
    assert not list(tmp_path.iterdir())


def test_a_cap_lost_in_a_reload_of_the_driver_is_set_again_and_the_captured_limit_given_back(tmp_path, device):
    keeper = kept(device, tmp_path)
    keeper.cap(150.0)
    device.counter_j = 0.0
    device.set_power_limit_w(device.default_limit_w)
    assert keeper.cap(150.0) == LimitChange(from_w=250.0, to_w=150.0)
    assert keeper.restore() == LimitChange(from_w=150.0, to_w=230.0)


def test_the_default_set_by_somebody_is_theirs_while_the_counter_counts_on(tmp_path, device):
    keeper = kept(device, tmp_path)
    keeper.cap(150.0)
    device.counter_j += 1.0
    device.set_power_limit_w(device.default_limit_w)
    with pytest.raises(ForeignLimitError):
        keeper.cap(150.0)


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


async def test_the_highest_limit_a_board_may_be_given_is_its_own_only_where_it_may_be_raised(tmp_path, device):
    board = await boarded(device, tmp_path / "one")
    assert board.ceiling_w == 230.0
    assert await board.cap(250.0) is None
    raised = await boarded(device, tmp_path / "two", may_raise=True)
    assert raised.ceiling_w == 250.0
    assert await raised.cap(300.0) is None  # its keeper may not, whatever it is asked
    raised.give_up_limits()
    assert raised.ceiling_w == 230.0


async def test_a_foreign_limit_is_the_board_s_range_until_it_goes(tmp_path, device):
    board = await boarded(device, tmp_path)
    await board.cap(150.0)
    device.set_power_limit_w(180.0)
    assert await board.cap(150.0) is None  # nobody has looked yet
    await board.read()
    with pytest.raises(ForeignLimitError):
        await board.cap(150.0)
    assert (board.foreign, board.range.min_limit_w, board.range.max_limit_w) == (True, 180.0, 180.0)
    assert await board.cap(120.0) is None
    device.set_power_limit_w(150.0)
    await board.read()
    assert (board.foreign, board.range.min_limit_w, board.limit_w) == (False, 100.0, 150.0)
    assert await board.restore() == LimitChange(from_w=150.0, to_w=230.0)


async def test_caps_of_a_real_board_wait_for_their_turn_and_giving_back_does_not(tmp_path, device):
    seconds = 100.0
    board = await boarded(device, tmp_path, seconds_between_caps=1.0, monotonic_seconds=lambda: seconds)
    assert await board.cap(150.0)
    seconds = 100.4
    assert await board.cap(120.0) is None
    assert board.waits_seconds == pytest.approx(0.6)
    assert device.power_limit_w() == 150.0
    seconds = 101.0
    assert await board.cap(120.0)
    assert await board.restore() == LimitChange(from_w=120.0, to_w=230.0)


@pytest.mark.parametrize("said", ["NaN", "1e400", "-1", "true", "null", '"230"', "999999", "12"])
def test_a_file_that_names_no_limit_of_the_board_is_refused_and_kept(tmp_path, device, said):
    limits = CapturedLimits(tmp_path)
    limits.capture(UUID, 230.0)
    (file,) = tmp_path.iterdir()
    file.write_text(f'{{"uuid": "{UUID}", "limit_w": {said}}}')
    with pytest.raises(CapturedLimitError, match="remove the file"):
        Keeper(device, limits).open()
    assert device.power_limit_w() == 230.0
    assert file.exists()


def test_a_limit_that_was_given_back_to_no_effect_stays_to_be_given_back(tmp_path, device, monkeypatch):
    keeper = kept(device, tmp_path)
    keeper.cap(150.0)
    monkeypatch.setattr(device, "set_power_limit_w", lambda _: device.power_limit_w())
    with pytest.raises(DeviceTroubleError, match="stands at 150 W after 230 W"):
        keeper.restore()
    assert CapturedLimits(tmp_path).left_over(UUID) == 230.0
    monkeypatch.undo()
    assert keeper.restore() == LimitChange(from_w=150.0, to_w=230.0)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_to_is_one_kind_of_trouble(tmp_path, device):
    (tmp_path / "file").write_text("no folder")
    keeper = Keeper(device, CapturedLimits(tmp_path / "file"))
    with pytest.raises(CapturedLimitError, match="cannot be kept safe"):
        keeper.cap(150.0)
    assert device.power_limit_w() == 230.0
