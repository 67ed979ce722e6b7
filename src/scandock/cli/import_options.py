"""What may be asked of an import wherever it is sent from, as a command has it: typer is not needed to know of it."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from scandock.model.dataclass import dataclass

if TYPE_CHECKING:
    from scandock.cli.options import (
        Destination,
        IgnoreUnparsable,
        Mapping,
        Overwrite,
        Project,
        Resources,
        Session,
        Subject,
    )


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """Options of commands that import or upload, by the names of `ImportRequest`; `mapping` is a file."""

    project: Project = None
    subject: Subject = None
    session: Session = None
    mapping: Mapping = None
    destination: Destination = None
    overwrite: Overwrite = None
    ignore_unparsable: IgnoreUnparsable = True
    resources: Resources = "keep"

    def request_fields(self) -> dict[str, str | bool]:
        """Those that have a value, by their names in a request, but for the mapping."""
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "mapping"}
        return {name: value for name, value in values.items() if value is not None}
