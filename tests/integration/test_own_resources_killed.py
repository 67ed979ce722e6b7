"""A change of a shelf that is killed at each named point leaves it as it was, or as it was to be."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select

from scandock.access.principal import SYSTEM
from scandock.catalog.own_resources import OwnResources, project_resources, subject_resources
from scandock.catalog.projects import ProjectRow, add_project
from scandock.catalog.subjects import add_subject
from scandock.catalog.tables import project
from scandock.services.consistency_check import check_data
from scandock.services.context import ServiceContext
from scandock.services.data_catalog import open_data
from scandock.services.next_tree import ResourcePath
from scandock.services.project_resources import create_own_resources, remove_own_resources
from scandock.services.resource_uploads import ResourceUpload, make_upload_change, open_staged_upload
from scandock.services.settings import load_settings
from scandock.services.tree_changes import apply_changes
from scandock.testing.data import make_data
from tests.crash.forked import ForkedCommand
from tests.crash.processes import environment

pytestmark = pytest.mark.processes

SUBJECT = "7e57ab1e-0000-4000-8000-000000000001"
BEFORE = {"a": b"old", "b": b"stays"}
AFTER = {"a": b"new", "b": b"stays", "c": b"more"}
EARLY = ("arranged", "sealed", "rows")
LATE = ("intent", "switched_one", "switched", "published", "retired", "finished")


def made(data: Path) -> None:
    """A project with a subject."""
    make_data(data)
    with open_data(str(data), load_settings()) as (catalog, _):
        add_project(catalog, ProjectRow(name="P"))
        with catalog.write() as connection:
            number = connection.execute(select(project.c.id).where(project.c.name == "P")).scalar_one()
            add_subject(catalog, connection, uuid=SUBJECT, project_id=number, label="S")


def put(data: Path, of: str, files: dict[str, bytes]) -> list[BaseException | None]:
    """Put files on a shelf in one change, replacing those of their names; it is made where it is not."""
    settings = load_settings()
    with open_data(str(data), settings) as (catalog, store):
        context = ServiceContext(catalog, store, settings, SYSTEM)
        uuid = create_own_resources(context, shelf_at(context, of))
        came = open_staged_upload(store)
        for name, content in files.items():
            came.keep(name, [content], lambda _: None)
        change = make_upload_change(context, ResourceUpload(uuid, ResourcePath(None, "R"), overwrite=True), came)
        try:
            return apply_changes(uuid, [change])
        finally:
            change.holds.close()


def take_away(data: Path, of: str) -> None:
    """Take a shelf away with its files."""
    settings = load_settings()
    with open_data(str(data), settings) as (catalog, store):
        context = ServiceContext(catalog, store, settings, SYSTEM)
        remove_own_resources(context, shelf_at(context, of), with_files=True)


def shelf_at(context: ServiceContext, of: str) -> OwnResources:
    with context.catalog.read() as connection:
        if of == "project":
            number = connection.execute(select(project.c.id).where(project.c.name == "P")).scalar_one()
            return project_resources(connection, number, "P")
        found = subject_resources(connection, 1)
        assert found is not None
        return found


def folder(data: Path, of: str) -> Path:
    return data / "resources/P" / ("project" if of == "project" else SUBJECT)


def holds(data: Path, of: str) -> dict[str, bytes]:
    return {one.name: one.read_bytes() for one in (folder(data, of) / "resources/R/files").iterdir()}


def put_new(data: str, of: str) -> None:
    """What is killed: files that make BEFORE into AFTER are put on a shelf."""
    put(Path(data), of, {"a": b"new", "c": b"more"})


def put_first(data: str, of: str) -> None:
    """What is killed: a shelf's first file is put on it."""
    put(Path(data), of, {"a": b"new"})


def remove(data: str, of: str) -> None:
    """What is killed: a shelf is taken away."""
    take_away(Path(data), of)


def killed_at(point: str, change: Callable[[str, str], None], data: Path, of: str) -> None:
    """Do it in a process that kills itself at a point."""
    words = (f"{__name__}:{change.__name__}", str(data), of)
    killed = ForkedCommand(*words, argv=["change"], env=environment(SCANDOCK_CRASH_AT=point))
    _, err = killed.communicate(60)
    assert killed.returncode == -signal.SIGKILL, err


def whole(data: Path) -> None:
    """Nothing is missing, and nothing is left over."""
    assert check_data(str(data), load_settings()) == []
    assert list((data / "work").iterdir()) == []


@pytest.mark.parametrize("of", ["project", "subject"])
@pytest.mark.parametrize("point", [*EARLY, *LATE])
def test_a_change_that_is_killed_is_whole_or_nothing(tmp_path: Path, point: str, of: str) -> None:
    data = tmp_path / "data"
    made(data)
    assert put(data, of, BEFORE) == [None]
    killed_at(point, put_new, data, of)
    whole(data)
    assert holds(data, of) == (BEFORE if point in EARLY else AFTER)
    assert put(data, of, AFTER) == [None]
    assert holds(data, of) == AFTER
    whole(data)


@pytest.mark.parametrize("point", LATE)
def test_a_shelf_whose_making_is_killed_is_there(tmp_path: Path, point: str) -> None:
    data = tmp_path / "data"
    made(data)
    killed_at(point, put_first, data, "project")
    whole(data)
    assert list(folder(data, "project").iterdir()) == []
    assert put(data, "project", AFTER) == [None]
    assert holds(data, "project") == AFTER
    whole(data)


@pytest.mark.parametrize("point", ["intent", "switched", "published", "finished"])
def test_a_shelf_that_is_taken_away_when_killed_is_in_the_trash(tmp_path: Path, point: str) -> None:
    data = tmp_path / "data"
    made(data)
    assert put(data, "subject", BEFORE) == [None]
    killed_at(point, remove, data, "subject")
    whole(data)
    assert not folder(data, "subject").exists()
    kept = {one.name: one.read_bytes() for one in (data / "trash").glob("*/tree/resources/R/files/*")}
    assert kept == BEFORE
    assert put(data, "subject", AFTER) == [None]
    whole(data)
