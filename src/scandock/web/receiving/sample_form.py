"""The form of a tester: fields, and one file that is held in memory until it is answered and written nowhere."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import field
from typing import Final

from fastapi import Request
from python_multipart.exceptions import FormParserError

from scandock.model import request_limits
from scandock.model.dataclass import dataclass
from scandock.model.errors import Usage
from scandock.model.request_errors import RequestInvalid
from scandock.services import upload_errors
from scandock.web.description.schemas import BINARY, TEXT, OpenApiObject, Schema
from scandock.web.errors import BodyTooLarge
from scandock.web.receiving.multipart import FormReader, parse_boundary
from scandock.web.receiving.upload_fields import FieldDialect

SAMPLE_BYTES: Final = request_limits.SAMPLE_BYTES
"""Of a body with a file on which something is tried."""


@dataclass(slots=True)
class SampleForm:
    """What was sent."""

    fields: dict[str, str] = field(default_factory=dict)
    file: bytearray = field(default_factory=bytearray)

    def text(self, name: str) -> str:
        """A field as a text with plain line ends; empty where it is not there."""
        return self.fields.get(name, "").replace("\r\n", "\n")


def sample_too_large() -> Usage:
    """The error of a larger body."""
    return BodyTooLarge(
        f"The file has more than {SAMPLE_BYTES // request_limits.MIB} MiB.", "Choose a smaller one to try this on."
    )


async def read_sample_form(
    request: Request, names: Collection[str], check: Callable[[Mapping[str, str]], None] | None = None
) -> SampleForm:
    """Read a multipart body with fields of these names and at most one file.

    `check` is asked with the fields that stand before the file, before a byte of it is kept. The route bounds the body
    (`limit_body`). Raises Usage, and what `check` raises.
    """
    form = SampleForm()
    checked = check is None

    def refuse(pairs: Iterable[tuple[str, str]], part: str) -> dict[str, str]:
        unknown = ", ".join(repr(name[:40]) for name, _ in pairs)
        raise RequestInvalid(
            f"The {part} names {unknown}, which means nothing here.", f"Known are {', '.join(names)}, and a file."
        )

    try:
        reader = FormReader(parse_boundary(request), frozenset(names), FieldDialect(parse=refuse))
    except FormParserError as error:
        raise upload_errors.MultipartUnreadable from error
    async for piece in request.stream():
        for kind, value in reader.push(piece):
            if kind == "archive" and check is not None:
                check(reader.others)
                checked = True
            elif kind == "bytes":
                assert isinstance(value, bytes)
                form.file += value
    if not reader.ended:
        raise upload_errors.MultipartCut
    if not checked and check is not None:
        check(reader.others)
    form.fields = reader.others
    return form


def describe_form(names: Mapping[str, str], file: str) -> OpenApiObject:
    """What a route says of such a body: fields with what each is, and what the file is."""
    properties: dict[str, Schema] = {name: {**TEXT, "description": words} for name, words in names.items()}
    properties["file"] = {**BINARY, "description": file}
    content = {"multipart/form-data": {"schema": {"type": "object", "properties": properties}}}
    return {"requestBody": {"required": True, "content": content}}
