"""A resource as XNAT's catalog of its files: `<cat:Catalog>` with one entry for each (xnat-behaviour.md 4.6)."""

from __future__ import annotations

from typing import IO, Final

from sqlalchemy import Connection
from starlette.responses import Response

from scandock.model.xml_text import quote_attribute
from scandock.services.file_verification import verify_now
from scandock.services.session_parts import ResourcePart
from scandock.web.held_documents import held_document
from scandock.web.request_context import RequestContext
from scandock.web.xnat.parts import Chosen
from scandock.web.xnat.services import cataloguing

_HEAD: Final = '<?xml version="1.0" encoding="UTF-8"?>\n<cat:Catalog xmlns:cat="http://nrg.wustl.edu/catalog" ID={}>\n'
_TAIL: Final = "</cat:Catalog>\n"


async def catalog_of(work: RequestContext, part: Chosen) -> Response:
    """The catalog of the one resource of a part; a long one waits on disk, as a resource may have a million files."""
    (resource,) = part.resources
    standing = part.experiment.standing
    if await work.read(lambda c: cataloguing.lacks_digests(c, standing, resource)):  # placed just now
        await work.do(lambda: verify_now(work.site.catalog, work.site.store, standing))
    return await held_document(work, lambda c, file: _write(c, part, resource, file))


def _write(connection: Connection, part: Chosen, resource: ResourcePart, file: IO[bytes]) -> None:
    """Write the document. Names are as they stand in the resource, not escaped for an address."""

    def write(text: str) -> None:
        file.write(text.encode("utf-8", "backslashreplace"))

    common = _said(resource.format, resource.content)
    write(_HEAD.format(quote_attribute(resource.label)))
    write("<cat:entries>\n")
    for row in cataloguing.each_file(connection, part.experiment.standing, resource):
        path = quote_attribute(row.name)
        name = quote_attribute(row.name.rpartition("/")[2])
        digest = f' digest="{row.md5.hex()}"' if row.md5 else ""
        kind, content = row.format, row.content
        said = common
        if kind is not None or content is not None:
            said = _said(kind or resource.format, content or resource.content)
        write(f"<cat:entry URI={path} ID={path} name={name}{digest}{said}/>\n")
    write("</cat:entries>\n")
    write(_TAIL)


def _said(kind: str, content: str) -> str:
    """Format and content as attributes of an entry; one that is empty is left out."""
    return "".join(
        f" {name}={quote_attribute(value)}" for name, value in (("format", kind), ("content", content)) if value
    )
