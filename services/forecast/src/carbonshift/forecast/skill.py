"""How well each model has done lately, read off the record. Pure."""

from carbonshift.common.events import ForecastSkill
from carbonshift.forecast.forecaster import Array
from carbonshift.forecast.opinion import CARBON, PRICE, SIGNALS, SPIKE
from carbonshift.forecast.record import COUNT, COVERED, LOSS, MISSED, Record

__all__ = ["skill"]


def skill(record: Record) -> dict[str, ForecastSkill]:
    """Of each model that has been judged, the blend of all among them."""
    return {model: _skill(sums.sum(axis=1)) for model, sums in record.sums.items()}


def _skill(sums: Array) -> ForecastSkill:
    def mean(signal: str, of: int) -> float | None:
        fields = sums[SIGNALS.index(signal)]
        return float(fields[of] / fields[COUNT]) if fields[COUNT] > 0 else None

    return ForecastSkill(
        price_mae_usd_per_mwh=mean(PRICE, MISSED),
        price_pinball_usd_per_mwh=mean(PRICE, LOSS),
        price_coverage=mean(PRICE, COVERED),
        carbon_mae_g_per_kwh=mean(CARBON, MISSED),
        carbon_pinball_g_per_kwh=mean(CARBON, LOSS),
        carbon_coverage=mean(CARBON, COVERED),
        spike_brier=mean(SPIKE, LOSS),
    )
