"""The part of the conformance statement about web services (PS3.18): search, retrieve, store."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from fastapi.routing import APIRoute
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from scandock.dimse import uids
from scandock.model.errors import Coded
from scandock.model.machine_errors import DiskFull
from scandock.model.request_errors import RequestInvalid
from scandock.rules.dicom_attributes import ATTRIBUTES, IN_REQUESTS, REQUESTS, Attribute, Level
from scandock.rules.dicom_query import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    MAX_VALUES,
    MAX_WILDCARDS,
    NOT_FUZZY,
    Match,
    parse_query,
)
from scandock.services.dicomweb_errors import DecodersOccupied, FrameUnknown, NotConvertible, PartUnknown
from scandock.services.dicomweb_frames import MAX_FRAMES, is_convertible, is_video, stored_type
from scandock.services.dicomweb_rendering import FUNCTIONS, MAX_SIDE, QUALITY, THUMBNAIL
from scandock.services.file_errors import FileDamaged, FileMissing, RangeUnsatisfiable
from scandock.services.sent_objects import MAX_HEAD, FailureReason
from scandock.services.settings import Settings
from scandock.services.stow_errors import ObjectsUnreadable, ObjectTypeUnsupported
from scandock.services.upload_errors import MultipartDamaged, UploadsTooMany, UploadTooLarge
from scandock.web import urls
from scandock.web.dicomweb import objects, rendered, store
from scandock.web.dicomweb.accept import JSON
from scandock.web.dicomweb.errors import NotAcceptable
from scandock.web.dicomweb.routers import ROUTERS
from scandock.web.receiving.objects import MAX_OBJECTS
from scripts.conformance.markdown import heading, hexadecimal, paragraph, sort_uids, table, uid_name

SERVICES: Final = (
    ("Studies Service: search (QIDO-RS)", "no", "yes"),
    ("Studies Service: retrieve (WADO-RS)", "no", "yes"),
    ("Studies Service: store (STOW-RS)", "no", "yes"),
    ("URI Service (WADO-URI)", "no", "no"),
    ("Worklist Service (UPS-RS)", "no", "no"),
    ("Non-Patient Instance Service", "no", "no"),
)
_PROJECT_BASE: Final = urls.DICOMWEB + "/projects/{project}"
_EXAMPLES: Final = {
    "DA": ("20260101", "20260101-20260131"),
    "TM": ("1405", "0800-1200"),
    "UI": ("1.2.3", "1.2.3-1.2.4"),
    "IS": ("1", ""),
}
"""A value, and a range, of value representations that take no letters."""
_LINK: Final = re.compile(r" \(\[\w+\]\([^)]*\)\)")
"""A link to another page, behind a meaning."""
_LEVELS: Final = ("Study", "Series", "Instance")
_SEARCHED: Final[Sequence[type[Coded]]] = (RequestInvalid, NotAcceptable)
_RETRIEVED: Final[Sequence[type[Coded]]] = (
    RequestInvalid, FrameUnknown, PartUnknown, NotAcceptable, NotConvertible, FileDamaged, FileMissing,
    RangeUnsatisfiable, DecodersOccupied,
)  # fmt: skip
_STORED: Final[Sequence[type[Coded]]] = (
    MultipartDamaged, ObjectsUnreadable, UploadTooLarge, ObjectTypeUnsupported, UploadsTooMany,
)  # fmt: skip
_REASONS: Final = {
    FailureReason.PROCESSING: "filters or scripts leave the object out, or its session could not be taken",
    FailureReason.NOT_AUTHORIZED: "the account may no longer store there",
    FailureReason.NO_SPACE: "no space is left",
    FailureReason.OTHER_STUDY: "the object is of another study than the address names",
    FailureReason.UNREADABLE: f"no object with its UIDs in the first {MAX_HEAD >> 20} MiB, or it can't be read",
}


def lines() -> Iterator[str]:
    """The part, line by line."""
    yield from heading("## 3 Web services")
    yield from _model()
    yield from _policies()
    yield from _resources()
    yield from _search()
    yield from _retrieve()
    yield from _rendered()
    yield from _store()


def _model() -> Iterator[str]:
    yield from heading("### 3.1 Implementation model")
    yield from paragraph(
        "The web server answers as origin server of the Studies Service. It has two kinds of bases: "
        f"`{_PROJECT_BASE}` is the archive of one project, `{urls.DICOMWEB}` the archive and prearchive of all that "
        "the account may see; of two copies of an object the archive's counts. Objects that are stored are imported by "
        "the rules of every import, and where a project de-identifies, they are changed then. Nothing is read or "
        "stored elsewhere: it is no user agent."
    )


def _policies() -> Iterator[str]:
    yield from heading("### 3.2 Connection policies")
    yield from table(
        ("policy", "value"),
        (
            ("protocol", "HTTP/1.1; TLS by the proxy in front"),
            ("authentication", "Basic, with a password or a token; a bearer token; the browser's login (cookie)"),
            ("storing by cookie", "from pages of the server's own site alone, by `Origin` or `Sec-Fetch-Site`"),
            ("media types accepted", "by the parameter `accept`, else by the header `Accept`; quoted or not"),
            ("character sets accepted", "UTF-8 alone; `charset` is ignored"),
            ("content codings", "gzip, of JSON"),
            ("conditional requests", "`ETag` and `If-None-Match`, but for the objects of a study or series"),
            ("ranges", "`Range`, one, of films and of pixel data that are stored as they are sent"),
            ("addresses in answers", "absolute: below `SCANDOCK_PUBLIC_URL`, else below the host that was asked"),
            (
                "connections",
                f"{Settings.model_fields['max_connections_per_address'].default:,} of an address, a setting",
            ),
        ),
    )


def _resources() -> Iterator[str]:
    yield from heading("### 3.3 Resources")
    yield from paragraph(
        "Below a base. HEAD is answered where GET is, another method with 405. Where the account may not, the status "
        "is 401, 403 or 404 ([codes](codes.md))."
    )
    rows = [
        (method, f"`{_address(route)}`", _first_line(route))
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute) and route.path.startswith(_PROJECT_BASE)
        for method in sorted(route.methods or ())
    ]
    yield from table(("method", "resource", "what it is"), rows)


def _search() -> Iterator[str]:
    yield from heading("### 3.4 Search (QIDO-RS)")
    yield from table(
        ("option", "value"),
        (
            ("media type of answers", f"`{JSON}`"),
            ("`limit`", f"{DEFAULT_LIMIT:,} by default, at most {MAX_LIMIT:,}"),
            ("`offset`", "any; a `Warning` says how many results there are behind the page"),
            ("`includefield`", "keyword, eight hexadecimal digits, `all`; repeated or joined by commas"),
            ("`fuzzymatching`", f'literal matching, with `Warning: 299 ... "{NOT_FUZZY}"`'),
            ("other parameters", "ignored and named in a `Warning`, and so is a key that is given twice"),
            ("order", "studies by date and time, newest first; series and instances by number"),
            (
                "relational queries",
                "`/series` and `/instances` with a UID of a study, series or instance, else they are refused",
            ),
            ("lists, wildcards", f"{MAX_VALUES} values, {MAX_WILDCARDS} asterisks at most"),
            ("nothing found", "200 and an empty list"),
        ),
    )
    for level in Level:
        yield from paragraph(f"{_LEVELS[level]} attributes:")
        attributes = sorted((*(one for one in ATTRIBUTES if one.level is level), *_within(level)))
        yield from table(
            ("attribute", "tag", "VR", "matching", "returned"),
            ((one.keyword, _tag(one), one.vr, _matching(one), _returned(one)) for one in attributes),
        )
    yield from paragraph(
        "Names match without case and accents, in each component group. Results have (0008,0005), (0008,0056) `ONLINE` "
        "and (0008,1190) besides, and the UIDs of their study and series."
    )
    yield from _errors(_SEARCHED)


def _retrieve() -> Iterator[str]:
    yield from heading("### 3.5 Retrieve (WADO-RS)")
    yield from table(
        ("resource", "media types", "transfer syntaxes"),
        (
            (
                "objects of a study or series",
                f'`multipart/related; type="{objects.DICOM}"`',
                "Explicit VR Little Endian unless one is asked for; `*`: as stored; or the one that all have",
            ),
            ("an object", f"the same, or `{objects.DICOM}`", "the same"),
            ("metadata", f"`{JSON}`", ""),
            (
                "frames, pixel data",
                "`multipart/related` of the types below; one frame, and pixel data as one thing, also alone",
                "Explicit VR Little Endian unless one is asked for; `*`: as stored",
            ),
            (
                "bulk data",
                "`application/octet-stream`, of a document its own type; as `multipart/related` or alone",
                "little endian",
            ),
        ),
    )
    yield from paragraph(
        f"At most {MAX_FRAMES:,} frames in a request. What is not compressed is answered as `application/octet-stream` "
        "in little endian. Compressed frames:"
    )
    yield from table(
        ("transfer syntax", "UID", "media type as stored", "decoded to Explicit VR Little Endian"),
        (
            (uid_name(uid), f"`{uid}`", f"`{stored_type(uid)}`", _decoded(uid))
            for uid in sort_uids(uids.TRANSFER_SYNTAXES)
            if stored_type(uid) != "application/octet-stream" or not is_convertible(uid)
        ),
    )
    yield from paragraph(
        "Metadata have all attributes but those of groups 0000 and 0002 and group lengths. Binary values of up to 1 kB "
        "are inline, others and pixel data by BulkDataURI. Texts are in UTF-8, and (0008,0005) says so."
    )
    yield from paragraph(
        "Objects that are damaged, missing or can't be converted are left out, with status 206 and a `Warning`."
    )
    yield from _errors(_RETRIEVED)


def _rendered() -> Iterator[str]:
    functions = ", ".join(f"`{name}`" for name in FUNCTIONS)
    width, height = THUMBNAIL
    yield from heading("### 3.6 Rendered resources")
    yield from table(
        ("option", "value"),
        (
            ("media types", ", ".join(f"`{one}`" for one in rendered.PICTURES) + "; the first by default"),
            ("documents, films", "an encapsulated PDF as `application/pdf`, a film as it is stored"),
            ("`viewport`", f"width and height, each at most {MAX_SIDE:,}"),
            ("`window`", f"center, width, and a function: {functions}"),
            ("`quality`", f"1 to 100; {QUALITY} by default"),
            ("thumbnails", f"JPEG within {width} x {height}, or the `viewport`"),
            ("of a study or series", "the object in the middle; of an object its frame in the middle"),
            ("`annotation`, `iccprofile`", "ignored"),
        ),
    )


def _store() -> Iterator[str]:
    wait = Settings.model_fields["stow_seconds"].default
    yield from heading("### 3.7 Store (STOW-RS)")
    yield from table(
        ("option", "value"),
        (
            (
                "media types of requests",
                f'`multipart/related; type="{objects.DICOM}"`, or one object as `{objects.DICOM}`',
            ),
            ("metadata with bulk data", "not taken (415)"),
            ("media type of answers", f"`{JSON}`, whatever is accepted"),
            ("transfer syntaxes, SOP classes", "any that can be read; nothing is converted"),
            ("objects in a request", f"{MAX_OBJECTS:,} at most"),
            (
                "wait for the import",
                f"`SCANDOCK_STOW_SECONDS`, {wait} s; none for one object that goes to the prearchive",
            ),
            (
                "an object that is stored already",
                "success, and nothing changes; another object of the same UID waits for a decision",
            ),
            ("attributes coerced", "none, unless the project de-identifies"),
        ),
    )
    yield from table(
        ("status", "when"),
        (
            ("200", "all objects are stored"),
            ("202", "some are stored, or wait for a decision, or their import goes on; the answer says which"),
            ("409", "none is stored"),
        ),
    )
    no_space = (str(DiskFull.STATUS), f"`{DiskFull.CODE}`", "The disk, or the account's share of it, is full.")
    yield from _errors(_STORED, no_space)
    yield from paragraph(
        f"Warning reason (0008,1196): {hexadecimal(store.COERCED)}, where the object is stored under another UID, or "
        "waits for a decision in the prearchive. Failure reasons (0008,1197):"
    )
    yield from table(("reason", "when"), ((hexadecimal(reason), _REASONS[reason]) for reason in FailureReason))


def _errors(classes: Iterable[type[Coded]], *rows: tuple[str, str, str]) -> Iterator[str]:
    """Statuses of errors of a service; those of rights are those of every request."""
    table_rows = [(str(one.STATUS), f"`{one.CODE}`", _LINK.sub("", one.MEANING)) for one in classes]
    yield from table(("status", "code", "when"), [*table_rows, *rows])


def _address(route: APIRoute) -> str:
    return route.path.removeprefix(_PROJECT_BASE).replace(":path}", "}")


def _first_line(route: APIRoute) -> str:
    return (route.endpoint.__doc__ or "").strip().partition("\n")[0].rstrip(".")


def _within(level: Level) -> Iterable[Attribute]:
    return IN_REQUESTS if level is Level.SERIES else ()


def _tag(attribute: Attribute) -> str:
    return ".".join(f"({tag[:4]},{tag[4:]})" for tag in attribute.tag.split("."))


def _matching(attribute: Attribute) -> str:
    """The kinds of matching (PS3.4 C.2.2.2) that a search takes of an attribute, as it parses their values."""
    if attribute is REQUESTS:
        return "sequence"
    if not attribute.matchable:
        return "none"
    single, spread = _EXAMPLES.get(attribute.vr, ("A", ""))
    kinds = ["single value"]
    if spread and _match(attribute, spread).range is not None:
        kinds.append("range")
    if len(_match(attribute, f"{single},{single}1").texts if attribute.vr not in ("DA", "TM", "IS") else ()) > 1:
        kinds.append("list")
    if attribute.vr not in _EXAMPLES and _match(attribute, f"{single}*").wild:
        kinds.append("wildcard")
    return ", ".join([*kinds, "universal"])


def _match(attribute: Attribute, value: str) -> Match:
    name = attribute.tag if attribute not in IN_REQUESTS else f"{REQUESTS.keyword}.{attribute.keyword}"
    return parse_query(attribute.level, [(name, value)]).matches[attribute.tag]


def _returned(attribute: Attribute) -> str:
    if attribute in IN_REQUESTS:
        return "in its sequence"
    return "on request" if attribute.on_request else "always"


def _decoded(uid: str) -> str:
    if is_video(uid):
        return "no: a film"
    if not is_convertible(uid):
        return "no"
    return "yes" if _has_decoder(uid) else "gray images that libjpeg-turbo reads"


def _has_decoder(uid: str) -> bool:
    try:
        return get_decoder(UID(uid)).is_available
    except NotImplementedError:
        return False
