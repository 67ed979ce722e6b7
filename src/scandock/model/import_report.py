"""The object that `--json` prints and the server tells of an import (design: fixed surface)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from scandock.model.verdicts import ImportState, Verdict

if TYPE_CHECKING:
    from scandock.model.imported import ImportedSession


def make_report(
    upload: str | None,
    archive: str,
    state: ImportState,
    code: str,
    message: str,
    *,
    received: int = 0,
    seconds: dict[str, float] | None = None,
    warnings: list[dict[str, str]] | None = None,
    sessions: Sequence[ImportedSession] = (),
    entries: dict[str, int] | None = None,
    unpacked: int = 0,
    stored: int = 0,
) -> dict[str, Any]:
    """Every key is always there."""
    return {
        "upload": upload,
        "archive": archive,
        "state": state.value,
        "code": code,
        "message": message,
        "warnings": warnings or [],
        "sessions": [one.to_json() for one in sessions],
        "entries": entries or {verdict.value: 0 for verdict in Verdict},
        "bytes": {"received": received, "unpacked": unpacked, "stored": stored},
        "seconds": seconds or {"total": 0.0},
    }
