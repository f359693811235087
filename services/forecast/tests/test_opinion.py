"""What a model says, as arrays."""

from dataclasses import replace

import numpy as np

from carbonshift.forecast.opinion import CARBON, PRICE, SIGNALS, SPIKE, opinion_of


def test_an_outlook_speaks_of_every_signal_each_quantile_in_its_row(outlook):
    said = outlook(7)
    opinion = opinion_of(said)
    assert tuple(opinion) == SIGNALS == (PRICE, CARBON, SPIKE)
    for signal, bands in ((PRICE, said.price_usd_per_mwh), (CARBON, said.carbon_g_per_kwh)):
        np.testing.assert_array_equal(opinion[signal], [bands.p10, bands.p50, bands.p90])
    np.testing.assert_array_equal(opinion[SPIKE], [said.spike_probability])


def test_of_what_a_model_is_silent_it_has_no_opinion(outlook):
    silent = np.array([False, True, True, False])
    opinion = opinion_of(replace(outlook(4), price_silent=silent, carbon_silent=np.ones(4, dtype=bool)))
    assert CARBON not in opinion
    for signal in (PRICE, SPIKE):
        assert (np.isnan(opinion[signal]) == silent).all()
