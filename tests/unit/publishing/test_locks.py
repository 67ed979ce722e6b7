"""Names of locks: one spelling each, made in one module alone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import literal, select

import scandock
from scandock.catalog.engine import Catalog, open_catalog
from scandock.catalog.own_resources import OwnResources
from scandock.catalog.tables import reservation
from scandock.publishing.locks import (
    LockName,
    deletion_lock,
    is_lock_of,
    label_lock,
    locks_of,
    resources_lock,
    session_locks,
    study_lock,
    subject_lock,
    timestamp_lock,
    timestamp_lock_column,
)
from scandock.publishing.reserve import reserve
from scandock.queue.leases import begin

SOURCE = Path(scandock.__file__).parent
KINDS = ("label", "subject", "study", "timestamp", "shelf", "deletion")
SPELLED = re.compile(rf"(^|[}}%s])/({'|'.join(KINDS)})(/|$)")
""""{project}/label/{key}", in pieces or whole, however it is filled in."""


def test_locks_are_spelled_as_running_imports_hold_them() -> None:
    assert label_lock("P", "Session_1") == "P/label/session_1"
    assert subject_lock("P", "S") == "P/subject/s"
    assert study_lock("P", "1.2/3") == "P/study/1.2/3"
    assert timestamp_lock("P~3", "20260102_030405678") == "P~3/timestamp/20260102_030405678"
    assert resources_lock("P", "project") == "P/shelf/project"
    assert deletion_lock("P") == "P/deletion"


def test_labels_that_count_as_one_are_one_lock() -> None:
    assert label_lock("P", "STRASSE") == label_lock("P", "Straße")
    assert subject_lock("P", "s1") == subject_lock("P", "S1")
    assert study_lock("P", "a") != study_lock("P", "A")


def test_a_session_holds_its_label_subject_study_and_timestamp() -> None:
    assert session_locks("P", label="L", subject="S", study_uid="1.2", timestamp="20260102_030405678") == {
        label_lock("P", "L"), subject_lock("P", "S"), study_lock("P", "1.2"), timestamp_lock("P", "20260102_030405678"),
    }  # fmt: skip
    assert session_locks("P", label="L", subject="S", study_uid=None) == {label_lock("P", "L"), subject_lock("P", "S")}


def test_own_resources_hold_their_key_alone() -> None:
    own = OwnResources(project_id=1, project="P", subject_id=None, label="P", key="project")
    assert locks_of(own) == {resources_lock("P", "project")}


@pytest.mark.parametrize("project", ["", "P/label/a", "/", "P/"])
def test_no_project_takes_the_lock_of_another(project: str) -> None:
    for make in (deletion_lock, lambda name: label_lock(name, "a"), lambda name: resources_lock(name, "project")):
        with pytest.raises(ValueError, match="not a project"):
            make(project)
    with pytest.raises(ValueError, match="not a project"):
        is_lock_of(project)


def test_sql_finds_what_was_reserved(tmp_path: Path) -> None:
    catalog = open_catalog(f"sqlite:///{tmp_path}/scandock.db")
    try:
        _hold(catalog, {timestamp_lock("A_1", "20260102_030405678"), deletion_lock("Ax1")})
        with catalog.read() as connection:
            column = timestamp_lock_column(literal("A_1"), literal("20260102_030405678"))
            joined = connection.execute(select(reservation.c.name).where(reservation.c.name == column)).scalars().all()
            of_project = connection.execute(select(reservation.c.name).where(is_lock_of("A_1"))).scalars().all()
    finally:
        catalog.dispose()
    assert joined == of_project == [timestamp_lock("A_1", "20260102_030405678")]  # `_` is no pattern


def _hold(catalog: Catalog, locks: set[LockName]) -> None:
    lease = begin(catalog, number="u1", token="t", archive="a.zip", request={})
    with catalog.write() as connection:
        reserve(catalog, connection, lease, locks)


def test_mypy_lets_nobody_else_make_one(tmp_path: Path) -> None:
    """Strict mypy refuses an `ignore` that nothing needs: were one of these allowed, `make lint` would fail."""
    catalog = open_catalog(f"sqlite:///{tmp_path}/scandock.db")
    try:
        LockName("P/label/a")  # type: ignore[abstract]
        _hold(catalog, {"P/label/a"})  # type: ignore[arg-type]
    finally:
        catalog.dispose()


LOOKED_AT = re.compile(rf"/({'|'.join(KINDS)})\b|LockName|\"/\"\.join")
"""Modules without any of these are not parsed: it would take longer than all else here."""


def composed(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Where a module puts a lock's name together: in an f-string, a sum, a format or a join, or by a cast."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if SPELLED.search(node.value) and not node.value.startswith("/app/"):  # an address of XNAT's
                yield node.lineno, node.value
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in {"'/'.join", "cast", "LockName"}:
            values = [value for part in node.args for value in getattr(part, "elts", [part])]
            words = {value.value if isinstance(value, ast.Constant) else ast.unparse(value) for value in values}
            if words & {*KINDS, "LockName"} or ast.unparse(node.func) == "LockName":
                yield node.lineno, ast.unparse(node)


@pytest.mark.parametrize(
    "code",
    [
        'f"{project}/label/{key}"',
        'f"{project}/deletion"',
        'project + "/study/" + uid',
        'project.c.name + literal("/timestamp/") + stamp',
        '"%s/subject/%s" % (project, key)',
        '"{}/shelf/{}".format(project, key)',
        '"/".join((project, "label", key))',
        'cast("LockName", text)',
        "cast(LockName, text)",
        "LockName(text)",
    ],
)
def test_each_way_to_compose_a_lock_is_seen(code: str) -> None:
    assert list(composed(ast.parse(code)))


def test_locks_are_composed_in_one_module_alone() -> None:
    sources = {path.relative_to(SOURCE): path.read_text() for path in sorted(SOURCE.rglob("*.py"))}
    assert LOOKED_AT.search(sources.pop(Path("publishing/locks.py")))
    elsewhere = [
        f"{path}:{line}: {what}"
        for path, text in sources.items()
        if LOOKED_AT.search(text)
        for line, what in composed(ast.parse(text))
    ]
    assert elsewhere == []
