"""History fetched from the providers as they are played by `grid`, faults and interruptions among it."""

import json
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from carbonshift.common.errors import InputError
from carbonshift.common.events import CarbonBasis, PriceMarket
from carbonshift.common.tape import open_tape
from carbonshift.ingest import history, web
from carbonshift.ingest.errors import SourceRefusedError, SourceUnavailableError
from carbonshift.ingest.history import Count, Wanted, fetch_history, journal_path
from carbonshift.ingest.journal import Journal
from carbonshift.ingest.reading import Reading, Signal
from carbonshift.ingest.settings import IngestSettings

START = datetime(2026, 3, 1, tzinfo=UTC)
HOUR, DAY, STEP = timedelta(hours=1), timedelta(days=1), timedelta(minutes=5)
POUND = 0.45359237


@pytest.fixture
def fetch(grid, monkeypatch, tmp_path):
    """Fetches into `tape.csv`: `await fetch("caiso-rtm", "watttime", days=2)`; what was said is in `fetch.said`."""
    for name, value in grid.settings().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(web, "FIRST_WAIT_SECONDS", 0.005)
    said = []

    async def run(price="caiso-rtm", carbon="watttime", start=START, days=2.0, pauses=(0.0,) * 4, **settings):
        wanted = Wanted(
            region="caiso", price_source=price, carbon_source=carbon, start=start, end=start + timedelta(days=days)
        )
        return await fetch_history(
            wanted,
            IngestSettings.load(**settings),
            run.out,
            say=said.append,
            progress=lambda *step: said.append(step),
            pauses=pauses,
        )

    run.said = said
    run.out = tmp_path / "tape.csv"
    return run


def rows(path: Path):
    return [(row.interval_start, row.price_usd_per_mwh, row.carbon_g_per_kwh) for row in open_tape(path).rows()]


def grams(value):
    return None if value is None else pytest.approx(value, abs=1e-5)


async def test_a_tape_holds_the_truth_of_every_interval(grid, fetch):
    written = await fetch()
    truth = grid.truth
    assert rows(fetch.out) == [
        (moment, truth.price_usd_per_mwh(moment), grams(truth.carbon_g_per_kwh(moment)))
        for moment in (START + n * STEP for n in range(576))
    ]
    sidecar = open_tape(fetch.out).sidecar
    assert (sidecar.region, sidecar.time_zone) == ("caiso", "America/Los_Angeles")
    assert (sidecar.step_seconds, sidecar.price_step_seconds) == (300, 300)
    assert (sidecar.carbon_basis, sidecar.price_market) == (CarbonBasis.MARGINAL, PriceMarket.REAL_TIME)
    assert sidecar.day_ahead_published is None
    assert written.counts == {Signal.PRICE: Count(576, 576), Signal.CARBON: Count(576, 576)}
    assert sorted(path.name for path in fetch.out.parent.iterdir()) == ["tape.csv", "tape.toml"]


async def test_an_hourly_price_holds_for_its_hour(grid, fetch):
    written = await fetch("caiso-dam")
    truth = grid.truth
    assert [price for _, price, _ in rows(fetch.out)] == [
        truth.day_ahead_usd_per_mwh(START + n // 12 * HOUR) for n in range(576)
    ]
    sidecar = open_tape(fetch.out).sidecar
    assert (sidecar.step_seconds, sidecar.price_step_seconds) == (300, 3_600)
    assert (sidecar.price_market, sidecar.day_ahead_published) == (PriceMarket.DAY_AHEAD, time(13))
    assert written.counts[Signal.PRICE] == Count(48, 48)


async def test_an_hourly_carbon_holds_for_its_hour(grid, fetch):
    await fetch(carbon="electricitymaps", days=1)
    assert [carbon for _, _, carbon in rows(fetch.out)] == [
        grid.truth.hourly_carbon_g_per_kwh(START + n // 12 * HOUR) for n in range(288)
    ]
    assert open_tape(fetch.out).sidecar.carbon_basis is CarbonBasis.AVERAGE


async def test_without_carbon_its_cells_are_empty(grid, fetch):
    await fetch("caiso-dam", None)
    assert {carbon for _, _, carbon in rows(fetch.out)} == {None}
    assert not grid.asked("watttime")
    assert open_tape(fetch.out).step_seconds == 3_600


async def test_what_is_missing_stays_empty_and_is_counted(grid, fetch):
    """Nothing is invented: not for a gap, nor for a value that the tape would be refused for."""
    gap = {START + n * STEP for n in range(40, 60)}
    negative = START + 100 * STEP
    usual = grid.truth
    grid.truth = replace(
        usual,
        price_usd_per_mwh=lambda m: None if m in gap else usual.price_usd_per_mwh(m),
        carbon_g_per_kwh=lambda m: -1.0 if m == negative else None if m in gap else usual.carbon_g_per_kwh(m),
    )
    grid.play("imputed")
    written = await fetch()
    found = rows(fetch.out)
    assert {moment for moment, price, _ in found if price is None} == gap
    assert {moment for moment, _, carbon in found if carbon is None} == gap | {negative}
    assert written.counts[Signal.PRICE] == Count(576, 556)
    assert written.counts[Signal.CARBON] == Count(576, 555, estimated=555, unfit=1)


async def test_a_tape_of_nothing_is_refused(grid, fetch):
    with pytest.raises(InputError, match="caiso-rtm has no price at all"):
        await fetch(caiso_node="TYPO")
    assert not list(fetch.out.parent.iterdir())


async def test_faults_on_the_way_change_nothing(grid, fetch):
    for faults in (("503", "truncated-zip"), ("error-1015", "closed"), ("cut", "duplicates")):
        grid.play(*faults, api="oasis")
    grid.play("expired-token", "500", "cut", "warnings", api="watttime")
    await fetch("caiso-dam", days=31)
    assert {asked.fault for asked in grid.requests} > {"503", "truncated-zip", "cut"}
    assert rows(fetch.out) == [
        (m, grid.truth.day_ahead_usd_per_mwh(m.replace(minute=0)), grams(grid.truth.carbon_g_per_kwh(m)))
        for m in (START + n * STEP for n in range(31 * 288))
    ]


OF_TWO_PARTS = {"price": "caiso-dam", "carbon": None, "days": 31}


async def interrupted(fetch, grid):
    """A fetch that gets its first part alone: then OASIS asks to be left alone for longer than any question waits."""
    grid.retry_after_seconds = 3_600
    grid.play("reordered", "429-retry-after", api="oasis")
    with pytest.raises(SourceUnavailableError) as caught:
        await fetch(**OF_TWO_PARTS, pauses=())
    return str(caught.value)


async def test_what_has_come_is_not_asked_for_again(grid, fetch):
    told = await interrupted(fetch, grid)
    assert "1 of 2 parts have come, not price 2026-03-31T00:00:00Z to 2026-04-01T00:00:00Z; the same command" in told
    assert not fetch.out.exists()
    before = len(grid.requests)
    await fetch(**OF_TWO_PARTS)
    assert "1 of 2 parts are there already; the fetch resumes" in fetch.said
    assert [asked.query["startdatetime"][:8] for asked in grid.requests[before:]] == ["20260331"]


async def test_a_source_that_is_away_is_tried_again_with_pauses(fetch, monkeypatch):
    """With longer ones where the provider asks for them."""

    class Away:
        name, signals, interval_seconds, time_zone = "away", frozenset({Signal.PRICE}), 3_600, "UTC"
        price_market, carbon_basis = PriceMarket.REAL_TIME, CarbonBasis.AVERAGE
        answers = iter([None, 0.02, START])

        def __init__(self, settings, web):
            pass

        async def fetch(self, *_):
            answer = next(self.answers)
            if isinstance(answer, datetime):
                return [Reading(answer, 1.0)]
            raise SourceUnavailableError("away", "wait", answer)

    monkeypatch.setattr(history, "load_plugin", lambda *_: Away)
    await fetch("away", None, days=1, pauses=(0.01, 0.0))
    part = "price 2026-03-01T00:00:00Z to 2026-03-02T00:00:00Z"
    assert fetch.said[:2] == [f"away; {part} is asked for again in 0 s"] * 2
    assert fetch.said[2:] == [(1, 1, f"{part}: 1 values")]
    Away.answers = iter([None])
    fetch.out.unlink()
    fetch.out.with_suffix(".toml").unlink()
    with pytest.raises(SourceUnavailableError, match="0 of 1 parts have come"):
        await fetch("away", None, days=1, pauses=())


async def test_a_refusal_ends_it_at_once(grid, fetch):
    with pytest.raises(SourceRefusedError):
        await fetch("caiso-dam", "electricitymaps", electricitymaps_api_key="no-key-of-this-server")
    assert len(grid.asked("electricitymaps")) <= 2


async def test_a_journal_that_was_cut_is_used_as_far_as_it_goes(grid, fetch):
    await interrupted(fetch, grid)
    journal = journal_path(fetch.out)
    whole = journal.read_bytes()
    header = whole.index(b"\n") + 1
    tapes, resumed = [], []
    damaged = (whole[:-1], whole[: header + 20], whole[:header], whole[: header - 5], b"")
    for left in (whole, whole + b"\0" * 512, *damaged):
        journal.write_bytes(left)
        fetch.said.clear()
        await fetch(**OF_TWO_PARTS)
        resumed.append(any("parts are there already" in str(line) for line in fetch.said))
        tapes.append(fetch.out.read_bytes())
        assert not journal.exists()
        for path in fetch.out.parent.glob("tape.*"):
            path.unlink()
    assert len(set(tapes)) == 1
    assert resumed == [True, True, False, False, False, False, False]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"caiso_node": "OTHER"}, "has begun with node TH_NP15_GEN-APND, not OTHER"),
        ({"days": 32}, "has begun with end 2026-04-01T00:00:00Z, not 2026-04-02T00:00:00Z"),
        ({"carbon": "watttime"}, "has begun with carbon source None, not watttime"),
        ({"price": "caiso-rtm"}, "has begun with price source caiso-dam, not caiso-rtm"),
        ({"watttime_region": "CAISO_SP"}, "has begun with WattTime region CAISO_NORTH, not CAISO_SP"),
    ],
)
async def test_another_fetch_does_not_go_on_with_its_journal(grid, fetch, changed, said):
    await interrupted(fetch, grid)
    before = journal_path(fetch.out).read_bytes()
    with pytest.raises(InputError, match=said):
        await fetch(**OF_TWO_PARTS | changed)
    assert journal_path(fetch.out).read_bytes() == before


@pytest.mark.parametrize("content", [b"time_utc,price\n", b"[1]\n", b'{"a": 1}\n'])
async def test_what_is_no_journal_is_left_alone(fetch, content):
    journal_path(fetch.out).write_bytes(content)
    with pytest.raises(InputError, match="is there already and no journal"):
        await fetch()
    assert journal_path(fetch.out).read_bytes() == content


async def test_two_fetches_do_not_write_one_journal(fetch):
    with (
        Journal(journal_path(fetch.out), {"node": "any"}, ["a part"]),
        pytest.raises(InputError, match="is being written by another process"),
    ):
        await fetch("caiso-dam", None)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"days": 0}, "is not before the end"),
        ({"days": -1}, "is not before the end"),
        ({"start": START + timedelta(seconds=1)}, "begins no interval of 300 s"),
        ({"price": "caiso-dam", "start": START + STEP}, "begins no interval of 3600 s"),
        ({"days": 100_000}, "lies beyond what is published; it can be 20"),
        ({"price": "watttime"}, "the source watttime gives no price"),
        ({"carbon": "nobody"}, "nothing is registered as 'nobody'"),
    ],
)
async def test_what_cannot_be_fetched_is_refused_before_anything_is_asked(grid, fetch, changed, said):
    with pytest.raises(InputError, match=said):
        await fetch(**changed)
    assert not grid.requests
    assert not list(fetch.out.parent.iterdir())


@pytest.mark.parametrize("name", ["tape.csv", "tape.toml"])
async def test_what_exists_is_not_overwritten(grid, fetch, name):
    (fetch.out.parent / name).write_text("precious")
    with pytest.raises(InputError, match="is there already"):
        await fetch()
    assert (fetch.out.parent / name).read_text() == "precious"
    assert not grid.requests


async def test_a_kill_between_the_sidecar_and_the_tape_is_resumed(grid, fetch):
    await interrupted(fetch, grid)
    (fetch.out.parent / "tape.toml").write_text("region = 'half")
    await fetch(**OF_TWO_PARTS)
    assert open_tape(fetch.out).row_count == 31 * 24


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-03-07T20:59:00Z", "2026-03-08T08:00:00Z"),  # 12:59 in California
        ("2026-03-07T21:00:00Z", "2026-03-09T07:00:00Z"),  # 13:00; tomorrow has 23 hours
        ("2026-03-08T06:00:00Z", "2026-03-09T07:00:00Z"),  # 22:00, still the 7th
        ("2026-10-31T20:00:00Z", "2026-11-02T08:00:00Z"),  # tomorrow has 25 hours
    ],
)
def test_day_ahead_prices_reach_to_the_end_of_a_local_day(now, until):
    source = SimpleNamespace(price_market=PriceMarket.DAY_AHEAD, time_zone="America/Los_Angeles")
    now, until = datetime.fromisoformat(now), datetime.fromisoformat(until)
    assert history._published_until(source, Signal.PRICE, now) == until
    assert history._published_until(source, Signal.CARBON, now) == now


def test_what_a_source_answers_beside_the_question_is_dropped():
    part = history._Part(Signal.PRICE, START, START + HOUR)
    readings = [
        Reading(START - STEP, 1.0),
        Reading(START, 2.0),
        Reading(START + STEP / 2, 3.0),
        Reading(START + STEP, float("nan"), estimated=True),
        Reading(START + HOUR, 4.0),
    ]
    values = history._values(readings, part, 300)
    assert values == [(0, 2.0, False), (1, None, True)]
    assert json.loads(json.dumps(values))
