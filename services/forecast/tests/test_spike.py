"""What counts as a price spike."""

import numpy as np
import pytest

from carbonshift.forecast.spike import spike_threshold


def test_a_spike_is_what_one_price_in_twenty_exceeds(history):
    prices = np.append(np.arange(101, dtype=float), np.nan)
    assert spike_threshold(history(price_usd_per_mwh=prices)) == pytest.approx(95.0)


def test_only_the_last_four_weeks_count_where_anything_of_them_is_known(history):
    dear, cheap = np.full(100, 900.0), np.full(28, 10.0)
    assert spike_threshold(history(price_usd_per_mwh=np.append(dear, cheap), step_seconds=86_400)) == 10.0
    assert spike_threshold(history(price_usd_per_mwh=np.append(dear, cheap * np.nan), step_seconds=86_400)) == 900.0
