"""Who has a say, what they say together, and what of it is kept to be judged."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from carbonshift.common.events import PriceMarket
from carbonshift.forecast.blend import FIRST_SHARE, NEWCOMER_SHARE
from carbonshift.forecast.forecaster import Bands, Outlook
from carbonshift.forecast.opinion import CARBON, PRICE, SIGNALS, SPIKE
from carbonshift.forecast.panel import verdict
from carbonshift.forecast.record import BLEND, COUNT, LOSS, REGRET, SUMS_SHAPE, Record

HOUR = 3_600
NAN = np.nan


def says(price, steps=4, *, degraded=False, threshold=90.0, spike=0.25):
    middle = np.full(steps, float(price))
    bands = Bands(p10=middle - 1, p50=middle, p90=middle + 1)
    return Outlook(
        price_usd_per_mwh=bands,
        carbon_g_per_kwh=Bands(p10=bands.p10 + 200, p50=bands.p50 + 200, p90=bands.p90 + 200),
        spike_probability=np.full(steps, spike),
        spike_threshold_usd_per_mwh=threshold,
        degraded=degraded,
    )


def published(history, *ahead, market=PriceMarket.DAY_AHEAD):
    past = history(48, step_seconds=HOUR, price_market=market)
    return replace(past, published_usd_per_mwh=np.concatenate((past.price_usd_per_mwh, ahead)))


def test_models_speak_together_the_first_the_loudest(history):
    found = verdict(Record(), history(), {"a": says(10), "b": says(20)}, {})
    share = 1 - FIRST_SHARE
    np.testing.assert_allclose(found.said[PRICE][:, 0], np.array([9, 10, 11]) + 10 * share)
    np.testing.assert_allclose(found.said[CARBON][1], 210 + 10 * share)
    assert found.price_models == found.carbon_models == pytest.approx({"a": FIRST_SHARE, "b": share})
    assert not found.degraded
    assert found.known_steps == 0


def test_where_one_is_sound_the_degraded_have_no_say(history):
    outlooks = {"a": says(10, degraded=True), "b": says(20), "c": says(40, degraded=True)}
    found = verdict(Record(), history(), outlooks, {})
    assert (found.said[PRICE][1] == 20).all()
    assert found.price_models == found.carbon_models == {"b": 1.0}
    assert not found.degraded
    assert set(found.record.claims[-1].said) == {"b", BLEND}


def test_where_all_are_degraded_so_is_what_they_say(history):
    found = verdict(Record(), history(), {"a": says(10, degraded=True), "b": says(20, degraded=True)}, {})
    assert found.degraded
    assert found.price_models == pytest.approx({"a": FIRST_SHARE, "b": 1 - FIRST_SHARE})


def test_an_opinion_of_carbon_alone_weighs_on_carbon_alone(history):
    more = {"provider": {CARBON: np.full((3, 4), 900.0)}}
    found = verdict(Record(), history(), {"a": says(10)}, more)
    assert found.price_models == {"a": 1.0}
    assert found.carbon_models == pytest.approx({"a": 1 - NEWCOMER_SHARE, "provider": NEWCOMER_SHARE})
    assert (found.said[PRICE][1] == 10).all()
    assert found.said[CARBON][1] == pytest.approx((1 - NEWCOMER_SHARE) * 210 + NEWCOMER_SHARE * 900)
    claim = found.record.claims[-1]
    assert np.isnan(claim.said["provider"][[0, 1, 2, 6]]).all()
    assert (claim.said["provider"][3:6] == 900).all()


def test_a_published_price_wins_over_every_model(history):
    past = published(history, 95.0, -5.0, NAN, 7.0)
    found = verdict(Record(), past, {"a": says(10), "b": says(20)}, {})
    assert found.known_steps == 2
    assert found.said[PRICE][:, :2].tolist() == [[95.0, -5.0]] * 3
    assert found.said[SPIKE][0].tolist() == [1.0, 0.0, 0.25, 0.25]
    assert found.said[PRICE][1, 2:] == pytest.approx([13.0, 13.0])


def test_nobody_is_judged_by_a_price_that_was_published(history):
    """Of carbon as ever; of the price from the first step that was not."""
    past = published(history, 95.0, -5.0, NAN, 7.0)
    claim = verdict(Record(), past, {"a": says(10), "b": says(20)}, {}).record.claims[-1]
    assert claim.leads.tolist() == [1, 2, 3, 4]
    for rows in claim.said.values():
        assert np.isnan(rows[[0, 1, 2, 6]]).tolist() == [[True, True, False, False]] * 4
        assert np.isfinite(rows[3:6]).all()


def test_no_more_steps_are_known_than_there_are(history):
    past = published(history, *range(10))
    assert verdict(Record(), past, {"a": says(10)}, {}).known_steps == 4


def test_in_a_real_time_market_no_price_is_known(history):
    past = published(history, 95.0, -5.0, market=PriceMarket.REAL_TIME)
    found = verdict(Record(), past, {"a": says(10)}, {})
    assert found.known_steps == 0
    assert (found.said[PRICE][1] == 10).all()


def test_the_weights_told_are_those_of_the_first_four_hours(history):
    """However the hours behind them went."""
    past = history()
    sums = {model: np.zeros(SUMS_SHAPE) for model in ("a", "b", BLEND)}
    sums[BLEND][..., LOSS], sums[BLEND][..., COUNT] = 10.0, 1e12
    sums["a"][..., COUNT] = sums["b"][..., COUNT] = 1e12
    sums["a"][SIGNALS.index(PRICE), 4:, REGRET] = 50.0
    found = verdict(Record(as_of=int(past.origin.timestamp()), sums=sums), past, {"a": says(10), "b": says(20)}, {})
    assert found.price_models == pytest.approx({"a": FIRST_SHARE, "b": 1 - FIRST_SHARE})
    sums["a"][SIGNALS.index(PRICE), 3, REGRET] = 50.0
    found = verdict(Record(as_of=int(past.origin.timestamp()), sums=sums), past, {"a": says(10), "b": says(20)}, {})
    assert found.price_models == pytest.approx({"a": 0.75 * FIRST_SHARE, "b": 1 - 0.75 * FIRST_SHARE}, abs=1e-3)
    assert sum(found.price_models.values()) == pytest.approx(1.0)


def test_from_one_forecast_to_the_next_what_came_is_learned(history):
    """The claim of the first is judged before the second is weighed; the better model has gained."""
    past = history(48, step_seconds=HOUR)
    outlooks = {"a": says(80), "b": says(10)}
    first = verdict(Record(), past, outlooks, {})
    later = replace(
        past,
        origin=past.origin + timedelta(hours=2),
        price_usd_per_mwh=np.append(past.price_usd_per_mwh, [10.0, 10.0]),
        carbon_g_per_kwh=np.append(past.carbon_g_per_kwh, [210.0, 210.0]),
    )
    second = verdict(first.record, later, outlooks, {})
    for model in ("a", "b", BLEND):
        assert second.record.sums[model][..., COUNT].sum() == pytest.approx(3 * 2)
    assert second.price_models["b"] > 1.2 * first.price_models["b"]
    assert [claim.origin for claim in second.record.claims] == [
        int(origin.timestamp()) for origin in (past.origin, later.origin)
    ]
    said = second.record.claims[-1].said[BLEND]
    np.testing.assert_array_equal(said, np.vstack([second.said[signal] for signal in SIGNALS]))


def test_a_spike_is_what_exceeds_the_threshold_of_the_first(history):
    past = published(history, 60.0)
    found = verdict(Record(), past, {"a": says(10, degraded=True, threshold=50.0), "b": says(20, threshold=70.0)}, {})
    assert found.said[SPIKE][0, 0] == 1.0
    assert found.record.claims[-1].spike_threshold_usd_per_mwh == 50.0


def test_a_step_of_which_nobody_speaks_has_the_numbers_of_the_first(history):
    quiet = replace(says(10), price_silent=np.array([True, False, False, False]), carbon_silent=np.ones(4, dtype=bool))
    found = verdict(Record(), history(), {"quiet": quiet}, {})
    assert (found.said[PRICE][1] == 10).all()
    assert (found.said[CARBON][1] == 210).all()


def test_a_forecast_that_is_made_again_is_judged_once(history):
    """A tick that is delivered again after a kill."""
    past = history(48, step_seconds=HOUR)
    once = verdict(Record(), past, {"a": says(10)}, {}).record
    twice = verdict(once, past, {"a": says(10)}, {}).record
    assert [claim.origin for claim in twice.claims] == [claim.origin for claim in once.claims]
