"""How streams write events."""

from __future__ import annotations

from scandock.web.server_sent_events import format_event


def test_what_has_no_mark_is_not_gone_on_with() -> None:
    assert format_event("progress", {"a": "ü\n"}) == b'event: progress\ndata: {"a": "\\u00fc\\n"}\n\n'
    assert format_event("outcome", {}, 7) == b"id: 7\nevent: outcome\ndata: {}\n\n"
    assert format_event("begin", {}, "0-0").startswith(b"id: 0-0\n")
