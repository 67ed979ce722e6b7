"""No project is given a name that is another's, by whatever way and by how many at once, on both databases."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from sqlalchemy import Connection, text, update

from scandock.access.principal import SYSTEM
from scandock.catalog.engine import Catalog, open_catalog
from scandock.catalog.projects import ProjectRow, add_project, deleted_name
from scandock.catalog.tables import project
from scandock.model.errors import Usage
from scandock.rules.project_fields import ProjectChanges
from scandock.services.context import ServiceContext
from scandock.services.editing import edit_project
from scandock.services.project_creation import create_project
from scandock.services.project_description import create_described_project, edit_description
from scandock.services.settings import load_settings
from scandock.store.port import Store

pytestmark = pytest.mark.postgresql


@pytest.fixture
def context(database_url: str) -> Iterator[ServiceContext]:
    catalog = open_catalog(database_url)
    yield ServiceContext(catalog, cast(Store, None), load_settings(), SYSTEM)
    catalog.dispose()


def make(context: ServiceContext, project_id: str, *, title: str = "", secondary: str = "", alias: str = "") -> str:
    fields = {"secondary_ID": secondary} if secondary else {}
    return create_described_project(context, project_id, ProjectChanges(title, fields, (alias,) if alias else ()))


def describe(context: ServiceContext, project_id: str, *, title: str = "", secondary: str = "", alias: str = "") -> str:
    fields = {"secondary_ID": secondary} if secondary else {}
    return edit_description(context, project_id, ProjectChanges(title, fields, (alias,) if alias else ()))


def code_of(call: Any, *args: Any, **named: Any) -> str:
    with pytest.raises(Usage) as refused:
        call(*args, **named)
    return refused.value.code


def test_a_name_of_a_project_is_refused_to_all_others_in_the_same_words(context: ServiceContext) -> None:
    make(context, "Heart-1", title="Große Studie", secondary="HS 1", alias="Hearts")
    make(context, "Own")
    said = set()
    for name in ("GROSSE STUDIE", " hs 1 ", "hEARTS"):
        for field, code in (("title", "title_taken"), ("secondary", "title_taken"), ("alias", "alias_taken")):
            for call, where in ((make, "New"), (describe, "Own")):
                with pytest.raises(Usage) as refused:
                    call(context, where, **{field: name})
                assert refused.value.code == code
                assert "Heart-1" not in str(refused.value)
                said.add((field, refused.value.message.replace(repr(name.strip()), "?"), refused.value.remedy))
    assert len(said) == 3  # one sentence for each field, whatever the name is of the other project
    for field in ("title", "secondary", "alias"):
        assert code_of(make, context, "New", **{field: "heart-1"}) in ("title_taken", "alias_taken")
    assert code_of(make, context, "HEARTS") == "alias_taken"
    assert code_of(make, context, "heart-1") == "project_exists"
    assert code_of(edit_project, context, "Own", {"name": "große studie"}) == "title_taken"
    assert code_of(create_project, context.catalog, context.settings, SYSTEM, "New", "hearts", None) == "title_taken"
    make(context, "New", title="Another", secondary="HS 2", alias="Lungs")  # nothing of what was refused has stayed


def test_an_id_is_refused_where_it_is_another_projects_title_or_secondary_id(context: ServiceContext) -> None:
    make(context, "A", title="Named", secondary="Second")
    assert [code_of(make, context, name) for name in ("named", "SECOND")] == ["alias_taken", "alias_taken"]


def test_a_projects_own_names_may_be_the_same_and_are_free_once_they_change(context: ServiceContext) -> None:
    make(context, "A", title="a", secondary="A", alias="a")
    describe(context, "A", title="B", secondary="C", alias="A")
    edit_project(context, "A", {"name": "b"})
    assert code_of(make, context, "B") == "alias_taken"
    edit_project(context, "A", {"name": "D", "quarantine": True})
    make(context, "B", secondary="x" * 4000)
    assert code_of(make, context, "New", title="X" * 4000) == "title_taken"


def test_projects_of_an_older_version_keep_the_title_that_they_share(context: ServiceContext) -> None:
    for name in ("A", "B"):
        add_project(context.catalog, ProjectRow(name=name, title="Shared"))
    for name in ("A", "B"):
        edit_project(context, name, {"name": "Shared", "petmr": "pet"})
        edit_project(context, name, {"name": "SHARED"})
        describe(context, name, title="Shared", secondary=f"{name}2", alias=f"{name}3")
    assert code_of(make, context, "C", title="shared") == "title_taken"
    edit_project(context, "A", {"name": "Other"})
    assert code_of(edit_project, context, "A", {"name": "Shared"}) == "title_taken"


def test_a_deleted_project_has_no_names(context: ServiceContext) -> None:
    """Its row is kept for what the trash has of it."""
    make(context, "Gone", title="Title", secondary="Second")
    with context.catalog.write() as connection:
        aside = deleted_name("Gone", 1)
        connection.execute(update(project).where(project.c.name == "Gone").values(name=aside, key=aside.casefold()))
    make(context, "New", title="title", secondary="second")


def waits(catalog: Catalog) -> bool:
    """Whether somebody waits for a lock of PostgreSQL's; on SQLite a second writer never comes to look at all."""
    if catalog.sqlite:
        return True
    with catalog.read() as connection:
        found = connection.execute(text("SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = 'advisory'"))
        return found.first() is not None


SECONDS: dict[str, Callable[[ServiceContext], object]] = {
    "id": lambda context: make(context, "Same"),
    "title": lambda context: edit_project(context, "Own", {"name": "Same"}),
    "secondary ID": lambda context: describe(context, "Own", secondary="Same"),
    "alias": lambda context: make(context, "New", alias="Same"),
}


@pytest.mark.parametrize("second", SECONDS.values(), ids=SECONDS)
def test_of_two_who_give_a_name_at_once_one_gets_it(
    context: ServiceContext, database_url: str, second: Callable[[ServiceContext], object]
) -> None:
    """The second comes while the first has looked and not yet committed."""
    make(context, "Own")
    other = ServiceContext(open_catalog(database_url), context.store, context.settings, SYSTEM)
    ended, codes = threading.Event(), list[str]()

    def come_second() -> None:
        try:
            second(other)
            codes.append("given")
        except Usage as error:
            codes.append(error.code)
        finally:
            ended.set()

    thread = threading.Thread(target=come_second)

    def before_it_commits(_connection: Connection, _number: int) -> None:
        thread.start()
        while not (ended.is_set() or waits(context.catalog)):
            ended.wait(0.01)

    try:
        create_project(context.catalog, context.settings, SYSTEM, "First", "same", None, describe=before_it_commits)
        thread.join()
    finally:
        other.catalog.dispose()
    assert codes in (["alias_taken"], ["title_taken"])
