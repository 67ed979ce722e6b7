"""What people who upload read of errors: no library's exception text, no setting's name, no path of the server.

Those who run the server read all of it: in docs/codes.md, at /readyz, in the log, and from the commands.
"""

from __future__ import annotations

import ast
import errno
import pickle
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from sqlalchemy import select
from starlette.requests import Request

import scandock
from scandock.catalog.engine import open_catalog
from scandock.catalog.tables import upload
from scandock.model.errors import PUBLIC, PUBLIC_REMEDIES, PUBLIC_REMEDY, Fault, Worded
from scandock.model.machine_errors import DiskFull
from scandock.rules.notices import CODES as NOTICES
from scandock.rules.receipt_codes import CODES as RECEIPT_CODES
from scandock.store import errors as store_errors
from scandock.store.durability import disk_fault, sync_fault
from scandock.web.problems import error_response
from scandock.web.xnat import routing
from scandock.workers.fault_pipe import FaultPipe, send_fault
from scandock.workers.machine_faults import to_machine_fault
from scandock.workers.pool import _message_error
from scandock.workers.reader_process import _send_error
from scripts.codes import classes
from tests.builders import Image, make_data_folder

SOURCE = Path(scandock.__file__).parent
SECRET = "/srv/data/archive/P/JANE"
SYSTEM = "Permission denied"
OPERATORS = (
    "cli/",
    "services/settings.py",
    "services/setting_rows.py",
    "services/server_checks.py",
    "model/crash_points.py",
    "workers/deidentification.py",
)
"""Modules whose words reach those alone who run the server: commands, and what begins one."""
SETTINGS_OF_OPERATORS = {
    "catalog/engine.py",  # before a server has begun
    "dimse/negotiation.py",  # what peers are told of our version: no setting
    "dimse/tls.py",  # connections that came to no association, which administrators alone see
    "model/children.py",  # the environment of processes
    "services/catalog_copies.py",  # backups
    "services/data_errors.py",
    "store/bucket.py",  # what is off with the bucket, which is quoted to operators alone
    "web/metric_table.py",
    "workers/attempt_server.py",  # reads one
    "workers/errors.py",  # before a server has begun, as the next
    "workers/supervisor.py",
    "web/xnat/site_preferences.py",  # administrators alone set these
    "workers/readers.py",  # the environment of processes
    "workers/scrub_task.py",  # reads one
}
QUOTED_TO_OPERATORS = {"workers/context.py", "workers/supervisor.py", "access/oidc.py", "services/read_only_data.py"}


def quoting() -> list[Fault]:
    """A fault of each kind whose sentence has what only operators should read."""
    numbers = (errno.ENOSPC, errno.EXDEV, errno.EACCES, errno.EIO)
    faults = [disk_fault(OSError(number, SYSTEM, SECRET), f"writing {SECRET}") for number in numbers]
    faults.append(sync_fault(OSError(errno.EIO, SYSTEM), SECRET))
    for text in (f"database or disk is full: {SECRET}", f"{SYSTEM}: {SECRET}"):
        fault = to_machine_fault(sqlite3.OperationalError(text))
        assert fault is not None
        faults.append(fault)
    worded: list[Any] = [kind for kind in classes() if kind.quotes and issubclass(kind, Worded)]
    faults += [kind(f"{SYSTEM} at {SECRET}.", f"Look at {SECRET}.") for kind in worded]
    return [*faults, store_errors.StageTaken(SECRET)]


def has_secret(text: str) -> bool:
    return any(word in text for word in (SECRET, "JANE", SYSTEM, "database", "Errno", "DATA"))


@pytest.mark.parametrize("fault", quoting(), ids=lambda fault: f"{type(fault).__name__}-{fault.code}")
def test_a_fault_that_quotes_the_system_is_told_without_it(fault: Fault) -> None:
    assert has_secret(str(fault)) or isinstance(fault, store_errors.StoreDivided)
    assert fault.public == (PUBLIC[fault.code], PUBLIC_REMEDIES.get(fault.code, PUBLIC_REMEDY))
    assert not has_secret(fault.public_text)
    again = pickle.loads(pickle.dumps(fault))
    assert again.public == fault.public


def test_every_fault_that_quotes_the_system_has_public_words() -> None:
    """Without them the answer would be an unexpected error."""
    quoting_codes = {getattr(kind, "CODE", "") for kind in classes() if kind.quotes and issubclass(kind, Fault)} - {""}
    assert quoting_codes - PUBLIC.keys() == set()


def test_a_fault_that_quotes_nothing_says_its_own() -> None:
    figures = DiskFull("5 bytes are needed, 3 are free.", "Try again later.")
    assert figures.public_text == str(figures)


@pytest.mark.parametrize(
    "answer", [error_response, lambda _, error: routing.error_response(error)], ids=["problem", "xnat"]
)
def test_an_answer_has_the_public_words(answer) -> None:
    request = Request({"type": "http", "method": "POST", "path": "/", "headers": [], "state": {}})
    fault = disk_fault(OSError(errno.EACCES, SYSTEM), f"writing {SECRET}")
    body = answer(request, fault).body.decode()
    assert PUBLIC["store_read_only"] in body
    assert not has_secret(body)


def test_what_a_reader_process_met_stays_among_operators() -> None:
    class Wire:
        def send(self, message: tuple[object, ...]) -> None:
            self.sent = message

    for error in (
        OSError(errno.EIO, SYSTEM),
        OSError(errno.ENOSPC, SYSTEM),
        disk_fault(OSError(errno.EIO, SYSTEM), "x"),
    ):
        wire = Wire()
        _send_error(wire, error)  # type: ignore[arg-type]
        fault = _message_error(wire.sent)
        assert isinstance(fault, Fault)
        assert SYSTEM in str(fault)
        assert not has_secret(fault.public_text)


def test_a_worker_is_told_the_public_words() -> None:
    pipe = FaultPipe()
    send_fault(pipe.writing, disk_fault(OSError(errno.EIO, SYSTEM), f"writing {SECRET}"))
    fault = pipe.end()
    assert fault is not None
    assert (fault.code, fault.message) == ("store_failed", PUBLIC["store_failed"])


def test_a_command_says_all_and_the_catalog_keeps_the_public_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_data_folder(tmp_path, monkeypatch)
    with monkeypatch.context() as failing:
        fault = disk_fault(OSError(errno.EIO, SYSTEM), f"writing {SECRET}")
        failing.setattr("scandock.pipeline.flow.decide_and_place", Mock(side_effect=fault))
        told_report = site.bring({"1.dcm": Image(case="words").file()}).report
    assert (told_report["code"], SECRET in told_report["message"]) == ("store_failed", True)
    with site.catalog() as catalog, catalog.read() as connection:
        kept = connection.execute(select(upload.c.message)).scalar_one()
    assert kept == fault.public_text


def test_a_catalog_that_fails_is_told_without_its_databases_words(tmp_path: Path) -> None:
    catalog = open_catalog(f"sqlite:///{tmp_path}/scandock.db")
    try:
        for reason in (SYSTEM, "database or disk is full", "database disk image is malformed"):
            fault = catalog.fault(sqlite3.OperationalError(reason), "could not be written")
            assert reason in str(fault)
            assert not has_secret(fault.public_text), fault.public_text
    finally:
        catalog.dispose()


# -- all that the source says ----------------------------------------------------------------------------------------


def modules(*words: str) -> Iterator[tuple[str, ast.Module]]:
    """Modules that have one of some words, but those whose words reach operators alone."""
    for path in sorted(SOURCE.rglob("*.py")):
        name = path.relative_to(SOURCE).as_posix()
        text = "" if name.startswith(OPERATORS) else path.read_text("utf-8")
        if any(word in text for word in words):
            yield name, ast.parse(text)


def said(tree: ast.Module) -> Iterator[str]:
    """The texts of a module that are no docstrings, nor an error's MEANING or a code's `setting`, which docs have."""
    left_out = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            left_out.add(node.value)
        if isinstance(node, ast.Assign) and any(getattr(one, "id", "") == "MEANING" for one in node.targets):
            left_out |= {one for one in ast.walk(node.value) if isinstance(one, ast.Constant)}
        if isinstance(node, ast.keyword) and node.arg == "setting" and isinstance(node.value, ast.Constant):
            left_out.add(node.value)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in left_out:
            yield node.value


def test_no_setting_is_named_but_to_operators() -> None:
    naming = {name for name, tree in modules("SCANDOCK_") if any("SCANDOCK_" in text for text in said(tree))}
    assert naming == SETTINGS_OF_OPERATORS


def test_no_page_or_script_names_a_setting() -> None:
    pages = SOURCE / "web" / "pages"
    shown = [path for path in pages.rglob("*") if path.suffix in {".html", ".js"} and "vendor" not in path.parts]
    assert len(shown) > 60
    assert [path.name for path in shown if "SCANDOCK_" in path.read_text("utf-8")] == []


@pytest.mark.parametrize("codes", [RECEIPT_CODES, NOTICES], ids=["receipts", "notices"])
def test_no_code_of_a_receipt_or_session_names_a_setting(codes) -> None:
    assert {code for code, one in codes.items() if "SCANDOCK_" in one.sentence + one.remedy} == set()


def quotes_a_library(call: ast.Call) -> bool:
    texts = [*call.args, *(keyword.value for keyword in call.keywords)]
    return any(
        (isinstance(one, ast.Attribute) and one.attr == "strerror")
        or (isinstance(one, ast.FormattedValue) and getattr(one.value, "id", "") == "error")
        or (
            isinstance(one, ast.Call)
            and getattr(one.func, "id", "") == "str"
            and getattr(one.args[0], "id", "") == "error"
        )
        for text in texts
        for one in ast.walk(text)
    )


def test_an_error_that_is_made_of_a_librarys_words_says_that_it_quotes_them() -> None:
    kinds = {kind.__name__: kind for kind in classes()}
    found = set()
    for name, tree in modules("strerror", "{error", "str(error"):
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            kind = kinds.get(getattr(call.func, "id", getattr(call.func, "attr", "")))
            if kind is None or not quotes_a_library(call):
                continue
            said_so = any(keyword.arg == "quotes" for keyword in call.keywords)
            if not said_so and not getattr(kind, "quotes", False):
                found.add(name)
    assert found == QUOTED_TO_OPERATORS
