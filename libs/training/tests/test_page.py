import mmap
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonshift.training import page

WORDS = st.integers(0, page.PAGE_BYTES // 8 - 1)
VALUES = st.integers(0, 2**64 - 1)


@given(written=st.dictionaries(WORDS, VALUES))
def test_what_one_side_writes_the_other_reads(written):
    fd = page.create()
    mine, theirs = page.attach(os.dup(fd)), page.attach(fd)
    for word, value in written.items():
        mine[word] = value
    assert theirs.tolist() == [written.get(word, 0) for word in range(512)]


def test_the_two_writers_share_no_cache_line():
    agents = {page.TARGET, page.HEARTBEAT, page.LEASE_MS, page.AGREED}
    processes = {page.STEP, page.ACK, page.QUIET, page.MEMORY_BYTES, page.FINAL_STEP, page.DEADLINE_MS}
    assert processes <= set(page.PROCESS_WORDS)
    assert {word * 8 // 128 for word in agents}.isdisjoint(word * 8 // 128 for word in processes)


def test_neither_side_can_shrink_the_page_under_the_other():
    fd = page.create()
    with pytest.raises(PermissionError):
        os.ftruncate(fd, 0)
    os.close(fd)


def test_something_shorter_than_a_page_is_refused_and_closed():
    fd = os.memfd_create("short")
    os.ftruncate(fd, page.PAGE_BYTES - mmap.ALLOCATIONGRANULARITY + 8)
    with pytest.raises(ValueError, match="taken away"):
        page.attach(fd)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)
