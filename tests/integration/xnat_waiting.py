"""Sessions that wait in the prearchive of a site, and a server of that site, for tests of XNAT's dialect."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from tests.builders import Site, documented, images
from tests.integration.web import Web, serving

COMMENT = 0x00204000
OTHER = {COMMENT: (b"LT", b"other")}


@contextmanager
def served(site: Site) -> Iterator[tuple[Web, httpx.Client]]:
    """The site's DATA behind HTTP, and its administrator's client."""
    with serving(site.data, site.settings) as web, web.client() as client:
        yield web, client


def waits(site: Site, *, project: str = "Q", label: str = "S1", study: int = 1, **options: object) -> str:
    """Import two objects into the prearchive as this dialect does; gives the session's URI."""
    objects = images(2, study=study, patient_id=b"PAT%d" % study)
    wanted = {"session": label, "dialect": True, "destination": "prearchive", **options}
    told = site.bring(documented(label, "1", objects), project=project, **wanted)
    return str(told.session["uri"])


def rows(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    found: list[dict[str, str]] = answer.json()["ResultSet"]["Result"]
    return found


def status(client: httpx.Client, uri: str) -> str:
    (row,) = rows(client.get(uri, params={"format": "json"}))
    return row["status"]
