"""The pages of a project, a subject, a session and a scan: what stands on them, sorted and searched."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy import insert, select, update

from scandock.catalog.server_tables import account, reception
from scandock.catalog.tables import session, upload
from tests.builders import DataFolder, ecat, uploader_layout, zip_entries
from tests.integration.test_pictures import NAME, SESSION, image, report
from tests.integration.web import Web, serve_in_process

pytestmark = pytest.mark.long


@pytest.fixture
def web(site: DataFolder) -> Iterator[Web]:
    with serve_in_process(site.data) as running:
        yield running


@pytest.fixture
def client(web: Web) -> Iterator[httpx.Client]:
    with web.client() as one:
        yield one


def shown(page: str) -> list[str]:
    """The scans that a page of a session shows, in their order."""
    return re.findall(r'/scans/([^/"]+)/thumbnail', page)


def of(scan: int, number: int) -> bytes:
    """An image of a scan of its own."""
    return image(number, SeriesNumber=scan, SeriesInstanceUID=f"1.2.9.{scan}", SOPInstanceUID=f"1.2.9.{scan}.{number}")


def numbered(session: str) -> dict[str, bytes]:
    """Scans whose numbers are not in the order of their letters, nor in that of the archive."""
    counts = {99: 1, 10: 3, 2: 2, 1: 1, 30: 1, 4: 1, 5: 1}
    entries: dict[str, bytes] = {}
    for scan, many in counts.items():
        entries |= uploader_layout(session, str(scan), [of(scan, number) for number in range(many)])
    return entries


def test_pages_show_every_scan_and_no_name_of_a_header_as_anything_but_text(client, site):
    site.bring(SESSION, session="S1", destination="archive")
    session = client.get("/projects/P/sessions/S1").text
    assert session.count("/thumbnail?tree=") == 2
    page = client.get("/projects/P/sessions/S1/scans/4", params={"image": 2, "file": 0, "search": "<script>"}).text
    assert "/frames/2/picture?tree=" in page
    for text in (session, page):
        assert NAME not in text
        assert "&lt;script&gt;alert(1)" in text
        assert "style=" not in text
    assert "without pixels" in client.get("/projects/P/sessions/S1/scans/9").text
    subject = client.get("/api/v1/subjects", params={"project": "P"}).json()["items"][0]["label"]
    assert "/projects/P/sessions/S1" in client.get(f"/projects/P/subjects/{subject}").text
    assert client.get("/projects/P/subjects/Nobody").status_code == 404


def test_a_table_of_many_files_is_a_page_at_a_time(client, site):
    site.checked = False
    long = "x" * 180
    many = {f"S3/resources/NOTES/files/{n:05}{long}.txt": b"x" for n in range(120)}
    site.bring({**many, **uploader_layout("S3", "4", [image(5, StudyInstanceUID="1.2.77")])}, session="S3")
    page = client.get("/projects/P/sessions/S3", params={"sort": "name", "q": "00"})
    assert page.text.count(f"{long}.txt</th>") == 50
    assert "cursor=" in page.text
    assert client.get("/projects/P/sessions/S3", params={"q": "nothing like it"}).text.count(long) == 0


def test_scans_stand_as_people_count_are_sorted_and_found(client, site):
    site.bring(numbered("N"), session="N", destination="archive")
    page = "/projects/P/sessions/N"
    assert shown(client.get(page).text) == ["1", "2", "4", "5", "10", "30", "99"]
    assert shown(client.get(page, params={"order": "images"}).text)[:3] == ["10", "2", "1"]
    assert shown(client.get(page, params={"order": "no such"}).text)[0] == "1"
    assert shown(client.get(page, params={"find": "99"}).text) == ["99"]
    none = client.get(page, params={"find": NAME}).text
    assert shown(none) == []
    assert "Show all 7" in none
    assert NAME not in none


def test_a_scan_leads_to_those_beside_it_as_people_count(client, site):
    site.bring(numbered("N"), session="N", destination="archive")
    text = client.get("/projects/P/sessions/N/scans/10").text
    assert re.findall(r'rel="(?:prev|next)" href="[^"]*/scans/(\d+)"', text) == ["5", "30"]


def test_a_session_a_scan_and_each_file_can_be_downloaded(client, site):
    site.bring(SESSION, session="S1", destination="archive")
    for path in ("/projects/P/sessions/S1", "/projects/P/sessions/S1/scans/4"):
        links = re.findall(r'href="([^"]+)" download', client.get(path).text)
        assert len(links) > 3
        assert all(client.get(link).status_code == 200 for link in links)


def test_a_project_leads_to_its_subjects_whose_sessions_are_sorted_and_found(client, site):
    several = {
        "A": [image(0, StudyInstanceUID="1.2.71", SOPInstanceUID="1.2.71.1")],
        "B": [image(one, StudyInstanceUID="1.2.72", SOPInstanceUID=f"1.2.72.{one}") for one in range(3)],
    }
    for label, images in several.items():
        site.bring(uploader_layout(label, "4", images), session=label, destination="archive")
    project = client.get("/projects/P").text
    (path,) = set(re.findall(r'href="(/projects/P/subjects/[^"]+)"', project))

    def sessions(**params: str) -> list[str]:
        return re.findall(r'<th scope="row"><a href="/projects/P/sessions/(\w+)"', client.get(path, params=params).text)

    assert sessions() == ["A", "B"]
    assert sessions(sort="-files") == ["B", "A"]
    assert sessions(q="b") == ["B"]
    assert "has “zz” in its label" in client.get(path, params={"q": "zz"}).text


def test_a_report_has_its_reason_in_the_place_of_images(client, site):
    site.bring(uploader_layout("R", "9", [report()]), session="R", destination="archive")
    text = client.get("/projects/P/sessions/R/scans/9").text
    assert "This is a report (SR), without pixels." in text
    assert 'class="viewer"' not in text


def test_the_header_of_an_ecat_file_can_be_looked_at(client, site):
    site.bring({"a/one.v": ecat()}, session="E1", destination="archive")
    files = client.get("/projects/P/sessions/E1").text
    (link,) = re.findall(r'href="([^"#]+)#header"', files)
    page = client.get(link).text
    assert "Header of one.v" in page
    assert 'class="elements"' in page


@pytest.mark.parametrize(
    ("page", "title"),
    [("/projects/P", "Files of the project"), ("/projects/P/subjects/S1", "Files of the subject")],
)
def test_own_files_of_projects_and_subjects_are_shown_and_lead_to_their_bytes(client, site, page, title):
    assert client.put("/data/projects/P/subjects/S1").status_code == 201
    assert title not in client.get(page).text
    content = {f"sub/{n:02} <b>100%#?.txt": str(n).encode() for n in range(51)}
    packed = client.put(f"/data{page}/resources/R/files/x.zip?extract=true", content=zip_entries(content))
    assert packed.status_code == 200, packed.text
    told = client.get(page).text
    assert title in told
    assert "<b>100%" not in told
    assert "The first 50 are shown; the zip has all 51." in told
    links = re.findall(r'href="(/data/[^"]+)" download aria-label', told)
    assert [client.get(one).content for one in links] == [str(n).encode() for n in range(50)]
    (whole,) = re.findall(r'href="(/data/[^"]+format=zip)"', told)
    assert client.get(whole).headers["content-type"] == "application/zip"
    assert title not in client.get(page, params={"q": "nothing"}).text


def test_a_session_says_when_it_came_and_to_whom_that_concerns_by_whom(client, site, web):
    site.bring(SESSION, session="S1", destination="archive")
    for name, role in (("olive", "owner"), ("meg", "member"), ("una", "collaborator")):
        web.account(name, P=role)
    with web.site.catalog.write() as connection:
        connection.execute(session.update().values(received=1_700_000_000_000))
        connection.execute(update(upload).values(archive="came <b>.zip"))
        una = connection.execute(select(account.c.id).where(account.c.name == "una")).scalar_one()
        [number] = connection.execute(select(upload.c.id)).scalars()
        connection.execute(insert(reception).values(upload_id=number, account_id=una, door="raw"))
        [import_id] = connection.execute(select(upload.c.uuid)).scalars()
    for name, told in (("admin", True), ("olive", True), ("meg", False), ("una", True)):
        with web.client(name) as one:
            page = one.get("/projects/P/sessions/S1").text
            assert '<dt>Received</dt><dd><time datetime="2023-11-14T22:13:20Z" ' in page
            assert ("<dt>Uploaded by</dt><dd>una</dd>" in page) is told, name
            link = f'<a href="/imports/{import_id}">came &lt;b&gt;.zip</a>'
            assert ("came &lt;b&gt;" in page) is told, name
            readable = one.get(f"/imports/{import_id}").status_code == 200
            assert (link in page) is readable, name
            assert readable is (name in ("admin", "una")), name  # it was for no project: its owners may not read it
    with web.site.catalog.write() as connection:  # a session of an import that is not known any more
        connection.execute(session.update().values(received_by=None))
    page = client.get("/projects/P/sessions/S1").text
    assert "<dt>Received</dt>" in page
    assert "<dt>Import</dt>" not in page


def test_files_are_folded_until_something_of_them_is_asked_for(client, site):
    site.bring(SESSION, session="S1", destination="archive")
    page = "/projects/P/sessions/S1"
    assert re.search(r'<details class="fold files-fold"><summary>4 files, [\d.]+ kB</summary>', client.get(page).text)
    for query in ({"q": "1"}, {"sort": "-name"}):
        text = client.get(page, params=query).text
        assert '<details class="fold files-fold" open>' in text
    assert re.search(r'href="/projects/P/sessions/S1\?sort=name#files"', text)  # what the link names is in the fold
    assert (
        text.index('files-fold" open') < text.index('id="files"') < text.index("</details>", text.index("files-fold"))
    )


def dated(label: str, number: int, date: str, modality: str) -> dict[str, bytes]:
    made = image(
        0, StudyInstanceUID=f"1.2.8.{number}", SOPInstanceUID=f"1.2.8.{number}.1",
        SeriesInstanceUID=f"1.2.8.{number}.2", StudyDate=date, SeriesDate=date, Modality=modality, PatientID=label,
    )  # fmt: skip
    return uploader_layout(label, "4", [made])


def test_a_projects_sessions_have_pictures_and_are_sorted_and_filtered(client, site, web):
    for number, (label, date, modality) in enumerate(
        (("Ann", "20240105", "MR"), ("Bob", "20230105", "CT"), ("Cid", "20250105", "MR"))
    ):
        site.bring(dated(label, number, date, modality), session=label, destination="archive")
        with web.site.catalog.write() as connection:  # a day later each
            moment = 1_700_000_000_000 + number * 86_400_000
            connection.execute(session.update().where(session.c.label == label).values(received=moment))

    def labels(**params: str) -> list[str]:
        return re.findall(
            r'<th scope="row"><a href="/projects/P/sessions/(\w+)"', client.get("/projects/P", params=params).text
        )

    assert labels() == ["Ann", "Bob", "Cid"]
    assert labels(sort="-date") == ["Cid", "Ann", "Bob"]
    assert labels(sort="modality") == ["Bob", "Ann", "Cid"]
    assert labels(sort="-received") == ["Cid", "Bob", "Ann"]
    assert labels(modality="mr", date_to="2024-12-31") == ["Ann"]
    assert labels(date_from="2024-01-05", sort="-label") == ["Cid", "Ann"]
    assert labels(received="2023-11-16") == ["Cid"]
    assert labels(q="bob") == ["Bob"]
    page = client.get("/projects/P", params={"modality": "MR", "date_from": "2024-01-01", "sort": "-date"}).text
    [heading] = re.findall(r'<a href="([^"]+)">Subject</a>', page)
    assert heading == "/projects/P?sort=subject&amp;modality=MR&amp;date_from=2024-01-01"  # what is filtered stays
    assert '<input type="hidden" name="sort" value="-date">' in page
    assert "<option selected>MR</option>" in page
    for picture in re.findall(r'<img src="([^"]+thumbnail[^"]+)"', page):
        assert client.get(picture).headers["content-type"] == "image/webp"
    assert page.count("/thumbnail?tree=") == 2
    client.cookies.set("scandock_zone", "Asia/Tokyo")  # where Bob came in the morning of the 16th
    assert labels(received="2023-11-16") == ["Bob", "Cid"]
    assert "No session matches." in client.get("/projects/P", params={"modality": "XA"}).text
    refused = client.get("/projects/P", params={"date_from": "yesterday"})
    assert refused.status_code == 400
    assert "is not a date" in refused.text
    api = client.get(
        "/api/v1/sessions", params={"project": "P", "modality": "MR", "sort": "-date", "received_since": "2023-11-15"}
    )
    assert [(one["label"], one["modalities"]) for one in api.json()["items"]] == [("Cid", ["MR"])]
    assert client.get("/api/v1/sessions", params={"date_to": "2024-02-30"}).status_code == 400


def test_a_project_offers_the_upload_to_who_may(client, site, web):
    for name, role, offered in (("meg", "member", True), ("una", "collaborator", False)):
        web.account(name, P=role)
        with web.client(name) as one:
            page = one.get("/projects/P").text
            assert ('<a class="button primary" href="/upload?project=P">Upload to P</a>' in page) is offered
