"""The regression: whether it finds a rule, and whether it knows how far off it is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carbonshift.forecast.ridge import foretold


def design(rows, columns, seed=0):
    return np.hstack((np.ones((rows, 1)), np.random.default_rng(seed).normal(size=(rows, columns))))


def noise(rows, seed=1):
    return np.random.default_rng(seed).normal(size=rows)


def at(*values):
    return np.array([1.0, *values])


def spread(found):
    return found.width * np.subtract(*np.quantile(found.missed, (0.9, 0.1)))


@settings(max_examples=25)
@given(
    weights=st.lists(st.floats(-3, 3), min_size=4, max_size=4), where=st.lists(st.floats(-2, 2), min_size=3, max_size=3)
)
def test_a_linear_rule_is_found(weights, where):
    """But for what the penalty takes: two in a hundred of each slope."""
    columns = design(1_000, 3)
    found = foretold(columns, columns @ weights + 0.1 * noise(1_000), at(*where))
    taken = 0.03 * np.abs(np.array(weights[1:]) * where).sum()
    assert found.value == pytest.approx(at(*where) @ weights, abs=0.02 + taken)


def test_the_level_is_not_shrunk():
    assert foretold(design(400, 2), 1_000 + noise(400), at(0, 0)).value == pytest.approx(1_000, abs=0.2)


def test_a_column_counts_the_same_in_any_unit_and_from_any_zero():
    columns, target = design(400, 2), noise(400)
    target += columns[:, 1]
    moved = columns * [1, 1e4, 1] + [0, 5e6, 0]
    plain, other = foretold(columns, target, at(2, 0)), foretold(moved, target, at(2e4 + 5e6, 0))
    assert other.value == pytest.approx(plain.value, abs=1e-6)
    assert other.width == pytest.approx(plain.width, rel=1e-6)
    np.testing.assert_allclose(other.missed, plain.missed, atol=1e-6)


def test_what_cannot_be_foretold_is_not_learned_by_heart():
    """Half as many columns of chance as rows: a fit to them all would miss by little, the next value no less."""
    target = noise(400)
    few, many = foretold(design(400, 1), target, at(0)), foretold(design(400, 200), target, at(*np.zeros(200)))
    assert spread(few) == pytest.approx(np.subtract(*np.quantile(target, (0.9, 0.1))), rel=0.1)
    assert spread(many) > spread(few)


def test_the_spread_of_fresh_rows_is_the_one_told():
    """The wider the noise the wider the bands, from a hundredth of the rows to all of them."""
    random = np.random.default_rng(2)
    columns, fresh = design(800, 2), design(300, 2, seed=3)
    target = columns[:, 1] + np.exp(columns[:, 2]) * random.normal(size=800)
    inside = []
    for row in fresh:
        found = foretold(columns, target, row)
        low, high = found.value + found.width * np.quantile(found.missed, (0.1, 0.9))
        inside.append(low <= row[1] + np.exp(row[2]) * random.normal() <= high)
    assert np.mean(inside) == pytest.approx(0.8, abs=0.06)


def test_where_there_is_more_noise_the_width_is_larger():
    columns = design(1_500, 2)
    target = np.exp(columns[:, 2]) * noise(1_500)
    widths = [foretold(columns, target, at(0, loud)).width for loud in (-1.5, 0, 1.5)]
    assert 0 < widths[0] < 0.4 * widths[1] < 0.16 * widths[2]


def test_no_width_leaves_the_range_of_what_was_missed():
    columns = design(500, 2)
    target = np.exp(columns[:, 2]) * noise(500)
    far, farther = (foretold(columns, target, at(0, loud)).width for loud in (500, 1_000))
    assert far == farther < 100


def test_a_miss_is_the_actual_less_the_foretold():
    """What is at times far above is missed upwards."""
    target = np.random.default_rng(4).exponential(size=600)
    found = foretold(design(600, 2), target, at(0, 0))
    assert found.value == pytest.approx(1.0, abs=0.15)
    assert np.quantile(found.missed, 0.95) > 1.5 * -np.quantile(found.missed, 0.05)


def test_rows_are_foretold_by_rows_of_other_times():
    """A level that holds for one quarter of the past is known by now, but nothing before it told of it."""
    target = np.repeat([0.0, 0.0, 0.0, 9.0], 100) + 0.1 * noise(400)
    own = np.repeat(np.eye(4), 100, axis=0)
    found = foretold(np.hstack((np.ones((400, 1)), own)), target, at(0, 0, 0, 1))
    assert found.value == pytest.approx(9.0, abs=0.7)
    assert found.width > 5
    assert (found.missed[300:] > 0.5).all()


@pytest.mark.parametrize("now", [5.0, 9.0])
@pytest.mark.parametrize("rounding", [0.0, 1e-13])
def test_a_column_that_never_changed_says_nothing(now, rounding):
    """However far from it the value is now: nobody knows what that means."""
    columns, target = design(200, 2), noise(200)
    fixed = np.column_stack((columns, 5.0 + rounding * noise(200, seed=5)))
    plain, with_fixed = foretold(columns, target, at(1, 1)), foretold(fixed, target, at(1, 1, now))
    assert with_fixed.value == pytest.approx(plain.value)
    assert with_fixed.width == pytest.approx(plain.width)


def test_what_never_misses_still_has_a_width():
    found = foretold(design(80, 2), np.full(80, 7.0), at(3, 3))
    assert found.value == pytest.approx(7.0)
    assert 0 < found.width < 0.1
    assert np.abs(found.missed).max() < 1e-6
