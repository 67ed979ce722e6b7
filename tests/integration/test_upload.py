"""`scandock upload` against a real server: killed on either side, refused, cancelled; and it tells as import does."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import json
import os
import pty
import random
import re
import shutil
import signal
import struct
import subprocess
import threading
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSWINSZ
from typing import Any

import pytest

from scandock.model.sizes import format_size
from tests.crash.archives import Study, write_zip
from tests.crash.processes import SCANDOCK, Command, environment, find_unsound, run, until
from tests.crash.served import PASSWORD, ServerProcess
from tests.integration.wire import HeldWire
from tests.ports import free_port

pytestmark = [pytest.mark.crash, pytest.mark.processes]

MB = 1_000_000
DIRECT: dict[str, Any] = {"SCANDOCK_PASSWORD": PASSWORD, "NO_PROXY": "*", "no_proxy": "*"}


@pytest.fixture(scope="module")
def begin(tmp_path_factory):
    """Starts a server; all are killed at the end."""
    begun = []

    def start(folder, port=None, **changes):
        begun.append(ServerProcess(folder, port or free_port(), **changes))
        begun[-1].ready().project()
        return begun[-1]

    yield start
    for one in begun:
        one.kill()
        one.wait()


@pytest.fixture(scope="module")
def server(begin, tmp_path_factory):
    """One that lives as long as all tests do, for those that need nothing of their own; each ends what it uploads."""
    return begin(tmp_path_factory.mktemp("server"))


def words(port, *archives, user="admin"):
    named = ["--user", user] if user else []
    return [SCANDOCK, "upload", *archives, "--url", f"http://127.0.0.1:{port}", "--project", "P", *named]


def upload(port, *archives, **changes):
    return run(words(port, *archives), **DIRECT | changes)


def study(number):
    return Study(77, number, series=1, count=3, side=8)


def large(folder, number, size):
    """A session's archive with a file of noise, which no packing makes smaller, beside the images."""
    noise = random.Random(number).randbytes(size)
    path = folder / f"large{number}.zip"
    return write_zip(path, study(number).entries("S") | {"S/noise.bin": noise}), noise


def unfinished(server):
    return server.ask("GET", "/api/v1/uploads")[1]["items"]


def received(server):
    """Bytes that this web process has taken."""
    text = server.ask("GET", "/metrics")[1].decode()
    return int(float(re.findall(r"^scandock_received_bytes_total (\S+)$", text, re.MULTILINE)[0]))


def first_line(command):
    """What a command says first on stderr, while it runs."""
    assert command.process.stderr is not None
    return command.process.stderr.readline()


def stored(server, noise):
    """Whether the noise stands in the store, byte for byte and once."""
    found = [path for path in (server.data / "archive").rglob("noise.bin") if path.stat().st_size == len(noise)]
    digests = [hashlib.sha256(path.read_bytes()).digest() for path in found]
    return digests.count(hashlib.sha256(noise).digest()) == 1


def test_several_archives_at_once_in_the_order_given(server, tmp_path):
    archives = [write_zip(tmp_path / f"a{n}.zip", study(n).entries(f"S{n}")) for n in range(1, 6)]
    receipt = tmp_path / "receipt.jsonl"
    done = run([*words(server.port, *archives), "--json", "--receipt", receipt], **DIRECT)
    assert done.code == 0, done
    reports = [json.loads(line) for line in done.out.splitlines()]
    assert [report["archive"] for report in reports] == [str(path) for path in archives]
    assert {report["state"] for report in reports} == {"placed"}
    lines = [json.loads(line) for line in receipt.read_text().splitlines()]
    assert [line["archive"] for line in lines] == [str(path) for path in archives for _ in range(4)]
    assert [line.partition(" ")[0] for line in done.err.splitlines()] == [f"[{n}/5]" for n in range(1, 6)]
    assert unfinished(server) == []


def test_the_object_is_that_of_import(server, tmp_path):
    archive = write_zip(tmp_path / "same.zip", study(10).entries("S") | {"S/.DS_Store": b"\0"})
    receipts = [tmp_path / "import.jsonl", tmp_path / "upload.jsonl"]
    locally = ["--data", tmp_path / "data", "--project", "P", "--create-project"]
    imported = run([SCANDOCK, "import", archive, *locally, "--json", "--receipt", receipts[0]])
    uploaded = run([*words(server.port, archive), "--json", "--receipt", receipts[1]], **DIRECT)
    assert (imported.code, uploaded.code) == (0, 0)
    assert list(uploaded.report) == list(imported.report)
    reports = [uploaded.report, imported.report]
    for report in reports:
        del report["upload"], report["seconds"]
        assert [session.pop("id") for session in report["sessions"]] != [None]  # a UUID, each its own
    assert reports[0] == reports[1]
    assert receipts[1].read_text() == receipts[0].read_text()


def test_a_refused_archive_has_its_exit_code_and_a_csv_receipt(server, tmp_path):
    bad = tmp_path / "bad.zip"
    bad.write_bytes(b"PK\x03\x04 this is no zip" * 10)
    good = write_zip(tmp_path / "good.zip", study(11).entries("S"))
    receipt = tmp_path / "receipt.csv"
    done = run([*words(server.port, bad, good), "--receipt", receipt, "--receipt-format", "csv"], **DIRECT)
    assert done.code == 4, done
    assert f"{bad} refused: " in done.out
    assert f"{good} placed: 1 session, 3 files stored" in done.out
    rows = receipt.read_text().splitlines()
    assert [row.partition(",")[0] for row in rows] == ["archive"] + [str(good)] * 4


def test_a_folder_goes_on_where_it_was(server, tmp_path):
    folder = tmp_path / "exam"
    for name, data in (study(12).entries("ä") | {"ä/noise.bin": random.Random(12).randbytes(6 * MB)}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    begun = received(server)
    killed(server, folder, 4 * MB)
    before = received(server) - begun
    done = run([*words(server.port, folder), "--json"], **DIRECT)
    assert done.code == 0, done
    assert "Going on with what was begun before: " in done.err
    assert (done.report["state"], done.report["archive"]) == ("placed", str(folder))
    assert (done.report["entries"]["stored"], done.report["entries"]["resource"]) == (3, 2)
    assert received(server) - begun == done.report["bytes"]["received"], "bytes were sent twice"
    assert 3 * MB < before < 4 * MB
    assert find_unsound(server.data) == []


def killed(server, archive, most):
    """A client that is killed once about `most` bytes have gone; what the server then has of the upload."""
    begun = received(server)
    with HeldWire(server.port, most) as wire:
        client = Command(words(wire.port, archive), **DIRECT)
        assert wire.full.wait(60)
        client.signal(signal.SIGKILL)
        client.process.communicate()
        # what the server took from the wire it keeps, once it has seen that the client is gone
        until(
            lambda: unfinished(server)[0]["offset"] == received(server) - begun,
            f"the bytes were not kept: {unfinished(server)}, {received(server) - begun}",
        )
    [one] = unfinished(server)
    assert one["state"] == "receiving"
    return one


def test_a_killed_client_goes_on_and_no_byte_goes_twice(server, tmp_path):
    archive, noise = large(tmp_path, 13, 12 * MB)
    begun = received(server)
    one = killed(server, archive, 5 * MB)
    assert 4 * MB < one["offset"] < 5 * MB
    assert (one["filename"], one["size"]) == (archive.name, archive.stat().st_size)
    done = upload(server.port, archive)
    assert done.code == 0, done
    assert "Going on with what was begun before: " in done.err
    assert f"/api/v1/imports/{one['id']}" in done.out
    assert received(server) - begun == archive.stat().st_size
    assert stored(server, noise)


def test_another_request_or_a_changed_file_begins_anew(server, tmp_path):
    archive, _ = large(tmp_path, 14, 3 * MB)
    first = killed(server, archive, 2 * MB)
    done = run([*words(server.port, archive), "--session", "Other", "--json"], **DIRECT)
    assert done.report["upload"] != first["id"]
    assert done.report["sessions"][0]["label"] == "Other"
    os.utime(archive)
    done = run([*words(server.port, archive), "--json"], **DIRECT)
    assert done.report["upload"] != first["id"]
    assert [one["id"] for one in unfinished(server)] == [first["id"]]
    assert server.ask("POST", f"/api/v1/imports/{first['id']}/cancel")[0] in (200, 202)
    until(lambda: not unfinished(server), "what was cancelled did not end")


def test_a_killed_server_is_waited_for(begin, tmp_path):
    archive, noise = large(tmp_path, 15, 80 * MB)
    server = begin(tmp_path)
    with HeldWire(server.port, 72 * MB) as wire:
        client = Command([*words(wire.port, archive), "--json"], **DIRECT)
        assert wire.full.wait(60)
        until(lambda: unfinished(server)[0]["offset"] > 0, "nothing was synced on the way")
        server.kill()
        server.wait()
        again = begin(tmp_path, server.port)
        [one] = unfinished(again)
        assert one["offset"] >= 64 * 1024 * 1024
        wire.open()
        done = client.wait()
    assert done.code == 0, done
    assert "The server does not answer (" in done.err
    assert done.report["upload"] == one["id"]
    assert received(again) == archive.stat().st_size - one["offset"]
    assert stored(again, noise)


def test_ctrl_c_keeps_what_was_sent_and_says_so(server, tmp_path):
    archive, noise = large(tmp_path, 16, 48 * MB)  # more than the sockets between take in before the client hears
    begun = received(server)
    with HeldWire(server.port, 2 * MB) as wire:
        client = Command([*words(wire.port, archive), "--json"], **DIRECT)
        assert wire.full.wait(60)
        client.signal(signal.SIGINT)
        assert first_line(client).startswith("Cancelling")  # before what the wire holds back can end the upload
        wire.open()
        done = client.wait()
    assert done.code == 130
    assert done.report["state"] == "cancelled"
    assert "the same command goes on from there" in done.report["message"]
    until(lambda: unfinished(server)[0]["offset"] == received(server) - begun, "the bytes were not kept")
    kept = format_size(unfinished(server)[0]["offset"])
    assert f"({kept} of {format_size(archive.stat().st_size)})" in done.report["message"]
    assert upload(server.port, archive).code == 0
    assert received(server) - begun == archive.stat().st_size
    assert stored(server, noise)


def test_ctrl_c_during_the_import_cancels_it(begin, tmp_path):
    archive = write_zip(tmp_path / "a.zip", study(17).entries("S"))
    server = begin(tmp_path, SCANDOCK_CRASH_AT="rows", SCANDOCK_CRASH_BY="SIGSTOP")
    client = Command([*words(server.port, archive), "--json"], **DIRECT)
    until(lambda: [one for one in unfinished(server) if one["state"] == "running"], "the import never ran")
    client.signal(signal.SIGINT)
    done = client.wait()
    assert done.code == 130, done
    assert server.ask("GET", f"/api/v1/imports/{done.report['upload']}")[1]["state"] == "cancelled"
    assert not (server.data / "archive" / "P").exists()


def test_a_client_that_was_killed_while_it_waited_finds_its_import(begin, tmp_path):
    archive = write_zip(tmp_path / "a.zip", study(18).entries("S"))
    server = begin(tmp_path, SCANDOCK_CRASH_AT="rows", SCANDOCK_CRASH_BY="SIGSTOP")
    client = Command(words(server.port, archive), **DIRECT)
    until(lambda: [one for one in unfinished(server) if one["state"] == "running"], "the import never ran")
    [one] = unfinished(server)
    client.signal(signal.SIGKILL)
    client.process.communicate()
    again = Command([*words(server.port, archive), "--json"], **DIRECT)
    assert first_line(again).startswith("Going on with what was begun before: ")
    until(lambda: going_on(server) or again.process.poll() is not None, "the import never ended")
    done = again.wait()
    assert (done.report["state"], done.report["upload"]) == ("placed", one["id"])
    assert received(server) == archive.stat().st_size


def going_on(server):
    """Let the attempt go on, which stops at each point of that name."""
    attempt = server.child("attempt")
    if attempt is not None:
        with contextlib.suppress(ProcessLookupError):  # it has ended since it was looked for
            os.kill(attempt, signal.SIGCONT)


def test_what_is_off_is_said_in_a_sentence(server, tmp_path):
    archive = write_zip(tmp_path / "a.zip", study(19).entries("S"))
    port = server.port

    def said(expected, changed, **changes):
        done = run(changed, **DIRECT | changes)
        assert done.code == expected, done
        assert done.out == ""
        [line] = [line for line in done.err.splitlines() if line.startswith("Error: ")]
        return line

    assert "knows no account of that name" in said(2, words(port, archive), SCANDOCK_PASSWORD="wrong")
    assert "--user" in said(2, words(port, archive, user=None))
    assert "It is not said who uploads" in said(2, words(port, archive, user=None), SCANDOCK_TOKEN="")
    assert "knows no account" in said(2, words(port, archive, user=None), SCANDOCK_TOKEN="alias.secret")
    assert "no terminal to ask" in said(2, words(port, archive), SCANDOCK_PASSWORD="")
    assert "no project Q" in said(2, [*words(port, archive), "--project", "Q"])
    assert "does not answer: connection refused" in said(1, words(free_port(), archive))
    assert "is no Scandock server" in said(2, [*words(port, archive), "--url", f"http://127.0.0.1:{port}/xnat"])
    assert "no address of a server" in said(2, [*words(port, archive), "--url", "dock.example"])
    assert "name or password in it" in said(2, [*words(port, archive), "--url", f"http://admin:x@127.0.0.1:{port}"])
    mapping = tmp_path / "mapping.csv"
    mapping.write_text("what,is,this\n1,2,3\n")
    assert "mapping" in said(2, [*words(port, archive), "--mapping", mapping])
    assert unfinished(server) == []


class CatalogAway(http.server.BaseHTTPRequestHandler):
    """A server that is there, and whose catalog is not."""

    def do_OPTIONS(self) -> None:
        self.send_response(204)
        self.send_header("Tus-Version", "1.0.0")
        self.end_headers()

    def do_GET(self) -> None:
        body = json.dumps({"code": "catalog", "detail": "The server's catalog can't be used now."}).encode()
        self.send_response(503)
        self.send_header("Content-Type", "application/problem+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


def test_a_server_whose_catalog_is_away_at_the_start_is_said(tmp_path):
    archive = write_zip(tmp_path / "a.zip", study(22).entries("S"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), CatalogAway) as away:
        serving = threading.Thread(target=away.serve_forever)
        serving.start()
        try:
            done = run(words(away.server_port, archive), **DIRECT)
        finally:
            away.shutdown()
            serving.join(30)
    assert done.code == 1, done
    [line] = [line for line in done.err.splitlines() if line.startswith("Error: ")]
    assert "does not answer: The server's catalog can't be used now. " in line


def test_who_may_not_upload_there_hears_it(server, tmp_path):
    archive = write_zip(tmp_path / "a.zip", study(20).entries("S"))
    for name, role in (("reader", "collaborator"), ("writer", "member")):
        for call in (["user", "add", name, "--password-stdin"], ["member", "set", "P", name, role]):
            made(call, server.data)
    refused = run(words(server.port, archive, user="reader"), **DIRECT | {"SCANDOCK_PASSWORD": "long enough"})
    assert refused.code == 2
    assert "You may not upload to the project P." in refused.err
    taken = run(words(server.port, archive, user="writer"), **DIRECT | {"SCANDOCK_PASSWORD": "long enough"})
    assert taken.code == 0, taken


def made(call, data):
    subprocess.run(
        [SCANDOCK, "admin", *call, "--data", data], input="long enough\n", text=True, check=True, env=environment()
    )


def test_a_server_without_space_is_said(begin, tmp_path):
    archive = tmp_path / "a.zip"
    with archive.open("wb") as file:
        file.truncate(10_000 * 1000 * MB)  # a hole: it takes no space here
    assert shutil.disk_usage(tmp_path).free < archive.stat().st_size
    server = begin(tmp_path, SCANDOCK_MAX_UPLOAD_BYTES="1PB")
    done = run([*words(server.port, archive), "--json"], **DIRECT)
    assert (done.code, done.report["state"], done.report["code"]) == (1, "failed", "disk_full")
    assert "The server has no space for it: " in done.report["message"]


def test_a_server_that_asks_to_wait_is_waited_for(begin, tmp_path):
    archive, noise = large(tmp_path, 22, 3 * MB)
    other = write_zip(tmp_path / "other.zip", study(23).entries("S"))
    server = begin(tmp_path, SCANDOCK_MAX_UPLOADS_PER_USER="1")
    with HeldWire(server.port, 2 * MB) as wire:
        first = Command(words(wire.port, archive), **DIRECT)
        assert wire.full.wait(60)
        second = Command(words(server.port, other), **DIRECT)
        told = first_line(second)
        assert told.startswith("The server asks to wait 10 s: 1 of your uploads are under way"), told
        wire.open()
        assert first.wait().code == 0
    assert second.wait().code == 0
    assert stored(server, noise)


def test_a_mapping_goes_along(server, tmp_path):
    one = study(24)
    archive = write_zip(tmp_path / "a.zip", one.entries("S"))
    mapping = tmp_path / "mapping.csv"
    mapping.write_text(f"study_uid,subject,session\n{one.uid},Mapped,Visit1\n", encoding="utf-8-sig")
    done = run([*words(server.port, archive), "--mapping", mapping, "--json"], **DIRECT)
    assert done.code == 0, done
    assert [(s["subject"], s["label"]) for s in done.report["sessions"]] == [("Mapped", "Visit1")]


def test_the_client_imports_nothing_of_the_server(tmp_path):
    """But for the module of addresses, which imports nothing of it either (pyproject.toml, import contracts)."""
    code = (
        "import sys; from scandock.cli.app import app; import scandock.cli.upload_client.upload_engine; "
        "print([name for name in sys.modules if name.split('.')[0] in {'sqlalchemy', 'fastapi', 'pydicom'} "
        "or name.startswith(('scandock.services', 'scandock.catalog', 'scandock.web'))])"
    )
    done = run([Path(SCANDOCK).with_name("python"), "-c", code])
    assert (done.code, done.out) == (0, "['scandock.web', 'scandock.web.urls']\n")


def test_on_a_terminal_both_transfers_are_shown_with_their_bars(server, tmp_path):
    archives = [large(tmp_path, number, 80 * MB)[0] for number in (31, 32)]
    ours, theirs = pty.openpty()
    ioctl(theirs, TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    with subprocess.Popen(
        words(server.port, *archives),
        env=environment(**DIRECT, TERM="xterm"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # a terminal whose other end is closed
            while data := os.read(ours, 65536):
                shown += data
        assert process.wait(60) == 0
    os.close(ours)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    for archive in archives:
        assert re.search(rf"sending +{archive.name} .*\d+ %", text), text
        assert f"{archive} placed: 1 session, 3 files stored" in text
