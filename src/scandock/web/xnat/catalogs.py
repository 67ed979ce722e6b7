"""A resource as XNAT's catalog of its files: `<cat:Catalog>` with one entry for each (xnat-behaviour.md 4.6)."""

from __future__ import annotations

from typing import IO, Final

from sqlalchemy import Connection
from starlette.responses import Response

from scandock.model.xml_text import quote_attribute
from scandock.services.file_verification import verify_now
from scandock.services.session_parts import ResourcePart
from scandock.web.buffered_documents import buffered_document
from scandock.web.request_context import RequestContext
from scandock.web.xnat.parts import AddressedPart
from scandock.web.xnat.services import resource_catalog

_HEAD: Final = '<?xml version="1.0" encoding="UTF-8"?>\n<cat:Catalog xmlns:cat="http://nrg.wustl.edu/catalog" ID={}>\n'
_TAIL: Final = "</cat:Catalog>\n"


async def catalog_response(context: RequestContext, part: AddressedPart) -> Response:
    """The catalog of the one resource of a part; a long one waits on disk, as a resource may have a million files."""
    (resource,) = part.resources
    holder = part.experiment.record
    if await context.read(lambda c: resource_catalog.has_missing_digests(c, holder, resource)):  # placed just now
        await context.run(lambda: verify_now(context.server.catalog, context.server.store, holder))
    return await buffered_document(context, lambda c, file: _write_catalog(c, part, resource, file))


def _write_catalog(connection: Connection, part: AddressedPart, resource: ResourcePart, file: IO[bytes]) -> None:
    """Write the document. Names are as they stand in the resource, not escaped for an address."""

    def write(text: str) -> None:
        file.write(text.encode("utf-8", "backslashreplace"))

    resource_attributes = _format_attributes(resource.format, resource.content)
    write(_HEAD.format(quote_attribute(resource.label)))
    write("<cat:entries>\n")
    for row in resource_catalog.iter_files(connection, part.experiment.record, resource):
        path = quote_attribute(row.name)
        name = quote_attribute(row.name.rpartition("/")[2])
        digest = f' digest="{row.md5.hex()}"' if row.md5 else ""
        file_format, content = row.format, row.content
        attributes = resource_attributes
        if file_format is not None or content is not None:
            attributes = _format_attributes(file_format or resource.format, content or resource.content)
        write(f"<cat:entry URI={path} ID={path} name={name}{digest}{attributes}/>\n")
    write("</cat:entries>\n")
    write(_TAIL)


def _format_attributes(kind: str, content: str) -> str:
    """Format and content as attributes of an entry; one that is empty is left out."""
    return "".join(
        f" {name}={quote_attribute(value)}" for name, value in (("format", kind), ("content", content)) if value
    )
