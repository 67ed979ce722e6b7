"""What settings that are configurations in XNAT share: bodies that are read, rows that are answered."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Final

from fastapi import Request
from starlette.responses import JSONResponse, Response

from scandock.model.request_errors import ValueInvalid

STATES: Final = {"enabled": True, "disabled": False}
_TRUTHS: Final = {"true": True, "false": False}


async def read_text_body(request: Request, most: int) -> str:
    """A body of the length that a setting may have, as text; the beginning of a longer one, which is none."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > most:
            break
    return body[:most].decode(errors="replace")


def contents_of(body: str) -> str:
    """What a body sets: all of it, or `contents` of JSON."""
    try:
        values = json.loads(body)
    except (ValueError, RecursionError):
        return body
    contents = values.get("contents") if isinstance(values, dict) else None
    return contents if isinstance(contents, str) else body


def parse_state(request: Request) -> bool | None:
    """Whether `status` switches something on or off; None where it is not there. Usage `value_invalid`."""
    status = request.query_params.get("status", "")
    if status not in ("", *STATES):
        raise ValueInvalid(f"The status can't be {status[:20]!r}.", "Right is enabled or disabled.")
    return STATES.get(status)


def parse_truth(text: str, what: str) -> bool:
    """Usage `value_invalid` for what is neither true nor false."""
    truth = _TRUTHS.get(text.strip().strip('"').lower())
    if truth is None:
        raise ValueInvalid(f"{what} can't be {text[:20]!r}.", "Right is true or false.")
    return truth


def row_response(
    tool: str, path: str, project: str | None, contents: str, version: int, modified: int | None, by: str, *,
    enabled: bool,
) -> Response:  # fmt: skip
    """A configuration as the row of a list."""
    moment = datetime.fromtimestamp((modified or 0) / 1000, UTC)
    row = {
        "tool": tool,
        "path": path,
        "project": project or "",
        "user": by,
        "create_date": moment.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3],
        "reason": "",
        "contents": contents,
        "version": str(version),
        "status": "enabled" if enabled else "disabled",
    }
    return JSONResponse({"ResultSet": {"Result": [row], "totalRecords": "1"}})
