"""`carbonshift explain`, as somebody types it."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from carbonshift.common.events import CarbonBasis, GridState, GridTick, PriceMarket, Pulse, Quality, Replay

TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
LAST_YEAR = datetime(2018, 1, 2, tzinfo=UTC)
RUN = Replay(run="r1")
HOUR = timedelta(hours=1)


def hours(first, count=24, region="caiso", replay=None):
    for start in (first + hour * HOUR for hour in range(count)):
        yield GridTick(
            region=region,
            interval_start=start,
            interval_seconds=3_600,
            price_usd_per_mwh=31.0,
            carbon_g_per_kwh=268.0,
            carbon_basis=CarbonBasis.AVERAGE,
            price_quality=Quality.OBSERVED,
            carbon_quality=Quality.OBSERVED,
            price_market=PriceMarket.REAL_TIME,
            price_source="test",
            carbon_source="test",
            observed_at=start,
            replay=replay,
        )
        yield GridState(
            region=region,
            interval_start=start,
            interval_seconds=3_600,
            state=Pulse.RED,
            since=start,
            score=None,
            price_norm=None,
            carbon_norm=None,
            power_limit_w=100.0,
            power_fraction=0.0,
            run=False,
            epoch=0,
            reasons=("\x1b[31m[bold]:smile:",),
            valid_until=start + 2 * HOUR,
            policy="eco-pulse",
            replay=replay,
        )


def one_line(result, *words):
    assert result.returncode == 2, result.stdout + result.stderr
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    for word in words:
        assert word in lines[0]


async def test_it_tells_the_last_whole_day_of_every_region_and_writes_the_figures(bus, carbonshift, tmp_path):
    await bus.publish(*hours(TODAY - 24 * HOUR), *hours(TODAY - 24 * HOUR, region="de"), *hours(TODAY, 1, region="fr"))
    data = tmp_path / "digest.json"
    result = carbonshift("explain", "--json", data, NATS_URL=bus.url)
    assert result.returncode == 0, result.stderr
    day = f"{TODAY - 24 * HOUR:%Y-%m-%d}"
    first = f"caiso on {day} (UTC): RED 24 h; no change. The longest RED lasted 24 h, from 00:00 to 00:00: for a reason"
    assert result.stdout.startswith(first)
    assert f"\n\nde on {day} (UTC)" in result.stdout
    assert "\nfr " not in result.stdout
    assert "\x1b" not in result.stdout
    document = json.loads(data.read_text())
    assert document["command"].startswith("carbonshift explain")
    assert [digest["region"] for digest in document["digests"]] == ["caiso", "de"]
    assert document["digests"][0]["text"] in result.stdout
    assert document["digests"][0]["facts"]["highest_price_usd_per_mwh"] == 31.0


async def test_a_date_is_a_day_of_the_local_clock(bus, carbonshift):
    await bus.publish(*hours(LAST_YEAR, 48, replay=RUN))
    asked = ("explain", "--run", "r1", "--from", "2018-01-03")
    result = carbonshift(*asked, NATS_URL=bus.url, CARBONSHIFT_TIME_ZONE="Europe/Berlin")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("caiso on 2018-01-03 (Europe/Berlin): RED 24 h; no change.")
    result = carbonshift(*asked, "--to", "2018-01-03T06:00:00Z", NATS_URL=bus.url)
    assert result.stdout.startswith("caiso from 2018-01-03 00:00 to 2018-01-03 06:00 (UTC): RED 6 h;")


async def test_of_a_replay_it_tells_the_last_whole_day_and_less_where_there_is_none(bus, carbonshift):
    await bus.publish(*hours(LAST_YEAR, 36, replay=RUN), *hours(LAST_YEAR + 6 * HOUR, 8, replay=Replay(run="r2")))
    whole = carbonshift("explain", "--run", "r1", NATS_URL=bus.url)
    assert whole.stdout.startswith("caiso on 2018-01-02 (UTC): RED 24 h;")
    less = carbonshift("explain", "--run", "r2", NATS_URL=bus.url)
    assert less.stdout.startswith("caiso from 2018-01-02 06:00 to 2018-01-02 14:00 (UTC): RED 8 h;")


async def test_what_cannot_be_told_is_one_line(bus, carbonshift, tmp_path):
    await bus.publish(*hours(LAST_YEAR, 24, replay=RUN), *hours(LAST_YEAR, 2, region="de", replay=Replay(run="r2")))
    held = "--run r1 caiso 2018-01-02T00:00Z to 2018-01-03T00:00Z"
    where = {"NATS_URL": bus.url}
    one_line(carbonshift("explain", **where), "nothing of the live grid", held, "--run r2 de")
    one_line(carbonshift("explain", "--region", "fr", **where), "--region 'fr'", "they have caiso, de")
    one_line(carbonshift("explain", "--run", "r3", **where), "--run 'r3'", held)
    one_line(carbonshift("explain", "--run", "r1", "--from", "2018-01-05", **where), "nothing of replay r1", held)


async def test_a_broker_that_has_heard_of_nothing_is_one_line(bus, broker_url, carbonshift):
    one_line(carbonshift("explain", NATS_URL=broker_url), "hold no region", "carbonshift up")


def test_a_time_zone_that_is_none_is_one_line(carbonshift):
    result = carbonshift("explain", NATS_URL="nats://127.0.0.1:9", CARBONSHIFT_TIME_ZONE="America")
    one_line(result, "CARBONSHIFT_TIME_ZONE", "'America' is not an IANA time zone", "docs/settings.md")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--from", "2018-01-02", "--to", "2018-01-02"), ("--from 2018-01-02 is not before --to 2018-01-02",)),
        (("--from", "soon"), ("--from 'soon' is not a time",)),
        (("--to", "9999-12-31"), ("--to '9999-12-31'", "1900 to 9990")),
        (("--json", "nowhere/out.json"), ("no folder nowhere",)),
        ((), ("no NATS broker answers at nats://127.0.0.1:9",)),
    ],
)
def test_bad_input_is_one_line(carbonshift, arguments, words):
    one_line(carbonshift("explain", *arguments, NATS_URL="nats://127.0.0.1:9"), *words)
