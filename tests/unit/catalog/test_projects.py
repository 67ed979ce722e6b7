"""Projects in the catalog, on both databases."""

from __future__ import annotations

import pytest

from scandock.catalog.engine import Catalog
from scandock.catalog.projects import ProjectRow, add_project, find_project, list_projects, make_unassigned

pytestmark = pytest.mark.postgresql


def test_a_project_is_found_in_any_case_with_its_settings(catalog: Catalog) -> None:
    wanted = ProjectRow(
        name="Trial_7", title="Größe", prearchive_code=5, identified="hold", petmr="pet", separate_secondary=False
    )
    assert add_project(catalog, wanted)
    with catalog.read() as connection:
        assert find_project(connection, "tRIAL_7") == wanted
        assert find_project(connection, "Trial") is None


def test_one_that_exists_in_another_case_is_left_as_it_is(catalog: Catalog) -> None:
    assert add_project(catalog, ProjectRow(name="Trial"))
    assert not add_project(catalog, ProjectRow(name="TRIAL", prearchive_code=0))
    with catalog.read() as connection:
        assert list_projects(connection) == [ProjectRow(name="Trial")]


def test_projects_are_listed_by_id_without_unassigned(catalog: Catalog) -> None:
    for name in ("b", "a", "c"):
        add_project(catalog, ProjectRow(name=name))
    make_unassigned(catalog)
    make_unassigned(catalog)
    with catalog.read() as connection:
        assert [row.name for row in list_projects(connection)] == ["a", "b", "c"]
        found = find_project(connection, "Unassigned")
    assert found is not None
    assert found.prearchive_code == 0
