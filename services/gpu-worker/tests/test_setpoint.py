import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonshift.common.errors import InputError
from carbonshift.gpu_worker.setpoint import BoardRange, fraction_w, meaning_of, setpoint_w
from carbonshift.gpu_worker.settings import GpuWorkerSettings

LOW, HIGH = 100.0, 250.0
"""The reference board's range, a V100's, and the setpoints of RED and GREEN."""

milliwatts = st.integers(20_000, 1_200_000)
boards = st.tuples(milliwatts, milliwatts, milliwatts).map(sorted).map(lambda found: board(*found))
meanings = st.sampled_from(["range", "absolute", "default"])
shares = st.floats(0, 1)


def board(min_mw, default_mw, max_mw):
    """Limits are whole milliwatts."""
    return BoardRange(min_limit_w=min_mw / 1_000, max_limit_w=max_mw / 1_000, default_limit_w=default_mw / 1_000)


def captured(found, share):
    """Of somebody who has set a limit within the board's range."""
    low_mw, high_mw = round(found.min_limit_w * 1_000), round(found.max_limit_w * 1_000)
    return (low_mw + round(share * (high_mw - low_mw))) / 1_000


@given(limit_w=st.floats(1e-3, 2_000), fraction=st.floats(-1, 2), meaning=meanings, board=boards, share=shares)
def test_it_never_leaves_the_range_nor_rises_above_the_captured_limit(limit_w, fraction, meaning, board, share):
    captured_w = captured(board, share)
    for found_w in (setpoint_w(limit_w, fraction, meaning, board, captured_w), fraction_w(fraction, board, captured_w)):
        assert board.min_limit_w <= found_w <= min(board.max_limit_w, captured_w)
        assert round(found_w * 1_000) == pytest.approx(found_w * 1_000, abs=1e-6)


@given(one=shares, other=shares, meaning=meanings, board=boards, share=shares)
def test_a_higher_setpoint_gives_no_lower_limit(one, other, meaning, board, share):
    low, high = sorted((one, other))
    told_w = [setpoint_w(LOW + at * (HIGH - LOW), at, meaning, board, captured(board, share)) for at in (low, high)]
    assert told_w[0] <= told_w[1]


@given(fraction=shares, meaning=meanings)
def test_all_meanings_are_one_on_the_reference_board(fraction, meaning):
    reference = board(100_000, 250_000, 250_000)
    limit_w = LOW + fraction * (HIGH - LOW)
    assert setpoint_w(limit_w, fraction, meaning, reference, HIGH) == pytest.approx(limit_w, abs=1e-3)


@given(board=boards, fraction=shares, share=shares)
def test_a_fixed_limit_is_a_fixed_limit(board, fraction, share):
    at_w = captured(board, share)
    fixed = BoardRange(min_limit_w=at_w, max_limit_w=at_w, default_limit_w=board.default_limit_w)
    for meaning in ("range", "absolute", "default"):
        assert setpoint_w(LOW + fraction * (HIGH - LOW), fraction, meaning, fixed, at_w) == at_w


H100, H100_NVL, A100_PCIE = (200, 700, 700), (200, 310, 400), (150, 300, 300)
T4, L4, RTX_4090, P2000 = (60, 70, 70), (40, 72, 72), (150, 450, 450), (75, 75, 75)


@pytest.mark.parametrize(
    ("ratings", "captured_w", "in_range", "absolute", "of_default"),
    [
        (H100, 700, (200, 450, 700), (200, 200, 250), (280, 490, 700)),
        (H100, 650, (200, 450, 650), (200, 200, 250), (280, 490, 650)),  # an operator's, below the default
        (H100_NVL, 310, (200, 300, 310), (200, 200, 250), (200, 217, 310)),
        (A100_PCIE, 300, (150, 225, 300), (150, 175, 250), (150, 210, 300)),
        (T4, 70, (60, 65, 70), (70, 70, 70), (60, 60, 70)),  # 100 W are above all it takes
        (L4, 72, (40, 56, 72), (72, 72, 72), (40, 50.4, 72)),
        (L4, 60, (40, 56, 60), (60, 60, 60), (40, 50.4, 60)),
        (RTX_4090, 450, (150, 300, 450), (150, 175, 250), (180, 315, 450)),
        (P2000, 75, (75, 75, 75), (75, 75, 75), (75, 75, 75)),
    ],
)
def test_the_reference_setpoints_on_boards_they_do_not_fit(ratings, captured_w, in_range, absolute, of_default):
    """RED's 100 W, AMBER's 175 W and GREEN's 250 W."""
    found = board(*(watts * 1_000 for watts in ratings))
    for meaning, expected in (("range", in_range), ("absolute", absolute), ("default", of_default)):
        told = [
            setpoint_w(limit_w, share, meaning, found, captured_w)
            for limit_w, share in ((100, 0), (175, 0.5), (250, 1))
        ]
        assert told == pytest.approx(expected), meaning


def test_what_is_rounded_below_the_lowest_is_the_lowest():
    """83 % of an RTX 5060 Ti's 180 W is 149.4 W, and its lowest limit 150 W: a driver would refuse it."""
    assert setpoint_w(0.83 * 250, 0.7, "default", board(150_000, 180_000, 180_000), 180) == 150


def test_the_first_pattern_that_fits_a_model_counts():
    by_model = {"NVIDIA H100 NVL": "absolute", "NVIDIA H100*": "default", "*T4": "absolute"}
    told = {name: meaning_of(name, by_model, "range") for name in ("NVIDIA H100 NVL", "NVIDIA H100 80GB HBM3")}
    assert told == {"NVIDIA H100 NVL": "absolute", "NVIDIA H100 80GB HBM3": "default"}
    assert meaning_of("Tesla T4", by_model, "range") == "absolute"
    assert meaning_of("tesla t4", by_model, "range") == "range"


def test_it_is_set_in_the_environment_or_the_file(monkeypatch, tmp_path):
    file = tmp_path / "carbonshift.toml"
    file.write_text(
        '[gpu-worker]\nsetpoint = "default"\n[gpu-worker.setpoint_by_model]\n"*T4" = "range"\n"*" = "absolute"\n'
    )
    monkeypatch.setenv("CARBONSHIFT_CONFIG", str(file))
    settings = GpuWorkerSettings.load()
    assert (settings.setpoint, list(settings.setpoint_by_model)) == ("default", ["*T4", "*"])
    monkeypatch.delenv("CARBONSHIFT_CONFIG")
    by_model = {"NVIDIA L4": "absolute", "NVIDIA*": "default"}
    monkeypatch.setenv("CARBONSHIFT_SETPOINT_BY_MODEL", json.dumps(by_model))
    assert list(GpuWorkerSettings.load().setpoint_by_model.items()) == list(by_model.items())
    monkeypatch.setenv("CARBONSHIFT_SETPOINT", "maximum")
    with pytest.raises(InputError, match="CARBONSHIFT_SETPOINT"):
        GpuWorkerSettings.load()
