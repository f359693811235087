"""What a digest tells, and that nothing else is in it."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonshift.common.events import (
    CarbonBasis,
    Digest,
    EnergyBasis,
    EnergyShare,
    EnergyUse,
    GridForecast,
    GridState,
    GridTick,
    GridTransition,
    PriceMarket,
    Pulse,
    Quality,
    Quantiles,
    Replay,
    TransitionFacts,
    WorkerEvent,
    WorkerEventKind,
)
from carbonshift.explain.digest.heard import Heard, laid_out
from carbonshift.explain.digest.span import Span, day_of
from carbonshift.explain.digest.told import digest_of
from carbonshift.explain.figures import ungrounded

DAY = day_of(date(2026, 3, 4), "UTC")
HOUR = timedelta(hours=1)


def told(*events, span=DAY, run=None) -> Digest:
    heard = Heard("caiso", span, run)
    for event in events:
        heard.hear(event)
    digest = digest_of(heard)
    assert ungrounded(digest.text, digest.facts) == ()
    assert digest.text.replace("\n", "").isprintable()
    assert "None" not in digest.text
    assert all(part and part.endswith(".") for part in digest.text.split("\n\n"))
    return Digest.model_validate_json(digest.model_dump_json())


def a_day(grid, prices, watts, **changes):
    """Hour by hour: a tick of each price, and the watts that one board drew in it."""
    for hour, (price, w) in enumerate(zip(prices, watts, strict=True)):
        start = changes.get("span", DAY).start + hour * HOUR
        yield grid.tick(start, price_usd_per_mwh=price, carbon_g_per_kwh=200.0 + hour)
        if w is not None:
            yield grid.use(start, w * 3_600.0)


def test_a_day_reads_like_this(grid):
    states = [Pulse.GREEN] * 12 + [Pulse.AMBER] * 7 + [Pulse.RED] * 3 + [Pulse.UNKNOWN] * 2
    events = [
        *a_day(grid, [30.0] * 6 + [10.0] * 6 + [80.0] * 12, [100_000.0] * 12 + [50_000.0] * 7 + [0.0] * 5),
        *(grid.state(DAY.start + hour * HOUR, state, "price_critical") for hour, state in enumerate(states)),
        *(grid.transition(DAY.start + hour * HOUR, states[hour], states[hour - 1]) for hour in (12, 19, 22)),
        *(grid.worker(DAY.start + 19 * HOUR, kind) for kind in ("paused", "paused", "cap_refused")),
        grid.worker(DAY.start + 20 * HOUR, "resumed"),
        grid.forecast(DAY.end, [20.0] * 4 + [60.0] * 20, [300.0] * 24, spikes=[0.02] * 18 + [0.125] * 6),
    ]
    assert told(*events).text == (
        "caiso on 2026-03-04 (UTC): GREEN 12 h, AMBER 7 h, RED 3 h, UNKNOWN 2 h; 3 changes. The longest RED lasted "
        "3 h, from 19:00 to 22:00: the price was past its limit. Price from $10 (06:00) to $80/MWh (12:00); carbon "
        "(average) from 200 (00:00) to 223 g/kWh (23:00). 1 job was paused twice; 1 job was resumed once. Drivers "
        "refused 1 cap. The boards drew 1,550 kWh (integrated).\n\n"
        "Modelled, beside the same energy drawn evenly over the same time, as under a static cap: it cost $52 "
        "instead of $78, $26 (33 %) less; it emitted 321.85 kg instead of 327.82 kg, 5.97 kg (2 %) less.\n\n"
        "With perfect foresight it would have been $52 and 321.25 kg: missed $0 and 0.60 kg. Cheapest was 00:00 to "
        "16:00, at $35/MWh; cleanest was 00:00 to 16:00, at 208 g/kWh. For 2 h the signals could not be trusted.\n\n"
        "Tomorrow, expected over 24 h: price from $20 (00:00) to $60/MWh (04:00); carbon (average) 300 g/kWh "
        "throughout. Best for work is 00:00 to 04:00, at $20/MWh (p10 to p90: $15 to $25). A price above $150/MWh "
        "is likeliest at 18:00: 12 %."
    )


def test_a_saving_below_zero_is_told_as_what_it_is(grid):
    text = told(*a_day(grid, [10.0] * 12 + [90.0] * 12, [0.0] * 12 + [1e6] * 12)).text
    assert "it cost $1,080 instead of $600, $480 (80 %) more" in text
    assert "With perfect foresight it would have been $120 and" in text
    assert "cheapest was 00:00 to 12:00, at $10/MWh" in text.replace("C", "c")


def test_what_was_drawn_evenly_is_told_without_false_cents(grid):
    text = told(*a_day(grid, [20.1, 31.7] * 12, [1e5 / 3] * 24)).text
    assert "it cost $21, as much as that; it emitted 169 kg, as much as that." in text
    assert "missed $0 and 0 kg." in text


def test_a_small_difference_between_large_sums_is_told_as_it_is(grid):
    """$20.513 against $20.446: to whole dollars it would be $21 against $20, 5 % more."""
    prices = [20.0] * 12 + [21.0] * 12
    text = told(*a_day(grid, prices, [35_975.0] * 12 + [47_140.0] * 12)).text
    assert "it cost $20.51 instead of $20.44, $0.07 (0.33 %) more" in text


@pytest.mark.parametrize("noise", [0.0, 0.004, 0.3, 7.0])
def test_of_each_sentence_the_figures_agree_and_the_share_is_that_of_the_exact_ones(grid, noise):
    facts = told(*a_day(grid, [20.0 + noise, 31.3] * 12, [1e5, 2.1e5] * 12)).facts
    drawn, even, best = (facts[f"cost_{name}_usd"] for name in ("drawn", "even", "best"))
    assert round(even - drawn, 2) == facts["cost_saved_usd"] == -facts["cost_more_usd"]
    assert round(drawn - best, 2) == facts["cost_missed_usd"]
    exact_drawn = 12 * ((20.0 + noise) * 0.1 + 31.3 * 0.21)
    exact_even = 12 * 0.31 * (51.3 + noise) / 2
    assert facts["cost_more_usd"] == pytest.approx(exact_drawn - exact_even, rel=0.03)
    assert facts["cost_saved_percent"] == round(100 * (exact_drawn - exact_even) / exact_even)


def test_where_every_hour_is_as_good_as_another_none_is_named(grid):
    ticks = [grid.tick(DAY.start + hour * HOUR, price_usd_per_mwh=0.1 + 0.2) for hour in range(24)]
    text = told(*ticks, *(grid.use(DAY.start + hour * HOUR, 3.6e9) for hour in range(4))).text
    assert "missed $0 and 0 kg." in text
    assert "cheapest" not in text.lower()
    assert "cleanest" not in text.lower()


def test_a_day_on_which_nothing_was_drawn_is_told_as_such(grid):
    text = told(*a_day(grid, [20.0] * 24, [0.0] * 24)).text
    assert "The boards drew 0 kWh (integrated)." in text
    assert "Nothing was drawn, so nothing can be said of savings." in text
    assert "neither a price" not in text


def test_negative_prices_keep_their_sign_and_have_no_share(grid):
    text = told(*a_day(grid, [-40.0] * 12 + [10.0] * 12, [1e6] * 12 + [0.0] * 12)).text
    assert "Price from -$40 (00:00) to $10/MWh (12:00)" in text
    assert "it cost -$480 instead of -$180, $300 less" in text


def test_without_metered_energy_nothing_is_said_of_savings(grid):
    text = told(*(grid.tick(DAY.start + hour * HOUR) for hour in range(24))).text
    assert "No energy was metered." in text
    assert "Modelled" not in text
    assert "foresight" not in text


def test_an_empty_span_is_told_as_such():
    assert told().text == (
        "caiso on 2026-03-04 (UTC): no state is known. For 24 h no tick came.\n\nNo energy was metered.\n\n"
        "Tomorrow: there is no forecast."
    )


def test_energy_without_a_price_is_in_no_sum_and_is_told(grid):
    prices = [20.0] * 12 + [None] * 6 + [20.0] * 6
    text = told(*a_day(grid, prices, [1e6] * 24)).text
    assert "it cost $360, as much as that" in text
    assert "6,000 kWh without a price are in no sum." in text
    assert "6 intervals had no price or no carbon intensity to trust" in text


def test_a_flagged_price_is_no_price(grid):
    ticks = [grid.tick(DAY.start + hour * HOUR, issues=("price_flat",) if hour else ()) for hour in range(24)]
    text = told(*ticks, *(grid.use(DAY.start + hour * HOUR, 3.6e9) for hour in range(24))).text
    assert "23 intervals were flagged" in text
    assert "23,000 kWh without a price are in no sum." in text


def test_of_a_board_and_an_interval_the_last_account_counts(grid):
    start = DAY.start
    uses = (grid.use(start, 3.6e9), grid.use(start, 7.2e9, device_uuid="GPU-2"), grid.use(start, 1.8e9, revision=1))
    assert "The boards drew 2,500 kWh" in told(grid.tick(start), *uses).text


def test_an_interval_that_reaches_into_the_span_is_told_as_far_as_it_does(grid):
    """Kolkata is half an hour off the hours of an hourly source."""
    span = day_of(date(2026, 3, 4), "Asia/Kolkata")
    events = []
    for hour in range(25):
        start = span.start - HOUR / 2 + hour * HOUR
        events += [grid.tick(start), grid.state(start, Pulse.AMBER), grid.use(start, 3.6e9, parked_j=1.8e9)]
    text = told(*events, span=span).text
    assert "AMBER 24 h; no change. Price $31/MWh throughout; carbon (average) 268 g/kWh throughout. The boards" in text
    assert "The boards drew 24,000 kWh (integrated), 12,000 kWh of it while training waited." in text
    assert "are in no sum" not in text


def test_an_account_longer_than_a_tick_is_shared_over_its_ticks_by_time(grid):
    """Hourly accounts and ticks of five minutes, of which the first of each hour is cheap."""
    five = timedelta(minutes=5)
    ticks = [
        grid.tick(DAY.start + n * five, interval_seconds=300, price_usd_per_mwh=10.0 if n % 12 == 0 else 130.0)
        for n in range(288)
    ]
    uses = [grid.use(DAY.start + hour * HOUR, 3.6e9) for hour in range(24)]
    assert "it cost $2,880, as much as that" in told(*ticks, *uses).text
    half = told(*(tick for tick in ticks if tick.interval_start - DAY.start < 12.5 * HOUR), *uses).text
    assert "11,500 kWh without a price are in no sum." in half


def test_an_account_that_no_board_can_draw_is_left_out_and_told(grid):
    text = told(grid.tick(DAY.start), grid.use(DAY.start, 3.6e9), grid.use(DAY.start + HOUR, 2e12)).text
    assert "The boards drew 1,000 kWh" in text
    assert "1 account told of more energy than a board can draw and is in no sum." in text
    assert (
        "2 accounts told of more energy than a board can draw and are in no sum."
        in told(grid.use(DAY.start, 2e12), grid.use(DAY.start + HOUR, 2e12)).text
    )


def test_a_correction_takes_back_that_a_job_worked(grid):
    waited = EnergyShare(job="j1", energy_j=3.6e6, parked_j=3.6e6)
    events = (
        grid.tick(DAY.start),
        grid.state(DAY.start, Pulse.GREEN),
        grid.use(DAY.start, 3.6e6),
        grid.use(DAY.start, 3.6e6, shares=(waited,), revision=1),
    )
    assert "In 60 minutes of GREEN no job is known to have run." in told(*events).text


def test_a_long_account_covers_the_short_ones_that_begin_within_it(grid):
    quarter = HOUR / 4
    uses = (grid.use(DAY.start, 3.6e6), grid.use(DAY.start + quarter, 1e6, interval_seconds=900, device_uuid="GPU-2"))
    states = (grid.state(DAY.start + n * quarter, Pulse.GREEN, interval_seconds=900) for n in range(4))
    assert "no job is known" not in told(*uses, *states).text


def test_a_red_that_began_before_the_day_keeps_its_beginning_and_its_reason(grid):
    """The first state of the day says hysteresis, which began nothing; the transition of the evening knows."""
    since = DAY.start - 5 * HOUR
    states = [grid.state(DAY.start + n * HOUR, Pulse.RED, "hysteresis", since=since) for n in range(8)]
    began = grid.transition(since, Pulse.RED, Pulse.AMBER, reasons=("price_critical",))
    text = told(began, *states).text
    assert (
        "The longest RED took up 8 h, from 00:00 (RED since 19:00 the day before) to 08:00: the price was past" in text
    )
    assert "no change" in text
    assert "(RED since 19:00 the day before) to 08:00. " in f"{told(*states).text} "
    older = told(*(state.model_copy(update={"since": since - 72 * HOUR}) for state in states)).text
    assert "from 00:00 (RED since 2026-02-28 19:00) to 08:00" in older
    hostile = told(*(state.model_copy(update={"since": datetime.min.replace(tzinfo=UTC)}) for state in states)).text
    assert "The longest RED lasted 8 h, from 00:00 to 08:00." in hostile


def test_a_red_that_is_not_over_with_the_day_is_told_as_such(grid):
    began = DAY.end - 3 * HOUR
    states = [grid.state(began + n * HOUR, Pulse.RED, "score_high", since=began) for n in range(4)]
    assert "took up 3 h, from 21:00 to 00:00 (RED still): price and carbon" in told(*states).text
    assert "lasted 3 h, from 21:00 to 00:00: price" in told(*states[:3]).text
    over = grid.state(DAY.end, Pulse.AMBER)
    assert "lasted 3 h, from 21:00 to 00:00: price" in told(*states[:3], over).text


def test_a_pause_of_a_job_is_one_however_many_workers_and_deliveries_it_has(grid):
    events = []
    for hour in range(0, 8, 2):
        for kind, at in (("paused", hour), ("resumed", hour + 1)):
            for worker in ("w1", "w2", "w3"):
                start = DAY.start + at * HOUR
                events += 2 * [grid.worker(start, kind, worker=worker, detail={"job": "llm"})]
    events += [grid.worker(DAY.start, "paused", worker="w4", detail={"job": job}) for job in ("a", "b", "c")]
    digest = told(*events)
    assert "4 jobs were paused, 7 times in all; 1 job was resumed 4 times." in digest.text
    assert (digest.facts["jobs_paused"], digest.facts["pauses"], digest.facts["resumes"]) == (4, 7, 4)
    assert "3 jobs were paused, once each; no job was resumed." in told(*events[-3:]).text


def test_a_pause_after_one_whose_end_nobody_told_is_another(grid):
    events = (grid.worker(DAY.start + n * HOUR, "paused", detail={"job": "llm"}) for n in range(3))
    assert "1 job was paused 3 times; no job was resumed." in told(*events).text


def test_of_an_interval_the_newest_revision_counts(grid):
    ticks = [grid.tick(DAY.start, price_usd_per_mwh=price, revision=n) for price, n in ((1, 0), (30, 2), (20, 1))]
    assert "price $30/MWh throughout" in told(*ticks).text.replace("P", "p")


def test_carbon_of_two_bases_is_never_in_one_sum(grid):
    ticks = [
        grid.tick(DAY.start + hour * HOUR, carbon_basis=CarbonBasis.MARGINAL if hour < 4 else CarbonBasis.AVERAGE)
        for hour in range(24)
    ]
    text = told(*ticks, *(grid.use(DAY.start + hour * HOUR, 3.6e9) for hour in range(24))).text
    assert "carbon (average)" in text
    assert "4,000 kWh without a carbon intensity of this basis are in no sum." in text


def test_energy_of_several_bases_is_called_mixed(grid):
    uses = (
        grid.use(DAY.start, 3.6e9, energy_basis=EnergyBasis.MODELLED),
        grid.use(DAY.start, 3.6e9, energy_basis=EnergyBasis.MEASURED, device_uuid="GPU-2", parked_j=1.8e9),
    )
    text = told(grid.tick(DAY.start), *uses).text
    assert "The boards drew 2,000 kWh (measured and modelled, mixed), 500 kWh of it while training waited." in text


def test_green_in_which_only_a_waiting_job_drew_is_missed(grid):
    events = []
    for hour, shares in enumerate(((1.0, 0.0), (1.0, 1.0), None)):
        start = DAY.start + hour * HOUR
        events += [grid.tick(start), grid.state(start, Pulse.GREEN)]
        if shares:
            share = EnergyShare(job="j1", energy_j=shares[0] * 3.6e6, parked_j=shares[1] * 3.6e6)
            events.append(grid.use(start, 3.6e6, shares=(share,)))
    assert "In 2 h of GREEN no job is known to have run." in told(*events).text


def test_what_is_of_another_region_run_or_day_is_not_told(grid):
    start = DAY.start
    others = (
        grid.state(start, Pulse.RED, region="de"),
        grid.state(start, Pulse.RED, replay=Replay(run="r1")),
        grid.state(DAY.end, Pulse.RED),
        grid.state(start - HOUR, Pulse.RED),
    )
    assert told(*others).text == told().text
    replayed = told(*others, run="r1")
    assert "RED 60 minutes" in replayed.text
    assert replayed.replay == Replay(run="r1")
    assert replayed.id == f"{told().id}:r1"


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 3, 4), 24)])
def test_a_day_has_the_hours_of_its_clock(grid, day, hours):
    span = day_of(day, "Europe/Berlin")
    states = [grid.state(span.start + hour * HOUR, Pulse.AMBER) for hour in range(hours)]
    text = told(*states, span=span).text
    assert text.startswith(f"caiso on {day} (Europe/Berlin): AMBER {hours} h; no change. For {hours} h no tick")
    assert span.length == hours * HOUR


def test_an_hour_that_the_clock_has_twice_is_told_by_the_name_of_its_time(grid):
    """01:30 comes twice on the day, and is foretold twice on the day before."""
    back = day_of(date(2026, 11, 1), "America/New_York")
    red = [grid.state(back.start + hour * HOUR, Pulse.RED, since=back.start + HOUR) for hour in (1,)]
    assert "from 01:00 EDT to 01:00 EST" in told(*red, span=back).text
    eve = Span(start=back.start - 24 * HOUR, end=back.start, zone=back.zone)
    text = told(
        grid.state(eve.start, Pulse.RED), grid.forecast(eve.end, [50.0, 20.0, 30.0], [300.0] * 3), span=eve
    ).text
    assert "from 00:00 to 01:00." in text
    assert "price from $20 (01:00 EDT) to $50/MWh (00:00)" in text


@pytest.mark.parametrize("hours", [-0.5, 6.5])
def test_an_outlook_that_is_too_old_or_of_later_is_none(grid, hours):
    assert "there is no forecast" in told(grid.forecast(DAY.end - hours * HOUR, [20.0] * 24, [300.0] * 24)).text


def test_an_outlook_tells_of_what_comes_after_the_span_alone(grid):
    """It was made three hours before: of its steps the first three are over."""
    text = told(grid.forecast(DAY.end - 3 * HOUR, [1.0] * 3 + [50.0] * 5, [300.0] * 8, price_known_steps=5)).text
    assert "expected over 5 h: price $50/MWh throughout" in text
    assert "For 2 h the price is published, not forecast." in text
    assert "$1" not in text


def test_the_newest_outlook_counts_and_a_poor_one_says_so(grid):
    older, newer = (grid.forecast(DAY.end - n * HOUR, [20.0 * n] * 24, [300.0] * 24, degraded=n == 1) for n in (2, 1))
    text = told(newer, older).text
    assert "price $20/MWh throughout" in text
    assert "do not lean on them" in text


def test_a_reason_nobody_knows_is_shown_and_one_that_is_no_code_is_not(grid):
    assert "reason moon_phase" in told(grid.state(DAY.start, Pulse.RED, "moon_phase")).text
    odd = told(grid.state(DAY.start, Pulse.RED, "\x1b[31m[bold]7"))
    assert "a reason of the policy's own" in odd.text
    assert "\x1b" not in odd.model_dump_json()


def test_a_span_that_is_no_day_tells_its_dates(grid):
    span = Span(start=DAY.start + HOUR, end=DAY.start + 3 * HOUR, zone="Asia/Tokyo")
    text = told(grid.tick(span.start), span=span).text
    assert text.startswith("caiso from 2026-03-04 10:00 to 2026-03-04 12:00 (Asia/Tokyo): no state is known.")
    assert "Ahead: there is no forecast." in text


finite = st.floats(allow_nan=False, allow_infinity=False)
not_negative = st.floats(0, allow_infinity=False, allow_nan=False)
names = st.from_regex(r"[A-Za-z0-9_-]{1,12}", fullmatch=True)
seconds = st.sampled_from((1, 300, 900, 3_600, 86_400, 10**9))
near = st.integers(-3_600, 26 * 3_600).map(lambda after: timedelta(seconds=after))
zones = st.sampled_from(("UTC", "Europe/Berlin", "Asia/Kathmandu", "America/Havana", "Etc/GMT+5"))


@st.composite
def days(draw):
    """A region, a span of it, and whatever events the schema admits, likely or not."""
    region, zone = draw(names), draw(zones)
    span = day_of(draw(st.dates(date(1950, 1, 1), date(2080, 1, 1))), zone)
    if draw(st.booleans()):
        span = Span(
            start=span.start, end=span.start + draw(st.timedeltas(timedelta(seconds=1), 3 * (span.length))), zone=zone
        )
    made = []
    for _ in range(draw(st.integers(0, 25))):
        at = span.start + draw(near)
        made.append(draw(st.sampled_from((a_tick, a_state, a_use, a_forecast, a_worker_event)))(draw, region, at))
    return region, span, made


def a_tick(draw, region, at):
    return GridTick(
        region=region,
        interval_start=at,
        interval_seconds=draw(st.sampled_from((1, 300, 3_600, 7 * 86_400))),
        revision=draw(st.integers(0, 2)),
        price_usd_per_mwh=draw(st.none() | st.floats(-200, 500) | finite),
        carbon_g_per_kwh=draw(st.none() | st.floats(0, 900) | not_negative),
        carbon_basis=draw(st.sampled_from(CarbonBasis)),
        price_quality=Quality.OBSERVED,
        carbon_quality=Quality.OBSERVED,
        price_market=PriceMarket.REAL_TIME,
        price_source="any",
        carbon_source="any",
        observed_at=at,
        issues=draw(st.sampled_from(((), ("price_flat",), ("odd",)))),
    )


def a_state(draw, region, at):
    state = GridState(
        region=region,
        interval_start=at,
        interval_seconds=draw(seconds),
        state=draw(st.sampled_from(Pulse)),
        since=at,
        score=None,
        price_norm=None,
        carbon_norm=None,
        power_limit_w=1.0,
        power_fraction=0.5,
        run=True,
        epoch=0,
        reasons=tuple(draw(st.lists(st.sampled_from(("price_critical", "reason_7", "x")) | st.text(), max_size=2))),
        valid_until=at,
        policy="any",
    )
    if draw(st.booleans()):
        return state
    return GridTransition(
        region=region,
        state=state,
        previous=draw(st.none() | st.sampled_from(Pulse)),
        previous_since=None,
        facts=TransitionFacts(
            price_usd_per_mwh=None,
            carbon_g_per_kwh=None,
            carbon_basis=CarbonBasis.AVERAGE,
            price_low_usd_per_mwh=None,
            price_high_usd_per_mwh=None,
            carbon_low_g_per_kwh=None,
            carbon_high_g_per_kwh=None,
            thresholds={},
            recent_interval_starts=(),
            recent_prices_usd_per_mwh=(),
            recent_carbon_g_per_kwh=(),
        ),
    )


def a_use(draw, region, at):
    energy = draw(st.floats(0, 1e10) | not_negative)
    return EnergyUse(
        worker="w",
        site="s",
        region=region,
        device_uuid=draw(st.sampled_from(("a", "b"))),
        interval_start=at,
        interval_seconds=draw(seconds),
        revision=None,
        metered_seconds=1.0,
        energy_j=energy,
        energy_basis=draw(st.sampled_from(EnergyBasis)),
        error_j=None,
        parked_j=draw(not_negative),
        shares=(EnergyShare(job="j", energy_j=energy, parked_j=0.0),) if draw(st.booleans()) else (),
        price_usd_per_mwh=None,
        price_quality=Quality.MISSING,
        cost_usd=None,
        carbon_g_per_kwh=None,
        carbon_basis=None,
        carbon_quality=Quality.MISSING,
        carbon_g=None,
    )


def a_forecast(draw, region, at):
    some = st.lists(st.floats(-50, 300) | finite, max_size=30).map(tuple)
    three = st.builds(Quantiles, p10=some, p50=some, p90=some)
    return GridForecast(
        region=region,
        origin=at,
        step_seconds=draw(st.sampled_from((1, 300, 3_600, 7 * 86_400))),
        price_usd_per_mwh=draw(three),
        price_known_steps=draw(st.integers(0, 40)),
        carbon_g_per_kwh=draw(three),
        carbon_basis=draw(st.sampled_from(CarbonBasis)),
        spike_probability=draw(some),
        spike_threshold_usd_per_mwh=draw(finite),
        price_models={},
        carbon_models={},
        skill={},
        degraded=draw(st.booleans()),
    )


def a_worker_event(draw, region, at):
    return WorkerEvent(
        worker="w",
        site="s",
        region=region,
        device_uuid="a",
        sequence=0,
        started_at=at,
        observed_at=at,
        event=draw(st.sampled_from(WorkerEventKind)),
        detail={},
    )


@given(days())
def test_every_figure_in_a_digest_is_a_fact(day):
    region, span, events = day
    heard = Heard(region, span)
    for event in events:
        heard.hear(event)
    digest = digest_of(heard)
    assert ungrounded(digest.text, digest.facts) == ()
    assert digest.text.replace("\n", "").isprintable()
    assert "None" not in digest.text.replace(region, "")
    assert Digest.model_validate_json(digest.model_dump_json()) == digest


@given(days())
def test_the_hours_told_are_those_of_the_span(day):
    region, span, events = day
    heard = Heard(region, span)
    for event in events:
        heard.hear(event)
    local = span.start.astimezone(ZoneInfo(span.zone))
    assert digest_of(heard).facts["day"] in {None, f"{local:%Y-%m-%d}"}
    for told_of in (heard.states, heard.ticks):
        assert all(span.start <= start < end <= span.end for start, end, _ in laid_out(told_of, span))
