"""What an import has brought, as its report and the API tell it (design: fixed surface)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from scandock.model.dataclass import dataclass
from scandock.model.json_notices import Notices
from scandock.model.json_records import Described, JsonRecord


@dataclass(frozen=True, kw_only=True)
class FileSum(JsonRecord):
    """A resource's files."""

    name: str
    files: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class ImportedScan(JsonRecord):
    """A scan of an imported session."""

    NESTED = ("resources",)

    id: str
    series_uid: str | None
    modality: str | None
    type: str | None
    xsi_type: str
    frames: int | None
    resources: list[FileSum]

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """One as a report keeps it."""
        return cls(**{**_values(cls, values), "resources": _file_sums(values)})


@dataclass(frozen=True, kw_only=True)
class ImportedSession(JsonRecord):
    """Where a session of the archive stands; labels are null of one that was refused."""

    NESTED = ("scans", "resources")

    id: Annotated[str | None, Described("The session's id; null of a refused one, and of imports of before it")]
    uri: str | None
    path: str | None
    project: str | None
    subject: str | None
    label: str | None
    study_uid: str | None
    state: str
    code: str
    message: str
    warnings: Notices
    files: int
    new: Annotated[int | None, Described("Files that this import added; null of imports of before it")]
    bytes: int
    session_type: str | None
    scans: list[ImportedScan]
    resources: list[FileSum]

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """One as a report keeps it; one of another version may lack parts."""
        scans = [ImportedScan.from_json(scan) for scan in values.get("scans") or ()]
        lists = {"warnings": values.get("warnings") or [], "scans": scans, "resources": _file_sums(values)}
        return cls(**{**_values(cls, values), **lists})


def _file_sums(values: Mapping[str, Any]) -> list[FileSum]:
    return [FileSum(**_values(FileSum, file_sum)) for file_sum in values.get("resources") or ()]


def _values(record: type[FileSum | ImportedScan | ImportedSession], values: Mapping[str, Any]) -> dict[str, Any]:
    """What JSON has for the fields of a record."""
    return {name: values.get(name) for name in record.__dataclass_fields__}
