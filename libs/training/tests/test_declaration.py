"""What is said of a training: through the environment and back, and nothing that makes no sense."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from carbonshift.training.declaration import DEADLINE, TOTAL_STEPS, USD_PER_GPU_HOUR, Declaration

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "said",
    [
        Declaration(),
        Declaration(remaining_steps=0),
        Declaration(remaining_steps=9_000, deadline=NOON, usd_per_gpu_hour=2.5),
        Declaration(deadline=NOON.astimezone(timezone(timedelta(hours=2)))),
    ],
)
def test_the_environment_gives_back_what_was_said(said):
    assert Declaration.of(said.environment) == said


def test_an_empty_variable_says_nothing():
    assert Declaration.of({TOTAL_STEPS: "", DEADLINE: "", USD_PER_GPU_HOUR: ""}) == Declaration()


@pytest.mark.parametrize(
    "environment",
    [
        {TOTAL_STEPS: "many"},
        {TOTAL_STEPS: "-1"},
        {TOTAL_STEPS: "9" * 5_000},
        {DEADLINE: "soon"},
        {DEADLINE: "2026-11-24T12:00"},
        {USD_PER_GPU_HOUR: "-2"},
        {USD_PER_GPU_HOUR: "nan"},
    ],
)
def test_what_makes_no_sense_is_refused(environment):
    name = next(iter(environment)).removeprefix("CARBONSHIFT_").lower().removeprefix("total_")
    with pytest.raises(ValueError, match=f"(?i){name}"):
        Declaration.of(environment)


@pytest.mark.parametrize(
    "said",
    [{"remaining_steps": "10"}, {"remaining_steps": 10.5}, {"deadline": "2026-11-24"}, {"usd_per_gpu_hour": "2"}],
)
def test_a_script_that_says_it_in_another_type_is_told_so(said):
    with pytest.raises(ValueError, match="not a"):
        Declaration(**said)
