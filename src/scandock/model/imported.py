"""What an import has brought, as its report and the API tell it (design: fixed surface)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from scandock.model.json_records import JsonRecord, Notices


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
    def from_json(cls, told: Mapping[str, Any]) -> Self:
        return cls(**{**told, "resources": [FileSum(**one) for one in told["resources"]]})


@dataclass(frozen=True, kw_only=True)
class ImportedSession(JsonRecord):
    """Where a session of the archive stands; labels are null of one that was refused."""

    NESTED = ("scans", "resources")

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
    bytes: int
    session_type: str | None
    scans: list[ImportedScan]
    resources: list[FileSum]

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Self:
        """One as a report keeps it."""
        scans = [ImportedScan.from_json(one) for one in told["scans"]]
        return cls(**{**told, "scans": scans, "resources": [FileSum(**one) for one in told["resources"]]})
