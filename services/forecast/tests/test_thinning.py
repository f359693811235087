"""How a long past is thinned out."""

from math import gcd

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonshift.forecast.thinning import PRIMES, thinning

MOST = st.integers(1, 5_000)


@given(count=st.integers(0, 200_000), most=MOST)
def test_no_more_than_asked_for_are_taken_and_no_fewer_than_it_needs(count, most):
    taken = thinning(count, most)
    denser = [prime for prime in PRIMES if prime < taken]
    assert count <= most * taken or taken == 23
    assert all(count > most * prime for prime in denser)


@given(most=MOST)
def test_what_is_short_enough_is_taken_whole(most):
    assert thinning(most, most) == 1
    assert thinning(most + 1, most) > 1


@pytest.mark.parametrize("step_seconds", [300, 900, 1_800, 3_600])
@given(count=st.integers(1, 200_000), most=MOST)
def test_every_time_of_day_is_visited(step_seconds, count, most):
    assert gcd(thinning(count, most), 86_400 // step_seconds) == 1
