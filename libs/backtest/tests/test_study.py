"""A study: every run can be settled anew from its schedule, and nobody beats perfect foresight."""

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from carbonshift.backtest.bench import BUILT_IN, StudyOptions, most_efficient_limit_w
from carbonshift.backtest.document import tape_section
from carbonshift.backtest.recorded import recorded
from carbonshift.backtest.study import study
from carbonshift.common.errors import InputError
from carbonshift.common.events import GridTick, PriceMarket
from carbonshift.common.power_curve import RESNET18_V100, RESNET50_A40
from carbonshift.common.tape import Sidecar, TapeRow, open_tape, write_tape
from carbonshift.decide.planning.job import SwitchCosts
from carbonshift.decide.settings import DecideSettings

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = 3_600.0
RANDOM = np.random.default_rng(7)
NOISE = RANDOM.normal(0.0, 12.0, 24 * 40)
SETTINGS = DecideSettings(warm_up_seconds=36_000)


def rhythm(hour):
    return 45.0 + 30.0 * math.sin(hour / 24 * 2 * math.pi) + NOISE[hour]


def tape_of(folder, prices, *, hours=24 * 40, step_seconds=3_600, **sidecar):
    path = folder / "made.csv"
    grams = [300.0 + 100.0 * math.cos(hour / 24 * 2 * math.pi) + 3 * NOISE[hour] for hour in range(hours)]
    rows = [
        TapeRow(START + timedelta(seconds=step_seconds * n), prices(n), grams[n] if prices(n) is not None else None)
        for n in range(hours)
    ]
    write_tape(path, rows, Sidecar(step_seconds=step_seconds, **sidecar))
    return recorded(open_tape(path))


def done_on(recording, **options):
    asked = {"work_seconds": 6 * HOUR, "starts": 12, "slacks": (0.5, 1.5)} | options
    return study(recording, SETTINGS, StudyOptions(**asked), lambda *_: None)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Every policy; prices of the next day known at noon; every cause of a saving in play."""
    recording = tape_of(
        tmp_path_factory.mktemp("study"), rhythm, price_market=PriceMarket.DAY_AHEAD, day_ahead_published="12:00"
    )
    return done_on(recording, usd_per_gpu_hour=0.003)


def rows_of(done):
    for slack in tape_section(done)["slacks"]:
        for name, policy in slack["policies"].items():
            for row in policy["runs"]:
                yield slack, name, row


def test_each_row_can_be_settled_anew_from_its_schedule(whole):
    """By nothing but the schedule, the tape and the published curve: as somebody else would."""
    recording, options = whole.recording, whole.options
    speeds = dict(zip(RESNET18_V100.limits_w, RESNET18_V100.speeds, strict=True))
    pooled = 0
    for _, _, row in rows_of(whole):
        cost = carbon = energy = work = end = parked = 0.0
        for part in row["schedule"]:
            assert part["offset_seconds"] == pytest.approx(end, abs=1e-6)
            assert part["step"] == int((end + 1e-6) // 3_600)
            at, left = end, part["seconds"]
            while left > 1e-9:
                hour = int((at + 1e-9) // 3_600)
                span = min(left, (hour + 1) * HOUR - at)
                joules = span * part["watts"]
                cost += joules / 3.6e9 * recording.prices_usd_per_mwh[row["start"] + hour]
                carbon += joules / 3.6e6 * recording.carbon_g_per_kwh[row["start"] + hour]
                energy, parked = energy + joules, parked + (joules if part["mode"] != "running" else 0.0)
                at, left = at + span, left - span
            end += part["seconds"]
            if part["mode"] == "running":
                work += part["seconds"] * speeds.get(part["limit_w"], RESNET18_V100.speed(part["limit_w"]))
        assert row["finished"]
        assert (work, row["work_seconds"]) == (pytest.approx(6 * HOUR), pytest.approx(6 * HOUR))
        assert (row["energy_j"], row["parked_energy_j"]) == (pytest.approx(energy), pytest.approx(parked, abs=1e-6))
        assert (row["cost_usd"], row["carbon_g"]) == (pytest.approx(cost), pytest.approx(carbon))
        assert row["finish_seconds"] == pytest.approx(end)
        assert row["total_usd"] == pytest.approx(
            cost + carbon / 1e6 * options.usd_per_tonne + end / HOUR * options.usd_per_gpu_hour
        )
        pooled += 1
    assert pooled == len(BUILT_IN) * 2 * 12


def test_what_is_late_is_told(whole):
    for slack, _, row in rows_of(whole):
        assert row["late"] == (row["finish_seconds"] > slack["deadline_hours"] * HOUR * (1 + 1e-9))


def test_those_who_keep_the_deadline_keep_it(whole):
    late = {name: whole.results[0.5][name].settled.late.sum() for name in BUILT_IN}
    assert {
        name: late[name] for name in ("run-now", "static-cap", "planner", "planner-told", "oracle")
    } == dict.fromkeys(("run-now", "static-cap", "planner", "planner-told", "oracle"), 0)
    assert late["solar-window"] > 0


def test_nobody_in_time_beats_perfect_foresight_and_it_has_its_certificate(whole):
    for results in whole.results.values():
        best = results["oracle"]
        assert (best.lower_bound_usd <= best.settled.total_usd * (1 + 1e-9)).all()
        gaps = 1 - best.lower_bound_usd / best.settled.total_usd
        assert gaps.mean() <= 1e-3
        for result in results.values():
            in_time = ~result.settled.late
            assert (result.settled.total_usd >= best.lower_bound_usd * (1 - 1e-9))[in_time].all()


def test_the_planner_told_what_comes_is_nearly_perfect(whole):
    for results in whole.results.values():
        now, told, best = (results[name].settled.total_usd.sum() for name in ("run-now", "planner-told", "oracle"))
        assert (now - told) / (now - best) >= 0.985


def test_the_causes_of_a_saving_sum_to_it(whole):
    for policy in tape_section(whole)["pooled"].values():
        saved = tape_section(whole)["pooled"]["run-now"]["total_usd"] - policy["total_usd"]
        assert policy["split_usd"]["total"] == pytest.approx(saved, abs=1e-9)
        assert sum(value for cause, value in policy["split_usd"].items() if cause != "total") == pytest.approx(
            saved, abs=1e-9
        )


def test_the_best_static_cap_is_the_cheapest_of_those_in_time(whole):
    """Against one limit throughout, settled by hand."""
    recording, options = whole.recording, whole.options
    for slack, results in whole.results.items():
        totals = {}
        for limit in range(100, 251):
            draw, speed = RESNET18_V100.draw_w(limit), RESNET18_V100.speed(limit)
            if (hours := 6.0 / speed) > 6.0 * (1 + slack):
                continue
            shares = np.clip(hours - np.arange(int(hours) + 1), 0.0, 1.0)
            at = whole.starts[:, None] + np.arange(shares.size)
            usd_per_mwh = (
                recording.prices_usd_per_mwh[at] + recording.carbon_g_per_kwh[at] / 1e3 * options.usd_per_tonne
            )
            totals[limit] = (shares * draw * usd_per_mwh).sum() / 1e6 + whole.starts.size * hours * 0.003
        best = results["static-cap"]
        assert best.limit_w == min(totals, key=totals.get)
        assert best.settled.total_usd.sum() == pytest.approx(totals[best.limit_w])


def test_a_larger_board_has_larger_limits_and_the_same_shares(whole):
    large = done_on(whole.recording, policies=("static-cap",), power_w=700.0)
    small = done_on(whole.recording, policies=("static-cap",))
    for slack, results in large.results.items():
        assert results["static-cap"].limit_w == pytest.approx(2.8 * small.results[slack]["static-cap"].limit_w)
        assert results["run-now"].settled.energy_j == pytest.approx(
            2.8 * small.results[slack]["run-now"].settled.energy_j
        )


def test_another_published_curve_is_a_board_like_any(whole):
    done = done_on(whole.recording, published=RESNET50_A40)
    for results in done.results.values():
        now, cap = results["run-now"].settled, results["static-cap"].settled
        assert cap.energy_j.sum() / now.energy_j.sum() == pytest.approx(1 - 0.194)
        assert cap.finish_seconds.sum() / now.finish_seconds.sum() == pytest.approx(1.049)
        assert (
            results["eco-pulse-efficient"].settled.total_usd >= results["oracle"].lower_bound_usd * (1 - 1e-9)
        ).all()


def test_of_nearly_alike_caps_the_fastest_is_the_most_efficient():
    assert most_efficient_limit_w(RESNET18_V100) == 150.0
    assert most_efficient_limit_w(RESNET50_A40) == 200.0


def test_at_negative_prices_full_power_beats_a_cap(tmp_path):
    done = done_on(tape_of(tmp_path, lambda n: -40.0 - n % 3), usd_per_tonne=0.0, policies=("planner", "oracle"))
    for results in done.results.values():
        assert results["static-cap"].limit_w == 250.0
        for name in ("planner", "oracle"):
            assert (results[name].settled.total_usd <= results["run-now"].settled.total_usd).all()


def test_at_one_price_for_all_hours_nobody_waits(tmp_path):
    done = done_on(tape_of(tmp_path, lambda _: 40.0), usd_per_tonne=0.0, policies=("planner", "oracle"))
    for results in done.results.values():
        assert (results["planner"].settled.pauses.sum(), results["oracle"].settled.pauses.sum()) == (0, 0)
        assert results["planner"].settled.cost_usd == pytest.approx(results["static-cap"].settled.cost_usd)


def test_a_tape_of_one_interval_is_enough_for_a_job_that_fits(tmp_path):
    done = done_on(tape_of(tmp_path, lambda _: 40.0, hours=1), work_seconds=1_800.0, slacks=(0.0, 1.0), starts=2)
    assert done.starts.tolist() == [0, 0]
    assert {name: result.settled.finish_seconds[0] for name, result in done.results[0.0].items()}["planner"] == 1_800.0


def test_a_tape_that_is_too_short_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"1 intervals of 3600 s are too few for a deadline after 15 h"):
        done_on(tape_of(tmp_path, lambda _: 40.0, hours=1))


@pytest.mark.parametrize("slack", [0.0, 1.0])
def test_no_work_takes_nothing(tmp_path, slack):
    done = done_on(tape_of(tmp_path, rhythm), work_seconds=0.0, slacks=(slack,))
    for result in done.results[slack].values():
        assert (result.settled.energy_j.sum(), result.settled.finish_seconds.sum(), result.settled.late.sum()) == (
            0,
            0,
            0,
        )


def test_without_slack_the_planner_runs_at_full_power(tmp_path):
    done = done_on(tape_of(tmp_path, rhythm), slacks=(0.0,), switches=SwitchCosts())
    planner, now = done.results[0.0]["planner"].settled, done.results[0.0]["run-now"].settled
    assert planner.total_usd.tolist() == now.total_usd.tolist()
    assert planner.late.sum() == 0


def test_gaps_are_bridged_by_the_value_before_and_counted(tmp_path):
    recording = tape_of(tmp_path, lambda n: None if 100 <= n < 104 or n == 0 else rhythm(n))
    assert recording.bridged_prices == 5
    assert recording.prices_usd_per_mwh[100:104].tolist() == [pytest.approx(rhythm(99), abs=1e-4)] * 4
    assert recording.prices_usd_per_mwh[0] == recording.prices_usd_per_mwh[1]
    done = done_on(recording)
    assert all(np.isfinite(result.settled.total_usd).all() for result in done.results[0.5].values())


def test_while_nobody_knows_what_energy_costs_the_planner_runs_at_full_power(tmp_path):
    """All zero is an outage to whoever hears it: nothing of it is believed."""
    path = tmp_path / "zero.csv"
    rows = [TapeRow(START + timedelta(hours=hour), 0.0, 0.0) for hour in range(24 * 10)]
    write_tape(path, rows, Sidecar(step_seconds=3_600))
    results = done_on(recorded(open_tape(path))).results[0.5]
    for name in ("run-now", "planner"):
        assert results[name].settled.finish_seconds.tolist() == [6 * HOUR] * 12


def test_day_ahead_prices_are_heard_when_they_are_published(whole):
    newest, heard = START, 0
    for event in whole.recording.heard():
        if isinstance(event, GridTick):
            newest = event.interval_start
        elif event.published_at > START:
            assert timedelta(0) <= event.published_at - newest <= timedelta(hours=1)
            assert event.first_interval_start > event.published_at
            heard += 1
    assert heard == 39


def test_the_same_seed_gives_the_same_starts_and_another_gives_others(whole):
    again = done_on(whole.recording, policies=(), seed=whole.options.seed)
    other = done_on(whole.recording, policies=(), seed=1)
    assert again.starts.tolist() == whole.starts.tolist() != other.starts.tolist()


def test_price_and_carbon_have_their_front(whole):
    done = done_on(whole.recording, policies=("oracle",))
    front = [point for point in done.front if point.policy == "oracle"]
    costs, carbon = [point.cost_usd for point in front], [point.carbon_kg for point in front]
    assert costs[0] == pytest.approx(min(costs), rel=1e-3)
    assert carbon[-1] == pytest.approx(min(carbon), rel=1e-3)
    assert carbon[0] > carbon[-1]


@pytest.mark.parametrize("hours", [0.5, 5.5, 6.0, 30.25])
def test_by_the_same_clock_counts_what_had_been_done_by_then(whole, hours):
    """Beside the schedule of each run, cut off at that moment."""
    speeds = dict(zip(RESNET18_V100.limits_w, RESNET18_V100.speeds, strict=True))
    for results in whole.results.values():
        for result in results.values():
            cut = result.runs.until(hours * HOUR)
            for run in range(whole.starts.size):
                joules = work = 0.0
                for at, seconds, mode, limit_w, draw_w in result.runs.segments(run):
                    done = min(max(hours * HOUR - at, 0.0), seconds)
                    joules += done * draw_w
                    work += done * speeds.get(limit_w, RESNET18_V100.speed(limit_w)) if mode == "running" else 0.0
                assert cut.energy_j[run].sum() == pytest.approx(joules, abs=1e-3)
                assert cut.work_seconds[run] == pytest.approx(work, abs=1e-6)


def test_running_at_once_has_done_all_of_it_by_then_whatever_the_step(tmp_path):
    pooled = tape_section(done_on(tape_of(tmp_path, rhythm, hours=72), work_seconds=0.5 * HOUR))["pooled"]
    assert pooled["run-now"]["same_clock"]["work_share"] == 1.0
    assert pooled["static-cap"]["same_clock"]["work_share"] == pytest.approx(RESNET18_V100.speeds[1], abs=0.2)
    assert pooled["static-cap"]["same_clock"]["work_share"] < 1.0


def test_who_is_late_has_saved_no_share_and_beaten_no_cap(whole):
    section = tape_section(whole)
    for name, row in section["pooled"].items():
        late = sum(result.settled.late.sum() for result in (results[name] for results in whole.results.values()))
        assert (row["timing_share"] is None) == (late > 0)
        assert row["not_worse_than_cap_share"] <= 1 - late / row["runs"]


def test_no_work_on_a_tape_of_one_tick_is_defined(tmp_path):
    done = done_on(tape_of(tmp_path, rhythm, hours=1), work_seconds=0.0, slacks=(0.0,), starts=3)
    assert list(done.starts) == [0, 0, 0]
    assert all(row["finish_seconds"] == 0 for _, _, row in rows_of(done))


def test_days_can_be_steps(tmp_path):
    done = done_on(tape_of(tmp_path, rhythm, hours=60, step_seconds=86_400), work_seconds=48 * HOUR)
    assert tape_section(done)["pooled"]["planner"]["late"] == 0


def test_a_recording_is_named_by_its_file_whatever_dots_it_has(tmp_path):
    assert tape_of(tmp_path, rhythm, hours=2).name == "made"
    for path in list(tmp_path.iterdir()):
        path.rename(path.with_name(path.name.replace("made", "grid.a")))
    assert recorded(open_tape(tmp_path / "grid.a.csv")).name == "grid.a"


def test_where_no_measured_cap_but_full_power_is_in_time_one_between_is(whole):
    tight = done_on(whole.recording, policies=("static-cap",), slacks=(0.005, 0.1))
    limits = [results["static-cap"].limit_w for results in tight.results.values()]
    assert 150.0 < limits[0] < 250.0
    assert RESNET18_V100.speed(limits[0]) == pytest.approx(1 / 1.005)
    assert 125.0 < limits[1] <= 150.0
    assert not any(results["static-cap"].settled.late.any() for results in tight.results.values())


def test_a_run_that_the_tape_ends_before_is_late(tmp_path):
    dear_for_ever = done_on(
        tape_of(tmp_path, lambda hour: 20.0 if hour < 60 else 400.0, hours=90), policies=("eco-pulse",), starts=60
    )
    account = dear_for_ever.results[0.5]["eco-pulse"].settled
    assert (~account.finished).any()
    assert account.late[~account.finished].all()
