"""How long one forecast takes, fit and all, at 5 minutes on one core: each model, and all that the service asks.

    python benchmarks/forecast_origin.py

Eight weeks of a synthetic grid, 48 steps (4 h) and 288 (24 h), both signals. Seconds are medians; the ratio is to
statsmodels' SARIMAX of the same run, on the same history, which it sees in steps of an hour.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import statistics
import time
from datetime import UTC, datetime, timedelta

import numpy as np

from carbonshift.common.plugins import load_plugin
from carbonshift.forecast.forecaster import Forecaster, History
from carbonshift.forecast.panel import verdict
from carbonshift.forecast.record import Record
from carbonshift.forecast.settings import ForecastSettings

STEP_SECONDS, DAY = 300, 288
ROUNDS = 21
REFERENCE = "sarimax"
SPIKES = 0.01
SETTINGS = ForecastSettings()


def history(rounds: int) -> History:
    """Two peaks a day, noise that lasts an hour, rare spikes; the end of it moves on from round to round."""
    size = int(SETTINGS.history_seconds) // STEP_SECONDS
    random, number = np.random.default_rng(0), np.arange(size + ROUNDS * 37)
    slow = np.convolve(random.normal(size=number.size + 11), np.ones(12), mode="valid")
    spikes = random.exponential(80, number.size) * (random.random(number.size) < SPIKES)
    price = 35 - 15 * np.cos(4 * np.pi * number / DAY) + slow + spikes
    carbon = np.clip(320 + 90 * np.cos(2 * np.pi * number / DAY) + 8 * slow, 0, None)
    part = slice(37 * rounds, 37 * rounds + size)
    origin = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=37 * rounds * STEP_SECONDS)
    return History(
        origin=origin,
        step_seconds=STEP_SECONDS,
        price_usd_per_mwh=price[part],
        carbon_g_per_kwh=carbon[part],
        time_zone="America/Los_Angeles",
    )


def main() -> None:
    """Print a table."""
    models: dict[str, Forecaster] = {
        name: load_plugin("carbonshift.forecasters", name)(SETTINGS) for name in (REFERENCE, *SETTINGS.forecasters)
    }
    for steps in (48, 288):
        seconds: dict[str, list[float]] = {name: [] for name in (*models, "all of the service")}
        record = Record()
        for rounds in range(ROUNDS):
            past, outlooks = history(rounds), {}
            for name, model in models.items():
                if name == REFERENCE and rounds % 5:
                    continue
                began = time.process_time()
                outlook = model.predict(past, steps)
                seconds[name].append(time.process_time() - began)
                if name in SETTINGS.forecasters:
                    outlooks[name] = outlook
            began = time.process_time()
            record = verdict(record, past, outlooks, {}).record
            spent = time.process_time() - began + sum(seconds[name][-1] for name in SETTINGS.forecasters)
            seconds["all of the service"].append(spent)
        reference = statistics.median(seconds[REFERENCE])
        print(f"{steps} steps of {STEP_SECONDS} s")
        for name, spent in seconds.items():
            middle = statistics.median(spent)
            print(f"  {name:20s} {middle:7.3f} s  worst {max(spent):7.3f} s  {reference / middle:7.1f} times as fast")


if __name__ == "__main__":
    main()
