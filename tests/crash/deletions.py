"""One round of a deletion: a project goes, whoever deletes it is killed, the next command finishes it; a judge looks.

A project with archived sessions, one that waits and files of its own: killed at any point behind the mark, the next
command leaves nothing of it but what is in the trash, and its id is free.
"""

from __future__ import annotations

import shutil
import signal
import sqlite3
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from scandock.access.principal import SYSTEM
from scandock.catalog.own_resources import project_resources
from scandock.model.crash_points import DELETION_POINTS, POINTS
from scandock.services.context import ServiceContext
from scandock.services.data_catalog import open_data
from scandock.services.next_tree import ResourcePath
from scandock.services.project_deletions import delete_project
from scandock.services.project_resources import create_own_resources
from scandock.services.resource_uploads import ResourceUpload, make_upload_change, open_staged_upload
from scandock.services.settings import load_settings
from scandock.services.tree_changes import apply_changes
from tests.crash.archives import Step, Study, write_zip
from tests.crash.checker import examine_data, read_trash
from tests.crash.forked import ForkedCommand
from tests.crash.processes import check, environment, find_unsound, import_words, run
from tests.crash.rounds import assert_clean, assert_placed

OF_SESSIONS = ("intent", "published", "finished")
"""The points that each session passes on its way to the trash."""
AT = tuple(point for point in (*DELETION_POINTS, *POINTS) if point in {*DELETION_POINTS, *OF_SESSIONS})
OWN_FILE = b"a protocol"


@dataclass(frozen=True, kw_only=True)
class Deletion:
    """`at` is a named point; `again`: the first command that goes on is killed at the same one."""

    at: str
    again: bool = False

    def __str__(self) -> str:
        return f"deletion/{self.at}/{'again' if self.again else 'once'}"

    @classmethod
    def parse(cls, word: str) -> Deletion:
        """A round from what it was told by."""
        _, at, again = word.split("/")
        return cls(at=at, again=again == "again")


def all_deletions() -> Iterator[Deletion]:
    """Every point, killed once and twice."""
    for at in AT:
        for again in (False, True):
            yield Deletion(at=at, again=again)


class DeletionBase:
    """A DATA with a project that is to be deleted, made once and copied for each round."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        studies = [Study(77, number, series=1, count=3, side=8) for number in (1, 2, 3)]
        self.files = {digest for study in studies for digest in study.held().files}
        self.first = Step(write_zip(folder / "1.zip", studies[0].entries("S1")))
        waits = ("--destination", "prearchive")
        more = [write_zip(folder / f"{n}.zip", studies[n - 1].entries(f"S{n}")) for n in (2, 3)]
        data = folder / "begun"
        for step in (self.first, Step(more[0]), Step(more[1], waits)):
            assert_placed(run(import_words(step, data), threads=True))
        _put_own(data)

    def copy(self, name: str) -> Path:
        data = self.folder / name
        shutil.rmtree(data, ignore_errors=True)
        shutil.copytree(self.folder / "begun", data)
        return data


def _put_own(data: Path) -> None:
    """Put a file with the project itself."""
    settings = load_settings()
    with open_data(str(data), settings) as (catalog, store):
        context = ServiceContext(catalog, store, settings, SYSTEM)
        with catalog.read() as connection:
            uuid = create_own_resources(context, project_resources(connection, 1, "P"))
        uploaded = open_staged_upload(store)
        uploaded.keep("protocol.txt", [OWN_FILE], lambda _: None)
        change = make_upload_change(context, ResourceUpload(uuid, ResourcePath(None, "R"), overwrite=True), uploaded)
        try:
            assert apply_changes(uuid, [change]) == [None]
        finally:
            change.holds.close()


def delete(data: str) -> None:
    """What is killed."""
    settings = load_settings()
    with open_data(data, settings) as (catalog, store):
        delete_project(ServiceContext(catalog, store, settings, SYSTEM), "P", with_files=True)


def run_deletion(base: DeletionBase, deletion: Deletion, name: str = "deleted") -> None:
    """Play a round; AssertionError says what was wrong."""
    data = base.copy(name)
    killed = ForkedCommand(
        f"{__name__}:{delete.__name__}", str(data), argv=["delete"], env=environment(SCANDOCK_CRASH_AT=deletion.at)
    )
    _, err = killed.communicate(60)
    assert killed.returncode == -signal.SIGKILL, f"{deletion.at} was not reached: {err}"
    if deletion.again and deletion.at not in ("marked", "deleted"):  # which nobody passes twice
        assert check(data, SCANDOCK_CRASH_AT=deletion.at).code == -signal.SIGKILL, (
            f"{deletion.at} was not reached again"
        )
    assert_clean(check(data))
    _check_deleted(data, base)
    assert_placed(run(import_words(base.first, data), threads=True))
    held, wrong = examine_data(data)
    assert not wrong, "\n".join(wrong)
    assert [session.place for session in held.values()] == ["archive"]
    assert not (problems := find_unsound(data)), problems


def _check_deleted(data: Path, base: DeletionBase) -> None:
    """The project is gone, all that was in it is in the trash, and nothing is half."""
    held, wrong = examine_data(data)
    assert not wrong, "\n".join(wrong)
    assert not held
    assert base.files <= read_trash(data)
    assert [path.read_bytes() for path in (data / "trash").glob("*/tree/resources/R/files/*")] == [OWN_FILE]
    with closing(sqlite3.connect(data / "scandock.db")) as database:
        assert [name for (name,) in database.execute("SELECT name FROM project")] == ["P~1"]
        assert database.execute("SELECT COUNT(*) FROM trashed").fetchone() == (3,)
        audit_rows = database.execute(
            "SELECT kind, COUNT(*) FROM audit WHERE action = 'delete' GROUP BY kind ORDER BY kind"
        )
        assert audit_rows.fetchall() == [("project", 1), ("session", 3)]


def run_deletions(
    folder: Path, rounds: list[Deletion], *, on_round: Callable[[str, str], object] = lambda *_: None
) -> dict[str, str]:
    """Play rounds; what was wrong, by the round that shows it."""
    wrong: dict[str, str] = {}
    if not rounds:
        return wrong
    base = DeletionBase(folder)
    for deletion in rounds:
        try:
            run_deletion(base, deletion)
        except Exception:  # noqa: BLE001  the others are played all the same
            wrong[str(deletion)] = traceback.format_exc()
        on_round(str(deletion), wrong.get(str(deletion), ""))
    return wrong
