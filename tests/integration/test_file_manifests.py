"""A tree's manifests say what its rows of files say, whatever is written, copied, dropped, annotated or changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, insert, select, update

from scandock.catalog import file_manifests, trees
from scandock.catalog.engine import Catalog, open_catalog
from scandock.catalog.file_rows import FileRow
from scandock.catalog.tables import file, manifest, tree
from scandock.rules.sop_hashes import sop_hash
from scandock.services.manifest_fill import fill_manifests


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Manifests and batches of a few files, so that each case crosses their edges."""
    monkeypatch.setattr(trees, "BATCH", 7)
    monkeypatch.setattr(file_manifests, "FILES", 5)
    monkeypatch.setattr(file_manifests, "FEW", 2)


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


def rows_alone(catalog: Catalog, tree_id: int) -> list[FileRow]:
    """What the rows of `file` say."""
    query = select(*(file.c[name] for name in FileRow._fields)).where(file.c.tree_id == tree_id).order_by(file.c.n)
    with catalog.read() as connection:
        return [FileRow(*row) for row in connection.execute(query)]


def check_tree(catalog: Catalog, tree_id: int, numbers: tuple[int, int] = (3, 9)) -> list[FileRow]:
    """That a tree has manifests which say what its rows say, by whatever they are asked; these rows."""
    rows = rows_alone(catalog, tree_id)
    with catalog.read() as connection:
        assert file_manifests.has_manifests(connection, tree_id)
        assert list(trees.files_of(connection, tree_id)) == rows
        part = list(file_manifests.read_files(connection, tree_id, *numbers))
        for resources in ({0}, {1, 2}, set[int]()):
            of_resources = list(file_manifests.read_resource_files(connection, tree_id, resources))
            assert of_resources == [row for row in rows if row.resource_n in resources]
        parts = connection.execute(
            select(manifest.c.first_n, manifest.c.last_n, manifest.c.files)
            .where(manifest.c.tree_id == tree_id)
            .order_by(manifest.c.first_n)
        ).all()
    assert part == [row for row in rows if numbers[0] <= row.n <= numbers[1]]
    assert all(0 < one.files <= 5 for one in parts)
    assert sum(one.files for one in parts) == len(rows)
    assert all(one.last_n < other.first_n for one, other in pairwise(parts))
    return rows


def finish(catalog: Catalog, tree_id: int) -> None:
    with catalog.write() as connection:
        trees.mark_manifests(connection, tree_id)


FILES = st.dictionaries(st.integers(0, 30), st.integers(0, 2), max_size=25)


@pytest.mark.postgresql
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    FILES,
    st.sets(st.integers(0, 30)),
    st.lists(st.integers(0, 2), max_size=12),
    st.sets(st.integers(0, 45), max_size=5),
)
def test_manifests_say_what_rows_say(
    catalog: Catalog, before: dict[int, int], dropped: set[int], more: list[int], changed: set[int]
) -> None:
    old, new = new_tree(catalog), new_tree(catalog)
    trees.write_files(catalog, old, [file_row(n, before[n]) for n in sorted(before)])
    finish(catalog, old)
    stood = check_tree(catalog, old)
    assert len(stood) == len(before)

    last = max(before, default=-1)
    trees.copy_files(catalog, old, new, last, dropped)
    trees.write_files(catalog, new, [file_row(n, resource) for n, resource in enumerate(more, last + 1)])
    finish(catalog, new)
    rows = check_tree(catalog, new)
    assert [row.n for row in rows] == [*sorted(before.keys() - dropped), *range(last + 1, last + 1 + len(more))]

    with catalog.write() as connection:
        trees.annotate_files(connection, new, {n: (f"said of {n}", None, "tag") for n in changed})
        values = {n: {"sop_uid": f"1.9.{n}", "frames": n, "dataset_at": 9} for n in changed}
        trees.change_files(connection, new, values)
        trees.change_files(connection, new, {n: {"origin": bytes([n] * 16)} for n in changed})
    rows = check_tree(catalog, new)
    assert {row.n for row in rows if row.content} == {row.n for row in rows if row.sop_uid} == {
        row.n for row in rows if row.origin
    } == changed & {row.n for row in rows}  # fmt: skip
    with catalog.read() as connection:
        hashes = connection.execute(select(file.c.sop_uid, file.c.sop_hash).where(file.c.tree_id == new)).all()
    assert all(row.sop_hash == (row.sop_uid and sop_hash(row.sop_uid)) for row in hashes)
    assert check_tree(catalog, old) == stood, "another tree's are left alone"


def test_what_is_added_bit_by_bit_is_taken_up(catalog: Catalog) -> None:
    number = new_tree(catalog)
    for n in range(20):
        trees.write_files(catalog, number, [file_row(n, 0)])
    finish(catalog, number)
    check_tree(catalog, number)
    with catalog.read() as connection:
        rows = select(func.count()).select_from(manifest).where(manifest.c.tree_id == number)
        assert connection.execute(rows).scalar_one() <= 10


@pytest.mark.postgresql
def test_old_trees_are_filled_a_share_at_a_time_and_changed_meanwhile(catalog: Catalog) -> None:
    numbers = [new_tree(catalog, state) for state in ("current", "retired", "staged")]
    for number in numbers:
        trees.write_files(catalog, number, [file_row(n, 0) for n in range(21)], manifests=False)
    calls = iter(range(9))
    assert fill_manifests(catalog, 60, lambda: next(calls) >= 1), "stopped in the middle of the first tree"
    with catalog.write() as connection:
        assert connection.execute(select(func.count()).select_from(manifest)).scalar_one() > 0
        assert not file_manifests.has_manifests(connection, numbers[0])
        trees.change_files(
            connection, numbers[0], {n: {"sop_uid": "1.2", "frames": 7, "dataset_at": 1} for n in (0, 20)}
        )
    assert [row.frames for row in rows_alone(catalog, numbers[0])] == [7, *[1] * 19, 7]
    assert not fill_manifests(catalog, 60, lambda: False)
    for number in numbers[:2]:
        check_tree(catalog, number)
    with catalog.read() as connection:
        assert not file_manifests.has_manifests(connection, numbers[2]), "who makes a tree writes its manifests"
        assert not trees.trees_without_manifests(connection, -1, 9)


@pytest.mark.postgresql
def test_manifests_go_with_their_tree(catalog: Catalog) -> None:
    number = new_tree(catalog)
    trees.write_files(catalog, number, [file_row(n, 0) for n in range(21)])
    with catalog.write() as connection:
        connection.execute(file.delete().where(file.c.tree_id == number))
        connection.execute(update(tree).where(tree.c.id == number).values(state="retired"))
        connection.execute(tree.delete().where(tree.c.id == number))
    with catalog.read() as connection:
        assert connection.execute(select(func.count()).select_from(manifest)).scalar_one() == 0
