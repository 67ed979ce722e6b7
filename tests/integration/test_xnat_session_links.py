"""What the Desktop Client links to after an upload ("View session"), and `format=html`: the pages that show it here."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.builders import DataFolder, images, uploader_layout
from tests.integration.web import PASSWORD, Web, serve_in_process

PAGE = "/projects/P/sessions/E1"


@pytest.fixture(scope="module")
def web(shared_site: DataFolder) -> Iterator[Web]:
    """An archived session E1 and a waiting one E2, of P."""
    with serve_in_process(shared_site.data) as running:
        shared_site.bring(uploader_layout("E1", "1", images(1)), subject="Ann", session="E1")
        sent = uploader_layout("E2", "1", images(1, study=2))
        shared_site.bring(sent, subject="Bob", session="E2", destination="prearchive")
        running.account("mary", P="member")
        running.account("carl", P="collaborator")
        running.account("stranger")
        yield running


def row(client: httpx.Client) -> dict[str, str]:
    (found,) = client.get("/data/prearchive/projects/P").json()["ResultSet"]["Result"]
    return dict(found)


def sent(client: httpx.Client, label: str = "E2") -> str:
    """The link that the client makes of the answer to its commit."""
    return f"/app/action/LoadImageData/project/P/timestamp/{row(client)['timestamp']}/folder/{label}"


def shown(client: httpx.Client, where: str) -> str:
    """The page that an address leads to, which is there."""
    answer = client.get(where)
    while answer.status_code == 303:
        where = answer.headers["location"]
        answer = client.get(where)
    assert (answer.status_code, answer.text[:15]) == (200, "<!doctype html>"), answer.text
    return where


def test_a_link_to_what_was_sent_leads_to_its_page(client: httpx.Client) -> None:
    page = shown(client, sent(client))
    assert page.startswith("/prearchive/")
    assert "<h1>E2</h1>" in client.get(page).text
    assert shown(client, sent(client) + "%0D%0A") == page, "the end of a line, as the client takes it from an answer"
    assert shown(client, f"/data{row(client)['url']}?format=html") == page


def test_once_it_is_archived_the_link_leads_there(client: httpx.Client) -> None:
    assert shown(client, sent(client, "E1")) == PAGE
    assert client.get(sent(client, "None")).status_code == 404


@pytest.mark.parametrize(
    ("address", "page"),
    [
        ("/data/archive/projects/P/subjects/Ann/experiments/E1", PAGE),
        ("/data/experiments/XNAT_E00001", PAGE),
        ("/REST/projects/p/experiments/e1", PAGE),
        ("/data/projects/P/subjects/ann", "/projects/P/subjects/Ann"),
        ("/data/subjects/XNAT_S00001", "/projects/P/subjects/Ann"),
        ("/data/archive/projects/p", "/projects/P"),
    ],
)
def test_html_of_one_thing_is_its_page(client: httpx.Client, address: str, page: str) -> None:
    assert shown(client, f"{address}?format=html") == page
    assert client.get(address).text.startswith("<?xml"), "to clients it is a document as ever"


def test_a_browser_without_a_login_is_led_to_it_and_back(web: Web, client: httpx.Client) -> None:
    for where, page in (
        ("/data/archive/projects/P/subjects/Ann/experiments/E1?format=html", PAGE),
        (sent(client), f"/prearchive/{shown(client, sent(client)).rpartition('/')[2]}"),
    ):
        with web.client(None) as browser:
            answer = browser.get(where)
            assert answer.status_code == 303
            then = parse_qs(urlsplit(answer.headers["location"]).query)["then"][0]
            back = browser.post("/login", data={"name": "admin", "password": PASSWORD, "then": then})
            assert back.status_code == 303
            assert shown(browser, back.headers["location"]) == page


def test_nobody_learns_by_a_link_what_stands_there(web: Web, client: httpx.Client) -> None:
    real = sent(client)
    for name in ("stranger", "carl"):
        with web.client(name) as other:
            assert other.get(real).status_code in (403, 404)
    with web.client("mary") as mary, web.client("carl") as carl:
        assert shown(mary, real) == shown(client, real)
        assert shown(carl, sent(client, "E1")) == PAGE
    with web.client("stranger") as stranger, web.client(None) as nobody:
        for there, none in (
            ("/data/projects/P/experiments/E1?format=html", "/data/projects/P/experiments/None?format=html"),
            (real, real.replace("/P/", "/None/")),
            (sent(client, "E1"), sent(client, "None")),
        ):
            answers = [stranger.get(one) for one in (there, none)]
            assert [one.status_code for one in answers] == [404, 404]
            answers = [nobody.get(one) for one in (there, none)]
            assert [one.headers["location"].partition("?")[0] for one in answers] == ["/login", "/login"]
