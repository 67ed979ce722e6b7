"""A session left in conflict, and imports that bring what it has with another `overwrite` (rules.md, "Again" 4)."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from sqlalchemy import select

from scandock.access.principal import SYSTEM
from scandock.catalog.server_tables import audit, trashed
from scandock.catalog.tables import session
from scandock.model.import_types import Overwrite
from scandock.services.context import ServiceContext
from scandock.services.data_catalog import open_data
from scandock.services.settings import load_settings
from scandock.services.trash import restore_session
from tests.builders import DataFolder, Image, ImportOutcome, images, make_data_folder, uploader_layout
from tests.crash.forked import ForkedCommand
from tests.crash.processes import environment
from tests.integration.xnat_prearchive import OTHER, prearchive_status, serve_xnat

POINTS = {"rows": False, "switched": True}
"""Whether the import that was killed there is rolled forward."""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> DataFolder:
    return make_data_folder(tmp_path, monkeypatch, database_url)


def send(site: DataFolder, count: int, overwrite: Overwrite | None, **options: object) -> ImportOutcome:
    """As the dialect sends objects for an archived session, by whoever may archive."""
    wanted = {"dialect": True, "destination": "archive", "settles": True, "overwrite": overwrite, **options}
    return site.bring(uploader_layout("S1", "1", images(count)), project="Q", session="S1", **wanted)


def left(site: DataFolder, count: int = 2) -> str:
    """One object is archived, and so many wait in conflict: they were to change nothing. Gives where."""
    assert send(site, 1, None).state == "placed"
    told = send(site, count, "none")
    assert (told.session["code"], told.state) == ("session_exists", "held")
    return str(told.session["uri"])


def counts(site: DataFolder) -> tuple[int, int]:
    return len(site.files("archive")), len(site.files("prearchive"))


@pytest.mark.postgresql
def test_a_retry_decides_for_all_that_it_brings(site: DataFolder) -> None:
    left(site)
    told = send(site, 2, "append")
    assert (told.state, counts(site)) == ("placed", (2, 0))
    assert told.warned() == {"conflict_settled"}
    with open_data(str(site.data), site.settings) as (catalog, store):
        with catalog.read() as connection:
            gone = connection.execute(select(trashed.c.uuid)).scalar_one()
            line = connection.execute(select(audit).where(audit.c.action == "archive")).mappings().one()
        assert (line["target"], line["outcome"]) == (gone, "done")
        assert json.loads(line["details"]) == {"code": "session_exists", "import": told.report["upload"]}
        restore_session(ServiceContext(catalog, store, site.settings, SYSTEM), gone)
    assert counts(site) == (2, 2), "nothing is lost: it comes back as it was"
    site.check()
    told = send(site, 2, "append")
    assert (told.counts, counts(site)) == ({"duplicate": 2}, (2, 0)), "also where nothing is new"


@pytest.mark.long
@pytest.mark.parametrize(
    ("waiting", "brought", "options"),
    [(3, 2, {}), (2, 2, {"settles": False}), (2, 2, {"destination": "prearchive"})],
    ids=["a part", "no right to archive", "bound for the prearchive"],
)
def test_what_a_retry_does_not_decide_stays_whole(
    site: DataFolder, waiting: int, brought: int, options: dict[str, object]
) -> None:
    uri = left(site, waiting)
    told = send(site, brought, **{"overwrite": "append", **options})  # type: ignore[arg-type]
    archived = 1 if "destination" in options else 2
    assert counts(site) == (archived, waiting)
    assert "conflict_settled" not in told.warned()
    with open_data(str(site.data), site.settings) as (catalog, _), catalog.read() as connection:
        rows = connection.execute(select(session).where(session.c.place == "prearchive")).mappings().all()
    assert [(one["held_code"], one["timestamp"] in uri) for one in rows] == [("session_exists", True)]


def test_objects_that_clash_need_a_person(site: DataFolder) -> None:
    assert send(site, 1, None).state == "placed"
    other = uploader_layout("S1", "1", [Image(case="again", number=1, also=OTHER).file()])
    for overwrite, archived in (("append", "conflict"), ("delete", "archive")):
        told = site.bring(
            other, project="Q", session="S1", dialect=True, destination="archive", settles=True, overwrite=overwrite
        )
        assert told.session["state"] == archived
    assert counts(site) == (1, 1)


@pytest.mark.long
def test_a_retry_that_is_held_itself_settles_nothing(site: DataFolder) -> None:
    """Its objects clash with the archive, and join what waits: that goes nowhere."""
    uri = left(site, 3)
    other = uploader_layout("S1", "1", [Image(case="again", number=3, also=OTHER).file()])
    assert site.bring(other, project="Q", session="S1", dialect=True, destination="archive").state == "placed"
    for _ in range(2):
        told = send(site, 3, "append")
        assert (told.state, told.counts, told.session["code"]) == ("held", {"duplicate": 3}, "sop_clash")
        assert (told.session["uri"], counts(site)) == (uri, (2, 3))
    assert "conflict_settled" in send(site, 3, "delete").warned()
    assert counts(site) == (3, 0)
    site.check()


def test_what_people_said_of_what_waits_is_not_brought_by_a_retry(site: DataFolder) -> None:
    uri = left(site)
    with serve_xnat(site) as (_, client):
        fields = {"action": "commit", "AA": "false", "xnat:mrSessionData/note": "mine"}
        assert client.post(uri, params=fields).status_code == 200
        assert "conflict_settled" not in send(site, 2, "append").warned()
        assert (prearchive_status(client, uri), counts(site)) == ("CONFLICT", (2, 2))
    assert "conflict_settled" in send(site, 2, "append", said={"note": "mine"}).warned()
    assert counts(site) == (2, 0)


def test_what_was_to_be_in_quarantine_is_so_once_a_retry_has_settled_it(site: DataFolder) -> None:
    assert send(site, 1, None).state == "placed"
    assert send(site, 2, "none", quarantine=True).state == "held"
    assert send(site, 3, "append").warned() == {"conflict_settled"}
    with open_data(str(site.data), site.settings) as (catalog, _), catalog.read() as connection:
        (row,) = connection.execute(select(session)).mappings()
    assert (row["place"], row["quarantined"]) == ("archive", True)
    assert [one["code"] for one in json.loads(row["warnings"])] == ["conflict_settled"], "and no more that it was left"


def test_a_commit_goes_by_the_overwrite_of_the_newest_import(site: DataFolder) -> None:
    left(site)
    uri = send(site, 2, "none", destination="prearchive").session["uri"]
    with serve_xnat(site) as (_, client):
        assert client.post(uri, params={"action": "commit"}).status_code == 200
        assert (prearchive_status(client, uri), counts(site)) == ("CONFLICT", (1, 2))
        assert send(site, 2, "append", destination="prearchive").counts == {"duplicate": 2}
        told = client.post(uri, params={"action": "commit"})
        assert (told.status_code, counts(site)) == (301, (2, 0)), told.text
    site.check()


# -- killed ------------------------------------------------------------------------------------------------------------


def send_again(data: str) -> None:
    """What is killed: the retry."""
    send(DataFolder(root=Path(data).parent, settings=load_settings(), checked=False), 2, "append")


@pytest.mark.long
@pytest.mark.processes
@pytest.mark.parametrize("point", POINTS)
def test_a_retry_that_is_killed_is_done_or_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str) -> None:
    site = make_data_folder(tmp_path, monkeypatch)
    left(site)
    killed = ForkedCommand(
        f"{__name__}:{send_again.__name__}",
        str(site.data),
        argv=["import"],
        env=environment(SCANDOCK_CRASH_AT=point),
    )
    _, err = killed.communicate(60)
    assert killed.returncode == -signal.SIGKILL, err
    site.check()  # which finishes it, as any command does
    assert counts(site) == ((2, 0) if POINTS[point] else (1, 2))
    assert send(site, 2, "append").state == "placed"
    assert counts(site) == (2, 0)
    site.check()
