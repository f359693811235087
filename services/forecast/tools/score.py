"""How well a forecaster does on a tape beside the plainest rival: `python services/forecast/tools/score.py TAPE`."""

import argparse
import time
from datetime import timedelta
from pathlib import Path

import numpy as np

from carbonshift.common.plugins import load_plugin
from carbonshift.common.tape import Tape, open_tape
from carbonshift.forecast.forecaster import Array, Bands, Forecaster, History
from carbonshift.forecast.settings import ForecastSettings

QUANTILES = (0.1, 0.5, 0.9)


def score(tape: Tape, forecaster: Forecaster, settings: ForecastSettings, every: int) -> dict[str, float]:
    """Mean errors over every `every`-th origin of the tape; a rival holds the last known value for all steps."""
    rows = list(tape.rows())
    price = np.array([np.nan if r.price_usd_per_mwh is None else r.price_usd_per_mwh for r in rows])
    carbon = np.array([np.nan if r.carbon_g_per_kwh is None else r.carbon_g_per_kwh for r in rows])
    window = int(settings.history_seconds // tape.step_seconds)
    steps = max(1, int(settings.horizon_seconds // tape.step_seconds))
    figures: list[dict[str, float]] = []
    for at in range(window, len(rows) - steps, every):
        past, ahead = slice(at - window, at), slice(at, at + steps)
        history = History(
            origin=rows[at - 1].interval_start + timedelta(seconds=tape.step_seconds),
            step_seconds=tape.step_seconds,
            price_usd_per_mwh=price[past],
            carbon_g_per_kwh=carbon[past],
        )
        started = time.perf_counter()
        outlook = forecaster.predict(history, steps)
        took_seconds = time.perf_counter() - started
        spikes = price[ahead] > outlook.spike_threshold_usd_per_mwh
        figures.append(
            {"seconds": took_seconds, "degraded": float(outlook.degraded)}
            | _errors("price", price[past], price[ahead], outlook.price_usd_per_mwh)
            | _errors("carbon", carbon[past], carbon[ahead], outlook.carbon_g_per_kwh)
            | {
                "spike Brier": float(np.mean((outlook.spike_probability - spikes) ** 2)),
                "spike Brier of 0.05": float(np.mean((0.05 - spikes) ** 2)),
            }
        )
    table = {name: np.array([figure[name] for figure in figures]) for name in figures[0]}
    seconds = table.pop("seconds")
    return {name: float(np.nanmean(column)) for name, column in table.items()} | {
        "median seconds": float(np.median(seconds)),
        "seconds of the slowest 1%": float(np.quantile(seconds, 0.99)),
        "forecasts": float(len(figures)),
    }


def _errors(signal: str, past: Array, actual: Array, said: Bands) -> dict[str, float]:
    known = ~np.isnan(actual)
    last = past[~np.isnan(past)][-1]
    if not known.any():
        return dict.fromkeys((f"{signal} MAE", f"{signal} MAE of persistence", f"{signal} in p10-p90"), np.nan)
    within = (actual >= said.p10) & (actual <= said.p90)
    return {
        f"{signal} MAE": float(np.abs(actual - said.p50)[known].mean()),
        f"{signal} MAE of persistence": float(np.abs(actual - last)[known].mean()),
        f"{signal} in p10-p90": float(within[known].mean()),
    }


def main() -> None:
    """Print a line for each figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tape", type=Path)
    parser.add_argument("--forecaster", default="autoreg")
    parser.add_argument("--every", type=int, default=71, help="intervals between two origins: a prime visits all hours")
    given = parser.parse_args()
    settings = ForecastSettings.load()
    forecaster = load_plugin("carbonshift.forecasters", given.forecaster)(settings)
    for name, value in score(open_tape(given.tape), forecaster, settings, given.every).items():
        print(f"{name:26s} {value:10.4f}")


if __name__ == "__main__":
    main()
