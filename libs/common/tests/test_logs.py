"""What a process tells: each line whole, with all its fields, and no secret in it."""

import json
import logging
import sys
import warnings

import pytest
from pydantic import SecretStr
from structlog.contextvars import bound_contextvars

from carbonshift.common.logs import set_up_logs
from carbonshift.common.settings import Settings


class OvenSettings(Settings):
    service = "oven"
    key: SecretStr | None = None


@pytest.fixture
def tells(capsys, monkeypatch):
    """Sets the logs up and gives a function that reads what has been told: `tells(log_format="json", ...)`."""
    root = logging.getLogger()
    before, level, hook = root.handlers[:], root.level, sys.excepthook
    servers = [logging.getLogger(name) for name in ("uvicorn", "uvicorn.error")]
    levels = [one.level for one in servers]
    for one in servers:  # a server in another test may have set them up for itself
        monkeypatch.setattr(one, "propagate", True)
        monkeypatch.setattr(one, "handlers", [])
        monkeypatch.setattr(one, "disabled", False)
        one.setLevel(logging.NOTSET)

    def begin(**settings):
        set_up_logs(OvenSettings(**settings))
        return lambda: capsys.readouterr().err

    yield begin
    logging.captureWarnings(capture=False)
    sys.excepthook = hook
    root.handlers, root.level = before, level
    for one, own in zip(servers, levels, strict=True):
        one.setLevel(own)


def raised(error):
    """`error` with a traceback."""
    with pytest.raises(type(error)):
        raise error
    return error


def lines(told):
    return [json.loads(line) for line in told().splitlines()]


def test_a_line_of_json_has_every_field(tells):
    told = tells(log_format="json")
    with bound_contextvars(trace_id="4bf9"):
        logging.getLogger("carbonshift.oven").warning("too hot: %d W", 300, extra={"region": "caiso", "level": 7})
    (line,) = lines(told)
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "warning",
        "logger": "carbonshift.oven",
        "service": "oven",
        "message": "too hot: 300 W",
        "region": "caiso",
        "level_": 7,
        "trace_id": "4bf9",
    }


@pytest.mark.parametrize("logger", ["carbonshift.oven", "faststream", "nats", "uvicorn.error", "asyncio"])
def test_every_logger_goes_the_same_way_and_an_exception_is_one_line(tells, logger):
    told = tells(log_format="json")
    logging.getLogger(logger).error("it\nfailed", exc_info=raised(ZeroDivisionError("no\nheat")))
    (line,) = lines(told)
    assert (line["logger"], line["message"]) == (logger, "it\nfailed")
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("ZeroDivisionError: no\nheat")


def test_what_ends_the_process_and_what_warns_are_lines_too(tells):
    told = tells(log_format="json")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("soon gone", stacklevel=1)
    error = raised(RuntimeError("the end"))
    sys.excepthook(type(error), error, error.__traceback__)
    warned, ended = lines(told)
    assert "soon gone" in warned["message"]
    assert (ended["level"], ended["message"]) == ("critical", "the process ends: the end")
    assert "RuntimeError" in ended["exception"]


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_no_secret_of_the_settings_is_told(tells, log_format):
    key = 'k"\\ey-of-mine'
    told = tells(log_format=log_format, key=key, nats_url="nats://me:p%40ssword@one:1, nats://token-of-mine@two:2")
    problem = "nats://me:p%%40ssword@one:1 refused p@ssword, token-of-mine; %s"
    logging.getLogger("carbonshift").error(problem, key, extra={"key": key}, exc_info=raised(ValueError(key)))
    said = told()
    secrets = (key, json.dumps(key)[1:-1], "p%40ssword", "p@ssword", "token-of-mine")
    assert not [secret for secret in secrets if secret in said]
    assert "***" in said


def test_text_is_as_it_was_and_keeps_to_its_level(tells):
    told = tells(log_level="WARNING")
    logging.getLogger("carbonshift.oven").info("warm")
    logging.getLogger("carbonshift.oven").warning("hot")
    (line,) = told().splitlines()
    assert line.endswith(" oven WARNING hot")
