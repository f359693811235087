"""How well a model has done."""

from datetime import UTC, datetime

import numpy as np
import pytest

from carbonshift.forecast.forecaster import History
from carbonshift.forecast.skill import Claim, recent_mae, still_counted

STEP = 300
START = 1_767_225_600


def history(*prices):
    values = np.array(prices, dtype=float)
    origin = datetime.fromtimestamp(START + STEP * values.size, UTC)
    return History(origin=origin, step_seconds=STEP, price_usd_per_mwh=values, carbon_g_per_kwh=values)


def claim(at, *p50, model="autoreg"):
    return Claim(model=model, origin=START + STEP * at, p50_usd_per_mwh=np.array(p50, dtype=float))


def test_the_error_is_that_of_the_steps_meant():
    assert recent_mae((claim(1, 20.0, 35.0),), history(10, 20, 30, 40)) == {"autoreg": pytest.approx(2.5)}


def test_a_forecast_counts_once_its_every_step_has_passed():
    assert recent_mae((claim(3, 40.0, 50.0),), history(10, 20, 30, 40)) == {}


def test_a_missing_price_judges_nobody():
    assert recent_mae((claim(1, 0.0, 31.0),), history(10, np.nan, 30)) == {"autoreg": pytest.approx(1.0)}
    assert recent_mae((claim(1, 0.0),), history(10, np.nan)) == {}


def test_models_are_judged_apart():
    claims = (claim(0, 11.0), claim(1, 22.0), claim(0, 15.0, model="other"))
    assert recent_mae(claims, history(10, 20)) == {"autoreg": pytest.approx(1.5), "other": pytest.approx(5.0)}


def test_what_lies_before_the_history_cannot_be_judged():
    assert recent_mae((claim(-1, 10.0),), history(10, 20)) == {}


def test_a_claim_is_let_go_a_day_after_it_came_due():
    old, young, open_ = claim(0, 1.0), claim(2, 1.0), claim(289, 1.0, 2.0)
    assert still_counted((old, young, open_), history(*range(290))) == (young, open_)
