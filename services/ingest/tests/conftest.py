"""Small tapes for tests of ingest, in the shapes that matter."""

from datetime import UTC, datetime, timedelta

import pytest

from carbonshift.common.tape import Sidecar, TapeRow, open_tape, write_tape

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def make_tape(tmp_path):
    """Writes and opens a tape: `make_tape([(price, carbon), ...], region=..., ...)`."""

    def make(pairs, name="tape.csv", start=START, step_seconds=300, **sidecar):
        path = tmp_path / name
        rows = (TapeRow(start + timedelta(seconds=step_seconds * n), *pair) for n, pair in enumerate(pairs))
        write_tape(path, rows, Sidecar(**{"region": "caiso", "step_seconds": step_seconds} | sidecar))
        return open_tape(path)

    return make
