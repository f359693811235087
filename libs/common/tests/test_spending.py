"""What a day may cost."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from carbonshift.common.spending import Budget, PaidCall

COSTS = st.floats(0, 2)


def call(at, usd=0.1, **changes):
    return PaidCall.model_validate(
        {"id": "a", "key": "k", "at": at, "model": "m", "usd": usd, "reason": "unanswered"} | changes
    )


@given(costs=st.lists(COSTS, max_size=30), calls_per_day=st.integers(0, 10), usd_per_day=COSTS)
def test_no_sequence_of_calls_costs_more_than_the_budget(costs, calls_per_day, usd_per_day):
    made = []
    budget = Budget(calls_per_day=calls_per_day, usd_per_day=usd_per_day)
    for cost in costs:
        asked = call("2026-01-31T12:00:00Z", cost)
        if budget.exceeded(asked, made) is None:
            made.append(asked)
    assert len(made) <= calls_per_day
    assert sum(one.usd for one in made) <= usd_per_day + 1e-9


def test_a_day_ends_at_midnight_utc(noon):
    budget = Budget(calls_per_day=1, usd_per_day=1.0)
    last = call(noon + timedelta(hours=11, minutes=59))
    assert budget.exceeded(call(noon + timedelta(hours=12)), [last]) is None
    assert budget.exceeded(call("2026-02-01T00:59:00+02:00"), [last]) == "1 of 1 calls of the day are made"


def test_what_a_call_may_cost_at_most_must_fit(noon):
    budget = Budget(calls_per_day=9, usd_per_day=0.25)
    assert budget.exceeded(call(noon, 0.1), [call(noon, 0.15)]) is None
    assert "0.1500 of 0.25 USD" in budget.exceeded(call(noon, 0.11), [call(noon, 0.15)])


@pytest.mark.parametrize(
    "changes",
    [{"usd": -1.0}, {"usd": float("nan")}, {"usd": float("inf")}, {"tokens_in": -1}, {"answer": "x"}, {"reason": None}],
)
def test_a_call_that_would_free_the_budget_is_none(noon, changes):
    with pytest.raises(ValidationError):
        call(noon, **changes)
