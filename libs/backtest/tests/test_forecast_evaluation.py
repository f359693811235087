"""The evaluation: what a model hears and when, from which origins, and what its figures are set against."""

import json
import math
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonshift.backtest.forecasts.blending import blended_runs
from carbonshift.backtest.forecasts.evaluation import Options, evaluation
from carbonshift.backtest.forecasts.figures import Judged, figures_of
from carbonshift.backtest.forecasts.hearing import Hearing, hearing
from carbonshift.backtest.forecasts.models import BASELINES, chosen
from carbonshift.backtest.forecasts.origins import origins_of
from carbonshift.backtest.forecasts.page import forecast_page
from carbonshift.backtest.forecasts.plot import FEWEST_CASES, plot, reliability_plot
from carbonshift.backtest.forecasts.ranking import ranked
from carbonshift.backtest.forecasts.rolling import Run
from carbonshift.backtest.recorded import recorded
from carbonshift.common.errors import InputError
from carbonshift.common.events import PriceMarket
from carbonshift.common.tape import Sidecar, TapeRow, open_tape, write_tape
from carbonshift.forecast.forecaster import Bands, Outlook
from carbonshift.forecast.memory import Memory
from carbonshift.forecast.record import BLEND
from carbonshift.forecast.settings import ForecastSettings

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
WINDOW = 28 * 24


def rows(hours, *, missing=()):
    random = np.random.default_rng(0)
    clock = np.arange(hours)
    price = 40 + 15 * np.sin(2 * np.pi * clock / 24) + 4 * random.normal(size=hours)
    carbon = 300 + 50 * np.sin(2 * np.pi * clock / 24) + 10 * random.normal(size=hours)
    return [
        TapeRow(FIRST + at * HOUR, None if at in missing else float(price[at]), float(carbon[at]))
        for at in range(hours)
    ]


def made(path, hours, *, missing=(), **sidecar):
    write_tape(path, rows(hours, missing=missing), Sidecar(region="made", step_seconds=3_600, **sidecar))
    return recorded(open_tape(path))


def test_a_history_is_what_the_service_would_remember(tmp_path):
    """Tick by tick through the memory of the service itself, across a gap that is closed by a correction."""
    recording = made(tmp_path / "gap.csv", 240, missing={100, 150, 151, 152, 153})
    heard, memory, window = hearing(recording), None, 72
    assert any(tick.revision for tick in recording.ticks)
    checked = 0
    for tick in recording.ticks:
        memory = memory.with_tick(tick) if memory else Memory.of(tick, window * 3_600)
        origin = (memory.end - heard.first) // 3_600
        if origin < window or tick.revision:
            continue  # a correction is told together with the tick that follows
        theirs, ours = memory.history(), heard.history(origin, window, 1, day_ahead=False)
        np.testing.assert_array_equal(ours.price_usd_per_mwh, theirs.price_usd_per_mwh)
        np.testing.assert_array_equal(ours.carbon_g_per_kwh, theirs.carbon_g_per_kwh)
        assert ours.origin == theirs.origin
        checked += 1
    assert checked > 150


def test_a_published_price_is_known_from_its_publication_on(tmp_path):
    """By the market's own clock: at 13:00 in Berlin, 12:00 UTC, for the next local day, that begins at 23:00 UTC."""
    recording = made(
        tmp_path / "dam.csv", 96, time_zone="Europe/Berlin", price_market="day-ahead", day_ahead_published="13:00"
    )
    heard = hearing(recording)
    assert heard.known(24 + 11, 24).sum() == 12
    assert heard.known(24 + 12, 48).sum() == 35
    before = heard.history(24 + 11, 24, 24, day_ahead=True).published_usd_per_mwh
    assert before.shape == (48,)
    np.testing.assert_array_equal(before[:36], heard.actual[0, 11:47])
    assert np.isnan(before[36:]).all()
    assert heard.history(24 + 12, 24, 24, day_ahead=False).published_usd_per_mwh.size == 0


def test_a_tape_of_real_time_publishes_nothing(tmp_path):
    heard = hearing(made(tmp_path / "rt.csv", 96, price_market="real-time", day_ahead_published="13:00"))
    assert np.isnan(heard.published_usd_per_mwh).all()
    assert not heard.known(48, 12).any()


def bare(size, step_seconds=3_600):
    """A tape on which everything is known."""
    return Hearing(
        first=int(FIRST.timestamp()),
        step_seconds=step_seconds,
        time_zone="UTC",
        price_market=PriceMarket.REAL_TIME,
        told=np.ones((2, size)),
        corrected=np.empty((2, 0)),
        corrected_places=np.empty(0, dtype=np.int64),
        corrected_with=np.empty(0, dtype=np.int64),
        published_usd_per_mwh=np.full(size, np.nan),
        published_at=np.zeros(size, dtype=np.int64),
        actual=np.ones((2, size)),
    )


@given(st.integers(40 * 24, 200_000), st.sampled_from([300, 900, 1_800, 3_600]))
def test_origins_have_their_window_are_enough_and_meet_every_hour(size, step_seconds):
    day = 86_400 // step_seconds
    size = max(size, 29 * day + 4)
    found = origins_of(bare(size, step_seconds), history_seconds=28 * 86_400.0, horizon_seconds=4 * 3_600.0)
    available = size - found.steps - found.window + 1
    assert found.origins[0] == found.window == 28 * day
    assert found.origins[-1] + found.steps <= size
    assert found.origins.size >= min(3_000, available)
    assert math.gcd(found.every, day) == 1


def test_from_and_to_keep_what_is_foretold_between_them():
    start, end = FIRST + 40 * 24 * HOUR, FIRST + 50 * 24 * HOUR
    found = origins_of(bare(100 * 24), history_seconds=28 * 86_400.0, horizon_seconds=4 * 3_600.0, start=start, end=end)
    assert (found.origins[0], found.origins[-1]) == (40 * 24, 50 * 24 - 4)


@pytest.mark.parametrize(("hours", "end"), [(WINDOW + 3, None), (2_000, FIRST + WINDOW * HOUR)])
def test_a_tape_that_leaves_no_origin_is_refused(hours, end):
    with pytest.raises(InputError, match="28 days of history"):
        origins_of(bare(hours), history_seconds=28 * 86_400.0, horizon_seconds=4 * 3_600.0, end=end)


def judged(**shifts):
    """A world of noise in which each model says what comes, off by a shift; the later ones on every second origin."""
    random = np.random.default_rng(0)
    origins = np.arange(0, 300)
    actual = {signal: 50 + random.normal(size=(300, 4)) for signal in ("price", "carbon")}

    def run(model, shift, own):
        said = {
            signal: actual[signal][own] + shift * (1 + 0.1 * random.normal(size=(own.size, 4))) for signal in actual
        }
        bands = {signal: Bands(p10=said[signal] - 1, p50=said[signal], p90=said[signal] + 1) for signal in said}
        return Run(
            model=model,
            origins=origins[own],
            price_usd_per_mwh=bands["price"],
            carbon_g_per_kwh=bands["carbon"],
            spike_probability=np.clip((said["price"] - 49) / 4, 0, 1),
            seconds=np.full(own.size, 0.5),
            degraded=np.zeros(own.size, dtype=bool),
        )

    runs = {
        model: run(model, shift, origins if model in BASELINES else origins[::2]) for model, shift in shifts.items()
    }
    return Judged(
        step_seconds=3_600,
        every=1,
        origins=origins,
        actual=actual,
        spike_thresholds_usd_per_mwh=np.full(300, 51.5),
        runs=runs,
    )


def test_a_model_stands_beside_the_baselines_from_its_own_origins():
    world = judged(**{"persistence": 2.0, "seasonal-naive": 4.0, "good": 0.5, "better": 0.25})
    found = figures_of(world)
    good = found["good"]["price"]
    assert found["good"]["origins"] == 150
    assert good["rmae"] == pytest.approx(0.5 / 4.0, rel=0.05)
    assert good["cut_against_persistence"]["60"] == pytest.approx(0.75, abs=0.02)
    assert good["pinball_ratio"] < 0.6
    assert found["persistence"]["price"]["pinball_ratio"] == 1.0
    assert found["seasonal-naive"]["price"]["rmae"] == 1.0
    assert good["diebold_mariano"]["seasonal-naive"]["pinball"]["p_value"] < 1e-3
    assert good["diebold_mariano"]["seasonal-naive"]["pinball"]["origins"] == 150
    assert good["diebold_mariano"]["best_other"]["rival"] == "better"
    assert good["diebold_mariano"]["best_other"]["absolute_error"]["difference"] > 0
    assert found["better"]["price"]["diebold_mariano"]["best_other"]["rival"] == "good"
    assert found["better"]["spikes"]["by_lead"]["240"]["average_precision"] > 0.9
    assert len(good["mae_by_step"]) == len(good["coverage_by_hour"]) == 4


def test_a_shorter_horizon_has_fewer_leads():
    world = judged(**{"persistence": 2.0, "seasonal-naive": 4.0})
    found = figures_of(world)["persistence"]
    assert list(found["price"]["cut_against_persistence"]) == ["60", "120", "180"]
    assert list(found["spikes"]["by_lead"]) == ["60", "240"]


def test_what_somebody_proposes_is_a_row_of_its_own_and_weighs_in_the_blend():
    """One that knows what comes, asked beside two that do not: the blend follows it as its evidence grows."""
    window, steps, size = 24, 4, 24 + 200
    world = bare(size)
    world.actual[:] = world.told[:] = 50 + np.random.default_rng(0).normal(size=(2, size))
    origins = np.arange(window, size - steps)
    thresholds = np.full(origins.size, 99.0)

    def run(model, off):
        p10, p50, p90 = (np.full((origins.size, steps), 50.0 + off + width) for width in (-1, 0, 1))
        bands = Bands(p10=p10, p50=p50, p90=p90)
        return Run(
            model=model,
            origins=origins,
            price_usd_per_mwh=bands,
            carbon_g_per_kwh=bands,
            spike_probability=np.zeros((origins.size, steps)),
            seconds=np.full(origins.size, 0.5),
            degraded=np.zeros(origins.size, dtype=bool),
        )

    runs = {"first": run("first", 20.0), "second": run("second", -20.0)}
    shown = []

    def propose(history, baseline):
        shown.append(float(baseline.price_usd_per_mwh.p50[0]))
        at = int(history.origin.timestamp() - world.first) // world.step_seconds
        if at == window:
            return None  # an answer that was of no use
        price, carbon = (Bands(p10=row - 0.1, p50=row, p90=row + 0.1) for row in world.actual[:, at : at + steps])
        return Outlook(
            price_usd_per_mwh=price,
            carbon_g_per_kwh=carbon,
            spike_probability=np.zeros(steps),
            spike_threshold_usd_per_mwh=99.0,
            degraded=False,
        )

    alone = blended_runs(world, window, runs, thresholds, day_ahead=False)
    asked = blended_runs(world, window, runs, thresholds, day_ahead=False, proposer=("somebody", propose))
    assert set(alone) == {BLEND}
    assert set(asked) == {BLEND, "somebody"}
    assert set(shown) == {70.0}  # of the model to trust first
    np.testing.assert_array_equal(asked["somebody"].origins, origins[1:])
    ahead = world.actual[0][origins[:, None] + np.arange(steps)]
    np.testing.assert_array_equal(asked["somebody"].price_usd_per_mwh.p50, ahead[1:])
    missed = {
        key: np.abs(found[BLEND].price_usd_per_mwh.p50 - ahead)[-50:].mean()
        for key, found in (("alone", alone), ("asked", asked))
    }
    assert missed["asked"] < 0.1 * missed["alone"]


def test_the_baselines_are_always_among_the_models():
    assert chosen("theta", day_ahead=False) == (*BASELINES, "theta")
    fast = chosen(None, day_ahead=False)
    assert "autoreg" in fast
    assert "sarimax" not in fast
    assert "day-ahead" not in fast
    assert "day-ahead" in chosen(None, day_ahead=True)
    assert "sarimax" in chosen("all", day_ahead=False)
    with pytest.raises(InputError, match="'hope' is not known"):
        chosen("theta,hope", day_ahead=False)
    for text in ("", " ", "theta,"):
        with pytest.raises(InputError, match="a name is missing"):
            chosen(text, day_ahead=False)


def test_what_is_not_known_ranks_last():
    ratios = {"unknown": None, "good": 0.5, "exact": 0.0, "bad": 2.0}
    models = {name: {"price": {"pinball_ratio": ratio}} for name, ratio in ratios.items()}
    assert list(ranked(models)) == ["exact", "good", "bad", "unknown"]


@pytest.fixture(scope="module")
def section(tmp_path_factory):
    """A day-ahead market, evaluated in worker processes, with what is published heard."""
    path = tmp_path_factory.mktemp("tapes") / "made.csv"
    sidecar = {"time_zone": "Europe/Berlin", "price_market": "day-ahead", "day_ahead_published": "13:00"}
    recording = made(path, WINDOW + 150, missing={WINDOW + 60}, **sidecar)
    options = Options(
        models=chosen("day-ahead,theta", day_ahead=True), horizon_seconds=4 * 3_600.0, day_ahead=True, jobs=2
    )
    told = []
    found = evaluation(
        recording,
        ForecastSettings(history_seconds=28 * 86_400.0),
        options,
        lambda model, share: told.append((model, share)),
    )
    assert told[-1][1] == 1.0
    assert {model for model, _ in told} == {*BASELINES, "day-ahead", "theta"}
    return found


def test_every_model_of_a_tape_is_told_with_its_origins(section):
    assert section["origins"] == 147
    assert section["models"]["day-ahead"]["origins"] == 147
    assert section["models"]["theta"]["origins"] == 21
    assert section["published_share"] == pytest.approx(1 - 4 / (147 * 4))  # one hour has no price to publish
    assert section["day_ahead_known"]
    assert section["models"]["theta"]["price"]["rmae"] < 1.0


def test_what_is_published_is_known_without_error(section):
    known = section["models"]["day-ahead"]["price"]
    assert known["mae"] == 0.0
    assert known["coverage"] == 1.0
    assert section["models"]["persistence"]["price"]["mae"] > 1.0


def test_the_page_says_of_every_model_how_it_did_and_by_which_command(section):
    document = {"command": "carbonshift forecast evaluate folder/made.csv --json out.json", "tapes": [section]}
    page = forecast_page([document])
    assert "carbonshift forecast evaluate made.csv --json out.json" in page
    assert "99.3 % of the prices were published as the forecasts began; the models heard them." in page
    unheard = forecast_page([{**document, "tapes": [{**section, "day_ahead_known": False}]}])
    assert "as the forecasts began; `--day-ahead` makes the models hear them." in unheard
    for name in section["models"]:
        assert page.count(f"{name}**" if name not in BASELINES else f"| {name} |") >= 3
    widths = {line.count("|") for line in page.splitlines() if line.startswith("| ") and "price, " in line}
    assert len(widths) == 1


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("/a/made.csv fr_2018_hourly --json=/b/out.json", "made.csv fr_2018_hourly --json=out.json"),
        ("/a/made.csv --json /b/out.json --plot b/out.svg", "made.csv --json out.json --plot out.svg"),
        ("--from 2021/01/02 --to=2021/02/03 a/made.csv", "--from 2021/01/02 --to=2021/02/03 made.csv"),
        ("--day-ahead a/made.csv --models theta", "--day-ahead made.csv --models theta"),
    ],
)
def test_the_page_tells_a_command_without_the_folders_of_its_files(section, given, told):
    document = {"command": f"carbonshift forecast evaluate {given}", "tapes": [section]}
    assert f"\ncarbonshift forecast evaluate {told}\n" in forecast_page([document])


def test_too_few_origins_have_no_p_value_on_the_page(section):
    theta = section["models"]["theta"]
    assert theta["origins"] < 30
    assert theta["price"]["diebold_mariano"]["seasonal-naive"]["pinball"]["p_value"] is None
    page = forecast_page([{"command": "carbonshift", "tapes": [section]}])
    row = next(line for line in page.splitlines() if line.startswith("| **theta**"))
    assert [cell.strip() for cell in row.split("|")][-3] == "-"


def test_the_page_shows_how_reliable_the_warnings_are_the_same_each_time(section, tmp_path):
    result = tmp_path / "out.json"
    result.write_text(json.dumps({"command": "carbonshift forecast evaluate made.csv", "tapes": [section]}))
    made = []
    for name in ("one", "two"):
        picture = tmp_path / name / "reliability.svg"
        picture.parent.mkdir()
        command = [sys.executable, "-m", "carbonshift.backtest.forecasts.page", result, "--plot", picture]
        made.append((subprocess.run(command, capture_output=True, check=True).stdout, picture.read_bytes()))
    (page, picture), again = made
    assert (page, picture) == again
    assert picture == reliability_plot([section])
    assert b"](reliability.svg)" in page
    assert b"--plot docs/reliability.svg > docs/forecast.md" in page


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "no results"),
        (("out.json", "--plot", "out.json"), "no picture"),
        (("out.json", "--plot", "none/out.svg"), "none/out.svg"),
    ],
)
def test_a_page_that_cannot_be_made_is_told_in_one_line(section, tmp_path, arguments, words):
    (tmp_path / "out.json").write_text(json.dumps({"command": "carbonshift", "tapes": [section]}))
    command = [sys.executable, "-m", "carbonshift.backtest.forecasts.page", *arguments]
    result = subprocess.run(command, capture_output=True, check=False, text=True, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1
    assert words in result.stderr


def test_a_bin_of_few_cases_is_not_drawn_as_reliable(section):
    """How often it was said is drawn all the same."""

    def drawn(count):
        bins = [{"count": 400, "said": 0.05, "occurred": 0.04}, {"count": count, "said": 0.55, "occurred": 1.0}]
        model = {"spikes": {"reliability": bins}}
        return reliability_plot([{"tape": "made", "origins": 400, "models": {"persistence": model}}]).decode()

    few, enough = (drawn(count).count("<use ") for count in (FEWEST_CASES - 1, FEWEST_CASES))
    assert enough == few + 1


@pytest.mark.parametrize(("file_format", "begins"), [("svg", b"<?xml"), ("png", b"\x89PNG")])
def test_a_picture_is_the_same_each_time(section, file_format, begins):
    document = {"tapes": [section, section]}
    drawn = plot(document, file_format)
    assert drawn.startswith(begins)
    assert drawn == plot(document, file_format)
