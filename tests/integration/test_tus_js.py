"""Resumable uploads by tus-js-client, the reference client of browsers, run by node against a real server."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from sqlalchemy import update

from scandock.catalog.server_tables import reception
from tests.integration.web import PASSWORD, serve_by_socket

pytestmark = pytest.mark.processes

NODE = Path(__file__).resolve().parent.parent / "node"
DATA = hashlib.shake_256(b"by another client").digest(5_000_000)
MB = 1_000_000


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    with serve_by_socket(tmp_path_factory.mktemp("web") / "data") as running:
        yield running


@pytest.fixture
def begin(web, tmp_path):
    """Starts a client; `ended` of it gives what it says."""
    assert shutil.which("node"), "node is missing: make setup"
    assert (NODE / "node_modules").is_dir(), "tus-js-client is missing: make setup"
    file = tmp_path / "archive"
    file.write_bytes(DATA)
    basic = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
    begun = []

    def start(**asked):
        given = {"endpoint": f"{web.base}/api/v1/uploads", "file": str(file), "chunk": MB, **asked}
        given["authorization"] = f"Basic {basic}"
        given["metadata"] = {"filename": "js.zip", "project": "P"}
        words = ["node", str(NODE / "upload.js"), json.dumps(given)]
        begun.append(subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return begun[-1]

    yield start
    for process in begun:
        process.kill()
        process.communicate()


def ended(process):
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert err == ""
    return json.loads(out)


def kept(web, told):
    """The import of what went up, with its bytes as they should be."""
    assert told["how"] == "done", told
    with web.client() as client:
        made = client.get(f"/api/v1/imports/{told['url'].rpartition('/')[2]}").json()
    assert (made["state"], made["archive"], made["project"], made["size"]) == ("received", "js.zip", "P", len(DATA))
    assert web.spool(made["id"]) == DATA


def statuses(told, method):
    return [status for said, status in told["statuses"] if said == method]


def test_it_pauses_and_goes_on(web, begin):
    first = ended(begin(stopAt=2 * MB))
    assert first["how"] == "stopped"
    second = ended(begin(url=first["url"]))
    assert second["url"] == first["url"]
    assert statuses(second, "HEAD") == [200]
    assert statuses(second, "PATCH") == [204, 204, 204]
    kept(web, second)


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        (["Upload-Offset", "1999999"], 409),
        (["Upload-Offset", "0"], 409),
        (["Upload-Checksum", "sha256 " + base64.b64encode(bytes(32)).decode()], 460),
    ],
)
def test_what_was_wrong_is_refused_and_sent_again(web, begin, wrong, status):
    told = ended(begin(wrong=wrong))
    assert statuses(told, "PATCH") == [204, status, 204, 204, 204, 204]
    kept(web, told)


def test_a_right_checksum_is_taken(web, begin):
    digest = base64.b64encode(hashlib.sha1(DATA[MB : 2 * MB]).digest()).decode()
    told = ended(begin(wrong=["Upload-Checksum", f"sha1 {digest}"]))
    assert statuses(told, "PATCH") == [204] * 5
    kept(web, told)


def test_several_at_once_on_one_upload_bring_each_byte_once(web, begin):
    first = ended(begin(stopAt=MB))
    several = [begin(url=first["url"], chunk=50_000, patient=True) for _ in range(3)]
    told = [ended(process) for process in several]
    assert {status for one in told for status in statuses(one, "PATCH")} <= {204, 409, 423}
    for one in told:
        kept(web, one)
    assert sum(statuses(one, "PATCH").count(204) for one in told) == 80


def test_one_that_is_given_up_is_gone(web, begin):
    told = ended(begin(stopAt=2 * MB, terminate=True))
    assert told["how"] == "stopped"
    assert statuses(told, "DELETE") == [204]
    with web.client() as client:
        assert client.get(f"/api/v1/imports/{told['url'].rpartition('/')[2]}").status_code == 404
    assert told["url"].rpartition("/")[2] not in web.spools()


def test_one_that_has_expired_is_begun_anew(web, begin):
    first = ended(begin(stopAt=2 * MB))
    with web.site.catalog.write() as connection:
        connection.execute(update(reception).where(reception.c.expires.is_not(None)).values(expires=1))
    second = ended(begin(url=first["url"]))
    assert statuses(second, "HEAD") == [410]
    assert statuses(second, "POST") == [201]
    assert second["url"] != first["url"]
    kept(web, second)
