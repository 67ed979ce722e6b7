"""What a command asks of a site's database before it opens the catalog: the same that the open catalog says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from scandock.access.principal import SYSTEM
from scandock.catalog.engine import open_catalog
from scandock.catalog.projects import ProjectRow, add_project
from scandock.model.errors import Fault
from scandock.rules.import_request import ImportRequest
from scandock.rules.privacy_policy import PrivacySettings
from scandock.rules.series_filters import read_document
from scandock.services.context import ServiceContext
from scandock.services.import_filters import set_filter
from scandock.services.privacy_settings import set_privacy
from scandock.services.privacy_source import place_privacy
from scandock.services.project_routing import set_routing
from scandock.services.rules import replace_rules
from scandock.services.settings import Settings
from scandock.store.opening import open_store
from scandock.testing.data import copy_catalog
from scandock.workers import context as workers_context
from scandock.workers.archive_reader import SiteTexts
from scandock.workers.context import make_context
from scandock.workers.early_texts import read_site_texts
from tests.builders import DataFolder, images, uploader_layout
from tests.ports import free_port

SETTINGS = Settings()
RULE = "(0032,1060):(.*)"


def nothing(_: ServiceContext) -> None:
    pass


def site_rules(context: ServiceContext) -> None:
    replace_rules(context.catalog, SYSTEM, "project", RULE)


def project_rules(context: ServiceContext) -> None:
    set_routing(context, "P", {"subject": "", "session": RULE})


def filters(context: ServiceContext) -> None:
    set_filter(context.catalog, SYSTEM, None, read_document('{"mode": "blacklist", "list": "localizer"}'))
    set_filter(context.catalog, SYSTEM, "P", read_document('{"mode": "whitelist", "list": "T1"}'))


def former_texts(context: ServiceContext) -> None:
    for change in (site_rules, project_rules, filters):
        change(context)
    replace_rules(context.catalog, SYSTEM, "project", "")
    set_routing(context, "P", {"subject": "(0040,0275):(.*)", "session": ""})
    set_filter(context.catalog, SYSTEM, None, read_document('{"mode": "blacklist", "list": "other"}'))


def privacy(context: ServiceContext) -> None:
    set_privacy(context, "P", PrivacySettings(patient="drop"))


@pytest.fixture
def context(tmp_path: Path, database_url: str) -> Iterator[ServiceContext]:
    """A site with the project P."""
    catalog = open_catalog(database_url)
    store = open_store(str(tmp_path))
    store.prepare()
    place_privacy(catalog, store.path, SETTINGS)
    add_project(catalog, ProjectRow(name="P"))
    yield ServiceContext(catalog, store, SETTINGS, SYSTEM)
    store.close()
    catalog.dispose()


def read_early(context: ServiceContext, url: str) -> SiteTexts | None:
    return read_site_texts(context.store.path, None if url.startswith("sqlite") else url)


@pytest.mark.postgresql
@pytest.mark.parametrize("change", [nothing, site_rules, project_rules, filters, former_texts])
def test_they_are_those_that_the_catalog_says(
    context: ServiceContext, database_url: str, change: Callable[[ServiceContext], None]
) -> None:
    change(context)
    said = make_context(context.catalog, SETTINGS, ImportRequest(), ()).texts
    assert read_early(context, database_url) == said
    assert bool(said.tags) == (change in {site_rules, project_rules, former_texts})
    assert bool(said.filters) == (change in {filters, former_texts})


@pytest.mark.postgresql
def test_where_privacy_is_in_force_that_alone_is_known(context: ServiceContext, database_url: str) -> None:
    privacy(context)
    early = read_early(context, database_url)
    assert early is not None
    assert early.hash_datasets


@pytest.mark.postgresql
def test_a_catalog_without_its_tables_is_opened_first(context: ServiceContext, database_url: str) -> None:
    with context.catalog.write() as connection:
        connection.execute(text("DROP TABLE routing_rules"))
    assert read_early(context, database_url) is None


def test_a_site_that_is_not_made_yet_has_none(tmp_path: Path) -> None:
    early = read_site_texts(str(tmp_path), None)
    assert early == SiteTexts(tags=frozenset(), filters={}, has_mapping=False, hash_datasets=False)


@pytest.mark.parametrize("folder", ["a%20b", "a b", "a?b", "a#b"])
def test_a_folder_is_that_of_its_name(tmp_path: Path, folder: str) -> None:
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b" / "scandock.db").write_bytes(b"no database, but for the folder of its name another's")
    (tmp_path / folder).mkdir(exist_ok=True)
    if folder != "a b":
        copy_catalog(tmp_path / folder / "scandock.db")
    assert (read_site_texts(str(tmp_path / folder), None) is None) == (folder == "a b")


def test_a_server_that_is_not_there_is_left_to_the_catalog() -> None:
    assert read_site_texts("data", f"postgresql+psycopg://127.0.0.1:{free_port()}/x") is None


def test_a_list_of_hosts_is_left_to_the_catalog(postgres_url: str) -> None:
    """libpq takes the last of the first, and has other ports for those of the others."""
    name, _, folder = postgres_url.partition("?host=")
    assert read_site_texts("data", postgres_url) is not None
    for hosts in (f"?host=/nowhere&host={folder}", f"?host={folder},{folder}", f"?host={folder}&port=5432,5432"):
        assert read_site_texts("data", name + hosts) is None, hosts


def test_an_import_that_began_by_other_rules_than_there_are_now_is_to_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = DataFolder(root=tmp_path)
    site.bring(uploader_layout("A", "1", images(1)))
    opening = workers_context.open_context

    def change_then_open(*words: Any) -> Any:
        with site.catalog() as catalog:
            set_filter(catalog, SYSTEM, None, read_document('{"mode": "blacklist", "list": "localizer"}'))
        return opening(*words)

    with monkeypatch.context() as patch:
        patch.setattr(workers_context, "open_context", change_then_open)
        with pytest.raises(Fault) as refused:
            site.bring(uploader_layout("B", "1", images(1, case="B")))
    assert refused.value.code == "site_rules_changed"
    again = site.bring(uploader_layout("B", "1", images(1, case="B")))
    assert again.report["state"] == "placed"
