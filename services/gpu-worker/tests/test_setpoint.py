import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonshift.gpu_worker.setpoint import BoardRange, setpoint_w

watts = st.floats(20, 1_200)
boards = st.tuples(watts, watts).map(sorted).map(lambda ends: BoardRange(min_limit_w=ends[0], max_limit_w=ends[1]))


@given(fraction=st.floats(-1, 2), board=boards, captured_share=st.floats(0, 1))
def test_it_never_leaves_the_range_nor_rises_above_the_captured_limit(fraction, board, captured_share):
    captured_w = board.min_limit_w + captured_share * (board.max_limit_w - board.min_limit_w)
    limit_w = setpoint_w(fraction, board, captured_w)
    assert board.min_limit_w <= limit_w <= board.max_limit_w
    assert limit_w <= captured_w or limit_w == board.min_limit_w


def test_the_reference_setpoints_on_boards_they_do_not_fit():
    """100 W is below an H100's minimum, 250 W far above a T4's maximum, and an operator's 310 W is not the maximum."""
    h100, t4 = BoardRange(min_limit_w=200, max_limit_w=700), BoardRange(min_limit_w=60, max_limit_w=70)
    nvl = BoardRange(min_limit_w=200, max_limit_w=400)
    assert [setpoint_w(share, h100, 700) for share in (0, 0.5, 1)] == [200, 450, 700]
    assert [setpoint_w(share, t4, 70) for share in (0, 0.5, 1)] == [60, 65, 70]
    assert setpoint_w(1, nvl, 310) == pytest.approx(310)
