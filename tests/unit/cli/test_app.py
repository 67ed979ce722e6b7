"""The commands as a shell calls them: exit codes, streams, sentences; the engine is a fake where one is needed."""

from __future__ import annotations

import json
import sys
import types

import pytest

from scandock.cli import main
from scandock.model.errors import Usage
from tests.unit.cli.reports import FakeResult, report, session


@pytest.fixture(autouse=True)
def tracebacks_of_the_test(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.fixture
def run(monkeypatch, capsys):
    def call(*args):
        monkeypatch.setattr(sys, "argv", ["scandock", *map(str, args)])
        code = main()
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def engine(monkeypatch):
    """The modules of the real engine, replaced by one that keeps what it was asked."""
    module = types.ModuleType("scandock.workers.local_import")
    calls = []

    def answer(**asked):
        calls.append(asked)
        return FakeResult(report(session(), archive=asked["archive"], entries={"stored": 100}))

    module.run_import = module.run_inspect = answer  # type: ignore[attr-defined]
    for name in ("local_import", "inspection"):
        monkeypatch.setitem(sys.modules, f"scandock.workers.{name}", module)
    return calls


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """A file in a folder of its own, which is the current one."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "exam.zip"
    path.write_bytes(b"PK")
    return path


def test_an_import_asks_the_engine_for_what_was_said(run, engine, archive, tmp_path):
    mapping = tmp_path / "map.csv"
    mapping.write_text("study_uid,session\n")
    data = tmp_path / "data"
    code, out, err = run(
        *("import", archive, "--data", data, "--project", "P", "--create-project", "--subject", "S", "--session", "L"),
        *("--mapping", mapping, "--destination", "prearchive", "--overwrite", "delete", "--no-ignore-unparsable"),
        *("--resources", "ignore", "--workers", "3", "--json", "--receipt", tmp_path / "r.jsonl"),
    )
    assert (code, err) == (0, "")
    assert json.loads(out)["state"] == "placed"
    (asked,) = engine
    request = asked["request"]
    assert (asked["data"], asked["archive"]) == (str(data), str(archive))
    assert (request.project, request.create_project, request.subject, request.session) == ("P", True, "S", "L")
    assert (request.mapping_path, request.destination, request.overwrite) == (str(mapping), "prearchive", "delete")
    assert (request.ignore_unparsable, request.resources, request.workers, request.receipt) == (
        False,
        "ignore",
        3,
        True,
    )
    assert (tmp_path / "r.jsonl").read_text().count("\n") == 2


def test_what_was_not_said_is_left_open_and_the_defaults_are_those_of_the_rules(run, engine, archive, tmp_path):
    assert run("import", archive, "--data", tmp_path / "data")[0] == 0
    request = engine[0]["request"]
    assert (request.project, request.subject, request.session, request.mapping_path) == (None, None, None, None)
    assert (request.destination, request.overwrite, request.create_project) == (None, None, False)
    assert (request.ignore_unparsable, request.resources, request.receipt) == (True, "keep", False)
    assert 1 <= request.workers <= 4


def test_workers_come_from_the_setting_where_the_option_is_missing(run, engine, archive, tmp_path, monkeypatch):
    monkeypatch.setenv("SCANDOCK_WORKERS", "7")
    run("import", archive, "--data", tmp_path / "data")
    run("import", archive, "--data", tmp_path / "data", "--workers", "2")
    assert [asked["request"].workers for asked in engine] == [7, 2]
    assert engine[0]["settings"].workers == 7


def test_data_may_stand_in_the_environment(run, engine, archive, tmp_path, monkeypatch):
    monkeypatch.setenv("SCANDOCK_DATA", str(tmp_path / "d"))
    assert run("import", archive)[0] == 0
    assert engine[0]["data"] == str(tmp_path / "d")


def test_inspect_needs_no_data(run, engine, archive):
    code, out, _ = run("inspect", archive, "--project", "P")
    assert code == 0
    assert "would be" in out
    assert engine[0]["data"] is None


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["import", "none.zip", "--data", "d"], ["none.zip", "Check the path"]),
        (["import", "{archive}"], ["--data", "SCANDOCK_DATA"]),
        (["import", "--data", "d"], ["ARCHIVE"]),
        (["import", "{archive}", "--data", "{archive}"], ["is a file, not a folder"]),
        (["import", "{archive}", "--data", "d", "--project", "a b"], ["'a b'", "[A-Za-z0-9_-]{1,64}"]),
        (["import", "{archive}", "--data", "d", "--session", ""], ["--session is empty"]),
        (["import", "{archive}", "--data", "d", "--mapping", "none.csv"], ["--mapping", "none.csv"]),
        (["import", "{archive}", "--data", "d", "--receipt", "{archive}"], ["is the archive itself"]),
        (["import", "{archive}", "--data", "d", "--receipt", "no/folder/r"], ["can't be written"]),
        (["import", "{archive}", "--data", "d", "--overwrite", "all"], ["--overwrite", "append"]),
        (["import", "{archive}", "--data", "d", "--workers", "0"], ["--workers"]),
        (["import", "{archive}", "--data", "d", "--wrokers", "1"], ["--wrokers", "--workers"]),
        (["inspect", "none.zip"], ["none.zip"]),
        (["check", "--data", "none"], ["no folder 'none'"]),
        (["admin", "project", "add", "a/b", "--data", "d"], ["[A-Za-z0-9_-]{1,64}"]),
        (["admin", "project", "add", "P", "--data", "d", "--prearchive-code", "3"], ["--prearchive-code", "4"]),
        (["admin", "rules", "set", "colour", "f", "--data", "d"], ["subject"]),
        (["admin", "rules", "set", "session", "none.txt", "--data", "d"], ["none.txt"]),
        (["imprt"], ["imprt"]),
    ],
)
def test_wrong_usage_is_2_with_a_sentence_and_no_traceback_and_does_nothing(run, engine, archive, args, words):
    before = sorted(archive.parent.iterdir())
    code, out, err = run(*[arg.format(archive=archive) if "{archive}" in arg else arg for arg in args])
    assert (code, out) == (2, "")
    for word in words:
        assert word in err
    assert "Traceback" not in err
    assert not engine
    assert sorted(archive.parent.iterdir()) == before


def test_an_unknown_project_gets_both_ways_out(run, monkeypatch, archive, tmp_path):
    module = types.ModuleType("scandock.workers.local_import")

    def refuse(**asked):
        raise Usage("project_unknown", "Project P (request) does not exist, or you may not upload to it.", "Elsewhere.")

    module.run_import = refuse  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "scandock.workers.local_import", module)
    code, out, err = run("import", archive, "--data", tmp_path / "d", "--project", "P", "--json")
    assert (code, out) == (2, "")
    assert "--create-project" in err
    assert "scandock admin project add" in err


def test_a_bad_setting_is_wrong_usage(run, engine, archive, tmp_path, monkeypatch):
    monkeypatch.setenv("SCANDOCK_MAX_DEPTH", "many")
    code, out, err = run("import", archive, "--data", tmp_path / "d", "--json")
    assert (code, out) == (2, "")
    assert "SCANDOCK_MAX_DEPTH='many'" in err
    assert not engine


def test_an_error_that_nobody_foresaw_outside_an_import_is_a_sentence_too(run, monkeypatch):
    monkeypatch.setattr("scandock.services.setting_rows.describe_settings", lambda settings: 1 // 0)
    code, out, err = run("settings")
    assert (code, out) == (1, "")
    assert "ZeroDivisionError" in err
    assert "Traceback" not in err


def test_settings_in_a_pipe_and_as_json(run, monkeypatch):
    monkeypatch.setenv("SCANDOCK_TRASH_DAYS", "7")
    monkeypatch.setenv("SCANDOCK_DATABASE_URL", "postgresql://me:geheim@db/x")
    monkeypatch.setenv("SCANDOCK_TRASH_DAY", "7")
    code, out, err = run("settings")
    assert code == 0
    assert "SCANDOCK_TRASH_DAYS=7 (environment)" in out.splitlines()
    assert "SCANDOCK_MAX_DEPTH=5 (default)" in out.splitlines()
    assert "SCANDOCK_TRASH_DAYS" in err
    _, as_json, _ = run("settings", "--json")
    rows = {row["name"]: row for row in json.loads(as_json)}
    assert rows["SCANDOCK_TRASH_DAYS"] == rows["SCANDOCK_TRASH_DAYS"] | {"value": 7, "source": "environment"}
    assert rows["SCANDOCK_MAX_ENTRY_BYTES"]["value"] == 50 * 1024**3
    assert "geheim" not in out + err + as_json
    assert out.splitlines().index("length of a head=64 KiB (fixed)") == sum(name.isupper() for name in rows)
    assert rows["time of a head"] == rows["time of a head"] | {"value": 30, "source": "fixed"}


@pytest.mark.parametrize("command", ["import", "inspect"])
def test_help_names_the_defaults(run, command):
    words = " ".join(run(command, "--help")[1].split())
    for default in (
        "append; delete in projects of prearchive-code 5",
        "the project's policy; of a new project: archive",
        "else Unassigned",
    ):
        assert default in words


def test_version_and_help(run):
    assert run("--version")[1].startswith("scandock ")
    code, out, _ = run("--help")
    assert code == 0
    for command in ("import", "inspect", "check", "settings", "admin"):
        assert command in out


def test_check_says_what_it_found(run, monkeypatch, tmp_path):
    found = [types.SimpleNamespace(kind="missing", name="archive/P/\x1bL", message="It is gone.", session="")]
    module = types.ModuleType("scandock.services.consistency_check")
    module.check_data = lambda data, settings, on_progress: list(found)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "scandock.services.consistency_check", module)
    code, out, _ = run("check", "--data", tmp_path)
    assert code == 3
    assert r"missing: archive/P/\x1bL: It is gone." in out
    code, out, _ = run("check", "--data", tmp_path, "--json")
    assert json.loads(out)["findings"] == [{"kind": "missing", "name": "archive/P/\x1bL", "message": "It is gone."}]
    found.clear()
    assert run("check", "--data", tmp_path)[0] == 0
