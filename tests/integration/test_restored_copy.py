"""A copy of DATA whose catalog was copied while an import stood between its intents and its end.

`work` is in no backup, and a copied tree has another inode than the intent says: what is restored is judged by rows.
"""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest

from scandock.access.principal import SYSTEM
from scandock.services.archiving import archive_session
from scandock.services.context import ServiceContext
from scandock.services.data_catalog import open_data
from scandock.services.settings import load_settings
from scandock.services.trash import delete_session, restore_session
from tests.crash.archives import Step, Study, scenarios, write_zip
from tests.crash.checker import examine_data, hash_files
from tests.crash.forked import ForkedCommand
from tests.crash.processes import SCANDOCK, environment, find_unsound, import_words, run

pytestmark = pytest.mark.processes

KEPT = ("archive", "prearchive", "resources", "receipts", "trash", "incoming")
BEFORE, AFTER = ("intent",), ("switched", "receipt", "published", "retired", "finished")
"""Points at which a copy without `work` has the old trees still, and those at which it has the new ones."""


def copied(data, restored, *also):
    """The plain way of docs/operating.md: the catalog by SQLite's backup, then the folders."""
    restored.mkdir()
    with (
        closing(sqlite3.connect(data / "scandock.db")) as live,
        closing(sqlite3.connect(restored / "scandock.db")) as kept,
    ):
        live.backup(kept)
    for folder in (*KEPT, *also):
        shutil.copytree(data / folder, restored / folder, symlinks=True)
    return restored


def killed_and_copied(tmp_path, scenario, point):
    data = tmp_path / "data"
    for step in scenario.base:
        assert run(import_words(step, data), threads=True).code == 0
    killed = run(import_words(scenario.step, data), threads=True, SCANDOCK_CRASH_AT=point)
    assert killed.code == -signal.SIGKILL, str(killed)
    restored = copied(data, tmp_path / "restored")
    shutil.rmtree(data)  # whose inodes the copy must not need
    return restored


def last_import(data):
    with closing(sqlite3.connect(data / "scandock.db")) as database:
        return database.execute("SELECT state, code, message FROM upload ORDER BY id DESC LIMIT 1").fetchone()


@pytest.fixture(scope="module")
def every(tmp_path_factory):
    return scenarios(tmp_path_factory.mktemp("archives"), count=3)


@pytest.mark.parametrize(
    ("name", "point"),
    [(name, point) for name in ("new", "append", "replace") for point in (*BEFORE, *AFTER)]
    + [("prearchive", point) for point in (*BEFORE, AFTER[0])],
)
def test_what_is_restored_is_as_before_or_as_after_and_takes_the_archive_again(tmp_path, every, name, point):
    scenario = every[name]
    restored = killed_and_copied(tmp_path, scenario, point)
    assert find_unsound(restored) == []
    held, wrong = examine_data(restored)
    lost = scenario.replaces and point in AFTER[:3]  # what it had replaced was in `work`, on its way to the trash
    assert [one for one in wrong if not (lost and one.endswith("says its receipt, and is nowhere"))] == []
    assert held == (scenario.before if point in BEFORE else scenario.after)
    state, code, message = last_import(restored)
    if point in BEFORE:
        assert (state, code) == ("failed", "staging_lost")
        assert "could not be placed" in message
    else:
        assert state == "placed"
    again = run(import_words(scenario.step, restored), threads=True)
    assert again.code == 0, str(again)
    assert examine_data(restored)[0] == scenario.after
    assert find_unsound(restored) == []


def test_what_came_whole_is_shown_and_what_did_not_is_set_aside_with_its_bytes(tmp_path, every):
    scenario = every["bundle"]
    restored = killed_and_copied(tmp_path, scenario, "switched")
    whole, cut, gone = sorted((restored / "archive/P").iterdir())
    first = next(path for path in sorted(cut.rglob("*")) if path.is_file())
    rest = {path.name: path.read_bytes() for path in cut.rglob("*") if path.is_file() and path != first}
    first.unlink()
    shutil.rmtree(gone)

    assert find_unsound(restored) == []
    assert sorted((restored / "archive/P").iterdir()) == [whole]
    state, code, message = last_import(restored)
    assert (state, code) == ("failed", "staging_lost")
    for words in (f"archive/P/{cut.name}", f"archive/P/{gone.name}", "1 of 3 sessions", "trash"):
        assert words in message
    (aside,) = [one for one in (restored / "trash").iterdir() if one.name != "now"]
    assert {path.name: path.read_bytes() for path in (aside / "tree").rglob("*") if path.is_file()} == rest

    assert run(import_words(scenario.step, restored), threads=True).code == 0
    assert examine_data(restored)[0] == scenario.after
    assert find_unsound(restored) == []


@pytest.mark.parametrize("point", ["intent", "switched"])
def test_a_tree_that_by_chance_has_the_inode_of_the_intent_is_not_taken_for_its(tmp_path, every, point):
    scenario, data = every["replace"], tmp_path / "data"
    for step in scenario.base:
        assert run(import_words(step, data), threads=True).code == 0
    assert run(import_words(scenario.step, data), threads=True, SCANDOCK_CRASH_AT=point).code == -signal.SIGKILL
    restored = copied(data, tmp_path / "restored", "work")
    shutil.rmtree(data)
    with closing(sqlite3.connect(restored / "scandock.db")) as database, database:
        ((name, staged),) = database.execute("SELECT name, staged FROM intent").fetchall()
        (in_stage,) = (restored / "work").glob(f"*/*/{staged}")
        wrong = restored / name if point == "intent" else in_stage
        database.execute("UPDATE intent SET inode = ?", (wrong.stat().st_ino,))
    assert find_unsound(restored) == []
    assert examine_data(restored) == (scenario.after, [])


def test_a_folder_of_somebody_elses_at_the_name_is_left_alone(tmp_path, every):
    restored = killed_and_copied(tmp_path, every["new"], "intent")
    with closing(sqlite3.connect(restored / "scandock.db")) as database:
        ((name,),) = database.execute("SELECT name FROM intent").fetchall()
    folder = restored / name
    folder.mkdir(parents=True)
    (folder / "mine.txt").write_text("mine")
    assert find_unsound(restored) == [f"stray: {name}: The catalog knows no session here."]
    assert last_import(restored)[:2] == ("failed", "staging_lost")
    assert (folder / "mine.txt").read_text() == "mine"


def test_an_import_that_cant_be_finished_is_listed_and_released_with_its_bytes_kept(tmp_path, every):
    data, scenario = tmp_path / "data", every["new"]
    assert run(import_words(scenario.step, data), threads=True, SCANDOCK_CRASH_AT="intent").code == -signal.SIGKILL
    with closing(sqlite3.connect(data / "scandock.db")) as database:
        ((name, uuid),) = database.execute("SELECT i.name, u.uuid FROM intent i JOIN upload u ON u.id = i.upload_id")
    (data / name).mkdir(parents=True)
    (data / name / "mine.txt").write_text("mine")

    (stuck,) = json.loads(run([SCANDOCK, "admin", "import", "list", "--stuck", "--json", "--data", data]).out)
    assert (stuck["id"], stuck["code"], stuck["state"]) == (uuid, "name_taken", "running")
    assert any(one.startswith(f"unfinished: import {uuid}: ") for one in find_unsound(data))

    released = run([SCANDOCK, "admin", "import", "release", uuid, "--data", data])
    assert released.code == 0, str(released)
    assert last_import(data)[:2] == ("failed", "released")
    with closing(sqlite3.connect(data / "scandock.db")) as database:
        (noted,) = database.execute("SELECT kind, target FROM audit WHERE action = 'import_release'").fetchall()
    assert noted == ("import", uuid)
    (aside,) = [one for one in (data / "trash").iterdir() if one.name != "now"]
    assert frozenset(hash_files(aside / "tree").values()) == scenario.after[next(iter(scenario.after))].files
    assert (data / name / "mine.txt").read_text() == "mine"
    assert json.loads(run([SCANDOCK, "admin", "import", "list", "--stuck", "--json", "--data", data]).out) == []
    refused = run([SCANDOCK, "admin", "import", "release", uuid, "--data", data])
    assert (refused.code, "import list --stuck" in refused.err) == (2, True)

    shutil.rmtree(data / name)
    assert run(import_words(scenario.step, data), threads=True).code == 0
    assert examine_data(data)[0] == scenario.after
    assert find_unsound(data) == []


def act(data: str, what: str, uuid: str) -> None:
    """What is killed: a person's change of a session."""
    settings = load_settings()
    with open_data(data, settings) as (catalog, store):
        ACTIONS[what](ServiceContext(catalog, store, settings, SYSTEM), uuid)


ACTIONS: dict[str, Callable[..., object]] = {
    "delete": delete_session,
    "restore": restore_session,
    "archive": archive_session,
}
WAITING = ("--destination", "prearchive")


@pytest.mark.parametrize("point", ["intent", "switched", "published"])
@pytest.mark.parametrize("what", ["delete", "restore", "archive", "join"])
def test_a_change_by_hand_is_done_or_not_in_a_copy_and_loses_nothing(tmp_path, what, point):
    study = Study(5, 1, count=3, side=8)
    half, rest = study.part(0, 0.5), study.part(0.5, 1)
    parts = {"join": ((half, ()), (rest, WAITING)), "archive": ((study, WAITING),)}.get(what, ((study, ()),))
    data = tmp_path / "data"
    for n, (part, options) in enumerate(parts):
        step = Step(write_zip(tmp_path / f"{n}.zip", part.entries("S", note=False)), options)
        assert run(import_words(step, data), threads=True).code == 0
    with closing(sqlite3.connect(data / "scandock.db")) as database:
        ((uuid,),) = database.execute("SELECT uuid FROM session ORDER BY id DESC LIMIT 1").fetchall()
    if what == "restore":
        act(str(data), "delete", uuid)
    did = "archive" if what == "join" else what
    words = (f"{__name__}:{act.__name__}", str(data), did, uuid)
    killed = ForkedCommand(*words, argv=["change"], env=environment(SCANDOCK_CRASH_AT=point))
    _, err = killed.communicate(60)
    assert killed.returncode == -signal.SIGKILL, err

    restored = copied(data, tmp_path / "restored")
    shutil.rmtree(data)
    assert find_unsound(restored) == []
    everything = frozenset(hash_files(restored).values())
    assert study.held(note=False).files <= everything, "bytes are gone"
    with closing(sqlite3.connect(restored / "scandock.db")) as database:
        places = [row[0] for row in database.execute("SELECT place FROM session ORDER BY place")]
        waits = database.execute("SELECT count(*) FROM operation").fetchone()[0]
    lost = what == "join" and point == "intent"  # what it had joined was in `work` alone: nothing is changed
    done = {"delete": [], "restore": ["archive"], "archive": ["archive"], "join": ["archive"]}[what]
    assert places == (["archive", "prearchive"] if lost else done)
    assert waits == 0
    if lost:
        act(str(restored), did, uuid)
        assert find_unsound(restored) == []
        assert examine_data(restored)[0] == {study.uid: study.held(note=False)}
