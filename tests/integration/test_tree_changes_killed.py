"""A change by hand that is killed at each named point leaves the session as it was, or as it was to be."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from scandock.access.principal import SYSTEM
from scandock.catalog.projects import ProjectRow, add_project
from scandock.services.consistency_check import check_data
from scandock.services.context import ServiceContext
from scandock.services.data_catalog import open_data
from scandock.services.next_tree import ResourcePath
from scandock.services.resource_uploads import ResourceUpload, make_upload_change, open_staged_upload
from scandock.services.session_creation import (
    NewSession,
    ScanRequest,
    SessionChange,
    change_session,
    create_session,
)
from scandock.services.session_parts import find_scans
from scandock.services.settings import load_settings
from scandock.services.tree_changes import apply_changes
from scandock.services.xnat_lookup import find_experiment
from scandock.testing.data import make_data
from tests.crash.forked import ForkedCommand
from tests.crash.processes import environment

pytestmark = pytest.mark.processes

BEFORE = {"a": b"old", "b": b"stays"}
AFTER = {"a": b"new", "b": b"stays", "c": b"more"}
SCANS = [
    ScanRequest(
        id="1", type="T1", attributes={"series_description": "sag"}, edits={"type": "T1", "quality": "unusable"}
    ),
    ScanRequest(id="2", attributes={}, edits={"note": "late"}),
    ScanRequest(id="3", xsi_type="xnat:mrScanData", attributes={}, edits={}),
]
SAID = [("1", "T1", "unusable", ""), ("2", "", "usable", "late"), ("3", "", "usable", "")]
POINTS = {
    **dict.fromkeys(("arranged", "sealed", "rows"), BEFORE),
    **dict.fromkeys(("intent", "switched_one", "switched", "published", "retired", "finished"), AFTER),
}
"""What a session holds once the next command has looked at DATA, by where the change was killed."""


def put(data: Path, uuid: str, files: dict[str, bytes]) -> list[BaseException | None]:
    """Put files into a session in one change, replacing those of their names."""
    settings = load_settings()
    with open_data(str(data), settings) as (catalog, store):
        came = open_staged_upload(store)
        for name, content in files.items():
            came.keep(name, [content], lambda _: None)
        wanted = ResourceUpload(uuid, ResourcePath(None, "R"), overwrite=True)
        change = make_upload_change(ServiceContext(catalog, store, settings, SYSTEM), wanted, came)
        try:
            return apply_changes(uuid, [change])
        finally:
            change.holds.close()


def put_new(data: str, uuid: str) -> None:
    """What is killed: files that make BEFORE into AFTER are put into a session."""
    put(Path(data), uuid, {"a": b"new", "c": b"more"})


def made(data: Path) -> str:
    """A session that holds what is there before; its UUID."""
    make_data(data)
    settings = load_settings()
    with open_data(str(data), settings) as (catalog, store):
        add_project(catalog, ProjectRow(name="P"))
        wanted = NewSession(project="P", subject="S", label="E", xsi_type="xnat:mrSessionData", attributes={})
        uuid = create_session(ServiceContext(catalog, store, settings, SYSTEM), wanted)
    assert put(data, uuid, BEFORE) == [None]
    return uuid


@pytest.mark.parametrize("point", POINTS)
def test_a_change_that_is_killed_is_whole_or_nothing(tmp_path: Path, point: str) -> None:
    data = tmp_path / "data"
    uuid = made(data)
    words = (f"{__name__}:{put_new.__name__}", str(data), uuid)
    killed = ForkedCommand(*words, argv=["change"], env=environment(SCANDOCK_CRASH_AT=point))
    _, err = killed.communicate(60)
    assert killed.returncode == -signal.SIGKILL, err
    assert check_data(str(data), load_settings()) == []
    folder = data / "archive/P/E/resources/R/files"
    assert {one.name: one.read_bytes() for one in folder.iterdir()} == POINTS[point]
    assert put(data, uuid, AFTER) == [None]
    assert {one.name: one.read_bytes() for one in folder.iterdir()} == AFTER
    assert check_data(str(data), load_settings()) == []
    assert list((data / "work").iterdir()) == []


def make_with_scans(data: str) -> None:
    """What is killed: a session is made with its scans."""
    settings = load_settings()
    with open_data(data, settings) as (catalog, store):
        wanted = NewSession(
            project="P", subject="S", label="N", xsi_type="xnat:mrSessionData", attributes={}, scans=SCANS
        )
        create_session(ServiceContext(catalog, store, settings, SYSTEM), wanted)


def test_a_session_that_is_killed_as_it_is_made_has_its_scans(tmp_path: Path) -> None:
    data = tmp_path / "data"
    made(data)
    words = (f"{__name__}:{make_with_scans.__name__}", str(data))
    killed = ForkedCommand(*words, argv=["make"], env=environment(SCANDOCK_CRASH_AT="intent"))
    _, err = killed.communicate(60)
    assert killed.returncode == -signal.SIGKILL, err
    assert check_data(str(data), load_settings()) == []
    with open_data(str(data), load_settings()) as (catalog, _), catalog.read() as connection:
        found = find_experiment(connection, SYSTEM, "N", in_project="P").record
        rows = find_scans(connection, found)
    assert (found.scans, [(one.scan_id, one.type, one.quality, one.note) for one in rows]) == (3, SAID)
    assert check_data(str(data), load_settings()) == []


def change_all(data: str, uuid: str) -> None:
    """What is killed: a session gets another label, a note, and scans."""
    settings = load_settings()
    with open_data(data, settings) as (catalog, store):
        change = SessionChange(label="M", fields={"note": "mine"}, scans=SCANS)
        change_session(ServiceContext(catalog, store, settings, SYSTEM), uuid, change)


@pytest.mark.long
@pytest.mark.parametrize("point", ["intent", "switched"])
def test_a_change_of_all_that_is_said_of_a_session_is_whole_though_it_is_killed(tmp_path: Path, point: str) -> None:
    data = tmp_path / "data"
    uuid = made(data)
    words = (f"{__name__}:{change_all.__name__}", str(data), uuid)
    killed = ForkedCommand(*words, argv=["change"], env=environment(SCANDOCK_CRASH_AT=point))
    _, err = killed.communicate(60)
    assert killed.returncode == -signal.SIGKILL, err
    assert check_data(str(data), load_settings()) == []
    with open_data(str(data), load_settings()) as (catalog, _), catalog.read() as connection:
        found = find_experiment(connection, SYSTEM, "M", in_project="P").record
        rows = find_scans(connection, found)
    assert (found.scans, found.attributes, found.fields_by_hand) == (3, {"note": "mine"}, ["note"])
    assert [(one.scan_id, one.type, one.quality, one.note) for one in rows] == SAID
    assert check_data(str(data), load_settings()) == []
