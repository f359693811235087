"""How good the time was at which a change was expected, beside when the state did change on the tape. Pure."""

from collections.abc import Sequence
from datetime import datetime
from statistics import median
from typing import Any

from carbonshift.backtest.narratives.cases import Case
from carbonshift.explain.expected import Change

__all__ = ["expected_times"]

HOUR_SECONDS = 3_600.0


def expected_times(cases: Sequence[Case]) -> dict[str, Any]:
    """Counts, shares and the median error in hours; None where nothing is to be measured.

    A case counts where its forecast expects a change and the tape has one. The span is from the earliest to the latest
    of p10, p50 and p90, where both p10 and p90 have the change within the horizon.
    """
    told = [
        (case.expected.change, case.changed_at, case.became)
        for case in cases
        if case.expected and case.expected.change and case.changed_at
    ]
    both = [(change, at) for change, at, _ in told if change.p10 and change.p90]
    errors = [abs((at - change.p50).total_seconds()) / HOUR_SECONDS for change, at, _ in told]
    calm = [case for case in cases if case.expected and case.expected.change is None and case.changed_at]
    held = [
        case
        for case in calm
        if case.expected and case.changed_at and case.changed_at > case.transition.state.since + case.expected.horizon
    ]
    return {
        "cases": len(cases),
        "expected": len(told),
        "expected_both": len(both),
        "within_both": sum(_within(change, at) for change, at in both),
        "same_state": sum(change.state is became for change, _, became in told),
        "median_error_hours": median(errors) if errors else None,
        "errors_hours": [round(error, 3) for error in errors],
        "none_expected": len(calm),
        "none_came": len(held),
    }


def _within(change: Change, at: datetime) -> bool:
    moments = [moment for moment in (change.p10, change.p50, change.p90) if moment]
    return min(moments) <= at <= max(moments)
