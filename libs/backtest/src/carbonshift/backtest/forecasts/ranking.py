"""In which order models are told: by their price loss against the baselines, least first."""

import math
from collections.abc import Mapping
from typing import Any

__all__ = ["ranked"]


def ranked(models: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """The models of a tape's section in their order; one whose loss is not known comes last."""
    return dict(sorted(models.items(), key=lambda item: _loss(item[1]["price"]["pinball_ratio"])))


def _loss(ratio: float | None) -> float:
    return math.inf if ratio is None else ratio
