"""A plan's tree is what a plain model says: files by path, whatever stays, goes, comes, or comes anew."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from unittest.mock import Mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, insert, update

from scandock.catalog.file_rows import FileRow
from scandock.catalog.tables import tree, upload
from scandock.catalog.trees import ResourceRow, ScanRow, files_of, resources_of
from scandock.catalog.verified_files import find_moment, note_verified, read_digests, read_spans
from scandock.model.errors import Fault, TokenLost
from scandock.publishing import tree_plan
from scandock.publishing.row_cleanup import delete_staged_rows
from scandock.publishing.tree_files import paths_of
from scandock.publishing.tree_plan import BaseTree, BuiltTree, TreePlan, build_trees
from scandock.queue.leases import begin
from scandock.store.handles import StagedPart
from scandock.store.paths import CHANGED_TREE, SENT_FILES, RelPath, TreePath, parse_rel, path_below, resource_folder
from scandock.store.stages import LocalStage
from tests.integration.store_conformance import publish_new, publish_replace
from tests.unit.publishing.next_trees import Room, files_in, opened_room

SCANS = [ScanRow(0, "1", "1.2")]
RESOURCES = [
    ResourceRow(0, None, "MISC", "", ""),
    ResourceRow(1, 0, "DICOM", "", ""),
    ResourceRow(2, 0, "NOTES", "", ""),
]
FOLDERS = [resource_folder("1" if one.scan_n is not None else None, one.label) for one in RESOURCES]
NAMES = ("a", "b.dcm", "sub/a", "sub/c", "größe")
Key = tuple[int, str]
"""A resource's number, and a name in it."""


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    with opened_room(tmp_path_factory.mktemp("plans")) as made:
        yield made


def path_of(key: Key) -> RelPath:
    return path_below(FOLDERS[key[0]], key[1])


def row(n: int, key: Key, data: bytes) -> FileRow:
    return FileRow(n, *key, len(data), sha256(data).digest(), None, 1, 0)


def md5_of(n: int) -> bytes:
    return bytes([n] * 16)


def coming(stage: LocalStage, files: dict[Key, bytes], whole: set[int]) -> list[StagedPart]:
    """Files that wait in a stage: those of the resources in `whole` in a folder, the first of each under a spare name.

    The others are waited for one by one, every other one in a stage of another upload.
    """
    renames, odd = [], []
    for resource in sorted({key[0] for key in files} & whole):
        folder = parse_rel(f"in/{resource}")
        for at, (key, data) in enumerate((key, data) for key, data in files.items() if key[0] == resource):
            spare = f"{key[1]}~1" if at == 0 else key[1]
            stage.put_whole(path_below(folder, spare), data)
            if spare != key[1]:
                odd.append(StagedPart(path_below(CHANGED_TREE, path_below(FOLDERS[resource], spare)), path_of(key)))
        renames.append(StagedPart(folder, FOLDERS[resource]))
    for at, (key, data) in enumerate((key, data) for key, data in files.items() if key[0] not in whole):
        waits = path_below(SENT_FILES, str(at))
        stage.put_whole(waits, data)
        odd.append(StagedPart(waits, path_of(key)))
    return [*renames, *odd]


KEYS = st.tuples(st.integers(0, len(RESOURCES) - 1), st.sampled_from(NAMES))
FILES = st.dictionaries(KEYS, st.binary(max_size=3), max_size=9)
FATES = st.lists(st.sampled_from(["stays", "stays", "dropped", "anew", "gone"]), min_size=9, max_size=9)


@pytest.mark.long
@pytest.mark.hypothesis
@settings(max_examples=25)
@given(FILES, st.lists(st.tuples(FATES, FILES), min_size=1, max_size=2), st.sets(st.integers(0, 2)))
def test_what_is_built_is_what_a_plain_model_says(
    room: Room, before: dict[Key, bytes], changes: list[tuple[list[str], dict[Key, bytes]]], whole: set[int]
) -> None:
    name = room.new_name()
    stage = room.stage()
    renames = coming(stage, before, whole)
    first = TreePlan(
        root=CHANGED_TREE,
        scans=SCANS,
        resources=RESOURCES,
        add=lambda: (row(n, *one) for n, one in enumerate(before.items())),
        md5s={n: md5_of(n) for n in range(len(before))},
        staged=lambda: renames,
    )
    built = room.build(stage, first)
    publish_new(room.store, stage, CHANGED_TREE, name, mark=built.mark)
    model = {path_of(key): data for key, data in before.items()}
    assert room.published(name) == model
    rows = dict(enumerate(before.items()))
    check_rows(room, built, rows)
    for fates, more in changes:
        built, rows = change(room, name, built, rows, dict(zip(rows, fates, strict=False)), more, whole)


def change(
    room: Room,
    name: TreePath,
    base: BuiltTree,
    rows: dict[int, tuple[Key, bytes]],
    fates: dict[int, str],
    more: dict[Key, bytes],
    whole: set[int],
) -> tuple[BuiltTree, dict[int, tuple[Key, bytes]]]:
    """Plan and build a next tree, and compare it with what it must be; it is shown, and what it holds is given."""
    standing = Path(room.store.path) / name
    dropped, anew, gone = ({n for n, fate in fates.items() if fate == one} for one in ("dropped", "anew", "gone"))
    for n in anew | gone:
        os.unlink(standing / path_of(rows[n][0]))
    for n in anew:
        (standing / path_of(rows[n][0])).write_bytes(b"rotten")
    stays = {n: one for n, one in rows.items() if n not in dropped}
    taken = {key for key, _ in stays.values()}
    fresh = {key: data for key, data in more.items() if key not in taken}
    whole -= {key[0] for key in taken}
    last = max(rows, default=-1)
    stage = room.stage()
    renames = coming(stage, fresh, whole)
    for n in anew:
        stage.put_whole(parse_rel(f"anew/{n}"), rows[n][1])
        renames.append(StagedPart(parse_rel(f"anew/{n}"), path_of(rows[n][0])))
    was = room.published(name)
    plan = TreePlan(
        root=CHANGED_TREE,
        scans=SCANS,
        resources=RESOURCES,
        base=BaseTree(
            name=name,
            tree_id=base.tree_id,
            last=last,
            files=lambda: ((n, path_of(key)) for n, (key, _) in rows.items()),
        ),
        drop=dropped,
        add=lambda: (row(n, *one) for n, one in enumerate(fresh.items(), last + 1)),
        md5s={n: md5_of(n) for n in range(last + 1, last + 1 + len(fresh))},
        staged=lambda: renames,
        unlinked=anew | gone,
        mended=anew,
        unverified=anew,
        words=dict.fromkeys(stays, ("said", None, "tag")),
    )
    assert plan.takes_out == bool(dropped or anew)
    verified = set(rows)
    with room.catalog.write() as connection:
        note_verified(connection, base.tree_id, (-1, None), [(n, 7) for n in rows], 0)
    built = room.build(stage, plan)
    with room.catalog.read() as connection:
        spans = read_spans(connection, built.tree_id)
    assert {n for n in range(last + 9) if find_moment(spans, n) is not None} >= verified - anew - dropped
    assert not {n for n in range(last + 9) if find_moment(spans, n) is not None} & (
        anew | set(range(last + 1, last + 9))
    )

    new = {**stays, **dict(enumerate(fresh.items(), last + 1))}
    assert files_in(Path(room.store.path) / stage.path / CHANGED_TREE) == {
        path_of(key): data for n, (key, data) in new.items() if n not in gone
    }
    assert room.published(name) == was, "what stands is never written to"
    check_rows(room, built, new)
    with room.catalog.read() as connection:
        assert {one.n for one in files_of(connection, built.tree_id) if one.content == "said"} == set(stays)
        assert len(paths_of(connection, base.tree_id)) == len(rows)
    for n in gone:  # back again, so that the next change finds what its rows say
        stage.put_whole(path_below(CHANGED_TREE, path_of(rows[n][0])), rows[n][1])
    publish_replace(room.store, stage, CHANGED_TREE, name, mark=built.mark)
    return built, new


def check_rows(room: Room, built: BuiltTree, rows: dict[int, tuple[Key, bytes]]) -> None:
    with room.catalog.read() as connection:
        found = list(files_of(connection, built.tree_id))
        paths = paths_of(connection, built.tree_id)
        md5s = read_digests(connection, built.tree_id)
    assert {one.n: ((one.resource_n, one.name), one.sha256, md5s.get(one.n)) for one in found} == {
        n: (key, sha256(data).digest(), md5_of(n)) for n, (key, data) in rows.items()
    }
    assert paths == {path_of(key): (len(data), sha256(data).digest()) for key, data in rows.values()}


def test_a_base_that_lacks_a_file_is_told(room: Room) -> None:
    name = room.new_name()
    stage = room.stage()
    files = {(0, "a"): b"1", (0, "b.dcm"): b"2"}
    first = TreePlan(
        root=CHANGED_TREE,
        scans=SCANS,
        resources=RESOURCES,
        add=lambda: (row(n, *one) for n, one in enumerate(files.items())),
        staged=lambda: coming(stage, files, set()),
    )
    built = room.build(stage, first)
    publish_new(room.store, stage, CHANGED_TREE, name, mark=built.mark)
    os.unlink(Path(room.store.path) / name / path_of((0, "a")))
    stage = room.stage()
    base = BaseTree(name=name, tree_id=built.tree_id, last=1, files=lambda: enumerate(map(path_of, files)))
    with pytest.raises(Fault) as caught:
        room.build(stage, TreePlan(root=CHANGED_TREE, scans=SCANS, resources=RESOURCES, base=base))
    assert caught.value.code == "tree_damaged"


@pytest.mark.parametrize(
    ("counts", "transactions"),
    [
        ((1, 1), 1),
        ((1, 1, 1, 1), 2),  # three rows are all that one transaction takes
        ((1, 4, 1), 1 + 4 + 1),  # the tree, what comes, the rest
        ((0, 3), 1 + 3),
        ((0,) * 5, 3),
        ((), 0),
    ],
    ids=str,
)
def test_rows_of_small_trees_are_written_together(
    room: Room, monkeypatch: pytest.MonkeyPatch, counts: tuple[int, ...], transactions: int
) -> None:
    stage = room.stage()
    contents = [{(0, f"{n}"): b"%d %d" % (at, n) for n in range(count)} for at, count in enumerate(counts)]
    plans = [plan_of_files(parse_rel(f"tree{at}"), files) for at, files in enumerate(contents)]
    lease = begin(room.catalog, number=stage.upload, token=stage.token, archive="a.zip", request={})
    write = Mock(wraps=room.catalog.write)
    monkeypatch.setattr(room.catalog, "write", write)
    monkeypatch.setattr(tree_plan, "TREES", 2)
    built = build_trees(room.catalog, stage, lease, plans, lambda: None)
    assert write.call_count == transactions
    assert [one.plan for one in built] == plans
    for one, files in zip(built, contents, strict=True):
        with room.catalog.read() as connection:
            rows = {(each.resource_n, each.name): each.sha256 for each in files_of(connection, one.tree_id)}
            assert [each.label for each in resources_of(connection, one.tree_id)] == ["MISC", "DICOM", "NOTES"]
        assert rows == {key: sha256(data).digest() for key, data in files.items()}


def plan_of_files(root: RelPath, files: dict[Key, bytes]) -> TreePlan:
    """The plan of a tree that has the rows of new files, and nothing on disk."""
    return TreePlan(
        root=root,
        scans=SCANS,
        resources=RESOURCES,
        add=lambda: (row(n, *one) for n, one in enumerate(files.items())),
    )


@pytest.mark.parametrize("lost_before", range(1, 9))
def test_nothing_is_written_once_the_lease_is_lost(
    room: Room, monkeypatch: pytest.MonkeyPatch, lost_before: int
) -> None:
    """Before any transaction but the first: who takes over removes the tree, and another one may get its number."""
    name, stage = room.new_name(), room.stage()
    files = {(0, f"{n}"): b"%d" % n for n in range(7)}
    first = TreePlan(
        root=CHANGED_TREE,
        scans=SCANS,
        resources=RESOURCES,
        add=lambda: (row(n, *one) for n, one in enumerate(files.items())),
        staged=lambda: coming(stage, files, set()),
    )
    built = room.build(stage, first)
    publish_new(room.store, stage, CHANGED_TREE, name, mark=built.mark)
    later = room.stage()
    come = {(0, f"new {n}"): b"%d" % n for n in range(4)}
    plan = TreePlan(
        root=CHANGED_TREE,
        scans=SCANS,
        resources=RESOURCES,
        base=BaseTree(name=name, tree_id=built.tree_id, last=6, files=lambda: enumerate(map(path_of, files))),
        add=lambda: (row(n, *one) for n, one in enumerate(come.items(), 7)),
        md5s={7: md5_of(7)},
        staged=lambda: coming(later, come, set()),
    )
    lease = begin(room.catalog, number=later.upload, token=later.token, archive="a.zip", request={})
    write, transactions, theirs = room.catalog.write, 0, -1

    def take_over() -> int:
        with write() as connection:
            connection.execute(update(upload).where(upload.c.id == lease.row_id).values(token="another"))
        with monkeypatch.context() as inner:
            inner.setattr(room.catalog, "write", write)
            with pytest.raises(TokenLost):
                delete_staged_rows(room.catalog, lease)
            delete_staged_rows(room.catalog, replace(lease, token="another"))
        with write() as connection:
            key = connection.execute(insert(tree).values(state="staged", created=1)).inserted_primary_key
        assert key is not None
        return int(key[0])

    @contextmanager
    def write_or_lose(*, synced: bool = True) -> Iterator[Connection]:
        nonlocal transactions, theirs
        if transactions == lost_before:
            theirs = take_over()
        transactions += 1
        with write(synced=synced) as connection:
            yield connection

    monkeypatch.setattr(room.catalog, "write", write_or_lose)
    if lost_before == 1 + 3 + 1 + 2 + 1:  # the tree, what stays, what is known of it, what comes, the rest
        build_trees(room.catalog, later, lease, [plan], lambda: None)
        assert transactions == lost_before, "there are no more"
        return
    with pytest.raises(TokenLost):
        build_trees(room.catalog, later, lease, [plan], lambda: None)
    assert transactions == lost_before + 1, "told by the next transaction"
    assert theirs == built.tree_id + 1, "it got the number"
    with room.catalog.read() as connection:
        assert list(files_of(connection, theirs)) == []
        assert resources_of(connection, theirs) == []
        assert not read_digests(connection, theirs)
