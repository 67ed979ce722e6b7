"""Sessions that wait in the prearchive of a site, and a server of that site, for tests of XNAT's dialect."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from tests.builders import DataFolder, images, uploader_layout
from tests.integration.web import Web, serve_in_process

COMMENT = 0x00204000
OTHER = {COMMENT: (b"LT", b"other")}


@contextmanager
def serve_xnat(site: DataFolder) -> Iterator[tuple[Web, httpx.Client]]:
    """The site's DATA behind HTTP, and its administrator's client."""
    with serve_in_process(site.data, site.settings) as web, web.client() as client:
        yield web, client


def import_to_prearchive(
    site: DataFolder, *, project: str = "Q", label: str = "S1", study: int = 1, **options: object
) -> str:
    """Import two objects into the prearchive as this dialect does; gives the session's URI."""
    objects = images(2, study=study, patient_id=b"PAT%d" % study)
    import_options = {"session": label, "dialect": True, "destination": "prearchive", **options}
    outcome = site.bring(uploader_layout(label, "1", objects), project=project, **import_options)
    return str(outcome.session["uri"])


def result_rows(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    result: list[dict[str, str]] = answer.json()["ResultSet"]["Result"]
    return result


def prearchive_status(client: httpx.Client, uri: str) -> str:
    (row,) = result_rows(client.get(uri, params={"format": "json"}))
    return row["status"]
