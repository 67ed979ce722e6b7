"""Whoever follows the pages' links comes to no page that is not there, not allowed or not what the link promised."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import pytest

from scandock.rules.permissions import Accessibility
from tests.integration.sample_server import SampleServer, serve_samples

pytestmark = pytest.mark.long

ALIKE = 2
"""How many pages of one kind are asked for: of other projects, sessions and files, or with other values of a filter."""
_NAMES = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|[^/]*(?:Zebra|Protected|Public|Unassigned)[^/]*|\b\d+\b")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SampleServer]:
    with serve_samples(tmp_path_factory.mktemp("crawl")) as ready:
        yield ready


@dataclass
class Links(HTMLParser):
    """What a page leads to, and the places in it."""

    links: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    """Pictures, scripts, downloads."""
    places: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()
        self._form = ""
        self._fields: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        if told.get("id"):
            self.places.add(str(told["id"]))
        if tag in ("img", "script", "link") or "download" in told:
            self.files.append(str(told.get("src") or told.get("href") or ""))
        elif told.get("href"):
            self.links.append(str(told["href"]))
        if tag == "form":
            self._form = str(told.get("action", "")) if (told.get("method") or "get").lower() == "get" else ""
            self._fields = []
        elif tag == "input" and told.get("type") == "hidden":
            self._fields.append((str(told["name"]), str(told["value"])))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form" and self._form:  # as it is sent with nothing typed
            path, mark, place = self._form.partition("#")
            self.links.append(f"{path}?{urlencode(self._fields)}{mark}{place}" if self._fields else self._form)


def read(text: str) -> Links:
    page = Links()
    page.feed(text)
    return page


@pytest.mark.parametrize("who", ["anonymous", "collaborator", "member", "owner", "admin"])
def test_every_link_leads_somewhere(made: SampleServer, who: str) -> None:
    client = made.clients[who]
    pages: dict[str, Links] = {}
    named: list[tuple[str, str, str]] = []  # page that links, page, place in it
    asked: Counter[tuple[str, tuple[str, ...]]] = Counter()
    public = next(place.project for place in made.places if place.accessibility is Accessibility.PUBLIC)
    waiting = deque([("/", "the start"), (f"/projects/{public}", "a message")])
    seen = {address for address, _ in waiting}
    while waiting:
        address, origin = waiting.popleft()
        answer = client.get(address, headers={"Accept": "text/html"})
        assert answer.status_code == 200, f"{origin} links to {address}, which is answered with {answer.status_code}"
        if not answer.headers["content-type"].startswith("text/html"):
            continue
        page = pages[address] = read(answer.text)
        for link in (*page.links, *page.files):
            told = urlsplit(urljoin(address, link))
            if told.scheme or told.netloc:
                continue
            target = told.path + (f"?{told.query}" if told.query else "")
            if told.fragment:
                named.append((address, target, told.fragment))
            shape = (_NAMES.sub("*", told.path), tuple(sorted(name for name, _ in parse_qsl(told.query))))
            if target not in seen and asked[shape] < (1 if link in page.files else ALIKE):
                seen.add(target)
                asked[shape] += 1
                waiting.append((target, address))
    assert who != "anonymous" or "/projects" in pages, "the first page leads to public projects"
    missing = [one for one in named if one[1] in pages and one[2] not in pages[one[1]].places]
    assert missing == [], "places that links name and pages do not have"
    assert len(pages) > (5 if who == "anonymous" else 15), sorted(pages)
