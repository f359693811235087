"""A moment that tests of events share."""

from datetime import UTC, datetime

import pytest


@pytest.fixture
def noon():
    return datetime(2026, 1, 31, 12, tzinfo=UTC)
