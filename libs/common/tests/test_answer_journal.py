"""What the journal of paid answers keeps, whoever writes to it and whatever happens to it."""

import fcntl
import json
import logging
import os
import resource
import signal
import subprocess
import sys
import tracemalloc
from datetime import timedelta

import pytest

from carbonshift.common.answer_journal import AnswerJournal, BudgetSpentError, JournalError
from carbonshift.common.spending import Budget, PaidCall

PLENTY = Budget(calls_per_day=100, usd_per_day=100.0)
TWO_CALLS = Budget(calls_per_day=2, usd_per_day=100.0)
RESERVE = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from carbonshift.common.answer_journal import AnswerJournal, BudgetSpentError
from carbonshift.common.spending import Budget, PaidCall
made, journal = 0, AnswerJournal(Path(sys.argv[1]))
for number in range(30):
    call = PaidCall(id=f"{sys.argv[2]}{number}", key="k", at=datetime(2026, 1, 31, 12, tzinfo=UTC), model="m", usd=0.01,
                    reason="unanswered")
    try:
        journal.reserve(call, Budget(calls_per_day=31, usd_per_day=1.0))
    except BudgetSpentError:
        continue
    made += 1
sys.stdout.write(f"{made}\\n")
sys.stdout.flush()
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "openai.jsonl"


@pytest.fixture
def call(noon):
    """A reserved call: `call("a")`; `call("a", answer="yes")` is what came of it."""

    def make(name, *, at=noon, key="k", usd=0.1, **told):
        told = told or {"reason": "unanswered"}
        return PaidCall(id=name, key=key, at=at, model="m", usd=usd, **told)

    return make


def test_an_answer_is_found_again_after_a_restart(path, call):
    journal = AnswerJournal(path)
    assert journal.find("k") is None
    journal.reserve(call("a"), PLENTY)
    assert journal.find("k") == call("a")
    answer = call("a", usd=0.02, answer="\x1b[2Jé\u2028\u009b", tokens_in=3, tokens_out=4)
    journal.settle(answer)
    assert journal.find("k") == answer
    assert AnswerJournal(path).find("k") == answer
    assert AnswerJournal(path).find("other") is None
    assert path.read_bytes().isascii()
    assert b"\x1b" not in path.read_bytes()


def test_an_answer_outweighs_a_newer_failure(path, call):
    journal = AnswerJournal(path)
    for one in (call("a"), call("a", answer="yes"), call("b"), call("b", reason="timeout")):
        journal.settle(one)
    assert journal.find("k").answer == "yes"
    journal.settle(call("c", answer="newer"))
    assert journal.find("k").answer == "newer"


def test_a_call_nobody_told_the_end_of_stays_spent(path, call):
    """Killed between the call and its answer, the next run must not spend that money again."""
    AnswerJournal(path).reserve(call("a", usd=0.6), PLENTY)
    after = AnswerJournal(path)
    with pytest.raises(BudgetSpentError, match=r"0\.6000 of 1 USD"):
        after.reserve(call("b", usd=0.6), Budget(calls_per_day=9, usd_per_day=1.0))
    after.settle(call("a", usd=0.3, answer="yes"))
    AnswerJournal(path).reserve(call("b", usd=0.6), Budget(calls_per_day=9, usd_per_day=1.0))


def test_two_journals_on_one_file_see_each_other(path, call):
    one, other = AnswerJournal(path), AnswerJournal(path)
    one.reserve(call("a"), TWO_CALLS)
    other.reserve(call("b"), TWO_CALLS)
    with pytest.raises(BudgetSpentError):
        one.reserve(call("c"), TWO_CALLS)
    other.settle(call("b", answer="yes"))
    assert one.find("k").answer == "yes"


def test_two_processes_never_spend_more_than_one_may(path):
    writers = [
        subprocess.Popen([sys.executable, "-c", RESERVE, str(path), name], stdout=subprocess.PIPE) for name in "ab"
    ]
    made = [int(writer.communicate(timeout=60)[0]) for writer in writers]
    assert sum(made) == 31
    assert len({json.loads(line)["id"] for line in path.read_text().splitlines()}) == 31


def test_what_a_killed_process_reserved_stays_spent(path, call):
    waits = RESERVE + "import signal; signal.pause()"
    writer = subprocess.Popen([sys.executable, "-c", waits, str(path), "a"], stdout=subprocess.PIPE)
    assert writer.stdout.readline() == b"30\n"
    writer.send_signal(signal.SIGKILL)
    writer.communicate(timeout=60)
    budget = Budget(calls_per_day=31, usd_per_day=1.0)
    AnswerJournal(path).reserve(call("b"), budget)
    with pytest.raises(BudgetSpentError, match="31 of 31 calls"):
        AnswerJournal(path).reserve(call("c"), budget)


@pytest.mark.parametrize("cut", [1, 2, 40])
def test_a_torn_line_is_passed_over_and_the_next_one_stands_on_its_own(path, call, cut, caplog):
    AnswerJournal(path).settle(call("a", answer="yes"))
    AnswerJournal(path).settle(call("b", key="other", answer="no"))
    os.truncate(path, path.stat().st_size - cut)
    journal = AnswerJournal(path)
    journal.reserve(call("c", key="third"), PLENTY)
    journal.settle(call("c", key="third", answer="perhaps"))
    assert [journal.find(key) and journal.find(key).answer for key in ("k", "third")] == ["yes", "perhaps"]
    assert journal.rubbish == (0 if cut == 1 else 1)  # without its last byte alone, a line still says all
    assert AnswerJournal(path).find("third").answer == "perhaps"
    assert len(caplog.records) == (0 if cut == 1 else 2)  # once a reader


@pytest.mark.parametrize(
    "rubbish",
    [b"\xff\xfe", b"[]", b"null", b'{"id":"x"}', b"\x00" * 64, b'{"usd":-5}', b"[" * 10_000],
)
def test_rubbish_is_counted_and_told_once(path, call, rubbish, caplog):
    journal = AnswerJournal(path)
    journal.settle(call("a", answer="yes"))
    for _ in range(3):
        with path.open("ab") as file:
            file.write(rubbish + b"\n")
        assert journal.find("k").answer == "yes"
    assert journal.rubbish == 3
    (record,) = caplog.records
    assert record.levelno == logging.WARNING


def test_a_line_cannot_give_money_back(path, call):
    journal = AnswerJournal(path)
    journal.reserve(call("a", usd=1.0), PLENTY)
    line = json.loads(path.read_text()) | {"id": "b", "usd": -100.0}
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")
    with pytest.raises(BudgetSpentError):
        journal.reserve(call("c", usd=0.1), Budget(calls_per_day=9, usd_per_day=1.0))


def test_without_a_place_for_the_journal_nothing_may_be_spent(tmp_path, call):
    (tmp_path / "file").touch()
    journal = AnswerJournal(tmp_path / "file" / "openai.jsonl")
    assert journal.find("k") is None
    with pytest.raises(JournalError, match=r"cannot be written: .+; make .+ writable"):
        journal.reserve(call("a"), PLENTY)


def test_a_journal_that_is_a_folder_says_so(path, call):
    path.mkdir(parents=True)
    with pytest.raises(JournalError, match="cannot be read"):
        AnswerJournal(path).find("k")
    with pytest.raises(JournalError, match="cannot be written"):
        AnswerJournal(path).reserve(call("a"), PLENTY)


def test_a_full_disk_stops_spending_and_leaves_no_half_line_behind(path, call):
    """A limit on the size of files stands in for the disk: the write is cut short in the same way."""
    journal = AnswerJournal(path)
    journal.reserve(call("a"), PLENTY)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, hard))
    try:
        for _ in range(2):
            with pytest.raises(JournalError, match="cannot be written"):
                journal.reserve(call("b"), PLENTY)
            assert ids(path) == ["a"]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    journal.reserve(call("c"), TWO_CALLS)
    assert AnswerJournal(path).find("k") == call("c")


def test_old_days_are_dropped_and_whoever_has_the_file_follows(path, call, noon):
    one, other = AnswerJournal(path), AnswerJournal(path)
    one.settle(call("old", key="old", answer="then"))
    for day in range(1, 36):
        one.settle(call(f"late{day}", key="late", at=noon + timedelta(days=day), answer="still"))
        one.settle(call(f"late{day}", key="late", at=noon + timedelta(days=day), answer=f"still true {day}"))
    assert other.find("old").answer == "then"
    one.reserve(call("new", key="new", at=noon + timedelta(days=36)), PLENTY)
    assert ids(path) == [*(f"late{day}" for day in range(1, 36)), "new"]
    assert other.find("old") is None
    other.reserve(call("newer", key="new", at=noon + timedelta(days=36)), TWO_CALLS)
    with pytest.raises(BudgetSpentError):
        one.reserve(call("newest", at=noon + timedelta(days=36)), TWO_CALLS)
    assert one.find("late").answer == "still true 35"
    assert [child.name for child in path.parent.iterdir()] == [path.name]


def ids(path):
    return [json.loads(line)["id"] for line in path.read_text().splitlines()]


@pytest.fixture
def many_days(path, call, noon):
    """A journal of 40 days, the last one `noon`: the next reservation drops some."""
    path.parent.mkdir(parents=True)
    calls = [call(f"d{day}", at=noon - timedelta(days=39 - day), answer="yes") for day in range(40)]
    path.write_text("".join(f"{one.model_dump_json()}\n" for one in calls))
    return AnswerJournal(path)


def test_a_clock_that_leaps_ahead_and_back_gives_no_call_back(path, call, noon):
    journal = AnswerJournal(path)
    journal.reserve(call("a"), TWO_CALLS)
    for number in range(5):
        journal.reserve(call(f"ahead{number}", at=noon + timedelta(days=400 + number)), TWO_CALLS)
    journal.reserve(call("b"), TWO_CALLS)
    with pytest.raises(BudgetSpentError):
        AnswerJournal(path).reserve(call("c"), TWO_CALLS)


def test_a_line_that_cannot_be_made_out_is_a_call_at_the_most_that_one_cost(path, call, noon):
    journal = AnswerJournal(path)
    for name, usd in (("a", 0.1), ("b", 0.3), ("c", 0.1)):
        journal.reserve(call(name, usd=usd), PLENTY)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(BudgetSpentError, match="3 of 3 calls"):
        AnswerJournal(path).reserve(call("d"), Budget(calls_per_day=3, usd_per_day=9.0))
    with pytest.raises(BudgetSpentError, match=r"0\.7000 of 0\.75 USD"):
        AnswerJournal(path).reserve(call("d"), Budget(calls_per_day=9, usd_per_day=0.75))
    AnswerJournal(path).reserve(call("d", at=noon + timedelta(days=1)), Budget(calls_per_day=1, usd_per_day=1.0))


def test_lines_before_the_first_that_can_be_made_out_are_of_its_day(path, call):
    AnswerJournal(path).settle(call("a"))
    path.write_bytes(b"?\n" + path.read_bytes())
    with pytest.raises(BudgetSpentError, match="2 of 2 calls"):
        AnswerJournal(path).reserve(call("b"), TWO_CALLS)


def test_where_no_line_can_be_made_out_they_are_of_the_day_the_file_was_written(path, call, noon):
    path.parent.mkdir(parents=True)
    path.write_bytes(b"?\n?\n")
    os.utime(path, (noon.timestamp(), noon.timestamp()))
    with pytest.raises(BudgetSpentError, match="2 of 2 calls"):
        AnswerJournal(path).reserve(call("a"), TWO_CALLS)
    AnswerJournal(path).reserve(call("a", at=noon + timedelta(days=1)), TWO_CALLS)


def test_what_could_not_be_made_out_still_counts_after_old_days_are_dropped(path, call, many_days):
    with path.open("ab") as file:
        file.write(b"?\n?\n")
    many_days.reserve(call("a"), PLENTY)
    assert len(ids(path)) == 35 + 2 + 1
    with pytest.raises(BudgetSpentError, match="4 of 4 calls"):
        AnswerJournal(path).reserve(call("b"), Budget(calls_per_day=4, usd_per_day=9.0))


def test_a_link_to_the_journal_stays_one(path, call, many_days, tmp_path):
    link = tmp_path / "link.jsonl"
    link.symlink_to(path)
    AnswerJournal(link).reserve(call("a"), PLENTY)
    assert link.is_symlink()
    assert ids(path) == [*(f"d{day}" for day in range(5, 40)), "a"]
    assert many_days.find("k").answer == "yes"


def test_nobody_else_may_read_it_unless_its_owner_said_so(path, call, many_days, tmp_path):
    AnswerJournal(tmp_path / "new.jsonl").reserve(call("a"), PLENTY)
    assert (tmp_path / "new.jsonl").stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    many_days.reserve(call("a"), PLENTY)
    assert "d0" not in ids(path)
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_reservation_is_on_the_disk_before_the_call_is_made(path, call, monkeypatch):
    """What the kernel alone holds is gone when the power is."""
    synced = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (real(descriptor), synced.append(os.fstat(descriptor))))
    AnswerJournal(path).reserve(call("a"), PLENTY)
    assert (path.stat().st_ino, path.stat().st_size) in [(one.st_ino, one.st_size) for one in synced]
    assert path.parent.stat().st_ino in [one.st_ino for one in synced]


def test_a_journal_of_rubbish_is_not_held_in_memory(path, call):
    journal = AnswerJournal(path)
    journal.settle(call("a", answer="yes"))
    os.truncate(path, 64 << 20)
    with path.open("ab") as file:
        file.write(b"\n" + call("b", answer="no").model_dump_json().encode() + b"\n")
    tracemalloc.start()
    try:
        assert journal.find("k").answer == "no"
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    assert journal.rubbish == 1


def test_a_lock_that_others_keep_stops_spending(path, call, monkeypatch):
    monkeypatch.setattr("carbonshift.common.answer_journal.LOCK_WAIT_SECONDS", 0.0)
    AnswerJournal(path).settle(call("a"))
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        assert AnswerJournal(path).find("k") == call("a")
        with pytest.raises(JournalError, match="another process has locked it"):
            AnswerJournal(path).reserve(call("b"), PLENTY)
    AnswerJournal(path).reserve(call("b"), PLENTY)
