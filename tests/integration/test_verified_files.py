"""What verification learned of files, as spans and packed MD5s, is what a row a file would say."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, insert, select

from scandock.catalog.engine import Catalog, open_catalog
from scandock.catalog.server_tables import file_md5, verified_files
from scandock.catalog.tables import file, tree
from scandock.catalog.verified_files import (
    SPAN_MS,
    add_digests,
    copy_learned,
    find_learned,
    find_moment,
    forget_verified,
    note_verified,
    pack_digests,
    read_digests,
    read_spans,
    unpack_digests,
)
from scandock.model.errors import Fault

NUMBERS = st.sets(st.integers(0, 40), max_size=30)
DIGESTS = st.dictionaries(st.integers(0, 2**31 - 2), st.binary(min_size=16, max_size=16), max_size=40)


@pytest.fixture
def catalog(database_url: str) -> Iterator[Catalog]:
    opened = open_catalog(database_url)
    yield opened
    opened.dispose()


def new_tree(catalog: Catalog) -> int:
    with catalog.write() as connection:
        key = connection.execute(insert(tree).values(state="current", created=1)).inserted_primary_key
    assert key is not None
    return int(key[0])


def moments(catalog: Catalog, tree_id: int, numbers: set[int]) -> dict[int, int | None]:
    with catalog.read() as connection:
        spans = read_spans(connection, tree_id)
        assert all(one.last < other.first for one, other in pairwise(spans)), "they don't overlap"
        for n in numbers:
            assert find_moment(read_spans(connection, tree_id, n, n), n) == find_moment(spans, n)
    return {n: find_moment(spans, n) for n in numbers}


@given(DIGESTS)
def test_digests_are_unpacked_as_they_were_packed(digests: dict[int, bytes]) -> None:
    body = pack_digests(digests)
    assert unpack_digests(body) == digests
    runs = sum(n - 1 not in digests for n in digests)
    assert len(body) == 5 + 8 * runs + 16 * len(digests)


@given(DIGESTS, st.integers(0, 255), st.booleans())
def test_a_body_of_another_form_is_refused(digests: dict[int, bytes], version: int, cut: bool) -> None:
    body = pack_digests(digests)
    other = body[:-1] if cut else bytes([version if version != 1 else 2]) + body[1:]
    with pytest.raises(Fault) as caught:
        unpack_digests(other)
    assert caught.value.code == "catalog_damaged"


ROUNDS = st.lists(
    st.tuples(
        st.integers(1, 3 * SPAN_MS),
        st.integers(1, 7),
        st.sets(st.integers(0, 40), max_size=12),
        st.sets(st.integers(0, 40), max_size=3),
        st.booleans(),
    ),
    min_size=1,
    max_size=4,
)
"""Milliseconds since the round before, files of a batch, files left out as they were read lately, damaged ones, and
whether some are forgotten afterwards."""


@pytest.mark.postgresql
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(numbers=NUMBERS, rounds=ROUNDS, cut=st.integers(-1, 45))
def test_spans_say_what_a_row_a_file_would(catalog: Catalog, numbers: set[int], rounds, cut: int) -> None:
    tree_id, now = new_tree(catalog), 1_000
    model: dict[int, int | None] = dict.fromkeys(numbers)
    for pause, size, left_out, damaged, forgets in rounds:
        now += pause
        begun, after, ordered = now, -1, sorted(numbers)
        batches = [ordered[at : at + size] for at in range(0, len(ordered), size)] or [[]]
        for batch in batches:
            now += SPAN_MS // 3
            for n in batch:
                if n in damaged:
                    model[n] = None
                elif n not in left_out or model[n] is None:
                    model[n] = now
            until = None if batch is batches[-1] else batch[-1]
            with catalog.write() as connection:
                note_verified(connection, tree_id, (after, until), [(n, model[n]) for n in batch], begun)
            after = batch[-1] if batch else after
        if forgets:
            model |= dict.fromkeys(damaged & numbers)
            with catalog.write() as connection:
                forget_verified(connection, tree_id, damaged)
        stored = moments(catalog, tree_id, numbers)
        for n, exact in model.items():
            assert (stored[n] is None) == (exact is None), "nothing is read whole that was not"
            if exact is not None:
                assert exact - SPAN_MS < (stored[n] or 0) <= exact, "at most an hour earlier"
            model[n] = stored[n]
        with catalog.read() as connection:
            spans = read_spans(connection, tree_id)
        assert all(numbers & set(range(span.first, span.last + 1)) for span in spans), "none is about nothing"
    new = new_tree(catalog)
    with catalog.write() as connection:
        copy_learned(connection, tree_id, new, cut)
    assert moments(catalog, new, set(range(50))) == {
        n: moment if n <= cut else None for n, moment in moments(catalog, tree_id, set(range(50))).items()
    }


@pytest.mark.postgresql
def test_md5s_of_many_files_are_few_rows_and_are_taken_over(catalog: Catalog) -> None:
    first, second, third = new_tree(catalog), new_tree(catalog), new_tree(catalog)
    digests = {n: n.to_bytes(16, "big") for n in range(0, 5_000, 2)}
    with catalog.write() as connection:
        add_digests(connection, first, digests)
        copy_learned(connection, first, second, 3_001)
        copy_learned(connection, first, third, 4_998)
    with catalog.read() as connection:
        assert read_digests(connection, first) == digests == read_digests(connection, third)
        assert read_digests(connection, first, 1_990, 2_003) == {n: digests[n] for n in range(1_990, 2_003, 2)}
        assert read_digests(connection, second) == {n: digests[n] for n in digests if n <= 3_001}
        for numbers in (set[int](), {4}, {0, 1, 4_998}, set(range(0, 9_999, 7))):
            assert find_learned(connection, first, numbers).digests == {n: digests[n] for n in numbers & digests.keys()}
        rows = select(func.count()).select_from(file_md5).where(file_md5.c.tree_id == first)
        assert connection.execute(rows).scalar_one() == 3
    with catalog.write() as connection:  # both go with their tree
        note_verified(connection, second, (-1, None), [(1, 5)], 0)
        connection.execute(tree.delete().where(tree.c.id == second))
    with catalog.read() as connection:
        for table in (file_md5, verified_files):
            rows = select(func.count()).select_from(table).where(table.c.tree_id == second)
            assert connection.execute(rows).scalar_one() == 0


def test_what_a_row_says_of_before_is_forgotten_with_the_span(catalog: Catalog) -> None:
    tree_id = new_tree(catalog)
    facts = {"tree_id": tree_id, "resource_n": 0, "bytes": 1, "sha256": b"s" * 32, "verified": 9}
    with catalog.write() as connection:
        connection.execute(insert(file), [{**facts, "n": n, "name": str(n)} for n in range(3)])
        forget_verified(connection, tree_id, [1])
    with catalog.read() as connection:
        rows = connection.execute(select(file.c.n, file.c.verified).where(file.c.tree_id == tree_id)).all()
    assert {row.n: row.verified for row in rows} == {0: 9, 1: None, 2: 9}
