"""The keeper of one board, in whatever order it is asked, refused and killed: at the end all is as it was found."""

from contextlib import suppress

import pynvml
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from carbonshift.gpu_worker.captured import CapturedLimits
from carbonshift.gpu_worker.devices.nvml import NvmlBackend
from carbonshift.gpu_worker.errors import CapRefusedError, CapturedLimitError, DeviceTroubleError
from carbonshift.gpu_worker.keeper import Keeper, LimitChange

FOUND = {"limit_mw": 650_000, "default_mw": 650_000, "energy_mj": 1 << 60}
LAPTOP = FOUND | {"takes_limits": 0, "limited_mw": 650_000}
LOWEST_MHZ = 300

deeds = st.one_of(st.integers(200, 700), st.sampled_from(["slow_down", "speed_up", "restore", "reload", "start"]))
fates = st.sampled_from(["done", "done", "done", "killed before", "killed after", "refused", "in trouble"])


class KilledError(BaseException):
    """As SIGKILL: nothing runs after it."""


class Kept:
    """A board in the shared file, whoever keeps it now, and how that ends."""

    def __init__(self, driver, folder):
        self.driver, self.board, self.folder = driver, driver.board(), folder
        self.fate = "done"
        self.start()

    def start(self):
        """The next run."""
        (self.device,) = NvmlBackend().discover()
        tell = self.device._set

        def write(*asked):
            if self.fate == "killed before":
                raise KilledError
            tell(*asked)
            if self.fate == "killed after":
                raise KilledError

        self.device._set = write
        self.keeper = Keeper(self.device, CapturedLimits(self.folder))
        self.keeper.open()

    def do(self, deed, fate):
        self.fate, self.driver.state.permitted = fate, fate != "refused"
        if fate == "in trouble":
            for function in ("SetPowerManagementLimit", "SetGpuLockedClocks", "ResetGpuLockedClocks"):
                self.driver.fail(f"nvmlDevice{function}", pynvml.NVML_ERROR_UNKNOWN)
        try:
            with suppress(CapRefusedError, DeviceTroubleError):
                self.deed(deed)
        except KilledError:
            self.tells_all()
            self.healed()
            self.start()
        self.healed()

    def deed(self, deed):
        if deed == "start":
            self.start()
        elif deed == "reload":
            energy_mj = self.board.energy_mj // 2
            self.driver.reload()
            self.board.energy_mj = energy_mj
            pynvml.nvmlShutdown()
            self.device.power_w()  # whoever looks at it meets the new driver
        elif isinstance(deed, int):
            self.keeper.cap(float(deed), nominal=not self.device.tells_limit)
        else:
            getattr(self.keeper, deed)()

    def healed(self):
        self.fate, self.driver.state.permitted = "done", 1
        self.driver.heal()

    def tells_all(self):
        """What is not as it was found is on disk: after a kill that is all there is."""
        left = {path.suffixes[0] for path in self.folder.glob("*.json")}
        if self.board.locked_high_mhz == LOWEST_MHZ:
            assert ".clocks" in left
        if self.board.limit_mw != FOUND["limit_mw"] or self.board.locked_high_mhz not in (0, LOWEST_MHZ):
            assert ".json" in left

    def found_again(self):
        assert (self.board.limit_mw, self.board.locked_high_mhz) == (FOUND["limit_mw"], 0)
        assert not list(self.folder.glob("*"))


@pytest.mark.parametrize("board", [FOUND, LAPTOP], ids=["limit", "nominal"])
def test_whatever_is_done_and_ends_in_whatever_order_all_is_as_it_was_found(nvml_here, tmp_path, board):
    driver = nvml_here(board)

    @settings(max_examples=150, deadline=None)
    @example([("slow_down", "done"), (300, "done"), ("speed_up", "killed before"), ("slow_down", "refused")])
    @example([("slow_down", "done"), ("reload", "done"), (300, "done"), ("slow_down", "done"), (400, "done")])
    @given(st.lists(st.tuples(deeds, fates), max_size=10))
    def check(steps):
        driver.board().energy_mj = FOUND["energy_mj"]
        kept = Kept(driver, tmp_path / "captured")
        for deed, fate in steps:
            kept.do(deed, fate)
            kept.tells_all()
            if (deed, fate) == ("slow_down", "done"):
                assert kept.board.locked_high_mhz == LOWEST_MHZ
            if (deed, fate) == ("speed_up", "done"):
                assert kept.board.locked_high_mhz != LOWEST_MHZ
        kept.do("restore", "done")
        kept.found_again()

    check()


@pytest.fixture
def kept(nvml_here, tmp_path):
    def make(board):
        return Kept(nvml_here(board), tmp_path / "captured")

    return make


def test_a_limit_is_capped_and_given_back_while_clocks_stay_low(kept):
    one = kept(FOUND)
    assert one.keeper.slow_down() >= 0.0
    assert one.keeper.cap(300.0) == LimitChange(from_w=650.0, to_w=300.0)
    assert one.keeper.cap(250.0) == LimitChange(from_w=300.0, to_w=250.0)
    assert (one.board.limit_mw, one.board.locked_low_mhz, one.board.locked_high_mhz) == (250_000, 300, 300)
    assert one.keeper.speed_up() >= 0.0
    assert (one.board.limit_mw, one.board.locked_high_mhz) == (250_000, 0)
    assert one.keeper.speed_up() is None


def test_nominal_limits_set_while_clocks_are_low_hold_once_they_are_not(kept):
    one = kept(LAPTOP)
    one.keeper.cap(500.0, nominal=True)
    one.keeper.slow_down()
    assert one.keeper.cap(400.0, nominal=True).to_w == pytest.approx(650.0 * 1_140 / 1_980)
    assert one.board.locked_high_mhz == LOWEST_MHZ
    one.keeper.speed_up()
    assert one.board.locked_high_mhz == 1_140
    one.keeper.restore()
    one.found_again()


def test_a_board_that_turns_out_to_take_no_limit_while_its_clocks_are_low_keeps_them_low(kept):
    one = kept(FOUND)
    one.keeper.slow_down()
    one.driver.fail("nvmlDeviceSetPowerManagementLimit", pynvml.NVML_ERROR_NOT_SUPPORTED)
    one.keeper.cap(400.0, nominal=True)
    assert one.board.locked_high_mhz == LOWEST_MHZ
    one.keeper.speed_up()
    assert one.board.locked_high_mhz == 1_140
    one.keeper.restore()
    one.found_again()


def test_clocks_that_nobody_here_has_locked_are_left_locked(kept):
    one = kept(FOUND)
    one.board.locked_high_mhz = 900
    one.keeper.speed_up()
    one.driver.state.permitted = 0
    with pytest.raises(CapRefusedError, match="CAP_SYS_ADMIN"):
        one.keeper.slow_down()
    one.driver.state.permitted = 1
    one.keeper.cap(300.0)
    one.keeper.restore()
    one.start()
    assert one.board.locked_high_mhz == 900
    assert not list(one.folder.glob("*"))


def test_what_cannot_be_kept_safe_is_not_slowed(kept):
    one = kept(FOUND)
    (one.folder / f"{one.device.uuid}.clocks.part").mkdir(parents=True)
    with pytest.raises(CapturedLimitError, match="so they are not"):
        one.keeper.slow_down()
    one.keeper.restore()
    assert not one.driver.calls("nvmlDeviceSetGpuLockedClocks") + one.driver.calls("nvmlDeviceResetGpuLockedClocks")


def test_a_limit_s_file_that_says_nothing_does_not_keep_clocks_low(kept):
    one = kept(FOUND)
    one.keeper.slow_down()
    one.keeper.cap(300.0)
    (one.folder / f"{one.device.uuid}.json").write_text("{")
    with pytest.raises(CapturedLimitError):
        one.start()
    assert one.board.locked_high_mhz == 0
    assert not list(one.folder.glob("*.clocks.json"))
