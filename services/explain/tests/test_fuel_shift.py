"""A fuel is named as having moved where its share did, and nowhere else."""

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonshift.common.events import Fuel, FuelMix
from carbonshift.explain.fuel_shift import FuelShift, fuel_shifts

NOW = datetime(2026, 3, 4, 18, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def mix(ago, power_w, source="caiso-outlook", interval_seconds=300):
    return FuelMix(
        region="caiso",
        source=source,
        interval_start=NOW - ago,
        interval_seconds=interval_seconds,
        power_w=power_w,
    )


NOON = {Fuel.SOLAR: 60.0, Fuel.GAS: 30.0, Fuel.WIND: 10.0}
DUSK = {Fuel.SOLAR: 21.0, Fuel.GAS: 70.0, Fuel.WIND: 9.0}
SOLAR_FELL = FuelShift(fuel=Fuel.SOLAR, before_percent=60, now_percent=21, within=HOUR)


def test_what_moved_is_told_the_largest_move_first():
    gas_rose = FuelShift(fuel=Fuel.GAS, before_percent=30, now_percent=70, within=HOUR)
    assert fuel_shifts([mix(HOUR, NOON), mix(0 * HOUR, DUSK)], NOW) == (gas_rose, SOLAR_FELL)


def test_three_at_most_are_told():
    fuels = list(Fuel)[:8]
    before = dict.fromkeys(fuels, 10.0)
    now = {fuel: 10.0 * (n + 1) for n, fuel in enumerate(fuels)}
    assert len(fuel_shifts([mix(HOUR, before), mix(0 * HOUR, now)], NOW)) == 3


@pytest.mark.parametrize(("solar", "told"), [(47.0, 2), (47.1, 0), (53.0, 2), (52.9, 0)])
def test_three_points_are_a_move_and_less_is_none(solar, told):
    before, now = {Fuel.SOLAR: 50.0, Fuel.GAS: 50.0}, {Fuel.SOLAR: solar, Fuel.GAS: 100.0 - solar}
    assert len(fuel_shifts([mix(HOUR, before), mix(0 * HOUR, now)], NOW)) == told


def test_what_takes_from_the_grid_is_no_supply():
    """A battery that begins to charge changes no share; one that begins to give has gained one."""
    charging, giving = {Fuel.BATTERIES: -50.0}, {Fuel.BATTERIES: 25.0}
    assert fuel_shifts([mix(HOUR, NOON | {Fuel.BATTERIES: 0.0}), mix(0 * HOUR, NOON | charging)], NOW) == ()
    shifts = fuel_shifts([mix(HOUR, NOON | charging), mix(0 * HOUR, NOON | giving)], NOW)
    assert FuelShift(fuel=Fuel.BATTERIES, before_percent=0, now_percent=20, within=HOUR) in shifts


@pytest.mark.parametrize(("ago", "told"), [(-1, False), (0, True), (35, True), (36, False)])
def test_the_newest_is_one_of_now(ago, told):
    """It has begun, and ended 30 minutes ago at most."""
    mixes = [mix(ago * MINUTE + HOUR, NOON), mix(ago * MINUTE, DUSK)]
    assert bool(fuel_shifts(mixes, NOW)) is told


@pytest.mark.parametrize(("ago", "told"), [(44, False), (45, True), (75, True), (76, False)])
def test_the_one_before_is_of_about_an_hour_ago(ago, told):
    shifts = fuel_shifts([mix(ago * MINUTE, NOON), mix(0 * HOUR, DUSK)], NOW)
    assert bool(shifts) is told
    assert not told or {shift.within for shift in shifts} == {ago * MINUTE}


def test_the_one_nearest_to_an_hour_ago_is_taken():
    others = [mix(ago * MINUTE, DUSK) for ago in (50, 55, 65, 70)]
    assert fuel_shifts([*others, mix(HOUR, NOON), mix(0 * HOUR, DUSK)], NOW)[1] == SOLAR_FELL


def test_an_hour_that_has_just_ended_is_told():
    mixes = [mix(n * HOUR + 80 * MINUTE, power, interval_seconds=3_600) for n, power in ((1, NOON), (0, DUSK))]
    assert fuel_shifts(mixes, NOW)[1] == SOLAR_FELL
    assert fuel_shifts(mixes, NOW + 11 * MINUTE) == ()


def test_what_is_not_alike_is_not_compared():
    newest = mix(0 * HOUR, DUSK)
    assert fuel_shifts([mix(HOUR, NOON, source="electricitymaps"), newest], NOW) == ()
    assert fuel_shifts([mix(HOUR, NOON | {Fuel.COAL: 50.0}), newest], NOW) == ()
    assert fuel_shifts([mix(HOUR, dict.fromkeys(DUSK, -1.0)), mix(0 * HOUR, dict.fromkeys(DUSK, 0.0))], NOW) == ()
    assert fuel_shifts([newest], NOW) == fuel_shifts([], NOW) == ()


power = st.fixed_dictionaries(dict.fromkeys(list(Fuel)[:6], st.floats(-1e11, 1e11)))
history = st.lists(st.tuples(st.integers(-6, 30), power), max_size=20, unique_by=lambda item: item[0])


@given(history=history, seed=st.integers(0, 1_000), factor=st.sampled_from([2.0**-10, 2.0, 2.0**20]))
def test_the_order_of_the_mixes_and_the_size_of_the_grid_change_nothing(history, seed, factor):
    mixes = [mix(5 * n * MINUTE, power_w) for n, power_w in history]
    larger = [mix(5 * n * MINUTE, {fuel: factor * value for fuel, value in p.items()}) for n, p in history]
    random.Random(seed).shuffle(larger)
    assert fuel_shifts(larger, NOW) == fuel_shifts(mixes, NOW)


@given(history=history)
def test_a_shift_is_what_the_mixes_say_of_intervals_that_have_begun(history):
    mixes = [mix(5 * n * MINUTE, power_w) for n, power_w in history]
    shifts = fuel_shifts(mixes, NOW)
    assert shifts == fuel_shifts([mix for mix in mixes if mix.interval_start <= NOW], NOW)
    moves = [abs(shift.now_percent - shift.before_percent) for shift in shifts]
    assert len({shift.fuel for shift in shifts}) == len(shifts) <= 3
    assert all(move >= 3 for move in moves)
    assert all(later <= earlier + 1 for earlier, later in pairwise(moves))  # both are rounded
    assert all(0 <= percent <= 100 for shift in shifts for percent in (shift.before_percent, shift.now_percent))
    assert all(45 * MINUTE <= shift.within <= 75 * MINUTE for shift in shifts)
