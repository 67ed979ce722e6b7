"""Leases, reservations, intents and what recovery makes of them, on either database."""

from __future__ import annotations

import gzip
import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from sqlalchemy import delete, func, insert, select, update

from scandock.catalog.engine import open_catalog
from scandock.catalog.file_rows import FileRow
from scandock.catalog.project_sums import count_contents
from scandock.catalog.projects import ProjectRow, add_project
from scandock.catalog.server_tables import account, reception
from scandock.catalog.tables import (
    file,
    intent,
    operation,
    project,
    reservation,
    resource,
    scan,
    session,
    tree,
    upload,
    upload_exception,
)
from scandock.catalog.trees import ResourceRow, ScanRow, write_files, write_structure
from scandock.model.errors import Fault, TokenLost
from scandock.model.import_report import ImportOutcome, ImportReport
from scandock.model.verdicts import ImportState
from scandock.publishing import recover as recovering
from scandock.publishing.complete import complete, end_unpublished
from scandock.publishing.intents import Placement, SessionRow, new_tree, record_import, record_operation
from scandock.publishing.locks import label_lock, study_lock
from scandock.publishing.publish import publish, rename_trees
from scandock.publishing.receipts import amend_receipt
from scandock.publishing.recover import recover
from scandock.publishing.reserve import find_holders, release_names, reserve
from scandock.publishing.row_cleanup import delete_tree_rows
from scandock.queue.leases import begin, begin_operation, find_dead_leases, release_lease, renew, take_over
from scandock.queue.owner import is_gone, start_time, this_owner
from scandock.rules.receipt_codes import sentence
from scandock.store.local import LocalStore
from scandock.store.paths import RECEIPT, parse_tree, unchecked_path
from scandock.store.trees import PublishedTrees
from tests.import_records import a_session

pytestmark = [pytest.mark.postgresql, pytest.mark.timeout(60)]
REPORT = ImportOutcome(state=ImportState.PLACED)


@pytest.fixture
def catalog(database_url):
    opened = open_catalog(database_url)
    add_project(opened, ProjectRow(name="P"))
    yield opened
    opened.dispose()


@pytest.fixture
def store(tmp_path):
    made = LocalStore(tmp_path / "data")
    made.prepare()
    return made


def started(catalog, store, number="u1", token="t1"):
    """An import that has begun: its hold is given up, as by a process that died."""
    with store.hold(number):
        stage = store.begin(number, token)
    return stage, begin(catalog, number=number, token=token, archive="a.zip", request={})


def dies(catalog, lease):
    """What the catalog says of an owner that is no more."""
    owner = json.loads(this_owner())
    with catalog.write() as connection:
        connection.execute(
            update(upload)
            .where(upload.c.id == lease.upload_id)
            .values(owner=json.dumps({**owner, "started": owner["started"] - 1}))
        )


def staged(catalog, stage, lease, label="S1", base=None, n=0):
    """A staged tree with one file and its rows, as an intent names it."""
    stage.put_whole(f"tree/{n}/resources/MISC/files/a", label.encode())
    with catalog.write() as connection:
        number = new_tree(catalog, connection, lease)
    write_files(catalog, number, [FileRow(0, 0, "a", 2, b"\0" * 32, None, 1, 0)])
    with catalog.write() as connection:
        write_structure(connection, number, [ScanRow(0, "1", "1.2")], [ResourceRow(0, None, "MISC", "", "", 1, 2)])
        project_id = connection.execute(select(project.c.id)).scalar_one()
    row = SessionRow(
        uuid=f"{label:0>36}",
        new=base is None,
        project_id=project_id,
        subject="X",
        make_subject=True,
        label=label,
        key=label.casefold(),
        place="archive",
        timestamp="",
        state="ready",
        study_uid="1.2.3",
        patient_id="X",
        ecat=False,
        xsi_type="xnat:mrSessionData",
        files=1,
        bytes=2,
    )
    return Placement(
        n=n,
        name=parse_tree(f"archive/P/{label}"),
        staged=unchecked_path(f"tree/{n}"),
        mark=stage.mark(f"tree/{n}"),
        tree_id=number,
        base_tree_id=base,
        base_mark=stage.mark("tree/0") if base else None,
        keep_base=base is not None,
        session=row,
    )


def intend(catalog, store, stage, lease, placement):
    with catalog.write() as connection:
        reserve(catalog, connection, lease, [label_lock("P", "s1")])
        record_import(catalog, store, connection, lease, [placement], REPORT)
    stage.seal()


def count(catalog, table):
    with catalog.read() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def state(catalog):
    with catalog.read() as connection:
        return connection.execute(select(upload.c.state, upload.c.code)).one()


def nothing_pending(catalog, store):
    assert count(catalog, intent) == count(catalog, reservation) == 0
    assert count(catalog, tree) == count(catalog, session)
    assert store.works() == []


def test_a_dead_import_without_intents_ends_failed(catalog, store):
    stage, lease = started(catalog, store)
    staged(catalog, stage, lease)
    with catalog.write() as connection:
        reserve(catalog, connection, lease, [label_lock("P", "s1"), study_lock("P", "1.2.3")])
        connection.execute(
            insert(upload_exception).values(
                upload_id=lease.upload_id, n=0, path="a", verdict="refused", code="damaged", message="."
            )
        )
    dies(catalog, lease)
    assert recover(catalog, store).done == ["u1"]
    assert tuple(state(catalog)) == ("failed", "interrupted")
    assert count(catalog, file) == count(catalog, upload_exception) == 0
    nothing_pending(catalog, store)
    assert list(store.walk("archive")) == []
    assert recover(catalog, store).done == []


def test_a_dead_import_with_intents_is_rolled_forward(catalog, store):
    stage, lease = started(catalog, store)
    intend(catalog, store, stage, lease, staged(catalog, stage, lease))
    dies(catalog, lease)
    found = recover(catalog, store)
    assert (found.done, found.ran_out) == (["u1"], 1)
    assert tuple(state(catalog)) == ("placed", "")
    nothing_pending(catalog, store)
    with store.snapshot("archive/P/S1") as snapshot:
        assert [found.rel for found in snapshot.walk()] == ["resources/MISC/files/a"]


def test_a_live_import_is_left_alone(catalog, store):
    hold = store.hold("u1")
    store.begin("u1", "t1")
    begin(catalog, number="u1", token="t1", archive="a.zip", request={})
    assert find_dead_leases(catalog) == []
    found = recover(catalog, LocalStore(store.path))
    assert (found.done, found.stuck) == ([], {})
    assert store.tokens("u1") == ["t1"]
    hold.release()


def test_an_import_of_a_copied_catalog_has_no_owner_however_alive_that_of_the_original_is(tmp_path, store):
    """As where somebody copies DATA by hand, catalog first, while an import is placed, and checks the copy there."""
    original = open_catalog(f"sqlite:///{store.path}/scandock.db")
    add_project(original, ProjectRow(name="P"))
    stage, lease = started(original, store)
    intend(original, store, stage, lease, staged(original, stage, lease))
    kept = LocalStore(tmp_path / "copy")
    kept.prepare()
    with (
        closing(sqlite3.connect(f"{store.path}/scandock.db")) as live,
        closing(sqlite3.connect(f"{kept.path}/scandock.db")) as into,
    ):
        live.backup(into)
    copied = open_catalog(f"sqlite:///{kept.path}/scandock.db")

    assert find_dead_leases(original) == []
    assert recover(copied, kept).done == ["u1"]
    assert tuple(state(copied)) == ("failed", "staging_lost")
    complete(original, store, stage, lease)
    assert tuple(state(original)) == ("placed", "")
    original.dispose()
    copied.dispose()


def test_an_owner_that_seems_gone_but_holds_its_lock_is_left_alone(catalog, store):
    hold = store.hold("u1")
    store.begin("u1", "t1")
    dies(catalog, begin(catalog, number="u1", token="t1", archive="a.zip", request={}))
    assert recover(catalog, LocalStore(store.path)).done == []
    hold.release()
    assert recover(catalog, LocalStore(store.path)).done == ["u1"]


def test_a_lease_that_is_over_is_taken_over_though_the_owner_holds_its_lock(catalog, store):
    hold = store.hold("u1")
    stage = store.begin("u1", "t1")
    lease = begin(catalog, number="u1", token="t1", archive="a.zip", request={})
    dies(catalog, lease)
    with catalog.write() as connection:
        connection.execute(update(upload).values(lease_until=0))
    assert recover(catalog, LocalStore(store.path)).done == ["u1"]
    with pytest.raises(TokenLost):
        renew(catalog, lease)
    with pytest.raises(TokenLost):
        stage.move("a", "b")
    hold.release()
    nothing_pending(catalog, store)


@pytest.mark.parametrize("late", [1, 100, 200])
def test_a_live_owner_on_this_host_is_spared_longer(catalog, store, late):
    """One whose catalog can't be written for a while is slow, not lost."""
    sleeper = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        started(catalog, store)
        owner = json.loads(this_owner()) | {"pid": sleeper.pid, "started": start_time(sleeper.pid)}
        with catalog.write() as connection:
            ended = catalog.now() - late * 1000
            connection.execute(update(upload).values(owner=json.dumps(owner), lease_until=ended))
        assert [dead.uuid for dead in find_dead_leases(catalog)] == (["u1"] if late == 200 else [])
        sleeper.send_signal(signal.SIGSTOP)
        os.waitpid(sleeper.pid, os.WUNTRACED)
        assert [dead.uuid for dead in find_dead_leases(catalog)] == ["u1"]
    finally:
        sleeper.kill()
        sleeper.communicate()


def test_of_two_that_take_over_one_gets_it(catalog, store):
    _, lease = started(catalog, store)
    dies(catalog, lease)
    (dead,) = find_dead_leases(catalog)
    assert take_over(catalog, dead) is not None
    assert take_over(catalog, dead) is None


def test_nothing_of_a_stale_process_stays(catalog, store):
    stage, lease = started(catalog, store)
    placement = staged(catalog, stage, lease)
    dies(catalog, lease)
    recover(catalog, store)
    for late in (
        lambda connection: reserve(catalog, connection, lease, [label_lock("P", "s1")]),
        lambda connection: new_tree(catalog, connection, lease),
        lambda connection: record_import(catalog, store, connection, lease, [placement], REPORT),
    ):
        with pytest.raises(TokenLost), catalog.write() as connection:
            late(connection)
    with pytest.raises(Fault):
        write_files(catalog, placement.tree_id, [FileRow(1, 0, "b", 2, b"\0" * 32, None, 1, 0)])
    with pytest.raises(TokenLost):
        complete(catalog, store, stage, lease)
    with pytest.raises(TokenLost):
        end_unpublished(catalog, store, stage, lease, ImportOutcome(state=ImportState.FAILED))
    assert tuple(state(catalog)) == ("failed", "interrupted")
    nothing_pending(catalog, store)


def test_a_stale_lease_publishes_nothing(catalog, store):
    stage, lease = started(catalog, store)
    placement = staged(catalog, stage, lease)
    intend(catalog, store, stage, lease, placement)
    rename_trees(store, stage, [placement])
    dies(catalog, lease)
    (dead,) = find_dead_leases(catalog)
    assert take_over(catalog, dead) is not None
    with pytest.raises(TokenLost):
        publish(catalog, lease, [placement])
    assert count(catalog, session) == 0


def test_folders_are_synced_before_the_switch_is_over(catalog, store, monkeypatch):
    stage, lease = started(catalog, store)
    placement = staged(catalog, stage, lease)
    intend(catalog, store, stage, lease, placement)
    synced = []
    settle = PublishedTrees.settle

    def sync(trees):
        synced.append(store.standing(placement.name, placement.mark))
        settle(trees)

    monkeypatch.setattr(PublishedTrees, "settle", sync)
    rename_trees(store, stage, [placement])
    assert synced == [True]


def test_the_sums_of_a_project_are_its_own(catalog, store):
    stage, lease = started(catalog, store)
    intend(catalog, store, stage, lease, staged(catalog, stage, lease))
    complete(catalog, store, stage, lease)
    add_project(catalog, ProjectRow(name="Q"))
    with catalog.read() as connection:
        numbers = {row.name: row.id for row in connection.execute(select(project.c.name, project.c.id))}
        assert {name: count_contents(connection, number)["subjects"] for name, number in numbers.items()} == {
            "P": 1,
            "Q": 0,
        }


def test_an_intent_is_never_undone(catalog, store):
    stage, lease = started(catalog, store)
    intend(catalog, store, stage, lease, staged(catalog, stage, lease))
    assert (
        end_unpublished(catalog, store, stage, lease, ImportOutcome(state=ImportState.FAILED, code="disk_full"))
        is False
    )
    assert tuple(state(catalog)) == ("running", "")
    assert recover(catalog, store).done == ["u1"]  # this very process may: it has given it up
    assert tuple(state(catalog)) == ("placed", "")


def test_one_that_cannot_be_finished_is_tried_again_and_keeps_nobody_out(catalog, store, tmp_path):
    stage, lease = started(catalog, store)
    intend(catalog, store, stage, lease, staged(catalog, stage, lease))
    (tmp_path / "data" / "archive" / "P" / "S1").mkdir(parents=True)
    dies(catalog, lease)
    for _ in range(2):
        found = recover(catalog, store)
        assert {uuid: fault.code for uuid, fault in found.stuck.items()} == {lease.uuid: "name_taken"}
    (tmp_path / "data" / "archive" / "P" / "S1").rmdir()
    assert recover(catalog, store).done == ["u1"]
    nothing_pending(catalog, store)


def came_by_server(catalog, store, lease):
    store.spool(lease.uuid).append(0, b"archive")
    with catalog.write() as connection:
        key = connection.execute(insert(account).values(uuid="p", name="p", key="p", created=0, modified=0))
        connection.execute(
            insert(reception).values(
                upload_id=lease.upload_id, account_id=key.inserted_primary_key[0], door="tus", received=7, accepted=1
            )
        )


@pytest.mark.parametrize("shown", [0, 1], ids=["nothing is placed", "one of two is"])
@pytest.mark.parametrize("kept", [True, False], ids=["by the server", "of the command line"])
def test_what_is_given_up_is_not_counted_as_stored(catalog, store, kept, shown):
    stage, lease = started(catalog, store)
    if kept:
        came_by_server(catalog, store, lease)
    placements = [staged(catalog, stage, lease, f"S{n}", n=n) for n in range(2)]
    sessions = [a_session(path=placement.name) for placement in placements]
    report = ImportReport(
        upload="u1", archive="a.zip", state=ImportState.PLACED, sessions=sessions, received=7, unpacked=9, stored=4
    )
    report.entries.update(stored=2, junk=1)
    with catalog.write() as connection:
        record_import(catalog, store, connection, lease, placements, report)
    stage.seal()
    rename_trees(store, stage, placements[:shown])
    dies(catalog, lease)

    why = recovering.release(catalog, store, "u1")
    with catalog.read() as connection:
        told = json.loads(connection.execute(select(upload.c.report)).scalar_one())
    assert (told["state"], told["code"], told["message"]) == ("failed", "released", str(why))
    assert ("have the import tried again" in told["message"], "Import the archive again" in told["message"]) == (
        kept,
        not kept,
    )
    assert told["sessions"] == [session.to_json() for session in sessions[:shown]]
    counts = {name: count for name, count in told["entries"].items() if count}
    if shown:
        assert (counts, told["bytes"]) == (
            {"stored": 1, "junk": 1, "refused": 1}, {"received": 7, "unpacked": 9, "stored": 2},
        )  # fmt: skip
    else:
        assert (counts, told["bytes"]) == ({}, {"received": 7, "unpacked": 0, "stored": 0})
    assert store.spool("u1").size() == (7 if kept else 0)


def raising(error):
    def fail(*_args):
        raise error

    return fail


@pytest.mark.parametrize("at", ["in the stage", "the import's own", "killed behind it", "killed within"])
def test_the_receipt_and_the_counts_say_of_what_is_given_up_that_it_is_not_stored(catalog, store, at, monkeypatch):
    """The session that it was to join stays as it was, and so does what is there of it already."""
    first, lease = started(catalog, store)
    base = staged(catalog, first, lease)
    intend(catalog, store, first, lease, base)
    complete(catalog, store, first, lease)
    stage, lease = started(catalog, store, "u2", "t2")
    lost, shown = (
        staged(catalog, stage, lease, "S1", base=base.tree_id, n=0), staged(catalog, stage, lease, "S10", n=1),
    )  # fmt: skip
    lines = [
        ("new", "stored", f"{lost.name}/resources/MISC/files/new"),
        ("new again", "duplicate", f"{lost.name}/resources/MISC/files/new"),
        ("a", "duplicate", f"{lost.name}/resources/MISC/files/a"),
        ("clash", "conflict", f"{lost.name}/resources/MISC/files/clash"),
        ("b", "resource", f"{shown.name}/resources/MISC/files/a"),
        (".DS_Store", "junk", None),
    ]
    keys = {"archive": "a.zip", "bytes": 5, "sha256": None, "code": "c", "message": "M."}
    made = [{**keys, "path": path, "verdict": verdict, "stored_as": name} for path, verdict, name in lines]
    stage.put_whole(RECEIPT, gzip.compress("".join(json.dumps(line) + "\n" for line in made).encode()))
    report = ImportReport(upload="u2", archive="a.zip", state=ImportState.PLACED, received=7, unpacked=30, stored=15)
    report.entries.update(stored=1, duplicate=2, conflict=1, resource=1, junk=1)
    with catalog.write() as connection:
        record_import(catalog, store, connection, lease, [lost, shown], report)
    stage.seal()
    rename_trees(store, stage, [shown])
    if at == "the import's own":
        store.keep_receipt(stage, RECEIPT)
    elif at == "killed behind it":
        amend_receipt(catalog, store, stage, [lost], lambda: None)
    elif at == "killed within":
        with monkeypatch.context() as killed:
            killed.setattr(type(stage), "move", raising(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                amend_receipt(catalog, store, stage, [lost], lambda: None)
        assert not stage.exists(RECEIPT)
    dies(catalog, lease)

    assert recovering.release(catalog, store, "u2").code == "released"
    with store.open_receipt("u2") as packed:
        told = [json.loads(line) for line in gzip.decompress(packed.read()).splitlines()]
    given_up = {"verdict": "refused", "code": "not_placed", "message": sentence("not_placed"), "stored_as": None}
    assert told == [
        line | given_up if line["path"] in ("new", "new again", "clash") else line for line in made
    ]  # fmt: skip
    with catalog.read() as connection:
        report = json.loads(connection.execute(select(upload.c.report).where(upload.c.uuid == "u2")).scalar_one())
    assert {name: count for name, count in report["entries"].items() if count} == {
        "refused": 3, "duplicate": 1, "resource": 1, "junk": 1,
    }  # fmt: skip
    assert report["bytes"] == {"received": 7, "unpacked": 30, "stored": 5}


@pytest.mark.parametrize("lost", [scan, resource], ids=str)
def test_what_a_dead_import_left_waits_in_words_where_rows_of_it_are_lost(catalog, store, lost):
    """And is given up where a person says so: what there is of it goes to the trash."""
    stage, lease = started(catalog, store)
    placement = staged(catalog, stage, lease)
    intend(catalog, store, stage, lease, placement)
    dies(catalog, lease)
    with catalog.write() as connection:
        connection.execute(update(resource).values(scan_n=0))
        connection.execute(delete(lost))
        connection.execute(update(intent).values(inode=1))  # as in a copy, where its rows are asked
    (stuck,) = recover(catalog, store).stuck.values()
    assert (stuck.code, "lost rows" in stuck.message) == ("catalog_damaged", True)
    assert recovering.release(catalog, store, "u1").code == "released"
    nothing_pending(catalog, store)
    (aside,) = store.trash()
    assert os.path.exists(f"{store.path}/trash/{aside.id}/tree/resources/MISC/files/a")
    assert count(catalog, session) == 0


def test_an_intent_is_not_recorded_where_a_folder_stands(catalog, store, tmp_path):
    stage, lease = started(catalog, store)
    placement = staged(catalog, stage, lease)
    (tmp_path / "data" / "archive" / "P" / "S1").mkdir(parents=True)
    with pytest.raises(Fault, match="archive/P/S1") as caught:
        intend(catalog, store, stage, lease, placement)
    assert caught.value.code == "name_taken"
    assert count(catalog, intent) == count(catalog, reservation) == 0


def test_what_is_changed_by_hand_of_an_import_stays_when_that_is_given_up(catalog, store):
    """An import that placed a part and is tried again, while somebody changes a session that came by it."""
    stage, lease = started(catalog, store)
    with store.hold("o1"):
        other = store.begin("o1", "t2")
    changing = begin_operation(catalog, number="o1", token="t2", kind="edit")
    with catalog.write() as connection:
        new_tree(catalog, connection, lease)
        theirs = new_tree(catalog, connection, changing)
        connection.execute(update(tree).where(tree.c.id == theirs).values(upload_id=lease.upload_id))
    end_unpublished(
        catalog, store, stage, lease, ImportOutcome(state=ImportState.FAILED, code="disk_full", message=".")
    )
    recover(catalog, store)
    with catalog.read() as connection:
        assert connection.execute(select(tree.c.id)).scalars().all() == [theirs]
    release_lease(catalog, changing)
    assert recover(catalog, store).done == ["o1"]
    assert count(catalog, tree) == count(catalog, operation) == 0
    other.close()


def test_an_operation_that_died_behind_its_intents_is_rolled_forward(catalog, store):
    """Its tree is then of the import that it was said to be of, or of none."""
    _, origin = started(catalog, store, "u0", "t0")
    for number, import_id in (("o1", origin.upload_id), ("o2", None)):
        with store.hold(number):
            stage = store.begin(number, "t")
        lease = begin_operation(catalog, number=number, token="t", kind="make")
        placement = staged(catalog, stage, lease, label=f"S{number}")
        with catalog.write() as connection:
            reserve(catalog, connection, lease, [label_lock("P", number)])
            record_operation(catalog, store, connection, lease, [placement], [], origin=import_id)
        stage.close()
        release_lease(catalog, lease)
        assert recover(catalog, store).done == [number]
        with catalog.read() as connection:
            shown = select(tree.c.upload_id, tree.c.operation_id, tree.c.state).join(session).order_by(tree.c.id.desc())
            assert tuple(connection.execute(shown).first()) == (import_id, None, "current")
        assert count(catalog, operation) == count(catalog, intent) == count(catalog, reservation) == 0
    assert count(catalog, upload) == 1


def test_names_are_held_until_their_import_has_ended(catalog, store):
    a, b, c, d = (label_lock("P", label) for label in "abcd")
    stage, lease = started(catalog, store)
    _, other = started(catalog, store, "u2", "t2")
    with catalog.write() as connection:
        reserve(catalog, connection, lease, [a, b])
        reserve(catalog, connection, lease, [b, c])
    with catalog.read() as connection:
        assert find_holders(connection, other, [c, d]) == {lease.uuid}
        assert find_holders(connection, lease, [a, b, c]) == set()
    with catalog.write() as connection:
        release_names(connection, lease)
        reserve(catalog, connection, other, [a, d])
    with catalog.read() as connection:
        assert find_holders(connection, lease, [a]) == {other.uuid}
    end_unpublished(
        catalog, store, stage, lease, ImportOutcome(state=ImportState.CANCELLED, code="cancelled", message=".")
    )
    assert count(catalog, reservation) == 2


def test_names_and_trees_without_a_running_import_are_cleared_away(catalog, store):
    stage, lease = started(catalog, store)
    staged(catalog, stage, lease)
    with catalog.write() as connection:
        reserve(catalog, connection, lease, [label_lock("P", "s1")])
        connection.execute(update(upload).values(state=ImportState.FAILED))
    recover(catalog, store)
    nothing_pending(catalog, store)


def test_an_abandoned_import_is_anybodys(catalog, store):
    _, lease = started(catalog, store)
    assert find_dead_leases(catalog) == []
    release_lease(catalog, lease)
    assert [dead.uuid for dead in find_dead_leases(catalog)] == ["u1"]


def test_a_tree_of_many_files_is_forgotten(catalog, store):
    _, lease = started(catalog, store)
    with catalog.write() as connection:
        number = new_tree(catalog, connection, lease)
        connection.execute(
            insert(file),
            [
                {"tree_id": number, "n": n, "resource_n": 0, "name": str(n), "bytes": 0, "sha256": b"\0" * 32}
                for n in range(12_001)
            ],
        )
    delete_tree_rows(catalog, number)
    assert count(catalog, file) == count(catalog, tree) == 0
    delete_tree_rows(catalog, number)


@pytest.mark.parametrize(
    ("change", "gone"),
    [
        ({}, False),
        ({"started": 1}, True),
        ({"boot": "another"}, True),
        ({"space": 1}, None),
        ({"host": "another"}, None),
        ({"host": "another", "boot": "another"}, None),
    ],
)
def test_who_is_gone(change, gone):
    assert is_gone(json.dumps({**json.loads(this_owner()), **change})) is gone


@pytest.mark.parametrize("owner", ["", "{}", "[]", "7", "nonsense"])
def test_an_owner_that_cannot_be_read_is_judged_by_its_lease(owner):
    assert is_gone(owner) is None
