"""`make demo` on a machine that is set up: a real bundle goes in twice; what is shown is there, and is served."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx

from tests.crash.processes import environment, members, until

ROOT = Path(__file__).resolve().parent.parent.parent
SESSIONS = {
    "doe_peter_ct", "doe_peter_mra", "doe_archibald_ct", "citizen_jan_ct", "pet_phantom", "phantom_mr", "lesion_mr",
    "liver_ct", "heart_us",
}  # fmt: skip


@contextlib.contextmanager
def demo(folder, last="Ctrl-C ends it."):
    """The demo in a group of its own, and all that it shows until a line with `last`."""
    process = subprocess.Popen(
        [sys.executable, ROOT / "scripts" / "demo.py", folder],
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        shown = []
        assert process.stdout is not None
        for line in process.stdout:
            shown.append(line)
            if last in line:
                break
        else:
            raise AssertionError("".join(shown))
        yield process, "".join(shown)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def ended(process, number):
    """End it as a terminal, or as a service manager does; nothing of it may be left."""
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    process.communicate(timeout=60)
    until(lambda: not members(process.pid), f"processes {members(process.pid)} outlived the demo")
    return process.returncode


def stored(folder, project):
    return {path for path in (folder / "data" / "archive" / project).glob("**/files/*") if path.is_file()}


def test_the_demo_shows_and_serves_what_is_there_and_runs_again(tmp_path):
    for number in (signal.SIGINT, signal.SIGTERM):
        with demo(tmp_path) as (process, shown):
            for project in ("DEMO", "UPLOADED"):
                placed = {path.name for path in tmp_path.glob(f"data/archive/{project}/*") if path.is_dir()}
                assert placed >= SESSIONS
                assert all(session in shown for session in placed)
            lines = [json.loads(line) for line in (tmp_path / "receipt.jsonl").read_text().splitlines()]
            from_import = {tmp_path / "data" / line["stored_as"] for line in lines if line["verdict"] == "stored"}
            assert len(from_import) == 77
            assert from_import == stored(tmp_path, "DEMO")
            assert len(stored(tmp_path, "UPLOADED")) == 77
            assert shown.count(f"accounts for all {len(lines)} files: ") == 2
            assert shown.count("77 stored") >= 2
            half = (tmp_path / "sessions.zip").stat().st_size // 2
            assert f"the connection breaks half-way; the server has {half:,} bytes of it" in shown
            ask_it(shown)
            assert ended(process, number) == 0


def ask_it(shown):
    url = re.search(r"^Serving \S+ at (http://127\.0\.0\.1:\d+)/$", shown, re.MULTILINE)
    login = re.search(r"^Login: (\S+), password (\S+)$", shown, re.MULTILINE)
    assert url
    assert login
    with httpx.Client(base_url=url[1], auth=(login[1], login[2]), trust_env=False) as client:
        assert client.get("/readyz").status_code == 200
        sessions = client.get("/api/v1/sessions").json()["items"]
        assert {one["label"] for one in sessions} >= SESSIONS
        [made] = [one for one in client.get("/api/v1/imports").json()["items"] if one["door"] == "tus"]
        assert (made["state"], made["project"], made["entries"]["stored"]) == ("placed", "UPLOADED", 77)
        for path in re.findall(rf"{re.escape(url[1])}(/\S+)", shown):
            assert client.get(path).status_code == 200, path
    assert httpx.get(f"{url[1]}/api/v1/sessions", trust_env=False, auth=("admin", "wrong")).status_code == 401


def test_a_killed_demo_leaves_no_server(tmp_path):
    with demo(tmp_path, "the connection breaks half-way") as (process, _):
        process.kill()
        process.wait()
        until(lambda: not members(process.pid), "the server outlived the demo")
