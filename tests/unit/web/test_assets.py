"""Files of the pages that lie elsewhere than the others."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path

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
    assert answer.content == Path(LETTERS_FILE).read_bytes()
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert "immutable" in answer.headers["cache-control"]
    assert len(gzip.compress(answer.content, 9)) < 12_000
    assert old.headers["cache-control"] == "no-cache"


def test_a_page_preloads_what_its_script_imports_first_and_nothing_that_it_imports_later():
    names = assets.preloads("upload")
    assert names[0] == "js/main.js"
    assert {"js/upload/early_files.js", "js/upload/choosing.js", "js/upload/kinds.js", "js/site.js"} <= set(names)
    assert not {"js/upload/page.js", "js/live/tray.js", "js/viewer/viewer.js"} & set(names)
    assert set(assets.preloads("")) < set(names)
    found = asyncio.run(answers(*(f"/static/{assets.stamp()}/{name}" for name in names)))
    assert {answer.status_code for answer in found} == {200}


def test_a_bundle_takes_the_place_of_plain_scripts_and_style_sheets(tmp_path):
    sheets = ("scandock.css", "upload.css", "viewer.css", "live.css")
    plain = dict.fromkeys(("js/main.js", "js/site.js", "mark.svg", "vendor/htmx.min.js", *sheets), b"plain")
    bundled = {f"bundle/{name}": b"small" for name in ("js/main.js", "js/chunks/one.js", *sheets)}

    def read(files: dict[str, bytes]) -> dict[str, bytes]:
        for name, content in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(content)
        return assets.read_static_files(tmp_path, tmp_path / "bundle")

    assert read(plain) == {
        "js/main.js": b"plain", "js/site.js": b"plain", "mark.svg": b"plain", "vendor/htmx.min.js": b"plain",
        "all.css": b"plain\nplain\nplain\nplain",
    }  # fmt: skip
    assert read(bundled) == {
        "js/main.js": b"small", "js/chunks/one.js": b"small", "mark.svg": b"plain", "vendor/htmx.min.js": b"plain",
        "all.css": b"small\nsmall\nsmall\nsmall",
    }  # fmt: skip
