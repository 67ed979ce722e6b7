"""docs/dicom-conformance.md says what the code does, and docs/dicomweb.md names all of it."""

from __future__ import annotations

import re

from fastapi.routing import APIRoute
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from scandock.dimse import uids
from scandock.dimse.records import Status
from scandock.rules.dicom_attributes import ATTRIBUTES, IN_REQUESTS
from scandock.services.dicomweb_frames import is_convertible, is_video
from scandock.services.sent_objects import FailureReason
from scandock.viewing.dicom_pixels import PLAIN_FRAMES
from scandock.web import urls
from scandock.web.dicomweb.routers import ROUTERS
from scripts.conformance.statement import PAGE, page

GUIDE = PAGE.with_name("dicomweb.md")
NATIVE = {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"}
LIBJPEG = {f"1.2.840.10008.1.2.4.{number}" for number in range(50, 67)}
"""Retired processes, whose gray images libjpeg-turbo is tried on (`viewing.dicom_pixels`)."""


def test_the_page_is_what_the_code_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m scripts.conformance"


def test_every_status_that_is_answered_is_on_the_page() -> None:
    statuses = [value for name, value in vars(Status).items() if name.isupper()]
    assert len(statuses) > 10
    for status in statuses:
        assert f"{status:04X}" in page()
    for reason in FailureReason:
        assert f"| `{reason:04X}` |" in page()


def test_tables_are_tables() -> None:
    lines = page().splitlines()
    for before, line, after in zip(lines, lines[1:], lines[2:], strict=False):
        if re.fullmatch(r"\|(---\|)+", line):
            assert before.count("|") == line.count("|") == after.count("|"), before
        else:
            assert "---|" not in line, line


def test_every_route_and_attribute_of_dicomweb_is_on_the_page() -> None:
    base = urls.DICOMWEB + "/projects/{project}"
    routes = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
    below = {(method, route.path.removeprefix(base)) for route in routes for method in route.methods or ()
             if route.path.startswith(base)}  # fmt: skip
    assert len(below) > 20
    for method, path in below:
        assert f"| {method} | `{path.replace(':path}', '}')}` |" in page()
    for attribute in (*ATTRIBUTES, *IN_REQUESTS):
        assert f"| {attribute.keyword} | " in page()


def test_every_transfer_syntax_that_compresses_is_on_the_page_with_what_is_done_with_it() -> None:
    rows = {row[1]: row[2] for row in re.finditer(r"\| `([\d.]+)` \| `[a-z0-9/-]+` \| ([^|]+) \|\n", page())}
    for uid in uids.TRANSFER_SYNTAXES - NATIVE - PLAIN_FRAMES:
        assert uid in rows
        assert rows[uid].startswith("no") is not is_convertible(uid)


def test_what_is_called_convertible_has_a_decoder() -> None:
    for uid in uids.TRANSFER_SYNTAXES:
        try:
            has_decoder = get_decoder(UID(uid)).is_available
        except NotImplementedError:
            has_decoder = False
        assert is_convertible(uid) == (has_decoder or uid in LIBJPEG | PLAIN_FRAMES), uid
        assert not (has_decoder and is_video(uid))


def test_the_guide_to_dicomweb_names_what_can_be_asked_for() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    last_words = {
        route.path.rstrip("}").rpartition("/")[2].lstrip("{").partition(":")[0]
        for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)
    }  # fmt: skip
    assert {"metadata", "rendered", "thumbnail", "pixeldata", "frames"} <= last_words
    for word in last_words - {"study", "series", "instance", "frame", "element"}:
        assert word in text
    shortened = {"PerformedProcedureStepStartTime": "and -Time", "ScheduledProcedureStepID": "00400275.00400009",
                 "RequestedProcedureID": "00400275.00401001"}  # fmt: skip
    for attribute in (*ATTRIBUTES, *IN_REQUESTS):
        assert shortened.get(attribute.keyword, attribute.keyword) in text
    for reason in FailureReason:
        assert f"| {reason:04X} |" in text
