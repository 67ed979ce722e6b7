"""Names that would lead an address to another thing than the one that is meant: refused, whoever says them."""

from __future__ import annotations

import httpx
import pytest

from scandock.model.errors import Usage
from scandock.rules.import_request import ImportRequest
from scandock.rules.naming import check_labels
from tests.builders import images, uploader_layout, zip_entries

MR = {"xsiType": "xnat:mrSessionData"}
SUBJECT = "/data/projects/P/subjects/S1"
SESSION = f"{SUBJECT}/experiments/E1"


@pytest.fixture
def made(client: httpx.Client) -> httpx.Client:
    """An administrator, and in the project P a subject S1 with an empty session E1."""
    assert client.put(SUBJECT).text == "XNAT_S00001"
    assert client.put(SESSION, params=MR).text == "XNAT_E00001"
    return client


@pytest.mark.long
@pytest.mark.parametrize("label", ["XNAT_S00001", "XNAT_S00777", "XNAT_E00001", "xnat_e00777"])
def test_no_label_has_the_form_of_an_id(made: httpx.Client, label: str) -> None:
    made.put("/data/projects/P/subjects/S2/experiments/E2", params=MR)
    for where in ("/data/projects/P/subjects/S2", "/data/projects/P/experiments/E2"):
        told = made.put(where, params={"label": label})
        assert (told.status_code, "form of this server's own ids" in told.text) == (400, True), told.text
    body = zip_entries(uploader_layout("s", "1", images(1)))
    told = made.post("/data/services/import", params={"project": "P", "subject": "S9", "session": label}, content=body)
    assert (told.status_code, "form of this server's own ids" in told.text) == (400, True), told.text
    with pytest.raises(Usage, match="form of this server's own ids"):
        check_labels(ImportRequest(session=label))
    assert {one["label"] for one in made.get("/data/experiments").json()["ResultSet"]["Result"]} == {"E1", "E2"}


def test_the_word_for_every_scan_is_no_scan_s(made: httpx.Client) -> None:
    told = made.put(f"{SESSION}/scans/ALL", params={"xsiType": "xnat:mrScanData"})
    assert (told.status_code, "ALL means every scan" in told.text) == (400, True)


def test_a_type_that_no_scan_has_is_refused(made: httpx.Client) -> None:
    told = made.put(f"{SESSION}/scans/1", params={"xsiType": "xnat:nopeScanData"})
    assert (told.status_code, told.text[:18]) == (400, "xnat:nopeScanData ")
    assert made.put(f"{SESSION}/scans/1", params={"xsiType": "xnat:imageScanData"}).status_code == 200


def test_an_address_that_is_no_utf_8_is_refused(made: httpx.Client) -> None:
    """As xnatpy sends `per%cent.txt`: what was read as something else took the place of another file."""
    where = f"{SESSION}/resources/notes/files"
    for name in ("a%ce.txt", "per%cent.txt"):
        told = made.put(f"{where}/{name}", content=b"1")
        assert (told.status_code, "no UTF-8" in told.text) == (400, True), told.text
    assert made.put(f"{where}/per%25cent%C3%A9.txt", content=b"1").status_code == 200
    (row,) = made.get(where).json()["ResultSet"]["Result"]
    assert row["Name"] == "per%centé.txt"


@pytest.mark.parametrize("value", ["abc", "34Y", "1,5", "nan"])
def test_an_age_is_a_number(made: httpx.Client, value: str) -> None:
    told = made.put(SESSION, params={"age": value})
    assert (told.status_code, told.text[:6]) == (400, "age is")
    assert made.put(SESSION, params={"xnat:mrSessionData/age": "34.5"}).status_code == 200


def test_the_copy_of_a_session_s_document_is_called_by_its_address(made: httpx.Client) -> None:
    document = made.get(SESSION, params={"format": "xml"}).content
    told = made.put(f"{SUBJECT}/experiments/COPY", content=document, headers={"Content-Type": "text/xml"})
    assert (told.status_code, told.text) == (201, "XNAT_E00002")
    labels = [one["label"] for one in made.get("/data/projects/P/experiments").json()["ResultSet"]["Result"]]
    assert labels == ["E1", "COPY"]
