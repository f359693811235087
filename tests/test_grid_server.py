"""The providers that tests play: their shapes are the real ones, each fault of theirs happens."""

import csv
import gzip
import io
import json
import re
import zipfile
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import httpx
import pytest

NOON = datetime(2026, 3, 3, 20, tzinfo=UTC)  # by the clock in California
DAY = timedelta(days=1)
STEP = timedelta(minutes=5)
RTM = {"queryname": "PRC_INTVL_LMP", "market_run_id": "RTM", "version": "3", "resultformat": "6"}
DAM = {"queryname": "PRC_LMP", "market_run_id": "DAM", "version": "12", "resultformat": "6"}


@pytest.fixture
def raw(repository):
    """A real answer by its name, where they lie beside the repository."""

    def read(name):
        path = repository.parent / "shared" / "raw-api" / name
        if not path.exists():
            pytest.skip("the recorded answers are not here")
        return path.read_bytes()

    return read


@pytest.fixture
def ask(grid):
    """GET with the credentials that the path needs; the answer, or the error of the connection."""
    grid.now = NOON
    environment = grid.settings()
    with httpx.Client(base_url=grid.url, timeout=5) as client:
        token = []

        def get(path, **params):
            headers = params.pop("headers", {})
            if path.startswith("/watttime/v3"):
                if not token:
                    auth = environment["WATTTIME_USERNAME"], environment["WATTTIME_PASSWORD"]
                    token.append(client.get("/watttime/login", auth=auth).json()["token"])
                headers |= {"Authorization": f"Bearer {token[0]}"}
            if path.startswith("/electricitymaps"):
                headers |= {"auth-token": environment["ELECTRICITYMAPS_API_KEY"]}
            answer = client.get(path, params=params, headers=headers)
            if answer.status_code == 401:
                token.clear()
            return answer

        yield get


def oasis(ask, start, end, report=RTM, **changed):
    query = {"node": "TH_NP15_GEN-APND", "startdatetime": stamp(start), "enddatetime": stamp(end)}
    return ask("/oasisapi/SingleZip", **report | query | changed)


def stamp(moment):
    return f"{moment:%Y%m%dT%H:%M}-0000"


def unzipped(answer):
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        [name] = archive.namelist()
        return name, archive.read(name).decode()


def table(answer):
    return list(csv.DictReader(io.StringIO(unzipped(answer)[1])))


def historical(ask, start=NOON - DAY, end=NOON):
    span = {"start": start.isoformat(), "end": end.isoformat()}
    return ask("/watttime/v3/historical", region="CAISO_NORTH", signal_type="co2_moer", **span)


def intensity(ask, path, **query):
    return ask(f"/electricitymaps/v3/carbon-intensity/{path}", zone="US-CAL-CISO", **query)


def test_prices_are_the_truth_in_the_real_layout(grid, ask, raw):
    rtm = table(oasis(ask, NOON - DAY, NOON + DAY))
    dam = table(oasis(ask, NOON - DAY, NOON, DAM))
    assert list(rtm[0]) == raw("caiso_oasis/PRC_INTVL_LMP_RTM_5min_3rows.csv").decode().splitlines()[0].split(",")
    real = gzip.decompress(raw("caiso_oasis/20200501_20200601_PRC_LMP_DAM_20200603_08_45_10_v1.csv.gz")).decode()
    assert list(dam[0]) == real.splitlines()[0].split(",")
    lmp = {row["INTERVALSTARTTIME_GMT"]: float(row["VALUE"]) for row in rtm if row["LMP_TYPE"] == "LMP"}
    assert [row["INTERVALSTARTTIME_GMT"] for row in rtm] != sorted(row["INTERVALSTARTTIME_GMT"] for row in rtm)
    assert len(rtm) == 5 * len(lmp) == 5 * 288  # what lies ahead is not served
    for text, value in lmp.items():
        assert value == grid.truth.price_usd_per_mwh(datetime.fromisoformat(text))
    assert {row["MW"] for row in dam} >= {
        f"{grid.truth.day_ahead_usd_per_mwh(NOON - timedelta(hours=n)):.10g}" for n in range(1, 24)
    }


def test_day_ahead_prices_come_at_one_in_the_afternoon(grid, ask):
    tomorrow = datetime(2026, 3, 4, 8, tzinfo=UTC)  # its local midnight
    grid.now = NOON + timedelta(minutes=59)
    assert "ERR_CODE>1000<" in unzipped(oasis(ask, tomorrow, tomorrow + DAY, DAM))[1]
    grid.now = NOON + timedelta(minutes=60)
    assert len(table(oasis(ask, tomorrow, tomorrow + DAY, DAM))) == 24 * 5


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"queryname": "PRC_NOTHING"}, "1005"),
        ({"version": ""}, "1020"),
        ({"resultformat": "1"}, "1011"),
        ({"startdatetime": "2026-03-02"}, "1002"),
        ({"startdatetime": stamp(NOON - 32 * DAY)}, "1004"),
        ({"node": "NOWHERE"}, "1000"),
    ],
)
def test_oasis_refuses_with_200_and_a_code(ask, raw, changed, code):
    answer = oasis(ask, NOON - DAY, NOON, **changed)
    name, body = unzipped(answer)
    assert answer.status_code == 200
    assert f"<m:ERR_CODE>{code}</m:ERR_CODE>" in body
    assert ("INVALID_REQUEST.xml.zip" in answer.headers["content-disposition"]) is (code != "1000")
    assert name.endswith(".xml")
    real = raw("caiso_oasis/err1000_no_data_verbatim.xml").decode()
    assert re.findall("<[^>]+>", body) == [tag for tag in re.findall("<[^>]+>", real) if "DISCLAIMER" not in tag]


def test_oasis_is_asked_no_faster_than_it_says(grid, ask):
    grid.oasis_seconds_between_requests = 5.0
    assert [oasis(ask, NOON - DAY, NOON).status_code for _ in range(2)] == [200, 429]


def outlook(ask, name, where="current", **headers):
    return ask(f"/outlook/{where}/{name}.csv", headers=headers)


def test_the_outlook_tells_the_carbon_of_the_truth(grid, ask, raw):
    co2, fuel = (list(csv.reader(io.StringIO(outlook(ask, name).text))) for name in ("co2", "fuelsource"))
    assert co2[0] == raw("caiso_outlook/co2_csv_header_and_one_row.csv").decode().splitlines()[0].split(",")
    assert fuel[0] == raw("caiso_outlook/fuelsource_20230101.csv").decode().splitlines()[0].split(",")
    midnight = datetime(2026, 3, 3, 8, tzinfo=UTC)
    known = [row for row in co2[1:] if row[1]]
    assert len(known) == 12 * 12 - 1  # 11:55 is not out yet
    assert co2[-1] == ["00:00", *[""] * 6]
    for n, (tonnes, megawatts) in enumerate(zip(known, fuel[1:], strict=False)):
        said = 1_000 * sum(map(int, tonnes[1:])) / sum(max(0, int(cell)) for cell in megawatts[1:])
        assert said == pytest.approx(grid.truth.carbon_g_per_kwh(midnight + n * STEP), abs=1e-9)


def test_the_outlook_goes_by_the_clock_on_the_wall(grid, ask):
    grid.now = datetime(2026, 11, 20, tzinfo=UTC)
    for day, blank in ((date(2026, 3, 8), 12), (date(2026, 11, 1), 0), (date(2026, 11, 2), 0)):
        rows = [line.split(",") for line in outlook(ask, "fuelsource", f"history/{day:%Y%m%d}").text.splitlines()[1:]]
        assert [row[0] for row in rows] == [f"{n // 12:02}:{n % 12 * 5:02}" for n in range(288)]
        assert [row[0] for row in rows if not row[1]] == [f"02:{5 * n:02}" for n in range(blank)]
    assert outlook(ask, "co2", "history/20261121").status_code == 404


def test_the_outlook_sends_nothing_twice(grid, ask):
    first = outlook(ask, "co2")
    assert outlook(ask, "co2", **{"If-None-Match": first.headers["etag"]}).status_code == 304
    assert outlook(ask, "co2", **{"If-Modified-Since": first.headers["last-modified"]}).status_code == 304
    grid.now = NOON + STEP
    assert outlook(ask, "co2", **{"If-None-Match": first.headers["etag"]}).status_code == 200


def keys(value):
    """The shape of a JSON value: its keys all the way down, of a list the first element's."""
    if isinstance(value, dict):
        return {key: keys(inner) for key, inner in value.items()}
    return [keys(value[0])] if isinstance(value, list) and value else None


def test_watttime_tells_the_truth_in_pounds(grid, ask, raw):
    answer = historical(ask).json()
    assert len(answer["data"]) == 288 - 1
    first = answer["data"][0]
    assert first["point_time"] == (NOON - DAY).isoformat()
    assert first["value"] * 0.45359237 == pytest.approx(grid.truth.carbon_g_per_kwh(NOON - DAY), abs=1e-6)
    for mine, real in (
        (answer, "historical_emissions"),
        (ask("/watttime/v3/signal-index", region="CAISO_NORTH").json(), "realtime_emissions"),
    ):
        theirs = keys(json.loads(raw(f"watttime_v3/aiowatttime_{real}_response.json")))
        theirs["meta"].pop("warnings")
        shape = keys(mine)
        shape["meta"].pop("warnings")
        assert shape == theirs
    forecast = ask("/watttime/v3/forecast", region="CAISO_NORTH").json()
    assert len(forecast["data"]) == 288
    example = json.loads(raw("watttime_v3/official_openapi_2024-01_schema_examples.json"))["V3SingleForecastResponse"]
    assert forecast["data"][0].keys() == example["data"][0].keys()
    assert forecast["meta"].keys() == example["meta"].keys()


def test_watttime_wants_a_good_token(grid, ask):
    grid.token_seconds = 0.0
    assert historical(ask).status_code == 401
    assert ask("/watttime/login").status_code == 403
    assert ask("/watttime/v3/historical", region="PSCO").status_code == 401


def test_electricity_maps_tells_whole_grams_by_the_hour(grid, ask, raw):
    for path, real in (("latest", "latest_carbon_intensity"), ("history", "carbon_intensity_history")):
        theirs = json.loads(raw(f"electricitymaps_v3/aioelectricitymaps_{real}.json"))
        assert keys(intensity(ask, path).json()) == keys(theirs)
    history = intensity(ask, "history", emissionFactorType="direct").json()["history"]
    assert len(history) == 24
    assert [point["isEstimated"] for point in history] == [False] * 22 + [True] * 2
    hour = NOON - timedelta(hours=5)
    span = {"start": hour.isoformat(), "end": NOON.isoformat()}
    direct = intensity(ask, "past-range", emissionFactorType="direct", **span).json()["data"]
    lifecycle = intensity(ask, "past-range", **span).json()["data"]
    assert len(direct) == 5
    assert direct[0]["carbonIntensity"] == grid.truth.hourly_carbon_g_per_kwh(hour)
    assert lifecycle[0]["carbonIntensity"] - 37 == direct[0]["carbonIntensity"]
    assert httpx.get(f"{grid.url}/electricitymaps/v3/carbon-intensity/latest").status_code == 401
    assert intensity(ask, "past-range", start=(NOON - 11 * DAY).isoformat(), end=NOON.isoformat()).status_code == 400


def test_electricity_maps_tells_the_fuels_of_each_hour(ask, raw):
    theirs = json.loads(raw("electricitymaps_v3/aioelectricitymaps_power_breakdown_history.json"))
    ours = ask("/electricitymaps/v3/power-breakdown/history", zone="US-CAL-CISO").json()
    assert ours["history"][0].keys() == theirs["history"][0].keys()
    fuels = "powerProductionBreakdown"
    assert ours["history"][0][fuels].keys() == theirs["history"][0][fuels].keys()
    assert [hour["isEstimated"] for hour in ours["history"]] == [False] * 22 + [True] * 2


def test_what_is_unknown_is_left_out_and_a_lie_is_served(grid, ask):
    gap = NOON - DAY
    grid.truth = replace(grid.truth, carbon_g_per_kwh=lambda moment: None if moment == gap else 100.0)
    assert historical(ask).json()["data"][0]["point_time"] == (gap + STEP).isoformat()
    grid.lie(lambda signal, _, value: 0.0 if signal == "carbon" else value)
    assert {point["value"] for point in historical(ask).json()["data"]} == {0.0}


def test_no_two_neighbours_are_alike(grid):
    moments = [NOON + n * STEP for n in range(20_000)]
    prices = [grid.truth.price_usd_per_mwh(moment) for moment in moments]
    carbon = [grid.truth.carbon_g_per_kwh(moment) for moment in moments]
    assert len(set(prices)) > 0.99 * len(prices)
    assert all(a != b for a, b in pairwise(carbon))
    assert min(carbon) > 0


ANSWERED = {"500": 500, "502": 502, "503": 503, "429": 429, "429-retry-after": 429}
ANSWERED |= {"forbidden": 403, "expired-token": 401}


def test_every_fault_happens_where_it_can(grid, ask):
    grid.slow_seconds = 0.2
    asking = {
        "oasis": lambda: oasis(ask, NOON - DAY, NOON),
        "outlook": lambda: outlook(ask, "co2"),
        "watttime": lambda: historical(ask),
        "login": lambda: ask("/watttime/login"),
        "electricitymaps": lambda: intensity(ask, "history"),
    }
    historical(ask)  # a token
    for fault, apis in grid.faults.items():
        for api in sorted(apis):
            good = asking[api]()
            grid.play(fault, api=api)
            try:
                answer = asking[api]()
            except httpx.RemoteProtocolError:
                assert fault in {"closed", "cut"}
            else:
                assert fault not in {"closed", "cut"}
                assert answer.status_code == ANSWERED.get(fault, good.status_code if fault == "slow" else 200)
                if fault == "slow":
                    assert answer.elapsed.total_seconds() >= 0.2
                elif (fault, api) != ("reordered", "oasis"):  # never in order anyway
                    assert answer.content != good.content or (fault, api) == ("forbidden", "login")
                if fault == "429-retry-after":
                    assert answer.headers["retry-after"] == "1"
            assert grid.requests[-1].fault == fault
            assert grid.requests[-1].api == api


def test_faults_are_drawn_by_seed_and_rate(grid, ask):
    grid.random_faults = {"503", "500"}
    grid.fault_rate = 0.3
    codes = [outlook(ask, "co2").status_code for _ in range(100)]
    assert 10 < sum(code != 200 for code in codes) < 50
    assert {500, 503} < set(codes)
    with pytest.raises(ValueError, match="has no fault"):
        grid.play("percentile", api="oasis")


def test_the_log_holds_no_credentials(grid, ask):
    historical(ask)
    intensity(ask, "latest")
    secrets = {value for name, value in grid.settings().items() if not name.startswith("CARBONSHIFT_")}
    assert len(secrets) == 3
    assert not any(secret in repr(grid.requests) for secret in secrets)
    assert [asked.path for asked in grid.asked("login")] == ["/watttime/login"]
