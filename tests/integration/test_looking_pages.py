"""The pages of a project, a subject, a session and a scan: what stands on them, sorted and searched."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest

from tests.builders import DataFolder, ecat, uploader_layout, zip_entries
from tests.integration.test_pictures import NAME, SESSION, image, report
from tests.integration.web import serve_in_process

pytestmark = pytest.mark.long


@pytest.fixture
def client(site: DataFolder) -> Iterator[httpx.Client]:
    with serve_in_process(site.data) as web, web.client() as one:
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
