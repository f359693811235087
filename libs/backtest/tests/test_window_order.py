"""The k-th smallest of many windows: what sorting each of them gives, whatever the values and the windows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonshift.backtest import window_order
from carbonshift.backtest.window_order import kth_smallest

values = st.lists(st.sampled_from([-5.0, 0.0, 1.0, 1e300]) | st.floats(-1e9, 1e9), min_size=1, max_size=60)


@pytest.fixture(params=[1, 7, window_order.CHUNK_WINDOWS])
def chunk_windows(request, monkeypatch):
    monkeypatch.setattr(window_order, "CHUNK_WINDOWS", request.param)


@pytest.mark.usefixtures("chunk_windows")
def test_every_order_statistic_is_that_of_the_sorted_window():
    @given(values=values, data=st.data())
    def check(values, data):
        edges = st.tuples(st.integers(0, len(values) - 1), st.integers(1, len(values)))
        pairs = data.draw(st.lists(edges.filter(lambda pair: pair[0] < pair[1]), max_size=20))
        begins = np.array(sorted(begin for begin, _ in pairs), dtype=np.intp)
        ends = np.array(sorted(end for _, end in pairs), dtype=np.intp)
        sizes = ends - begins
        ranks = np.stack((np.zeros_like(sizes), sizes // 2, sizes - 1))
        windows = [sorted(values[begin:end]) for begin, end in zip(begins, ends, strict=True)]
        wanted = [[window[rank] for window, rank in zip(windows, row, strict=True)] for row in ranks]
        assert kth_smallest(np.array(values), begins, ends, ranks).tolist() == wanted

    check()
