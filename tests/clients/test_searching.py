"""Searches by the real clients: pyxnat prints, inspects and tables what there is by them, xnatpy queries."""

from __future__ import annotations

import pytest

from tests.builders import documented, images, zipped

XNATPY = ("xnat", "xnat-0.7.2", "xnat-0.6.2", "xnatuploader")
"""Environments with xnatpy; the last has 0.4.3, which makes no objects of what it finds."""


@pytest.fixture
def sessions(served, project):
    """A project with three MR sessions of two subjects; one more holds a subject without any."""
    for n, subject in enumerate(("Ann", "Ann", "Bob"), start=1):
        body = zipped(documented(f"S{n}", "4", images(2, study=n, series=n, series_number=b"4")))
        to = f"/data/services/import?dest=/archive/projects/{project}/subjects/{subject}/experiments/S{n}"
        status, told = served.ask("POST", to, body)
        assert status == 200, told
    for name, gender in (("Bob", "male"), ("Cid", "female")):
        assert served.ask("PUT", f"/data/projects/{project}/subjects/{name}?gender={gender}")[0] in (200, 201)
    return project


def test_pyxnat_prints_inspects_and_searches(tour, url, sessions):
    seen = tour("pyxnat", "pyxnat_search.py", url, sessions)
    project, ann, experiment, scan, resource, nobody = seen["printed"]
    assert project.startswith(f"<Project Object> {sessions} `")
    assert "(private) 3 subjects 3 MR experiments (owner: admin) (created on 20" in project
    assert "`Ann` (project: " in ann
    assert " 2 experiments http" in ann
    assert "`S1` (subject: XNAT_S" in experiment
    assert f"`Ann`) (project: {sessions}) 1 scan 0 resource (created on 20" in experiment
    assert scan.startswith("<Scan Object> 4 (`")
    assert "`DICOM` (2 files " in resource
    assert nobody == "<Subject Object> nobody"

    inspected = seen["inspected"]
    assert {"xnat:projectData", "xnat:subjectData", "xnat:mrSessionData"} <= set(inspected["types"])
    assert "xnat:mrSessionData/SUBJECT_ID" in inspected["fields"]
    assert "xnat:subjectData/SUBJECT_LABEL" in inspected["some"]
    assert {"Ann", "Bob", "Cid"} <= set(inspected["values"])
    searched = seen["searched"]
    assert [(one["label"], one["xnat_subjectdata_subject_label"]) for one in searched["rows"]] == [
        ("S1", "Ann"), ("S2", "Ann"), ("S3", "Bob"),
    ]  # fmt: skip
    assert [one["xnat_subjectdata_gender_text"] for one in searched["rows"]] == ["", "", "M"]
    assert (searched["labels"], searched["either"]) == (["S1", "S2", "S3"], ["S2"])
    assert (searched["like"], searched["text"], searched["none"], searched["all"]) == ("S3", "S1", 0, 3)
    assert seen["collected"] == [["Ann", "Bob"], ["Ann", "Bob"], []]
    assert seen["saved"] == [[], []]


def test_pyxnat_makes_tables_of_sessions_and_scans(tour, url, sessions):
    seen = tour("pyxnat", "pyxnat_search.py", url, sessions)["arrays"]
    assert (seen["experiments"], len(seen["mrsessions"])) == (3, 2)
    assert {"ID", "project", "subject_ID", "xsiType", "date", "xnat:mrsessiondata/date"} <= set(seen["columns"][0])
    assert (seen["scans"], seen["mrscans"]) == (["4"], [["4", "unknown"]])
    assert (seen["searched"], seen["of"]) == ("S1", ["S3"])


@pytest.mark.parametrize("client", XNATPY)
def test_xnatpy_connects_with_few_requests_and_queries(tour, url, sessions, client):
    seen = tour(client, "xnatpy_search.py", url, sessions)
    assert len([one for one in seen["asked"] if "/search/" in one]) <= 1 + len(seen["types"])
    assert {"xnat:projectData", "xnat:subjectData", "xnat:mrSessionData"} <= set(seen["types"])
    assert {"xnat:mrSessionData/SUBJECT_ID", "xnat:mrSessionData/SUBJECT_LABEL"} == set(seen["fields"])
    if client == "xnatuploader":
        assert [len(seen[one]) for one in ("all", "like", "either", "subjects")] == [3, 1, 2, 3]
        return
    assert (seen["all"], seen["like"], seen["either"]) == (["S1", "S2", "S3"], ["S2"], ["S1", "S3"])
    assert seen["subjects"] == ["Ann", "Bob", "Cid"]
