"""States of imports and what may follow them: one table, and one place that writes them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update

import scandock
from scandock.catalog.engine import open_catalog
from scandock.catalog.tables import upload
from scandock.model.verdicts import EXIT_CODES, FINAL, KEEPS_BYTES, NEXT_STATES, QUEUED, UNFINISHED, ImportState
from scandock.queue.states import transition

SOURCES = Path(scandock.__file__).parent
_RAW = re.compile(r"update\s+upload\b[^;]*\bset\b[^;]*\bstate\s*=", re.IGNORECASE)
WRITERS = {"queue/states.py"}


def test_every_state_has_its_followers_and_is_either_final_or_not() -> None:
    assert set(NEXT_STATES) == set(ImportState)
    assert {*UNFINISHED, *FINAL} == set(ImportState)
    assert not {*UNFINISHED} & {*FINAL}
    assert set(EXIT_CODES) == set(FINAL)
    assert set(KEEPS_BYTES) == {*UNFINISHED, ImportState.FAILED}
    assert set(QUEUED) < set(UNFINISHED)


def test_what_goes_on_by_itself_comes_to_an_end_and_what_has_ended_does_not_run() -> None:
    for state in UNFINISHED:
        assert {*_reached(state)} >= {*FINAL}, state
    for state in FINAL:
        assert ImportState.RUNNING not in NEXT_STATES[state], "it waits for a worker first"


def test_a_state_is_left_only_along_the_table(tmp_path: Path) -> None:
    catalog = open_catalog(f"sqlite:///{tmp_path}/catalog.db")
    with catalog.write() as connection:
        for number, (before, after) in enumerate(product(ImportState, ImportState)):
            values = {"uuid": str(number), "archive": "a", "source": "cli", "request": "{}", "created": 1}
            connection.execute(insert(upload).values(state=before, **values))
            this = upload.c.uuid == str(number)
            if after not in NEXT_STATES[before]:
                with pytest.raises(ValueError, match=f"{before} does not become {after}"):
                    transition(before, after)
                continue
            assert connection.execute(transition(before, after, code="c").where(this)).rowcount == 1
            row = connection.execute(select(upload.c.state, upload.c.code).where(this)).one()
            assert tuple(row) == (after, "c")
            connection.execute(update(upload).where(this).values(state=ImportState.PARTLY))
            assert connection.execute(transition(before, after).where(this)).rowcount == 0, "it has left it"
    catalog.dispose()


@pytest.mark.long
def test_no_other_place_writes_the_state_of_an_upload() -> None:
    found = {
        str(path.relative_to(SOURCES))
        for path in SOURCES.rglob("*.py")
        if "migrations" not in path.parts and _writes_state(path.read_text(encoding="utf-8"))
    }
    assert found == WRITERS


@pytest.mark.parametrize(
    "source",
    [
        "update(upload).where(upload.c.id == 1).values(state='running')",
        "update(upload).values({upload.c.state: 'running'})",
        "update(upload).values({'state': 'running'})",
        "values = {'state': 1}\nupdate(upload).where(a).values(**values)",
        "values = {}\nvalues['state'] = 1\nupload.update().values(**values)",
        "text('UPDATE upload SET code = 1, state = 2')",
    ],
)
def test_such_a_place_would_be_found(source: str) -> None:
    assert _writes_state(source)
    assert not _writes_state(source.replace("state", "code"))


def _reached(state: ImportState) -> Iterator[ImportState]:
    known = [state]
    for one in known:
        known += [after for after in NEXT_STATES[one] if after not in known]
    return iter(known)


def _writes_state(source: str) -> bool:
    """Whether a module writes `state` where it updates `upload`; its dictionaries count where their names do."""
    if _RAW.search(source):
        return True
    tree = ast.parse(source)
    named = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign)
        for target in _targets(node)
        if node.value is not None and _holds_state(node)
    }
    return any(
        _is_update(call.func.value)
        and (
            any(word.arg == "state" for word in call.keywords)
            or any(
                isinstance(word.value, ast.Name) and word.value.id in named for word in call.keywords if not word.arg
            )
            or any(_holds_state(argument) for argument in call.args)
        )
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "values"
    )


def _targets(node: ast.Assign | ast.AnnAssign | ast.AugAssign) -> Iterator[ast.Name]:
    """The variables that are given a value, or an item of theirs."""
    for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
        while isinstance(target, ast.Subscript):
            target = target.value
        if isinstance(target, ast.Name):
            yield target


def _holds_state(node: ast.AST) -> bool:
    """Whether something is put under the key `state`, as a text or as the column."""
    return any(
        (isinstance(part, ast.Dict) and any(_is_state(key) for key in part.keys))
        or (isinstance(part, ast.Subscript) and isinstance(part.ctx, ast.Store) and _is_state(part.slice))
        for part in ast.walk(node)
    )


def _is_state(key: ast.AST | None) -> bool:
    if isinstance(key, ast.Constant):
        return key.value == "state"
    return isinstance(key, ast.Attribute) and ast.unparse(key) == "upload.c.state"


def _is_update(node: ast.AST) -> bool:
    """Whether a chain of calls begins with an update of `upload`."""
    while isinstance(node, ast.Call | ast.Attribute):
        if isinstance(node, ast.Call) and ast.unparse(node) in ("update(upload)", "upload.update()"):
            return True
        node = node.func if isinstance(node, ast.Call) else node.value
    return False
