"""What XNAT's clients say of a subject: written, listed, filtered, shown as items and on the pages, for who may.

(xnat-clients.md 2.3, 2.4 and 3.) On both databases, with catalog and store compared at the end.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest
from sqlalchemy import select

from scandock.catalog.server_tables import audit
from scandock.web.xnat.responses import XNAT, XSI
from scandock.web.xnat.schema import xnat_xsd
from tests.builders import DataFolder, images, make_data_folder, uploader_layout
from tests.integration.test_xnat_creation import MR, done, experiment, fields, rows
from tests.integration.web import serve_data_folder

S1 = "/data/projects/P/subjects/S1"
XML = {"Content-Type": "text/xml"}
TYPED = "xnat:subjectData/demographics[@xsi:type=xnat:demographicData]"
ANN = {
    "xnat:subjectData/group": "control",
    "src": "clinic",
    f"{TYPED}/gender": "F",
    f"{TYPED}/yob": "1980",
    "xnat:demographicData/dob": "1980-02-29",
    "handedness": "left",
    "weight": "70.5",
    "weight/units": "kg",
}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> DataFolder:
    return make_data_folder(tmp_path, monkeypatch, database_url)


def said(client: httpx.Client, label: str = "S1") -> dict[str, str]:
    """What the API says of a subject."""
    (found,) = [one for one in client.get("/api/v1/subjects").json()["items"] if one["label"] == label]
    alone: dict[str, str] = client.get(f"/api/v1/subjects/{found['id']}").json()["attributes"]
    assert alone == found["attributes"]
    return alone


def trail(web: Any) -> list[dict[str, Any]]:
    """The details of what was done to subjects."""
    with web.site.catalog.read() as connection:
        told = connection.execute(select(audit.c.details).where(audit.c.kind == "subject").order_by(audit.c.id))
        return [json.loads(one) for one in told.scalars()]


# -- said --------------------------------------------------------------------------------------------------------------


def test_what_is_said_of_a_new_subject_is_kept(site: DataFolder) -> None:
    with serve_data_folder(site) as (web, client):
        done(client.put(S1, params={**MR, **ANN, "nobody": "x", "event_reason": "y"}), 201)
        assert said(client) == {
            "group": "control", "src": "clinic", "gender": "F", "yob": "1980", "dob": "1980-02-29",
            "handedness": "left", "weight": "70.5", "weight/units": "kg",
        }  # fmt: skip
        made = {
            "made": True,
            "fields": ["dob", "gender", "group", "handedness", "src", "weight", "weight/units", "yob"],
        }
        assert trail(web) == [made]
        assert "1980" not in json.dumps(web.logged, default=str)


def test_what_is_said_of_one_that_is_there_is_written_and_taken_back(site: DataFolder) -> None:
    with serve_data_folder(site) as (web, client):
        done(client.put(S1, params={"gender": "F"}), 201)
        assert done(client.put("/data/subjects/XNAT_S00001", params={"yob": "1980", "gender": "F"})) == "XNAT_S00001"
        assert said(client) == {"gender": "F", "yob": "1980"}
        done(client.put(S1, params={f"{TYPED}/gender": "NULL", "yob": "", "group": "", "race": "NULL"}))
        assert said(client) == {}
        done(client.put(S1, params={"group": "", "gender": "NULL"}))
        assert trail(web) == [{"made": True, "fields": ["gender"]}, {"fields": ["yob"]}, {"fields": ["gender", "yob"]}]


def test_the_investigator_of_a_subject_is_kept_and_shown(site: DataFolder) -> None:
    """By paths and in a document; read as columns, as an item, and as XML in the order of XNAT's documents."""
    path = "xnat:subjectData/investigator"
    with serve_data_folder(site) as (_, client):
        done(client.put(S1, params={f"{path}/firstname": "Tim", f"{path}/lastname": "Olsen", "gender": "F"}), 201)
        listed = client.get("/data/projects/P/subjects", params={"columns": f"{path}/lastname,gender", "format": "csv"})
        assert "Olsen" in listed.text
        (item,) = client.get(f"{S1}?format=json").json()["items"]
        assert [one["field"] for one in item["children"]] == ["investigator", "demographics"]
        assert item["children"][0]["items"][0]["data_fields"] == {"firstname": "Tim", "lastname": "Olsen"}
        root = ET.fromstring(client.get(f"{S1}?format=xml").content)
        assert [(one.tag, one.text) for one in root[0]] == [
            (f"{{{XNAT}}}firstname", "Tim"), (f"{{{XNAT}}}lastname", "Olsen"),
        ]  # fmt: skip
        done(client.put("/data/projects/P/subjects/S2", content=ET.tostring(root), headers=XML), 201)
        assert said(client, "S2") == {
            "investigator/firstname": "Tim", "investigator/lastname": "Olsen", "gender": "F",
        }  # fmt: skip


def test_a_document_takes_back_what_it_lacks_where_data_may_be_deleted(site: DataFolder) -> None:
    with serve_data_folder(site) as (_, client):
        done(client.put(S1, params={"gender": "F", "education": "12", "group": "control"}), 201)
        document = b"<Subject label='S1'><demographics><gender>M</gender></demographics></Subject>"
        done(client.put(f"{S1}?allowDataDeletion=false", content=document, headers=XML))
        assert said(client) == {"gender": "M", "education": "12", "group": "control"}
        done(client.put(f"{S1}?allowDataDeletion=true&gender=F"))  # without a document it takes nothing back
        assert said(client) == {"gender": "F", "education": "12", "group": "control"}
        done(client.put(f"{S1}?allowDataDeletion=true", content=document, headers=XML))
        assert said(client) == {"gender": "M"}


@pytest.mark.postgresql
def test_what_many_say_at_once_is_kept_whole(site: DataFolder) -> None:
    with serve_data_folder(site) as (_, client):
        done(client.put(S1), 201)
        names = ["group", "src", "gender", "handedness", "race", "ethnicity", "race2", "race3"]
        with ThreadPoolExecutor(8) as threads:
            told = list(threads.map(lambda name: client.put(S1, params={name: f"of {name}"}), names))
        assert {one.status_code for one in told} == {200}
        assert said(client) == {name: f"of {name}" for name in names}


def test_a_path_is_understood_as_it_is_typed(site: DataFolder) -> None:
    """Curl sends brackets and the equals sign within them as they are."""
    with serve_data_folder(site) as (_, client):
        typed = httpx.URL(f"{client.base_url}{S1}").copy_with(query=f"{TYPED}/gender=M&group=a%20b".encode())
        done(client.put(typed), 201)
        assert b"[@xsi:type=" in typed.raw_path
        assert said(client) == {"gender": "M", "group": "a b"}
        where = "/data/projects/P/subjects"
        for query in (f"columns={TYPED}/gender&{TYPED}/gender=M", f"{TYPED}/gender=F"):
            listed = rows(client.get(httpx.URL(f"{client.base_url}{where}").copy_with(query=query.encode())))
            assert [one["ID"] for one in listed] == (["XNAT_S00001"] if query.endswith("M") else [])


def test_a_value_that_is_none_is_refused_and_nothing_of_the_request_is_done(site: DataFolder) -> None:
    with serve_data_folder(site) as (_, client):
        for name, value in (("yob", "soon"), ("dob", "1981-02-29"), (f"{TYPED}/weight", "heavy"), ("age", "34y")):
            told = done(client.put(S1, params={"gender": "F", name: value}), 400)
            assert told.startswith(f"{name.rpartition('/')[2]} is {value!r}. Right is ")
        assert rows(client.get("/data/projects/P/subjects")) == []
        done(client.put(S1, params={"gender": "F"}), 201)
        done(client.put(S1, params={"gender": "M", "label": "S2", "yob": "soon"}), 400)
        assert said(client) == {"gender": "F"}


def test_the_body_says_nothing_of_a_subject(site: DataFolder) -> None:
    with serve_data_folder(site) as (_, client):
        done(client.put(S1, data={"gender": "F"}), 201)
        done(client.put(S1, json={"gender": "F"}))
        assert said(client) == {}


def test_who_may_not_change_a_subject_says_nothing_of_it(site: DataFolder) -> None:
    with serve_data_folder(site) as (web, client):
        done(client.put(S1, params={"gender": "F"}), 201)
        web.account("reader", P="collaborator")
        web.account("other")
        for name, status, seen in (("reader", 403, 200), ("other", 404, 404)):
            with web.client(name) as one:
                done(one.put(S1, params={"gender": "M"}), status)
                assert one.get(f"{S1}?format=json").status_code == seen
                assert len(one.get("/data/subjects?gender=F").json()["ResultSet"]["Result"]) == (seen == 200)
        assert said(client) == {"gender": "F"}


# -- shown -------------------------------------------------------------------------------------------------------------


@pytest.mark.postgresql
def test_subjects_are_listed_and_filtered_by_what_is_said_of_them(site: DataFolder) -> None:
    with serve_data_folder(site) as (_, client):
        done(client.put(S1, params=ANN), 201)
        done(client.put("/data/projects/P/subjects/S2", params={"gender": "male", "yob": "1990"}), 201)
        asked = "ID,group,src,gender,handedness,yob,dob,age,weight,weight/units,educationDesc"
        first, second = rows(client.get("/data/subjects", params={"columns": asked}))
        assert first == {
            "ID": "XNAT_S00001", "group": "control", "src": "clinic", "gender": "F", "handedness": "left",
            "yob": "1980", "dob": "1980-02-29", "age": "", "weight": "70.5", "weight/units": "kg", "educationDesc": "",
            "label": "S1", "URI": "/data/subjects/XNAT_S00001",
        }  # fmt: skip
        assert (second["group"], second["gender"], second["yob"]) == ("", "male", "1990")
        paths = f"xnat:subjectData/group,{TYPED}/gender,xnat:demographicData/yob"
        (found,) = rows(client.get("/data/projects/P/subjects", params={"columns": paths, f"{TYPED}/yob": "1980"}))
        assert (found["group"], found["gender"], found["yob"]) == ("control", "F", "1980")
        for query, labels in (
            ({"gender": "F,male"}, ["S1", "S2"]),
            ({"gender": "f"}, ["S1"]),
            ({"group": "con*"}, ["S1"]),
            ({"handedness": "right"}, []),
            ({"sortBy": "yob", "sortOrder": "DESC", "columns": "yob"}, ["S2", "S1"]),
        ):
            assert [one["label"] for one in rows(client.get("/data/subjects", params=query))] == labels, query


@pytest.mark.postgresql
def test_experiments_are_listed_and_filtered_by_what_is_said_of_their_subjects(site: DataFolder) -> None:
    with serve_data_folder(site) as (_, client):
        done(client.put(S1, params=ANN), 201)
        one = experiment(client)
        experiment(client, "E2", "S2")
        done(client.put(f"/data/experiments/{one}/scans/7", params={"xsiType": "xnat:mrScanData"}))
        done(client.put(f"/data/experiments/{one}/scans/8", params={"xsiType": "xnat:mrScanData"}))
        asked = f"label,xnat:subjectData/group,{TYPED}/gender,subject_yob,xnat:subjectData/label"
        first, second = rows(client.get("/data/experiments", params={"columns": asked}))
        assert [first[f"subject_{name}"] for name in ("group", "gender", "yob", "label")] == [
            "control", "F", "1980", "S1",
        ]  # fmt: skip
        assert [second[f"subject_{name}"] for name in ("group", "gender", "yob", "label")] == ["", "", "", "S2"]
        (found,) = rows(client.get("/data/experiments", params={f"{TYPED}/gender": "F", "columns": "label"}))
        assert found["label"] == "E1"
        by_scan = {"xnat:mrSessionData/scans/scan/id": "7", "columns": "label"}
        assert [row["label"] for row in rows(client.get("/data/experiments", params=by_scan))] == ["E1"]


def test_an_item_has_its_demographics_as_xnatpy_reads_them(site: DataFolder) -> None:
    with serve_data_folder(site) as (_, client):
        done(client.put(S1), 201)
        (bare,) = client.get(f"{S1}?format=json").json()["items"]
        assert bare["children"] == []
        done(client.put(S1, params=ANN))
        found = fields(client.get(f"{S1}?format=json"))
        assert found == {"ID": "XNAT_S00001", "project": "P", "label": "S1", "group": "control", "src": "clinic"}
        (child,) = client.get(f"{S1}?format=json").json()["items"][0]["children"]
        (item,) = child["items"]
        assert (child["field"], item["meta"]["xsi:type"], item["meta"]["isHistory"], item["children"]) == (
            "demographics", "xnat:demographicData", False, [],
        )  # fmt: skip
        assert item["data_fields"] == {
            "dob": "1980-02-29", "yob": 1980, "gender": "F", "handedness": "left", "weight": 70.5,
            "weight/units": "kg",
        }  # fmt: skip


def test_a_document_has_its_elements_as_the_schema_orders_them(site: DataFolder) -> None:
    with serve_data_folder(site) as (_, client):
        done(client.put(S1, params=ANN), 201)
        root = ET.fromstring(client.get(S1).content)
    assert (root.tag, root.get("group"), root.get("src")) == (f"{{{XNAT}}}Subject", "control", "clinic")
    (demographics,) = root
    assert demographics.tag == f"{{{XNAT}}}demographics"
    assert demographics.get(f"{{{XSI}}}type") == "xnat:demographicData"
    names = [one.tag.partition("}")[2] for one in demographics]
    assert names == ["dob", "yob", "gender", "handedness", "weight"]
    assert (demographics[-1].text, demographics[-1].get("units")) == ("70.5", "kg")
    schema = "{http://www.w3.org/2001/XMLSchema}"
    (kind,) = [one for one in ET.fromstring(xnat_xsd()) if one.get("name") == "demographicData"]
    types = {one.get("name"): one.get("type") for one in kind.iter(f"{schema}element")}
    assert [name for name in types if name in names] == names
    assert (types["dob"], types["yob"], types["weight"]) == ("xs:date", "xs:integer", "xs:float")


@pytest.mark.postgresql
def test_the_page_of_a_subject_shows_it(site: DataFolder) -> None:
    with serve_data_folder(site) as (_, client):
        done(client.put(S1, params={"gender": "<b>F", "yob": "1980"}), 201)
        shown = client.get("/projects/P/subjects/S1", headers={"accept": "text/html"}).text
        assert "<dt>Gender</dt><dd>&lt;b&gt;F</dd>" in shown
        assert "<dt>Year of birth</dt><dd>1980</dd>" in shown


# -- and kept ----------------------------------------------------------------------------------------------------------


def test_what_is_said_stays_when_labels_sessions_and_imports_change(site: DataFolder) -> None:
    with serve_data_folder(site) as (_, client):
        done(client.put(S1, params={"gender": "F"}), 201)
        one = experiment(client)
        done(client.put(S1, params={"label": "S2", "yob": "1980"}))
        assert said(client, "S2") == {"gender": "F", "yob": "1980"}
        done(client.put(f"/data/experiments/{one}", params={"subject_ID": "S9"}))
        assert (said(client, "S2"), said(client, "S9")) == ({"gender": "F", "yob": "1980"}, {})
        assert (
            site.bring(uploader_layout("E2", "1", images(1)), session="E2", project="P", subject="S2").state == "placed"
        )
        assert said(client, "S2") == {"gender": "F", "yob": "1980"}


@pytest.mark.postgresql
def test_what_was_said_goes_with_a_deleted_subject(site: DataFolder) -> None:
    with serve_data_folder(site) as (_, client):
        done(client.put(S1, params={"gender": "F"}), 201)
        done(client.delete(S1))
        done(client.put(S1), 201)
        assert said(client) == {}
