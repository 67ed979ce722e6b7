"""Requests that are off: told before anything is made or read."""

from __future__ import annotations

from pathlib import Path

import pytest

from scandock.catalog.projects import list_projects
from scandock.model.errors import Usage
from scandock.pipeline import plan
from tests.builders import DataFolder, images, make_data_folder


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> DataFolder:
    return make_data_folder(tmp_path, monkeypatch, database_url)


def projects(site: DataFolder) -> list[str]:
    with site.catalog() as catalog, catalog.read() as connection:
        return [project.name for project in list_projects(connection)]


def test_an_unknown_project_in_the_mapping_stops_all_before_one_is_made(site: DataFolder, tmp_path: Path) -> None:
    mapping = tmp_path / "mapping.csv"
    mapping.write_text("patient_id,project\nx,new\nPAT1,OTHER\ny,other\n")
    archive = {"a/1.dcm": images(1)[0]}
    with pytest.raises(Usage) as caught:
        site.bring(archive, project="NEW", mapping_path=str(mapping))
    assert caught.value.code == "mapping_project_unknown"
    assert "OTHER (row 3)" in caught.value.message
    assert "scandock admin project add OTHER" in caught.value.remedy
    assert projects(site) == []

    site.project("OTHER")
    told = site.bring(archive, project="NEW", mapping_path=str(mapping))
    assert (told.state, told.session["project"]) == ("placed", "OTHER")
    assert projects(site) == ["NEW", "OTHER"]


def test_a_project_that_has_gone_and_come_again_while_an_import_is_planned_is_told(
    site: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name was read before, its settings between, when it was not there."""
    site.project("P")
    monkeypatch.setattr(plan, "read_policies", lambda *_: {})
    with pytest.raises(Usage) as caught:
        site.bring({"a/1.dcm": images(1)[0]}, project="P")
    assert caught.value.code == "project_unknown"
