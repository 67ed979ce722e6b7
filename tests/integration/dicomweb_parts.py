"""Multipart answers as the narrowest clients read them (cornerstone, the JS client): to the letter."""

from __future__ import annotations

import re
from email.parser import BytesHeaderParser

import httpx


def parts_of(answer: httpx.Response) -> list[tuple[str, bytes]]:
    """Content type and bytes of each part."""
    kind = answer.headers["content-type"]
    match = re.fullmatch(r'multipart/related; type="([a-z0-9/+.-]+)"; boundary=([0-9a-f-]{32,70})', kind)
    assert match, kind
    line = f"--{match[2]}".encode()
    assert answer.content.startswith(line + b"\r\n")
    assert answer.content.endswith(b"\r\n" + line + b"--\r\n")
    parts = []
    for piece in answer.content[len(line) + 2 : -len(line) - 6].split(b"\r\n" + line + b"\r\n"):
        head, _, body = piece.partition(b"\r\n\r\n")
        assert head.startswith(b"Content-Type: ")
        assert b'"' not in head
        assert len(head) < 1000
        content_type = BytesHeaderParser().parsebytes(head)["Content-Type"]
        assert content_type.partition(";")[0] == match[1]
        parts.append((content_type, body))
    assert len({content_type for content_type, _ in parts}) == 1
    return parts
