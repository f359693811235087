from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonshift.common.accounting import Usage
from carbonshift.common.events import CarbonBasis, EnergyBasis, GridTick, PriceMarket, Quality
from carbonshift.gpu_worker.ledger import KEPT, Ledger, weakest
from carbonshift.gpu_worker.rates import Rates
from carbonshift.gpu_worker.sums import Drawn, Sums

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
STEP_SECONDS = 300
INTERVALS = 21


def tick(number, price=50.0, carbon=200.0, revision=0, seconds=STEP_SECONDS, **given):
    return GridTick(
        **{
            "region": "caiso",
            "interval_start": NOON + number * timedelta(seconds=seconds),
            "interval_seconds": seconds,
            "revision": revision,
            "price_usd_per_mwh": price,
            "carbon_g_per_kwh": carbon,
            "carbon_basis": CarbonBasis.MARGINAL,
            "price_quality": Quality.OBSERVED,
            "carbon_quality": Quality.OBSERVED,
            "price_market": PriceMarket.REAL_TIME,
            "price_source": "test",
            "carbon_source": "test",
            "observed_at": NOON,
        }
        | given
    )


def opened():
    rates = Rates()
    return Ledger(NOON, rates), rates


def hear(ledger, rates, told):
    if rate := rates.hear(told):
        ledger.price(rate)


def draw(ledger, since_seconds, seconds, watts=100.0, jobs=("a",), basis=EnergyBasis.MEASURED, *, parked=False):
    since, energy_j = NOON + timedelta(seconds=since_seconds), watts * seconds
    drawn = Drawn(seconds=seconds, energy_j=energy_j, parked_j=energy_j if parked else 0.0, error_j=energy_j / 20)
    ledger.add(since, since + timedelta(seconds=seconds), drawn, jobs, basis)


spans = st.lists(
    st.tuples(
        st.integers(1, 600),
        st.floats(0, 700),
        st.sampled_from([(), ("a",), ("b",), ("a", "b"), ("a", "b", "c")]),
        st.booleans(),
    ),
    max_size=10,
)
prices = st.lists(st.one_of(st.none(), st.floats(-100, 1_000)), min_size=INTERVALS, max_size=INTERVALS)


@given(
    spans=spans,
    prices=prices,
    first_come=st.sets(st.integers(0, INTERVALS - 1)),
    corrected=st.sets(st.integers(0, INTERVALS - 1)),
)
def test_whenever_ticks_come_each_joule_is_counted_once_at_its_own_interval_s_price(
    spans, prices, first_come, corrected
):
    """Some ticks come before their interval's energy, some after, some twice: the account is the same."""
    ledger, rates = opened()
    for number in first_come:
        hear(ledger, rates, tick(number, 5.0 if number in corrected else prices[number]))
    expected, at = Usage(), 0.0
    for seconds, watts, jobs, parked in spans:
        draw(ledger, at, seconds, watts, jobs, parked=parked)
        for number in range(INTERVALS):
            within = min(at + seconds, (number + 1) * STEP_SECONDS) - max(at, number * STEP_SECONDS)
            if within > 0:
                expected += Usage.of(
                    seconds=within,
                    energy_j=watts * within,
                    work_seconds=0.0,
                    parked=parked,
                    price_usd_per_mwh=prices[number],
                    carbon_g_per_kwh=200.0,
                )
        at += seconds
    for number in reversed(range(INTERVALS)):
        hear(ledger, rates, tick(number, prices[number], revision=1 if number in corrected else 0))
    total = ledger.total
    assert total.energy_j == pytest.approx(expected.energy_j)
    assert total.parked_j == pytest.approx(expected.parked_energy_j)
    assert total.cost_usd == pytest.approx(expected.cost_usd, abs=1e-9)
    assert total.unpriced_j == pytest.approx(expected.unpriced_j, abs=1e-6)
    assert (total.marginal_carbon_g, total.average_carbon_g) == (pytest.approx(expected.carbon_g), 0.0)
    with_jobs = sum(watts * seconds for seconds, watts, jobs, _ in spans if jobs)
    assert sum(job.energy_j for job in ledger.jobs.values()) == pytest.approx(with_jobs)
    assert sum((Sums.of(line.drawn, line.rate) for line in ledger.lines.values()), start=Sums()).cost_usd == (
        pytest.approx(total.cost_usd, abs=1e-9)
    )


def test_a_shared_board_s_energy_is_its_jobs_in_equal_parts():
    ledger, _ = opened()
    draw(ledger, 0, 60, 300.0, ("a", "b"))
    draw(ledger, 60, 60, 90.0, ("a", "b", "c"), parked=True)
    draw(ledger, 120, 60, 50.0, ())
    assert {job: sums.energy_j for job, sums in ledger.jobs.items()} == {"a": 10_800, "b": 10_800, "c": 1_800}
    assert {job: sums.parked_j for job, sums in ledger.jobs.items()} == {"a": 1_800, "b": 1_800, "c": 1_800}
    assert ledger.total.energy_j == 26_400


def test_what_a_line_was_guessed_to_last_is_cut_to_the_ticks_that_come():
    """Five minutes are guessed; the market tells minutes."""
    ledger, rates = opened()
    draw(ledger, 0, 300)
    for minute in range(5):
        hear(ledger, rates, tick(minute, price=float(minute), seconds=60))
    assert [line.end - line.start for line in ledger.lines.values()] == [timedelta(minutes=1)] * 5
    assert ledger.total.cost_usd == pytest.approx(100 * 60 / 3.6e9 * (0 + 1 + 2 + 3 + 4))
    draw(ledger, 300, 90)
    assert [line.drawn.seconds for line in ledger.lines.values()][-2:] == [pytest.approx(60), pytest.approx(30)]


def test_a_line_of_which_part_was_metered_gives_that_part_to_the_tick_it_was_drawn_in():
    """Metering begins amid a guessed interval, and a tick of a minute comes before the guess is over."""
    ledger, rates = opened()
    draw(ledger, 130, 60)
    hear(ledger, rates, tick(2, price=100.0, seconds=60))
    assert ledger.total.unpriced_j == pytest.approx(100 * 10)
    hear(ledger, rates, tick(3, price=10.0, seconds=60))
    assert ledger.total.unpriced_j == 0
    assert ledger.total.cost_usd == pytest.approx(100 * (50 * 100.0 + 10 * 10.0) / 3.6e9)
    draw(ledger, 190, 30)
    assert [line.drawn.seconds for line in ledger.lines.values()] == [pytest.approx(50), pytest.approx(40)]


def test_a_line_is_told_once_over_and_priced_and_again_where_it_was_corrected():
    ledger, rates = opened()
    draw(ledger, 0, 400)
    now = NOON + timedelta(seconds=400)
    assert not ledger.due(now)
    hear(ledger, rates, tick(0))
    hear(ledger, rates, tick(1))
    (over,) = ledger.due(now)
    assert (over.start, over.rate.revision) == (NOON, 0)
    ledger.told([over], now)
    assert not ledger.due(now)
    hear(ledger, rates, tick(0, price=70.0, revision=1))
    (again,) = ledger.due(now)
    assert (again.rate.price_usd_per_mwh, again.drawn) == (70.0, over.drawn)
    hear(ledger, rates, tick(0, price=90.0, revision=2))
    ledger.told([again], now)  # what was told is not what stands now
    (third,) = ledger.due(now)
    assert third.rate.price_usd_per_mwh == 90.0


def test_a_tick_heard_again_after_a_restart_takes_no_correction_back():
    ledger, rates = opened()
    draw(ledger, 0, 300)
    hear(ledger, rates, tick(0))
    hear(ledger, rates, tick(0, price=70.0, revision=1))
    again, fresh = opened()
    again.resume(ledger.total, ledger.jobs, tuple(ledger.lines.values()))
    hear(again, fresh, tick(0))
    assert again.total == ledger.total


def test_a_tick_that_never_comes_is_told_as_missing_and_the_account_stays_short():
    ledger, rates = opened()
    draw(ledger, 0, 600)
    later = NOON + KEPT + timedelta(seconds=600)
    lost = ledger.due(later)
    assert [line.rate for line in lost] == [None, None]
    ledger.told(lost, later)
    assert not ledger.lines
    assert ledger.total.unpriced_j == pytest.approx(60_000)
    assert ledger.jobs == {}  # it has drawn nothing for a day
    hear(ledger, rates, tick(0))
    assert ledger.total.unpriced_j == pytest.approx(60_000)


def test_after_a_month_away_what_the_counter_tells_is_counted_and_not_guessed_at():
    """No line for each five minutes of it: what is past being priced goes straight into the sums."""
    ledger, _ = opened()
    month_seconds = 30 * 86_400
    draw(ledger, 0, month_seconds, 10.0, ())
    assert ledger.total.energy_j == pytest.approx(10.0 * month_seconds)
    assert ledger.total.unpriced_j == pytest.approx(10.0 * month_seconds)
    assert len(ledger.lines) <= KEPT.total_seconds() / STEP_SECONDS + 1


def test_what_is_doubted_is_not_priced_and_what_stands_in_is_said():
    ledger, rates = opened()
    draw(ledger, 0, 900)
    hear(ledger, rates, tick(0, issues=("price_flat",)))
    hear(ledger, rates, tick(1, carbon_quality=Quality.INTERPOLATED))
    hear(ledger, rates, tick(2, carbon=None, carbon_quality=Quality.MISSING, carbon_basis=CarbonBasis.AVERAGE))
    total = ledger.total
    assert (total.unpriced_j, total.uncounted_j, total.stand_in_j) == (30_000, 30_000, 30_000)


def test_marginal_and_average_carbon_are_two_sums():
    ledger, rates = opened()
    draw(ledger, 0, 600)
    hear(ledger, rates, tick(0, carbon=400.0))
    hear(ledger, rates, tick(1, carbon=100.0, carbon_basis=CarbonBasis.AVERAGE))
    assert ledger.total.marginal_carbon_g == pytest.approx(30_000 / 3.6e6 * 400)
    assert ledger.total.average_carbon_g == pytest.approx(30_000 / 3.6e6 * 100)


def test_a_sum_is_as_good_as_its_weakest_part():
    ledger, _ = opened()
    draw(ledger, 0, 60, jobs=("a", "b"))
    draw(ledger, 60, 60, jobs=("b",), basis=EnergyBasis.INTEGRATED)
    assert (ledger.basis_of("c"), ledger.basis_of("b")) == (None, EnergyBasis.INTEGRATED)
    assert weakest((EnergyBasis.MODELLED, EnergyBasis.ESTIMATED)) is EnergyBasis.MODELLED
