"""The index of objects finds each object in all of its trees, whatever was added, merged and deleted before."""

from __future__ import annotations

import hashlib
import threading
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, insert, select

from scandock.catalog import file_manifests, object_index
from scandock.catalog.engine import Catalog, open_catalog
from scandock.catalog.file_rows import FileRow
from scandock.catalog.object_index import merge_blocks
from scandock.catalog.tables import object_block, tree
from scandock.catalog.trees import copy_files, find_objects, write_files
from scandock.model.errors import Fault
from scandock.rules.sop_hashes import sop_digest, sop_hash


@pytest.fixture
def catalog(database_url: str) -> Iterator[Catalog]:
    opened = open_catalog(database_url)
    yield opened
    opened.dispose()


def add_tree(
    catalog: Catalog, rows: list[FileRow], old: int | None = None, dropped: frozenset[int] = frozenset()
) -> int:
    """A tree with these files, which are indexed, behind those of an old one that are not dropped."""
    with catalog.write() as connection:
        key = connection.execute(insert(tree).values(state="current", created=1)).inserted_primary_key
    assert key is not None
    if old is not None:
        copy_files(catalog, old, key[0], 99, dropped)
    write_files(catalog, key[0], rows)
    return int(key[0])


def delete_tree(catalog: Catalog, tree_id: int) -> None:
    with catalog.write() as connection:
        connection.execute(tree.delete().where(tree.c.id == tree_id))


def file_row(n: int, uid: str | None, key: int | None = None, resource: int = 0) -> FileRow:
    return FileRow(n, resource, f"{n}.dcm", 3, hashlib.sha256(b"%d" % n).digest(), uid, 1, 132, sop_key=key)


def find(
    catalog: Catalog, uids: list[str], keys: tuple[int, ...] = (), tree_id: int | None = None
) -> set[tuple[int, int]]:
    with catalog.read() as connection:
        found = [(number, row.n) for number, row in find_objects(connection, uids, keys, tree_id)]
    assert len(found) == len(set(found)), "each file once"
    return set(found)


def blocks(catalog: Catalog) -> dict[int, int]:
    """How many blocks each part has."""
    with catalog.read() as connection:
        rows = connection.execute(select(object_block.c.part, func.count()).group_by(object_block.c.part)).all()
    return {row[0]: row[1] for row in rows}


STEPS = st.lists(
    st.one_of(
        st.lists(st.integers(0, 60), min_size=1, max_size=12),  # a tree with objects of these UIDs
        st.integers(0, 9),  # one that is deleted
        st.tuples(  # one that follows another: what it lacks of its files, and what comes of the next resource
            st.integers(0, 9), st.frozensets(st.integers(0, 12)), st.lists(st.integers(0, 60), min_size=1, max_size=3)
        ),
        st.booleans(),  # a turn of the worker, whether it is stopped in it
    ),
    max_size=25,
)


@pytest.mark.postgresql
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
@example(steps=[[1, 2, 3, 4], (0, frozenset(), [5, 6]), (1, frozenset({0, 1}), [7])])  # two manifests are taken up
def test_each_object_is_found_in_all_of_its_trees(
    catalog: Catalog,
    monkeypatch: pytest.MonkeyPatch,
    steps: list[list[int] | int | bool | tuple[int, frozenset[int], list[int]]],
) -> None:
    """Blocks of a few entries, and parts by few bits, so that each case goes some levels down."""
    for name, value in (("BLOCKS", 3), ("MERGED_AT_ONCE", 4), ("ENTRIES", 4), ("FEW", 1), ("LEVELS", (0, 1, 2, 4))):
        monkeypatch.setattr(object_index, name, value)
    monkeypatch.setattr(file_manifests, "FILES", 5)
    monkeypatch.setattr(file_manifests, "FEW", 3)
    monkeypatch.setattr(file_manifests, "SPLIT_AT", 3)
    with catalog.write() as connection:  # what the case before has left
        connection.execute(tree.delete())
        connection.execute(object_block.delete())
    there: dict[int, list[FileRow]] = {}
    for step in steps:
        if isinstance(step, bool):
            merge_blocks(catalog, partial(bool, step))
        elif isinstance(step, int):
            if len(there) > step:
                number = [*there][step]
                del there[number]
                delete_tree(catalog, number)
        elif isinstance(step, tuple):
            if len(there) > step[0]:
                old, dropped = [*there][step[0]], step[1]
                behind = max((row.n for row in there[old]), default=-1) + 1
                resource = max((row.resource_n for row in there[old]), default=0) + 1
                come = [
                    file_row(n, f"1.2.{uid}", uid if uid % 2 else None, resource)
                    for n, uid in enumerate(step[2], behind)
                ]
                number = add_tree(catalog, come, old, dropped)
                there[number] = [row for row in there[old] if row.n not in dropped] + come
        else:
            rows = [file_row(n, f"1.2.{uid}", uid if uid % 2 else None) for n, uid in enumerate(step)]
            there[add_tree(catalog, rows)] = rows
    holders: dict[int, set[tuple[int, int]]] = defaultdict(set)
    for number, rows in there.items():
        for row in rows:
            holders[int((row.sop_uid or "").rpartition(".")[2])].add((number, row.n))
    for uid in (*[*holders][:4], *[*holders][-2:], 60):
        assert find(catalog, [f"1.2.{uid}"]) == holders[uid]
        assert find(catalog, [], (uid,)) == (holders[uid] if uid % 2 else set())
    everywhere = {place for places in holders.values() for place in places}
    assert find(catalog, [f"1.2.{uid}" for uid in range(61)], (1, 3)) == everywhere
    for number in [*there][:2]:
        of_tree = {place for place in everywhere if place[0] == number}
        assert find(catalog, [f"1.2.{uid}" for uid in range(61)], tree_id=number) == of_tree


@pytest.mark.postgresql
def test_nothing_is_missed_while_blocks_are_merged(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    """By two workers at once, as where one was held up for longer than its claim, beside who writes and who asks."""
    for name, value in (("BLOCKS", 3), ("MERGED_AT_ONCE", 8), ("ENTRIES", 5), ("FEW", 1), ("LEVELS", (0, 1, 2, 4))):
        monkeypatch.setattr(object_index, name, value)
    written: list[int] = []
    is_over = threading.Event()

    def merge() -> None:
        while not is_over.is_set():
            merge_blocks(catalog, lambda: False)

    def ask() -> int:
        asked = 0
        while not is_over.is_set() or asked == 0:
            numbers = list(written)
            assert {number for number, _ in find(catalog, [f"1.4.{n}" for n in range(len(numbers))])} >= set(numbers)
            with catalog.write() as connection:  # where each statement sees what was committed before it
                found = {number for number, _ in find_objects(connection, [f"1.4.{n}" for n in range(len(numbers))])}
            assert found >= set(numbers)
            asked += 1
        return asked

    with ThreadPoolExecutor(3) as threads:
        workers: list[Future[Any]] = [threads.submit(merge), threads.submit(merge), threads.submit(ask)]
        try:
            for n in range(60):
                number = add_tree(catalog, [file_row(0, f"1.4.{n}"), file_row(1, f"1.5.{n}")])
                written.append(number)
        finally:
            is_over.set()
        for worker in workers:
            worker.result()
    merge_blocks(catalog, lambda: False)
    assert max(blocks(catalog)) > 3, "some went down"
    assert find(catalog, [f"1.4.{n}" for n in range(60)]) == {(number, 0) for number in written}


@pytest.mark.postgresql
def test_many_objects_are_in_few_blocks_and_what_is_gone_is_left_out(catalog: Catalog) -> None:
    first = add_tree(catalog, [file_row(n, f"1.2.{n}") for n in range(16_000)])
    assert blocks(catalog)[1] in (16, 17), "some manifests were taken up by the next files"
    assert not merge_blocks(catalog, lambda: False)
    divided = blocks(catalog)
    assert len(divided) == sum(divided.values()) == 128
    assert all(part >> 7 == 1 for part in divided)
    with catalog.read() as connection:
        size = connection.execute(select(func.sum(func.length(object_block.c.body)))).scalar_one()
    assert size == 16_000 * 6 + 128 * 2, "5 bytes of a hash, and one of the number of its manifest"
    uids = [f"1.2.{n}" for n in range(0, 17_000, 7)]
    assert find(catalog, uids) == {(first, n) for n in range(0, 16_000, 7)}
    assert find(catalog, ["1.2.15999", "1.2.16000"]) == {(first, 15_999)}
    delete_tree(catalog, first)
    assert find(catalog, uids) == set()
    for _ in range(17):
        second = add_tree(catalog, [file_row(n, f"1.3.{n}") for n in range(3)])
    merge_blocks(catalog, lambda: False)
    assert blocks(catalog)[1] == 1, "what is small stays together"
    assert len(find(catalog, ["1.3.2"])) == 17
    assert (second, 2) in find(catalog, ["1.3.2"])


def test_two_hashes_that_begin_alike_are_told_apart(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    alike = b"\xff" * 8
    monkeypatch.setattr(object_index, "sop_hash", lambda uid: -1 if uid.startswith("1.2") else sop_hash(uid))
    monkeypatch.setattr(object_index, "sop_digest", lambda uid: alike if uid.startswith("1.2") else sop_digest(uid))
    number = add_tree(catalog, [file_row(n, f"1.2.{n}") for n in range(5)])
    assert find(catalog, ["1.2.3"]) == {(number, 3)}
    assert find(catalog, ["1.2.9"]) == set()


def test_a_block_of_another_form_is_refused(catalog: Catalog) -> None:
    for body in (b"", b"\x01", b"\x02\x01" + bytes(6), b"\x01\x01" + bytes(7)):
        with catalog.write() as connection:
            connection.execute(object_block.delete())
            connection.execute(insert(object_block).values(part=1, body=body))
        with pytest.raises(Fault) as caught:
            find(catalog, ["1.2.3"])
        assert caught.value.code == "catalog_damaged"
