"""The one log of all processes: JSON lines from a level on, and no words of an error."""

from __future__ import annotations

import json
import logging

import pytest
import structlog

from scandock.model.errors import Fault
from scandock.services.logs import configure_logging, error_cause, error_location, log
from tests.sinks import steps_logged_by


@pytest.fixture(autouse=True)
def as_before():
    """What is configured here holds for the process: put back what was."""
    before = structlog.get_config()
    root, own = logging.getLogger(), logging.getLogger("scandock")
    handlers, level, own_level = root.handlers[:], root.level, own.level
    with steps_logged_by(lambda *_, **__: None):
        yield
    structlog.configure(**before)
    root.handlers[:], root.level, own.level = handlers, level, own_level
    logging.getLogger("uvicorn.access").disabled = False


def lines(capsys):
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_has_its_process_time_level_and_what_the_request_bound(capsys):
    configure_logging("web")
    structlog.contextvars.bind_contextvars(request_id="r1")
    log().info("request", upload="u1")
    structlog.contextvars.clear_contextvars()
    [line] = lines(capsys)
    assert line.pop("at").endswith("Z")
    assert line == {"event": "request", "level": "info", "process": "web", "request_id": "r1", "upload": "u1"}


@pytest.mark.parametrize(("level", "told"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_what_is_told_begins_at_the_level(capsys, level, told):
    made = configure_logging("worker", level)
    for name in ("debug", "info", "warning", "error"):
        getattr(made, name)(name)
    assert [line["event"] for line in lines(capsys)] == ["debug", "info", "warning", "error"][-told:]


def test_libraries_come_the_same_way_with_warnings_and_worse(capsys):
    configure_logging("web", "debug")
    logging.getLogger("uvicorn.error").info("Started")
    logging.getLogger("sqlalchemy.engine").debug("SELECT")
    logging.getLogger("uvicorn.error").warning("Invalid %s", "request")
    [line] = lines(capsys)
    assert (line["event"], line["level"], line["process"]) == ("Invalid request", "warning", "web")


def test_of_an_error_its_kind_and_place_are_told_and_none_of_its_words(capsys):
    configure_logging("web")
    try:
        raise ValueError("DOE^JANE")
    except ValueError as error:
        log().error("unexpected", exc_info=error)
        logging.getLogger("uvicorn.error").exception("Exception in ASGI application")
        place = error_location(error)[-1]
    text = capsys.readouterr().err
    assert "JANE" not in text
    assert place.startswith("unit/services/test_logs.py:")
    for line in map(json.loads, text.splitlines()):
        assert line["error"] == "ValueError"
        assert "test_logs.py" in line["where"][-1]


def test_the_cause_of_a_fault():
    fault = Fault("disk_full", "No space left while writing archive/P/JANE.")
    assert error_cause(fault) is None
    fault.__cause__ = OSError(28, "No space left", "JANE")
    assert error_cause(fault) == "OSError 28"
    fault.__cause__ = ValueError("JANE")
    assert error_cause(fault) == "ValueError"
