"""How well each model has done, as it is told."""

import numpy as np
import pytest

from carbonshift.common.events import ForecastSkill
from carbonshift.forecast.opinion import CARBON, PRICE, SIGNALS, SPIKE
from carbonshift.forecast.record import BLEND, COUNT, COVERED, LOSS, MISSED, REGRET, SUMS_SHAPE, Record
from carbonshift.forecast.skill import skill

NOTHING = {
    "price_mae_usd_per_mwh": None,
    "price_pinball_usd_per_mwh": None,
    "price_coverage": None,
    "carbon_mae_g_per_kwh": None,
    "carbon_pinball_g_per_kwh": None,
    "carbon_coverage": None,
    "spike_brier": None,
}


def sums(**fields):
    """Of a signal each: pinball loss, absolute error, covered, regret and count of two blocks."""
    found = np.zeros(SUMS_SHAPE)
    for signal, (first, last) in fields.items():
        for block, values in ((0, first), (-1, last)):
            found[SIGNALS.index(signal), block, [LOSS, MISSED, COVERED, REGRET, COUNT]] = values
    return found


def test_nobody_has_been_judged_yet():
    assert skill(Record()) == {}


def test_each_number_is_a_mean_over_all_that_was_judged():
    """Of all lead times together: a block in which more was judged counts more."""
    record = Record(
        sums={
            "direct": sums(
                **{
                    PRICE: ((3.0, 8.0, 2.0, 99.0, 3.0), (5.0, 12.0, 0.0, 99.0, 1.0)),
                    CARBON: ((30.0, 80.0, 1.0, 99.0, 1.0), (10.0, 20.0, 0.5, 99.0, 1.0)),
                    SPIKE: ((0.1, 7.0, 7.0, 99.0, 2.0), (0.2, 7.0, 7.0, 99.0, 1.0)),
                }
            )
        }
    )
    (found,) = skill(record).values()
    assert found.price_pinball_usd_per_mwh == pytest.approx(2.0)
    assert found.price_mae_usd_per_mwh == pytest.approx(5.0)
    assert found.price_coverage == pytest.approx(0.5)
    assert found.carbon_pinball_g_per_kwh == pytest.approx(20.0)
    assert found.carbon_mae_g_per_kwh == pytest.approx(50.0)
    assert found.carbon_coverage == pytest.approx(0.75)
    assert found.spike_brier == pytest.approx(0.1)


def test_of_what_was_never_judged_nothing_is_told():
    """A model of carbon alone; one whose every price was published."""
    found = skill(Record(sums={"provider": sums(**{CARBON: ((2.0, 4.0, 1.0, 0.0, 1.0),) * 2}), BLEND: sums()}))
    carbon = {"carbon_mae_g_per_kwh": 4.0, "carbon_pinball_g_per_kwh": 2.0, "carbon_coverage": 1.0}
    assert found == {"provider": ForecastSkill(**NOTHING | carbon), BLEND: ForecastSkill(**NOTHING)}


def test_what_has_faded_is_still_the_same_mean():
    record = Record(sums={"direct": 1e-6 * sums(**{PRICE: ((3.0, 8.0, 2.0, 1.0, 4.0),) * 2})})
    assert skill(record)["direct"].price_mae_usd_per_mwh == pytest.approx(2.0)
