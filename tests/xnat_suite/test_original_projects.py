"""Names of projects that are taken, as the original's suite asks for them."""

from __future__ import annotations

import pytest

from tests.xnat_suite.requests import Suite, expect

NAMES = {"Id": "ID", "Title": "name", "SecondaryId": "secondary_ID", "Alias": "alias"}
"""What the original's tests call a name -> what a request calls it."""


def called(held: str, asked: str) -> str:
    """The original's test of one of a project's names that is asked for as another project's."""
    if held == asked:
        return f"testDuplicate{held}"
    held = "ProjectId" if held == "Id" else held
    return f"test{held}As{'ProjectId' if asked == 'Id' else asked}"


@pytest.fixture
def taken(suite: Suite) -> dict[str, str]:
    """Another project's names, one for each of its fields."""
    names = {one: f"{suite.project}_Taken_{one}" for one in NAMES}
    params = {NAMES[one]: name for one, name in names.items() if one != "Id"}
    expect(suite.admin.put(f"/data/projects/{names['Id']}", params=params), 200)
    return names


@pytest.mark.parametrize(
    ("held", "asked"),
    [
        pytest.param(held, asked, marks=pytest.mark.original(f"TestProjectValidation.{called(held, asked)}"))
        for held in NAMES
        for asked in NAMES
    ],
)
def test_what_is_one_projects_name_is_no_other_ones(suite, taken, held, asked):
    """Asked for by an administrator, who sees that project; its id by somebody who does not."""
    if asked == "Id":
        by = suite.main if held == "Id" else suite.admin
        expect(by.put(f"/data/projects/{taken[held]}"), 403, 409)
        return
    project = f"/data/projects/{suite.project}_NEW"
    expect(suite.admin.put(project, params={NAMES[asked]: taken[held].upper()}), 403, 409)
    expect(suite.admin.get(project), 404)
