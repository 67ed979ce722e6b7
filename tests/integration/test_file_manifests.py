"""A tree has the files that were written, whatever is copied, dropped, annotated, changed or brought over from rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, func, insert, select, update

from scandock.catalog import file_manifests, trees
from scandock.catalog.engine import Catalog, open_catalog
from scandock.catalog.file_rows import FileRow
from scandock.catalog.tables import file, manifest, tree
from scandock.catalog.verified_files import read_learned
from scandock.publishing.row_cleanup import delete_tree_rows
from scandock.services.manifest_fill import fill_manifests
from tests.stored_files import write_rows


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Manifests and batches of a few files, so that each case crosses their edges."""
    monkeypatch.setattr(trees, "BATCH", 7)
    monkeypatch.setattr(file_manifests, "FILES", 5)
    monkeypatch.setattr(file_manifests, "FEW", 2)
    monkeypatch.setattr(file_manifests, "SPLIT_AT", 2)


@pytest.fixture
def catalog(database_url: str) -> Iterator[Catalog]:
    opened = open_catalog(database_url)
    yield opened
    opened.dispose()


def new_tree(catalog: Catalog, state: str = "staged") -> int:
    with catalog.write() as connection:
        key = connection.execute(insert(tree).values(state=state, created=1)).inserted_primary_key
    assert key is not None
    return int(key[0])


def file_row(n: int, resource_n: int, sop: str | None = None) -> FileRow:
    return FileRow(n, resource_n, f"1.2.{n}.dcm", n * 3, hashlib.sha256(b"%d" % n).digest(), sop, 1, 132)


def check_tree(catalog: Catalog, tree_id: int, rows: list[FileRow], numbers: tuple[int, int] = (3, 9)) -> None:
    """That a tree has these files in its manifests, by whatever they are asked."""
    with catalog.read() as connection:
        assert file_manifests.has_manifests(connection, tree_id)
        assert list(trees.files_of(connection, tree_id)) == rows
        check_single_files(connection, tree_id, rows)
        part = list(file_manifests.read_files(connection, tree_id, *numbers))
        for resources in ({0}, {1, 2}, set[int]()):
            of_resources = list(file_manifests.read_resource_files(connection, tree_id, resources))
            assert of_resources == [row for row in rows if row.resource_n in resources]
        parts = connection.execute(
            select(manifest.c.first_n, manifest.c.last_n, manifest.c.files)
            .where(manifest.c.tree_id == tree_id)
            .order_by(manifest.c.first_n)
        ).all()
        assert connection.execute(select(file.c.n).where(file.c.tree_id == tree_id)).first() is None
    assert part == [row for row in rows if numbers[0] <= row.n <= numbers[1]]
    assert all(0 < one.files <= 5 for one in parts)
    assert sum(one.files for one in parts) == len(rows)
    assert all(one.last_n < other.first_n for one, other in pairwise(parts))


def check_single_files(connection: Connection, tree_id: int, rows: list[FileRow]) -> None:
    """That a tree has these files, and no others, by their numbers."""
    by_number = {row.n: row for row in rows}
    for n in (0, 7, 15, 22, 30, 46, *list(by_number)[:2]):
        assert trees.find_tree_file(connection, tree_id, n) == (by_number.get(n), 1, False)


FILES = st.dictionaries(st.integers(0, 30), st.integers(0, 2), max_size=25)


@pytest.mark.postgresql
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    FILES,
    st.sets(st.integers(0, 30)),
    st.lists(st.integers(0, 2), max_size=12),
    st.sets(st.integers(0, 45), max_size=5),
    st.booleans(),
)
@example({0: 0, 1: 0, 2: 1}, {0}, [2], set(), False)  # two manifests are taken up, and cut behind the old files
def test_a_tree_has_what_was_written(
    catalog: Catalog, before: dict[int, int], dropped: set[int], more: list[int], changed: set[int], is_old: bool
) -> None:
    old, new = new_tree(catalog), new_tree(catalog)
    stood = [file_row(n, before[n], f"1.5.{n}") for n in sorted(before)]
    if is_old:
        with catalog.write() as connection:
            write_rows(connection, old, stood)
            check_single_files(connection, old, stood)
    else:
        trees.write_files(catalog, old, stood)
        check_tree(catalog, old, stood)

    last = max(before, default=-1)
    trees.copy_files(catalog, old, new, last, dropped)
    come = [file_row(n, resource, f"1.5.{n}") for n, resource in enumerate(more, last + 1)]
    trees.write_files(catalog, new, come)
    rows = [row for row in stood if row.n not in dropped] + come
    check_tree(catalog, new, rows)
    with catalog.read() as connection:
        found = sorted(trees.find_objects(connection, {f"1.5.{n}" for n in range(50)}, tree_id=new))
    assert found == [(new, row) for row in rows], "each is found by its UID"

    with catalog.write() as connection:
        trees.annotate_files(connection, new, {n: (f"said of {n}", None, "tag") for n in changed})
        values = {n: {"sop_uid": f"1.9.{n}", "frames": n, "dataset_at": 9} for n in changed}
        trees.change_files(connection, new, values)
        trees.change_files(connection, new, {n: {"origin": bytes([n] * 16)} for n in changed})
    said: dict[int, dict[str, Any]] = {}
    for n in changed:
        said[n] = {"content": f"said of {n}", "tags": "tag", **values[n], "origin": bytes([n] * 16)}
    check_tree(catalog, new, [row._replace(**said.get(row.n, {})) for row in rows])
    with catalog.read() as connection:
        places = {
            (tree_id, row.n)
            for tree_id, row in trees.find_objects(connection, {f"1.9.{n}" for n in changed})
            if tree_id == new
        }
        assert places == {(new, row.n) for row in rows if row.n in changed}, "found by the UIDs that they have now"
        assert list(trees.files_of(connection, old)) == stood, "another tree's are left alone"


def test_what_is_added_bit_by_bit_is_taken_up(catalog: Catalog) -> None:
    number = new_tree(catalog)
    for n in range(20):
        trees.write_files(catalog, number, [file_row(n, 0)])
    check_tree(catalog, number, [file_row(n, 0) for n in range(20)])
    with catalog.read() as connection:
        rows = select(func.count()).select_from(manifest).where(manifest.c.tree_id == number)
        assert connection.execute(rows).scalar_one() <= 10


@pytest.mark.postgresql
def test_old_trees_are_brought_over_a_share_at_a_time_and_changed_and_copied_meanwhile(catalog: Catalog) -> None:
    """By a worker that is stopped after each transaction, as one that is killed goes on."""
    numbers = [new_tree(catalog, state) for state in ("current", "retired", "staged")]
    rows = [file_row(n, 0, f"1.5.{n}") for n in range(21)]
    with catalog.write() as connection:
        for number in numbers:
            write_rows(connection, number, rows)
    shown = rows
    turns = 0
    while fill_manifests(catalog, 60, lambda: True):
        turns += 1
        change: dict[str, Any] = {"sop_uid": f"1.6.{turns}", "frames": turns, "dataset_at": 1}
        with catalog.write() as connection:
            trees.change_files(connection, numbers[0], dict.fromkeys((0, 20), change))
        shown = [row._replace(**change) if row.n in (0, 20) else row for row in rows]
        copied = new_tree(catalog)
        trees.copy_files(catalog, numbers[0], copied, 20, {3})
        check_tree(catalog, copied, [row for row in shown if row.n != 3])
        with catalog.write() as connection:
            connection.execute(tree.delete().where(tree.c.id == copied))
        with catalog.read() as connection:
            for number, of_tree in zip(numbers, (shown, rows, rows), strict=True):
                assert list(trees.files_of(connection, number)) == of_tree
            found = list(trees.find_objects(connection, [f"1.6.{turns}", "1.5.7", "1.5.20"]))
        expected = [(numbers[0], row) for row in shown if row.n in (0, 7, 20)]
        expected += [(number, row) for number in numbers[1:] for row in rows if row.n in (7, 20)]
        assert sorted(found) == sorted(expected), "found once, wherever they are"
    assert turns > 2 * (len(rows) // 7 + 1), "each share of two trees is a transaction"
    check_tree(catalog, numbers[0], shown)
    check_tree(catalog, numbers[1], rows)
    with catalog.read() as connection:
        assert not file_manifests.has_manifests(connection, numbers[2]), "it is nobody's who serves"
        assert not trees.trees_with_rows(connection, -1, 9)
    delete_tree_rows(catalog, numbers[2])
    with catalog.read() as connection:
        assert connection.execute(select(file.c.n)).first() is None


@pytest.mark.postgresql
def test_an_old_tree_that_is_brought_over_while_it_is_copied_is_copied_whole(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = new_tree(catalog, "current"), new_tree(catalog)
    rows = [file_row(n, n % 3) for n in range(40)]
    with catalog.write() as connection:
        write_rows(connection, old, rows)
        connection.execute(update(file).where(file.c.n < 30).values(verified=77, md5=b"m" * 16))
    copy_batch, batches = trees._copy_batch, []  # noqa: SLF001  what is between its transactions

    def copy_slowly(*values: Any, **options: Any) -> None:
        batches.append(values)
        copy_batch(*values, **options)

    def bring_over() -> None:
        if len(batches) == 2:
            assert not fill_manifests(catalog, 60, lambda: False)

    write = catalog.write

    @contextmanager
    def write_and_bring_over(*, synced: bool = True) -> Iterator[Connection]:
        with write(synced=synced) as connection:
            yield connection
        with monkeypatch.context() as inner:
            inner.setattr(catalog, "write", write)
            bring_over()

    monkeypatch.setattr(trees, "_copy_batch", copy_slowly)
    with monkeypatch.context() as patch:
        patch.setattr(catalog, "write", write_and_bring_over)
        trees.copy_files(catalog, old, new, 39, {5, 12, 33})
    assert len(batches) > 2
    check_tree(catalog, new, [row for row in rows if row.n not in (5, 12, 33)])
    check_tree(catalog, old, rows)
    with catalog.read() as connection:
        for number in (old, new):
            facts = read_learned(connection, number)
            assert [(facts.moment(n), facts.md5(n)) for n in range(40)] == [(77, b"m" * 16)] * 30 + [(None, None)] * 10


@pytest.mark.postgresql
def test_manifests_go_with_their_tree(catalog: Catalog) -> None:
    number = new_tree(catalog)
    trees.write_files(catalog, number, [file_row(n, 0) for n in range(21)])
    delete_tree_rows(catalog, number)
    with catalog.read() as connection:
        assert connection.execute(select(func.count()).select_from(manifest)).scalar_one() == 0
        assert connection.execute(select(tree.c.id)).first() is None


def test_scans_of_few_files_share_a_manifest(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scan of many has its own, so that its page decodes no others."""
    monkeypatch.setattr(file_manifests, "SPLIT_AT", 4)
    tree_id = new_tree(catalog)
    rows = [file_row(n, resource_n) for n, resource_n in enumerate([0, 1, 2, 2, 3, 3, 3, 3, 4])]
    with catalog.write() as connection:
        trees.add_files(connection, tree_id, rows)
        parts = connection.execute(select(manifest.c.first_n, manifest.c.last_n).order_by(manifest.c.first_n)).all()
    assert list(map(tuple, parts)) == [(0, 3), (4, 7), (8, 8)]
    check_tree(catalog, tree_id, rows)
