"""The report: a page that is complete in itself, whatever the study came to and whatever things are called."""

import copy
import json
import math
import re
import resource
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonshift.backtest.bench import StudyOptions
from carbonshift.backtest.document import accounting, curve_of, tape_section
from carbonshift.backtest.recorded import recorded
from carbonshift.backtest.report.drawing import MOST_STEPS, thinned
from carbonshift.backtest.report.page import page, write_page
from carbonshift.backtest.report.waterfall import bars
from carbonshift.backtest.report.wording import (
    DASH,
    MINUS,
    UNIT,
    leading,
    money,
    number,
    percent,
    percent_range,
    result,
    small_percent,
)
from carbonshift.backtest.study import study
from carbonshift.common.errors import InputError
from carbonshift.common.tape import Sidecar, TapeRow, open_tape, write_tape
from carbonshift.decide.settings import DecideSettings

START = datetime(2026, 1, 1, tzinfo=UTC)
VOID = {"meta", "br", "hr", "link", "img", "input"}
POLICIES = ("run-now", "static-cap", "eco-pulse", "planner", "oracle")
HOSTILE = "$x^$\"><img src=x onerror=alert(1)>'\n<b>&amp;"


def price(hour):
    return 50.0 + 40.0 * math.sin(hour / 24 * 2 * math.pi)


def document_of(folder, name="caiso", *, hours=24 * 20, prices=price, **options):
    """The document of a real study of a tape made for it."""
    path = folder / f"{name}.csv"
    carbon = (300.0 + 100.0 * math.cos(hour / 24 * 2 * math.pi) for hour in range(hours))
    rows = [TapeRow(START + timedelta(hours=hour), prices(hour), grams) for hour, grams in enumerate(carbon)]
    write_tape(path, rows, Sidecar(step_seconds=3_600))
    asked = {"work_seconds": 4 * 3_600.0, "starts": 5, "slacks": (0.5, 1.0), "policies": POLICIES} | options
    done = study(recorded(open_tape(path)), DecideSettings(), StudyOptions(**asked), lambda *_: None)
    document = {
        "command": f"carbonshift backtest {path.name} --html report.html",
        "version": "0.1.0",
        "basis": "modelled",
        "accounting": accounting(done),
        "job": {"work_hours": 4.0, "power_w": done.options.curve.limits_w[-1], "usd_per_gpu_hour": 0.0},
        "curve": curve_of(done.options.curve),
        "usd_per_tonne": done.options.usd_per_tonne,
        "starts": done.options.starts,
        "seed": 0,
        "tapes": [tape_section(done)],
    }
    return json.loads(json.dumps(document, allow_nan=False))


FEW = {"hours": 24 * 6, "slacks": (1.0,), "policies": ("planner", "oracle")}
CASES = {
    "all": {},
    "planner alone": FEW | {"policies": ("planner",)},
    "baselines alone": FEW | {"policies": ("run-now",)},
    "paid for running": FEW | {"prices": lambda hour: price(hour) - 90.0, "usd_per_tonne": 0.0},
    "one price": FEW | {"prices": lambda _: 50.0},
    "ends too soon": {"hours": 30, "starts": 1, "slacks": (0.0,), "policies": ("solar-window", "planner")},
    "no work": FEW | {"work_seconds": 0.0},
}


@pytest.fixture(scope="module")
def documents(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tapes")
    return {name: document_of(folder, **case) for name, case in CASES.items()}


@pytest.fixture(scope="module")
def pages(documents):
    return {name: page(document) for name, document in documents.items()}


@pytest.fixture(scope="module")
def document(documents):
    return documents["all"]


@pytest.fixture(scope="module")
def small(documents):
    return documents["baselines alone"]


@pytest.fixture(scope="module")
def text(pages):
    return pages["all"]


class Reader(HTMLParser):
    """What a browser would make of it: elements, their attributes, and the text that is seen or read aloud."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.attributes, self.seen = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    @property
    def text(self):
        return " ".join(self.seen)

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += attrs
        self.seen += [value for name, value in attrs if name in {"aria-label", "title", "alt"}]

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.seen.append(data)


def table_rows(text, caption):
    """Each row's cells, of the table whose caption begins so."""
    (table,) = re.findall(rf"<table[^>]*>\s*<caption><span>{caption}.*?</table>", text, re.DOTALL)
    rows = re.findall(r"<tr[^>]*><th scope=\"row\">(.*?)</tr>", table, re.DOTALL)
    return [
        [re.sub(r"<small>.*?</small>|<[^>]*>", "", cell) for cell in re.split(r"</th>|</td>", row)[:-1]] for row in rows
    ]


def dollars(text):
    return float(text.replace(MINUS, "-").replace("$", "").replace(",", "").replace("+", ""))


@pytest.mark.parametrize("case", CASES)
def test_every_element_is_closed_and_every_number_is_one(pages, case):
    reader = Reader(pages[case])
    assert not re.search(r"\b(nan|none|null|inf|infinity|undefined)\b", reader.text, re.IGNORECASE)
    assert {"html", "body", "main", "h1", "svg", "table"} <= set(reader.elements)


@pytest.mark.parametrize("case", CASES)
def test_the_page_asks_nobody_for_anything(pages, case):
    text = pages[case]
    reader = Reader(text)
    assert not {"script", "link", "img", "iframe", "object", "base", "image"} & set(reader.elements)
    assert not [
        name for name, _ in reader.attributes if name.startswith("on") or name in {"src", "srcset", "xlink:href"}
    ]
    assert not re.search(r"https?:|//[a-z]|@import|@font-face", text)
    ids = [value for name, value in reader.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    targets = {value for name, value in reader.attributes if name in {"href", "aria-labelledby"}}
    targets |= set(re.findall(r"url\(([^)]*)\)", text))
    assert {target.removeprefix("#") for target in targets} <= set(ids)


def test_every_policy_is_explained_and_stands_in_every_table_with_its_schedule(text):
    for name in POLICIES:
        assert f"<dt>{name}</dt>" in text
        assert f"<h4>{name}</h4>" in text
    assert [row[0] for row in table_rows(text, "All policies")] == list(POLICIES)
    assert [row[0] for row in table_rows(text, "Both ways")] == list(POLICIES[1:])


def test_every_tape_has_its_own_section(small, pages):
    several = small | {"tapes": [{**small["tapes"][0], "tape": name} for name in ("north", "south")]}
    reader = Reader(page(several))
    assert [value for name, value in reader.attributes if name == "href" and value.startswith("#tape-")] == [
        "#tape-1", "#tape-2",
    ]  # fmt: skip
    assert reader.elements.count("svg") == 2 * Reader(pages["baselines alone"]).elements.count("svg")


def test_a_name_is_never_taken_for_markup(document):
    hostile = copy.deepcopy(document)
    (tape,) = hostile["tapes"]
    tape["tape"] = tape["region"] = hostile["command"] = HOSTILE

    def renamed(by_policy):
        return {HOSTILE if name == "eco-pulse" else name: value for name, value in by_policy.items()}

    tape["pooled"], tape["example"]["power_w"] = renamed(tape["pooled"]), renamed(tape["example"]["power_w"])
    for each in tape["slacks"]:
        each["policies"] = renamed(each["policies"])
    tape["pareto"] = [
        point | {"policy": HOSTILE} if point["policy"] == "planner" else point for point in tape["pareto"]
    ]
    del tape["pooled"]["planner"]
    reader = Reader(page(hostile))
    assert not {"img", "b", "script"} & set(reader.elements)
    assert not [name for name, _ in reader.attributes if name == "onerror"]
    shown = " ".join(HOSTILE.split())
    assert reader.seen.count(shown) >= 5
    assert any(text.startswith('$x^$"><img src=') and text.endswith("…") for text in reader.seen)


def test_the_waterfall_goes_from_running_at_once_down_to_the_planner(document, text):
    (tape,) = document["tapes"]
    rows = bars(tape["pooled"], "planner")
    assert rows[0].end_usd == pytest.approx(tape["pooled"]["run-now"]["total_usd"], rel=1e-12)
    assert rows[-2].end_usd == pytest.approx(rows[-1].end_usd, rel=1e-9)
    assert rows[-1].end_usd == tape["pooled"]["planner"]["total_usd"]
    assert len(rows) > 3
    for before, after in pairwise(rows[:-1]):
        assert after.begin_usd == before.end_usd
    shown = table_rows(text, "From the total")
    changes = [dollars(change) for _, change, _ in shown[1:-1]]
    assert dollars(shown[0][2]) + sum(changes) == pytest.approx(dollars(shown[-1][2]), abs=0.0006 * len(changes))
    assert any(change > 0 for change in changes)
    assert any(change < 0 for change in changes)


def test_the_waterfall_draws_a_bar_for_each_row(document, text):
    (figure,) = re.findall(r'<svg [^>]*aria-label="Waterfall.*?</svg>', text, re.DOTALL)
    rows = bars(document["tapes"][0]["pooled"], "planner")
    assert [figure.count(f"fill: var(--{colour})") for colour in ("good", "bad")] == [
        sum(bar.colour == colour for bar in rows) for colour in ("good", "bad")
    ]
    for bar in rows:
        assert f">{bar.label}</text>" in figure


def test_the_same_document_gives_the_same_page_whatever_matplotlib_is_set_to(document, text):
    with mpl.rc_context({"xtick.labelsize": 30.0, "lines.marker": "*", "svg.fonttype": "path", "font.size": 9.0}):
        assert page(copy.deepcopy(document)) == text


def test_the_page_stays_small(text):
    assert len(text) < 150_000


@contextmanager
def no_file_longer_than(count):
    """A disk that is full after so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (count, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_page_that_cannot_be_written_whole_leaves_the_old_one(small, tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old")
    with no_file_longer_than(10_000), pytest.raises(InputError, match=r"--html .*report\.html"):
        write_page(path, small)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_written_page_is_whole_and_alone(small, tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old")
    odd = small | {"command": "carbonshift backtest \udcff.csv"}  # a file name that is no UTF-8
    write_page(path, odd)
    assert path.read_text(encoding="utf-8").endswith("</html>")
    assert list(tmp_path.iterdir()) == [path]


def test_the_sentence_says_what_was_saved_and_how_sure_that_is(document):
    (tape,) = document["tapes"]
    row = tape["pooled"]["planner"]
    sentence = result(tape)
    assert sentence.startswith(f"The planner saved {percent(row['saved_share_of_cap'])} against the best static cap")
    assert percent_range(row["saved_share_of_run_now_interval"]) in sentence
    assert f"have saved {percent(tape['pooled']['oracle']['saved_share_of_cap'])} and" in sentence


def test_the_sentence_hides_no_loss(document):
    tape = copy.deepcopy(document["tapes"][0])
    tape["pooled"]["planner"] |= {"saved_share_of_cap": -0.02, "saved_share_of_cap_interval": [-0.05, 0.01]}
    loss = "cost 2.0 % more than the best static cap (95 % interval -1.0 to 5.0 %, so it may be chance)"
    assert loss in result(tape).replace(UNIT, " ").replace(MINUS, "-")


def test_the_sentence_counts_in_dollars_where_there_is_no_per_cent(documents):
    sentence = result(documents["paid for running"]["tapes"][0])
    assert re.search(r"The planner was \$\d\.\d+ cheaper than the best static cap and \$\d\.\d+ cheaper than", sentence)


@pytest.mark.parametrize(("case", "name"), [("all", "planner"), ("baselines alone", "static-cap")])
def test_the_report_is_about_the_planner_where_there_is_one(documents, case, name):
    assert leading(documents[case]["tapes"][0]) == name


def test_a_run_that_never_ended_is_not_free_of_charge(pages):
    rows = {row[0]: row for row in table_rows(pages["ends too soon"], "All policies")}
    assert rows["solar-window"][1:4] == [DASH] * 3
    assert rows["run-now"][3].startswith("$")


@given(size=st.integers(1, 3_000), levels=st.sampled_from([1, 2, 1_000]), seed=st.integers(0, 2**32 - 1))
def test_thinning_loses_no_peak(size, levels, seed):
    values = np.random.default_rng(seed).integers(0, levels, size).astype(np.float64)
    kept, edges = thinned(values, np.arange(values.size + 1.0))
    assert kept.size <= MOST_STEPS
    assert (kept.min(), kept.max()) == (values.min(), values.max())
    assert (edges[0], edges[-1]) == (0.0, values.size)
    assert (np.diff(edges) > 0).all()
    assert edges.size == kept.size + 1


@pytest.mark.parametrize(
    ("shown", "wanted"),
    [
        (money(0.0449), "$0.0449"),
        (money(-12.5), f"{MINUS}$12.50"),
        (money(1234567.0), "$1,234,567"),
        (money(0.5, 200.0), "$0.50"),
        (money(-1e-15, 5.0), "$0.00"),
        (money(None), DASH),
        (money(math.nan), DASH),
        (number(1124.1), "1,124"),
        (number(-0.0), "0.00"),
        (percent(0.0428), f"4.3{UNIT}%"),
        (percent(-17.6), f"{MINUS}1,760{UNIT}%"),
        (percent(-1e-9), f"0.0{UNIT}%"),
        (percent_range(None), DASH),
        (small_percent(1.3e-4), f"0.013{UNIT}%"),
        (small_percent(-1e-17), f"less than 0.0001{UNIT}%"),
    ],
)
def test_a_number_reads_as_one(shown, wanted):
    assert shown == wanted
