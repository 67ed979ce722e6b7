"""The command line as a process of its own: what it loads, both ways to call it, completion, terminals."""

from __future__ import annotations

import os
import pty
import re
import struct
import subprocess
import sys
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSWINSZ

import pytest

from tests.crash.archives import Study, write_zip
from tests.integration.in_process import call_in_process
from tests.ports import free_port

pytestmark = pytest.mark.processes

SCRIPT = Path(sys.executable).with_name("scandock")
COSTLY = {"rich", "pydantic", "sqlalchemy", "alembic", "pydicom", "nibabel", "numpy", "asyncio"}


def environment(**changes):
    return {name: value for name, value in os.environ.items() if not name.startswith("SCANDOCK_")} | changes


def call(*args, **changes):
    command = [SCRIPT, *args]
    return subprocess.run(command, env=environment(**changes), capture_output=True, text=True, timeout=60, check=False)


def loaded_by(*args, **changes):
    """Modules that a command has loaded when it ends."""
    code = (
        "import sys; from scandock.cli import main; sys.argv = ['scandock', *sys.argv[1:]]; main();"
        "print('loaded:', *sys.modules, file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, *args]
    done = subprocess.run(command, env=environment(**changes), capture_output=True, text=True, timeout=60, check=True)
    return set(done.stderr.splitlines()[-1].removeprefix("loaded: ").split())


@pytest.mark.parametrize("args", [["--help"], ["--version"]])
def test_help_loads_nothing_that_is_costly_and_no_command(args):
    loaded = loaded_by(*args)
    assert loaded & COSTLY == set()
    assert [name for name in loaded if name.endswith("_cmd")] == []


def test_a_command_loads_no_other():
    assert [name for name in loaded_by("import", "--help") if name.endswith("_cmd")] == ["scandock.cli.import_cmd"]


def test_an_upload_loads_no_more_than_it_needs(tmp_path):
    archive = write_zip(tmp_path / "a.zip", Study(1, 1, count=2, side=8).entries("S"))
    loaded = loaded_by("upload", archive, "--url", f"http://127.0.0.1:{free_port()}", SCANDOCK_TOKEN="a.b")
    assert {"httpx", "scandock.cli.upload_client.server"} <= loaded
    assert loaded & (COSTLY - {"pydantic"} | {"pygments"}) == set()


def packages_at_start(*args, **changes):
    """What readers are started by (a server, then a fork of it), each with the modules loaded by then."""
    code = (
        "import sys; from scandock.cli import main; from scandock.workers import readers\n"
        "def told(name):\n"
        "    call = getattr(readers, name)\n"
        "    def tell(*words):\n"
        "        print(name, *sys.modules, file=sys.stderr)\n"
        "        return call(*words)\n"
        "    setattr(readers, name, tell)\n"
        "told('_start_server'); told('_fork_server'); told('start_fork')\n"
        "sys.argv = ['scandock', *sys.argv[1:]]; sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, args)],
        env=environment(**changes),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    lines = [line.split() for line in done.stderr.splitlines()]
    return {name: set(packages) for name, *packages in lines if name in {"_start_server", "_fork_server", "start_fork"}}


@pytest.mark.parametrize("command", ["import", "inspect"])
def test_readers_of_plain_words_begin_before_what_is_costly_is_loaded(tmp_path, monkeypatch, command):
    for name in [name for name in os.environ if name.startswith(("PG", "AWS_"))]:  # of which readers know nothing
        monkeypatch.delenv(name)
    archive = write_zip(tmp_path / "a.zip", Study(1, 1, count=2, side=8).entries("S"))
    words = [command, archive, "--data", tmp_path / "data", "--project", "P", "--create-project"]
    loaded = packages_at_start(*words)
    assert loaded["_fork_server"] & (COSTLY | {"typer", "sqlite3", "dataclasses"}) == set()
    costly = COSTLY | {"typer", "pathlib", "uuid"}
    if sys.version_info < (3, 12):  # whose dataclasses need it for each class
        costly |= {"inspect"}
    if command == "inspect":  # it reads by the rules of a catalog, which it opens first
        costly = {"typer"}
    assert loaded["start_fork"] & costly == set()


def test_an_import_of_plain_words_does_without_what_takes_long_and_is_of_no_use_to_it(tmp_path):
    archive = write_zip(tmp_path / "a.zip", Study(1, 1, count=2, side=8).entries("S"))
    loaded = loaded_by("import", archive, "--data", tmp_path / "data", "--project", "P", "--create-project", "--json")
    assert "sqlalchemy" in loaded
    assert [name for name in loaded if name.startswith(("pydantic", "asyncio", "email", "importlib.metadata"))] == []


def test_the_readers_server_loads_nothing_that_is_costly():
    code = "import sys, scandock.workers.reader_server; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert set(done.stdout.split()) & (COSTLY | {"dataclasses", "inspect", "typer", "sqlite3"}) == set()


def test_readers_of_other_words_and_of_settings_begin_before_the_catalog_is_loaded(tmp_path):
    archive = write_zip(tmp_path / "a.zip", Study(1, 1, count=2, side=8).entries("S"))
    words = ["import", archive, "--project", "P", "--create-project"]
    loaded = packages_at_start(*words, SCANDOCK_DATA=str(tmp_path / "data"), SCANDOCK_MAX_DEPTH="4")
    assert loaded["_start_server"] & (COSTLY | {"typer"}) == set()
    assert {"typer", "pydantic"} <= loaded["start_fork"]
    assert loaded["start_fork"] & (COSTLY - {"pydantic"}) == set()


def test_readers_of_a_bucket_begin_before_the_catalog_is_loaded(tmp_path, bucket, postgres_url):
    archive = write_zip(tmp_path / "a.zip", Study(1, 1, count=2, side=8).entries("S"))
    site = {
        "SCANDOCK_STORE": bucket.url,
        "SCANDOCK_S3_ENDPOINT": bucket.endpoint,
        "SCANDOCK_DATABASE_URL": postgres_url,
    }
    words = ["import", archive, "--data", tmp_path / "data", "--project", "P", "--create-project"]
    loaded = packages_at_start(*words, **site)["start_fork"]
    assert "psycopg" in loaded
    assert loaded & {"sqlalchemy", "alembic", "obstore"} == set()


def test_the_module_that_spawned_processes_import_loads_nothing():
    code = "import sys; before = set(sys.modules); import scandock.cli; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert set(done.stdout.split()) <= {"scandock", "scandock.cli", "__future__"}


def test_the_console_script_and_the_module_are_the_same():
    module = subprocess.run(
        [sys.executable, "-m", "scandock.cli", "--version"], capture_output=True, text=True, timeout=60, check=True
    )
    script = call("--version")
    assert (script.returncode, script.stdout) == (0, module.stdout)


def test_exit_codes_reach_the_shell():
    assert call("import", "none.zip", "--data", "d").returncode == 2
    assert call("settings", SCANDOCK_TRASH_DAYS="x").returncode == 2
    assert call("settings").returncode == 0


COMPLETED = {
    "scandock imp": ["import"],
    "scandock import --over": ["--overwrite"],
    "scandock import --overwrite ": ["none", "append", "delete"],
    "scandock admin rules set s": ["subject", "session"],
}


def test_the_shell_completes_commands_options_and_values(subtests):
    """The first as a shell asks: by a process."""
    for by, words in zip((call, *[call_in_process] * 3), COMPLETED, strict=True):
        with subtests.test(words):
            done = by(_SCANDOCK_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=str(words.count(" ")))
            assert done.stdout.split() == COMPLETED[words]


def on_terminal(*args, width=80, **changes):
    """What a terminal of `width` columns gets from a command (stdout and stderr), and the exit code."""
    leader, follower = pty.openpty()
    ioctl(follower, TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    bare = {name: value for name, value in environment().items() if name not in {"COLUMNS", "LINES", "NO_COLOR"}}
    process = subprocess.Popen(
        [SCRIPT, *args],
        env=bare | {"TERM": "xterm-256color"} | changes,
        stdin=follower,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    parts = []
    try:
        while part := os.read(leader, 65536):
            parts.append(part)
    except OSError:  # EIO: the other side is closed
        pass
    os.close(leader)
    return b"".join(parts).decode().replace("\r\n", "\n"), process.wait(timeout=60)


@pytest.mark.parametrize("width", [60, 80, 140])
def test_settings_on_a_terminal_keep_to_its_width(width):
    text, code = on_terminal("settings", width=width, SCANDOCK_TRASH_DAYS="7")
    bare = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert code == 0
    assert "\x1b[" in text
    assert max(len(line.rstrip()) for line in bare.splitlines()) <= width
    assert re.search(r"SCANDOCK_TRASH_DAYS\W+7\W+environment", bare)


def test_no_color_is_honoured():
    text, _ = on_terminal("settings", NO_COLOR="1")
    assert not re.search(r"\x1b\[(?:3|4|9|10)\d", text)
    dumb, _ = on_terminal("settings", TERM="dumb")
    assert "\x1b" not in dumb


def test_output_into_a_full_disk_is_said():
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full on this system")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [SCRIPT, "settings"],
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "no space left" in done.stderr


def test_a_reader_that_leaves_is_no_error():
    process = subprocess.Popen(
        [SCRIPT, "settings", "--json"], env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(timeout=60) == 0


def test_an_import_ends_as_ever_where_nobody_hears_of_its_children(tmp_path):
    """Whoever starts it ignores SIGCHLD: the system keeps no exit code for it."""
    archive = write_zip(tmp_path / "a.zip", Study(1, 1, count=2, side=8).entries("S"))
    words = [SCRIPT, "import", archive, "--data", tmp_path / "data", "--project", "P", "--create-project", "--json"]
    code = "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
    command = [sys.executable, "-c", code, *map(str, words)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_import_by_whole_paths_needs_no_working_folder(tmp_path):
    archive = write_zip(tmp_path / "a.zip", Study(1, 1, count=2, side=8).entries("S"))
    words = [SCRIPT, "import", archive, "--data", tmp_path / "data", "--project", "P", "--create-project", "--json"]
    (tmp_path / "gone").mkdir()
    script = 'cd "$0"; rmdir "$0"; exec "$@"'
    command = ["sh", "-c", script, tmp_path / "gone", *words]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
