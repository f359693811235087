"""The curve of a board that nobody has measured. Pure."""

from dataclasses import replace

from carbonshift.common.power_curve import PowerCurve

__all__ = ["scaled"]


def scaled(curve: PowerCurve, factor: float) -> PowerCurve:
    """`curve` with every watt times `factor`: an estimate for a board nobody has measured.

    It puts a parked H100 at 120.4 W and a bare one at 70 W; measured were 121.7 and 71.8 (arXiv 2605.23918).
    """
    return replace(
        curve,
        name=f"{curve.name}, scaled by {factor:g}",
        source=f"estimated: {curve.source}",
        limits_w=tuple(limit_w * factor for limit_w in curve.limits_w),
        draws_w=tuple(draw_w * factor for draw_w in curve.draws_w),
        parked_w=curve.parked_w * factor,
        idle_w=curve.idle_w * factor,
    )
