"""What goes in and out by the three doors for archives: headers and bodies that the routes read for themselves."""

from __future__ import annotations

from typing import Final

from scandock.rules.import_request import ImportRequest, RequestSource
from scandock.web import urls
from scandock.web.description.schemas import BINARY, TEXT, TRUTH, WHOLE, OpenApiObject, Schema, one_of

_DESCRIPTIONS: Final = {"project": "Its id; not named: headers and rules decide"}


def _named(name: str) -> Schema:
    """The schema of a field of the request."""
    if ImportRequest.is_flag(name):
        return TRUTH
    choices = ImportRequest.choices(name)
    schema = one_of(*choices) if choices else TEXT
    return {**schema, "description": _DESCRIPTIONS[name]} if name in _DESCRIPTIONS else schema


NAMES: Final[dict[str, Schema]] = {
    **{name: _named(name) for name in ImportRequest.fields_of(RequestSource.SENDER)},
    "mapping": {**TEXT, "description": "The text of a CSV or JSON mapping"},
    "filename": {**TEXT, "description": "The archive's name; `archive` where none is given"},
}
"""What an upload may name: in the query, in fields of a form, in Upload-Metadata."""

KEY: Final[OpenApiObject] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {**TEXT, "maxLength": 255},
    "description": "The same upload sent again under it gives the import that it made",
}

BODY: Final[OpenApiObject] = {
    "required": True,
    "content": {
        "application/octet-stream": {"schema": BINARY},
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {**NAMES, "file": {**BINARY, "description": "The archive, under any name of its own"}},
                "required": ["file"],
            }
        },
    },
}
_PIECE: Final[OpenApiObject] = {"content": {"application/offset+octet-stream": {"schema": BINARY}}}


def _sent(name: str, schema: Schema, description: str, *, required: bool = True) -> OpenApiObject:
    return {"name": name, "in": "header", "required": required, "schema": schema, "description": description}


def _told(description: str, schema: Schema = TEXT) -> OpenApiObject:
    return {"description": description, "schema": schema}


_SPEAKS: Final = _sent("Tus-Resumable", {"type": "string", "const": "1.0.0"}, "The version of tus")
_LENGTH: Final = _sent("Upload-Length", {**WHOLE, "minimum": 0}, "Bytes of the whole archive")
_OFFSET: Final = _sent("Upload-Offset", {**WHOLE, "minimum": 0}, "Where the body begins")
_METADATA: Final = _sent(
    "Upload-Metadata",
    TEXT,
    f"Names, each with its value in base64, between commas: {', '.join(NAMES)}, fingerprint",
    required=False,
)
_CHECKSUM: Final = _sent(
    "Upload-Checksum", TEXT, "sha1, sha256 or md5 of the body, and the digest in base64", required=False
)
_SPOKEN: Final = {"Tus-Resumable": _told("The version of tus")}
_AT: Final = {"Upload-Offset": _told("Bytes that are on disk for certain", WHOLE)}
_EXPIRES: Final = {"Upload-Expires": _told("When it is removed unless somebody goes on with it")}

_UPLOADS: Final = urls.API_UPLOADS
_ONE: Final = f"{_UPLOADS}/{{upload}}"

SENT: Final[dict[tuple[str, str], list[OpenApiObject]]] = {
    ("POST", _UPLOADS): [_SPEAKS, _LENGTH, _METADATA, _CHECKSUM, KEY],
    ("HEAD", _ONE): [_SPEAKS],
    ("PATCH", _ONE): [_SPEAKS, _OFFSET, _CHECKSUM],
    ("DELETE", _ONE): [_SPEAKS],
}
"""Headers of a request, by method and path."""

BODIES: Final[dict[tuple[str, str], OpenApiObject]] = {
    ("POST", urls.API_IMPORTS): BODY,
    ("POST", _UPLOADS): {"required": False, **_PIECE},
    ("PATCH", _ONE): {"required": True, **_PIECE},
}

TOLD: Final[dict[tuple[str, str], OpenApiObject]] = {
    ("OPTIONS", _UPLOADS): {
        **_SPOKEN,
        "Tus-Version": _told("Versions that are spoken"),
        "Tus-Extension": _told("Extensions that are spoken"),
        "Tus-Checksum-Algorithm": _told("Checksums that may be sent"),
        "Tus-Max-Size": _told("Bytes of the largest upload", WHOLE),
    },
    ("POST", _UPLOADS): {**_SPOKEN, **_AT, **_EXPIRES},
    ("HEAD", _ONE): {
        **_SPOKEN,
        **_AT,
        **_EXPIRES,
        "Upload-Length": _told("Bytes of the whole archive", WHOLE),
        "Upload-Metadata": _told("As it was sent"),
    },
    ("PATCH", _ONE): {**_SPOKEN, **_AT, **_EXPIRES},
    ("DELETE", _ONE): _SPOKEN,
}
"""Headers of the answer, by method and path."""
