"""Files of the pages that lie elsewhere than the others."""

from __future__ import annotations

import asyncio
import gzip

import httpx
from fastapi import FastAPI

from scandock.rules.letters import LETTERS_FILE
from scandock.web.pages import assets


async def answers(*paths: str) -> list[httpx.Response]:
    app = FastAPI()
    app.include_router(assets.router)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server") as client:
        return [await client.get(path) for path in paths]


def test_the_table_of_letters_is_served_to_the_pages_and_kept():
    answer, old = asyncio.run(answers(f"/static/{assets.stamp()}/letters.txt", "/static/000000000000/letters.txt"))
    assert answer.content == LETTERS_FILE.read_bytes()
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert "immutable" in answer.headers["cache-control"]
    assert len(gzip.compress(answer.content, 9)) < 12_000
    assert old.headers["cache-control"] == "no-cache"
