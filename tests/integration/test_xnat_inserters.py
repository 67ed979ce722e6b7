"""`insert_user` of experiments: who brought a session, told to those who may see its import (docs/security.md)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from scandock.access.principal import SYSTEM
from scandock.testing.worker import InProcessWorker
from scandock.web.xnat.services.experiments import list_experiments
from tests.builders import DataFolder, images, make_data_folder, uploader_layout, zip_entries
from tests.integration.test_browsing import ask, counted
from tests.integration.web import Web, serve_in_process

COLUMNS = {"columns": "label,insert_user"}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> DataFolder:
    return make_data_folder(tmp_path, monkeypatch, database_url)


@contextmanager
def served(site: DataFolder) -> Iterator[Web]:
    """With a worker, and in the project P two members and an owner besides the administrator."""
    with serve_in_process(site.data, site.settings) as web, InProcessWorker(site.data, site.settings):
        web.account("ann", P="member")
        web.account("ben", P="member")
        web.account("olga", P="owner")
        yield web


def send(web: Web, login: str, label: str, *objects: bytes) -> None:
    body = zip_entries(uploader_layout("x", "1", objects))
    asked = {"dest": f"/archive/projects/P/subjects/S/experiments/{label}", "overwrite": "append"}
    with web.client(login) as client:
        told = client.post("/data/services/import", params=asked, content=body)
    assert told.status_code == 200, told.text


def brought(client: httpx.Client, **asked: str) -> dict[str, str]:
    found = client.get("/data/projects/P/experiments", params={**COLUMNS, **asked}).json()["ResultSet"]["Result"]
    return {one["label"]: one["insert_user"] for one in found}


def test_who_brought_a_session_is_told_to_themselves_and_to_owners(site: DataFolder) -> None:
    with served(site) as web:
        send(web, "ann", "A", *images(1, study=1))
        send(web, "ben", "B", *images(1, study=2))
        site.bring(uploader_layout("x", "1", images(1, study=3)), project="P", session="SHELL", subject="S")
        everybody = {"A": "ann", "B": "ben", "SHELL": ""}
        for login in ("admin", "olga"):
            with web.client(login) as client:
                assert brought(client) == everybody
                assert brought(client, insert_user="ann") == {"A": "ann"}
                assert client.put("/data/projects/P/accessibility/public").status_code == 200
        with web.client("ann") as client:
            assert brought(client) == {"A": "ann", "B": "", "SHELL": ""}
            assert brought(client, insert_user="ben") == {}
        with web.client(None) as nobody:
            assert set(brought(nobody).values()) == {""}
            assert brought(nobody, insert_user="a*") == {}


def test_who_adds_to_a_session_has_not_brought_it(site: DataFolder) -> None:
    with served(site) as web:
        objects = images(2)
        send(web, "ann", "A", objects[0])
        send(web, "ben", "A", objects[1])
        with web.client("olga") as client:
            assert brought(client) == {"A": ""}  # whose tree it was is not kept


@pytest.mark.postgresql
def test_it_is_one_statement_that_finds_each_by_its_key(site: DataFolder) -> None:
    with served(site) as web:
        send(web, "ann", "A", *images(1, study=1))
        with counted(web.site.catalog) as said:
            ask(web.site.catalog, lambda c: list_experiments(c, SYSTEM, "label,insert_user", in_project="P"))
        ours = [one for one in said if "insert_user" in one or "reception" in one]
        assert len(ours) == 1
        with counted(web.site.catalog) as plain:
            ask(web.site.catalog, lambda c: list_experiments(c, SYSTEM, "label", in_project="P"))
        assert not any("reception" in one for one in plain)
        if web.site.catalog.sqlite:
            with web.site.catalog.read() as connection:
                values = {f"p{n}": "" for n in range(ours[0].count("?"))}
                plan = connection.execute(text("EXPLAIN QUERY PLAN " + _named(ours[0])), values).all()
            steps = [row.detail for row in plan if any(name in row.detail for name in ("tree", "reception", "account"))]
            assert steps
            assert all(step.startswith("SEARCH") and "PRIMARY KEY" in step for step in steps), steps


def _named(statement: str) -> str:
    """A statement with names for its question marks."""
    head, *rest = statement.split("?")
    return head + "".join(f":p{n}{piece}" for n, piece in enumerate(rest))
