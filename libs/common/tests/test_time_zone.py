"""The name of a local clock."""

import pytest
from pydantic import TypeAdapter, ValidationError

from carbonshift.common.time_zone import TimeZone

NAMED = TypeAdapter(TimeZone)


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "America/Argentina/Ushuaia"])
def test_a_zone_is_taken_as_it_is_named(name):
    assert NAMED.validate_python(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "Mars/Base", "America", "America/Argentina", "../UTC", "/etc/localtime", "a\0b", "z" * 300],
)
def test_what_names_no_zone_is_refused(name):
    """`America` is a folder of zones."""
    with pytest.raises(ValidationError, match="is not an IANA time zone"):
        NAMED.validate_python(name)
