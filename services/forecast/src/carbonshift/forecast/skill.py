"""How well each model has done lately, by the forecasts that have come due. Pure."""

from dataclasses import dataclass

import numpy as np

from carbonshift.forecast.forecaster import Array, History

__all__ = ["Claim", "recent_mae", "still_counted"]

COUNTED_SECONDS = 86_400
"""A forecast counts for so long after its last step has become known."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Claim:
    """What a model once said of the price."""

    model: str
    origin: int
    """Unix second at which its first step starts."""
    p50_usd_per_mwh: Array
    """Of the shape (steps,), on the grid of the history it was made from."""


def still_counted(claims: tuple[Claim, ...], history: History) -> tuple[Claim, ...]:
    """The claims that are not yet due or came due within the last day of the history."""
    since = history.origin.timestamp() - COUNTED_SECONDS
    return tuple(c for c in claims if c.origin + c.p50_usd_per_mwh.size * history.step_seconds >= since)


def recent_mae(claims: tuple[Claim, ...], history: History) -> dict[str, float]:
    """The mean absolute error of each model's p50 in USD/MWh, over its claims whose every step has passed.

    Steps without a known price are left out; a model none of whose claims can be judged is not in the answer.

    Args:
        claims: on the grid of `history`.
        history: must reach back to the first step of every claim that is to be judged.
    """
    size = history.price_usd_per_mwh.size
    start = int(history.origin.timestamp()) - size * history.step_seconds
    errors: dict[str, list[Array]] = {}
    for claim in claims:
        at = (claim.origin - start) // history.step_seconds
        if at >= 0 and at + claim.p50_usd_per_mwh.size <= size:
            actual = history.price_usd_per_mwh[at : at + claim.p50_usd_per_mwh.size]
            error = np.abs(actual - claim.p50_usd_per_mwh)
            errors.setdefault(claim.model, []).append(error[~np.isnan(error)])
    together = {model: np.concatenate(parts) for model, parts in errors.items()}
    return {model: float(error.mean()) for model, error in together.items() if error.size}
