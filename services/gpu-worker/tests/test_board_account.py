import logging
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from carbonshift.common.events import EnergyBasis, Quality, Replay
from carbonshift.gpu_worker.account_file import AccountFile
from carbonshift.gpu_worker.board_account import BoardAccount, account_of
from carbonshift.gpu_worker.books import Books
from carbonshift.gpu_worker.meter import Meter
from carbonshift.gpu_worker.settings import GpuWorkerSettings
from carbonshift.gpu_worker.sums import Sums

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def ledgers(module_at):
    return module_at(Path(__file__).with_name("test_ledger.py"))


def opened(folder, uuid="GPU-1", books=None):
    return BoardAccount(GpuWorkerSettings(state_dir=folder, worker="w"), books or Books(), uuid)


def count(account, since_seconds, seconds, watts=100.0, jobs=("a",), run=None):
    before = Meter(at=NOON + timedelta(seconds=since_seconds))
    meter = Meter(at=before.at + timedelta(seconds=seconds), energy_j=watts * seconds)
    account.count(before, meter, jobs, EnergyBasis.MEASURED, parked=False, run=run)
    return meter


async def test_a_restart_goes_on_with_totals_jobs_and_what_is_not_priced_yet(tmp_path, ledgers):
    books = Books()
    account = opened(tmp_path, books=books)
    books.hear(ledgers.tick(0))
    assert await account.load(NOON) is None
    meter = count(account, 0, 400)
    await account.save(meter, counter_j=1_234.5)

    again_books = Books()
    again = opened(tmp_path, books=again_books)
    assert await again.load(meter.at + timedelta(hours=1)) == (meter.at, 1_234.5)
    assert again.total(meter.at, EnergyBasis.MEASURED, None) == account.total(meter.at, EnergyBasis.MEASURED, None)
    assert again.job("a", None) == account.job("a", None)
    assert again_books.owed_since() == NOON + timedelta(seconds=300)
    again_books.hear(ledgers.tick(1))
    energy_j, told = again.total(meter.at, EnergyBasis.MEASURED, None)
    assert (energy_j, told.unpriced_j) == (40_000, 0)
    assert told.cost_usd == pytest.approx(40_000 / 3.6e9 * 50)
    assert again_books.owed_since() is None


async def test_a_save_is_no_more_often_than_every_few_seconds_but_for_the_last(tmp_path, ledgers):
    account = opened(tmp_path)
    await account.save(count(account, 0, 10), None)
    last = count(account, 10, 10)
    await account.save(last, None)
    assert AccountFile(tmp_path / "energy", "GPU-1").load().total.energy_j == 1_000
    await account.save(last, None, at_once=True)
    assert AccountFile(tmp_path / "energy", "GPU-1").load().total.energy_j == 2_000


async def test_a_file_that_cannot_be_read_is_laid_aside_and_said(tmp_path, ledgers, caplog):
    account = opened(tmp_path)
    await account.save(count(account, 0, 10), None)
    (file,) = (tmp_path / "energy").iterdir()
    file.write_text('{"since"')
    assert await opened(tmp_path).load(NOON) is None
    assert file.with_suffix(".unreadable").read_text() == '{"since"'
    assert str(file) in caplog.text


@pytest.mark.parametrize(
    ("of", "to"),
    [
        ('"since":"2026-07-01T12:00:00Z"', '"since":"2026-07-01T12:00:00"'),
        ('"energy_j":1000.0', '"energy_j":NaN'),
        ('"energy_j":1000.0', '"energy_j":-5.0'),
        ('"a":', '"a b":'),
    ],
)
async def test_a_file_that_says_what_cannot_be_is_laid_aside_too(tmp_path, of, to):
    account = opened(tmp_path)
    await account.save(count(account, 0, 10), None)
    (file,) = (tmp_path / "energy").iterdir()
    text = file.read_text()
    assert of in text
    file.write_text(text.replace(of, to))
    assert await opened(tmp_path).load(NOON) is None
    assert file.with_suffix(".unreadable").exists()


async def test_what_was_drawn_in_another_region_is_not_priced_by_this_one_s_ticks(tmp_path, ledgers):
    account = opened(tmp_path)
    meter = count(account, 0, 10)
    await account.save(meter, None)
    books = Books()
    moved = BoardAccount(GpuWorkerSettings(state_dir=tmp_path, worker="w", region="de"), books, "GPU-1")
    assert await moved.load(meter.at)
    books.hear(ledgers.tick(0))
    energy_j, told = moved.total(meter.at, EnergyBasis.MEASURED, None)
    assert (energy_j, told.unpriced_j, told.cost_usd) == (1_000, 1_000, 0)


async def test_a_full_disk_stops_no_counting_and_is_said_once(tmp_path, ledgers, caplog):
    (tmp_path / "energy").write_text("in the way")
    account = opened(tmp_path)
    with caplog.at_level(logging.WARNING):
        for second in range(3):
            await account.save(count(account, second, 1), None, at_once=True)
    assert caplog.text.count("is not saved") == 1
    assert account.total(NOON, EnergyBasis.MEASURED, None)[0] == 300


def test_each_interval_is_told_with_its_shares_price_and_quality(tmp_path, ledgers):
    books = Books()
    account = opened(tmp_path, books=books)
    count(account, 0, 100, 300.0, ("a", "b"))
    count(account, 100, 250, 60.0, ())
    now = NOON + timedelta(seconds=350)
    assert account.settled(now, None) == []
    books.hear(ledgers.tick(0, price=40.0, carbon=250.0, carbon_quality=Quality.INTERPOLATED))
    (use,) = account.settled(now, None)
    assert (use.interval_start, use.interval_seconds, use.metered_seconds) == (NOON, 300, 300)
    assert (use.energy_j, use.energy_basis, use.error_j) == (42_000, EnergyBasis.MEASURED, 0)
    assert [(share.job, share.energy_j) for share in use.shares] == [("a", 15_000), ("b", 15_000)]
    assert (use.cost_usd, use.carbon_g) == (pytest.approx(42_000 / 3.6e9 * 40), pytest.approx(42_000 / 3.6e6 * 250))
    assert (use.price_quality, use.carbon_quality) == (Quality.OBSERVED, Quality.INTERPOLATED)
    assert account.settled(now, None) == []
    books.hear(ledgers.tick(0, price=None, carbon=250.0, revision=1, price_quality=Quality.MISSING))
    (again,) = account.settled(now, None)
    assert (again.revision, again.cost_usd, again.price_quality) == (1, None, Quality.MISSING)
    assert again.id != use.id


def test_a_replay_is_an_account_of_its_own_and_the_live_one_stays(tmp_path, ledgers):
    books = Books()
    account = opened(tmp_path, books=books)
    count(account, 0, 10)
    replay = Replay(run="july")
    books.hear(ledgers.tick(0, replay=replay))
    count(account, 0, 350, jobs=("a",), run="july")
    now = NOON + timedelta(seconds=350)
    (use,) = account.settled(now, replay)
    assert (use.replay, use.energy_j) == (replay, 30_000)
    assert account.total(now, EnergyBasis.ESTIMATED, "july")[0] == 35_000
    assert account.total(now, EnergyBasis.MEASURED, None)[0] == 1_000
    assert account.job("a", None)[0] == 1_000
    count(account, 0, 1, run="august")
    assert account.total(now, EnergyBasis.ESTIMATED, "july")[0] == 0  # of replays the latest one is kept


def test_a_job_on_two_boards_is_the_sum_of_both(tmp_path, ledgers):
    books = Books()
    one, two = opened(tmp_path, "GPU-1", books), opened(tmp_path, "GPU-2", books)
    count(one, 0, 10)
    count(two, 0, 10, 200.0)
    books.hear(ledgers.tick(0))
    energy_j, basis, account = one.job("a", None)
    assert (energy_j, basis) == (3_000, EnergyBasis.MEASURED)
    assert account.cost_usd == pytest.approx(3_000 / 3.6e9 * 50)
    assert two.job("a", None) == one.job("a", None)
    assert one.job("never heard of", None) == (0.0, None, None)


def test_nothing_below_zero_is_told_but_a_negative_price_is():
    sums = Sums(energy_j=1.0, unpriced_j=-1e-12, uncounted_j=1e-12, cost_usd=-0.5)
    told = account_of(sums, NOON, EnergyBasis.MODELLED)
    assert (told.unpriced_j, told.uncounted_j, told.cost_usd, told.error_j) == (0.0, 0.0, -0.5, None)
    assert set(asdict(sums)) - {"energy_j"} == set(type(told).model_fields) - {"since"}
