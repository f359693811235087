"""Settings: environment and file, one clear line for what does not fit, no secret in it."""

from typing import ClassVar

import pytest

from carbonshift.common.errors import BrokerUnreachableError, InputError
from carbonshift.common.reach import reach_broker
from carbonshift.common.settings import Settings


class OvenSettings(Settings):
    service: ClassVar[str] = "oven"
    heat_w: float = 100.0


def write(tmp_path, monkeypatch, text):
    path = tmp_path / "carbonshift.toml"
    path.write_text(text)
    monkeypatch.setenv("CARBONSHIFT_CONFIG", str(path))


def test_the_environment_wins_over_the_file(tmp_path, monkeypatch):
    write(tmp_path, monkeypatch, 'nats_url = "nats://file:1"\nlog_level = "DEBUG"\n[oven]\nheat_w = 2\n')
    monkeypatch.setenv("NATS_URL", "nats://env:1, nats://env:2")
    settings = OvenSettings.load()
    assert (settings.servers(), settings.log_level, settings.heat_w) == (["nats://env:1", "nats://env:2"], "DEBUG", 2.0)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("heet_w = 1\n", "has no setting 'heet_w'"),
        ("[oven]\nheet_w = 1\n", r"\[oven\] has no setting 'heet_w'"),
        ("[oven\n", "write it as TOML"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path, monkeypatch, text, problem):
    write(tmp_path, monkeypatch, text)
    with pytest.raises(InputError, match=problem):
        OvenSettings.load()


def test_a_named_file_that_is_missing_is_an_error(monkeypatch):
    monkeypatch.setenv("CARBONSHIFT_CONFIG", "/no/such/file.toml")
    with pytest.raises(InputError, match="No such file"):
        Settings.load()


def test_a_bad_value_is_named_without_being_shown(monkeypatch):
    monkeypatch.setenv("CARBONSHIFT_HEAT_W", "s3cret")
    with pytest.raises(InputError, match="CARBONSHIFT_HEAT_W") as caught:
        OvenSettings.load()
    assert "s3cret" not in str(caught.value)


async def test_a_broker_that_does_not_answer_is_named_without_its_password():
    with pytest.raises(BrokerUnreachableError, match=r"no NATS broker answers at nats://127\.0\.0\.1:9") as caught:
        await reach_broker(Settings(nats_url="nats://me:s3cret@127.0.0.1:9"))
    assert "s3cret" not in str(caught.value)
