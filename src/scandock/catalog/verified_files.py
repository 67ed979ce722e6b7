"""What verification learned of the files of a tree: when they were read whole, by spans of numbers, and their MD5s.

Never a row a file (docs/design/0014-manifests.md). Who writes them holds the lock of the tree's row, or makes the tree.
"""

from __future__ import annotations

import struct
import sys
from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, bindparam, delete, insert, literal, or_, select, update

from scandock.catalog.errors import CatalogDamaged
from scandock.catalog.file_manifests import MAX_NUMBER, has_manifests, parts_with
from scandock.catalog.server_tables import file_md5, verified_files
from scandock.catalog.tables import file
from scandock.model.dataclass import dataclass

SPAN_MS: Final = 3_600_000
"""How long after a span was begun more files are added to it."""
DIGESTS_OF_A_ROW: Final = 1_000
_READ_AT_ONCE: Final = 50
"""Rows of digests that are fetched at once: up to 800 kB."""
_VERSION: Final = 1
_HEAD: Final = struct.Struct("<BI")
_RUN: Final = struct.Struct("<II")
_MD5_BYTES: Final = 16


class VerifiedSpan(NamedTuple):
    """Files of a tree, by their numbers, that were all read whole at a moment or soon after."""

    first: int
    last: int
    verified: int
    """Unix milliseconds."""


def find_moment(spans: Sequence[VerifiedSpan], n: int) -> int | None:
    """When a file was read whole, by sorted spans; None: it was not."""
    at = bisect_right(spans, n, key=lambda span: span.first) - 1
    return spans[at].verified if at >= 0 and n <= spans[at].last else None


@dataclass(frozen=True, slots=True)
class LearnedFacts:
    """What verification learned of files of a tree."""

    spans: Sequence[VerifiedSpan]
    digests: Mapping[int, bytes]
    old_moments: Mapping[int, int]
    """When files of trees from before manifests were read whole, where no span says it."""

    def moment(self, n: int) -> int | None:
        """When a file was read whole; None: it was not."""
        return find_moment(self.spans, n) or self.old_moments.get(n)

    def md5(self, n: int) -> bytes | None:
        """The MD5 of a file, as far as it is known."""
        return self.digests.get(n)


def read_learned(connection: Connection, tree_id: int, first: int = 0, last: int = MAX_NUMBER) -> LearnedFacts:
    """What is known of the files of a tree from `first` to `last`."""
    return _make_facts(
        read_spans(connection, tree_id, first, last),
        read_digests(connection, tree_id, first, last),
        _read_old(connection, tree_id, first, last),
    )


def find_learned(connection: Connection, tree_id: int, numbers: Collection[int]) -> LearnedFacts:
    """What is known of some files of a tree: of those between them, however many there are, no MD5 is read."""
    if not numbers:
        return LearnedFacts([], {}, {})
    first, last = min(numbers), max(numbers)
    return _make_facts(
        read_spans(connection, tree_id, first, last),
        _find_digests(connection, tree_id, numbers),
        [row for row in _read_old(connection, tree_id, first, last) if row.n in numbers],
    )


def _make_facts(spans: Sequence[VerifiedSpan], digests: dict[int, bytes], old: Iterable[Row[Any]]) -> LearnedFacts:
    """`old`: rows of files, which trees from before manifests have."""
    rows = list(old)
    return LearnedFacts(
        spans,
        {**{row.n: row.md5 for row in rows if row.md5 is not None}, **digests},
        {row.n: row.verified for row in rows if row.verified is not None},
    )


def _read_old(connection: Connection, tree_id: int, first: int, last: int) -> Iterable[Row[Any]]:
    if has_manifests(connection, tree_id):
        return ()
    return connection.execute(_COLUMNS, {"tree": tree_id, "first": first, "last": last})


def move_learned(connection: Connection, old: int, new: int, after: int, numbers: Sequence[int]) -> None:
    """Let a tree have in spans and digests what is known of the files of an old one, whose files are rows.

    Of those behind `after`, which are `numbers`. The new tree may be the old one.
    """
    if numbers:
        facts = read_learned(connection, old, numbers[0], numbers[-1])
        known = read_digests(connection, new, numbers[0], numbers[-1])
        add_digests(connection, new, {n: digest for n, digest in facts.digests.items() if n not in known})
        moments = [(n, facts.moment(n)) for n in numbers]
        note_verified(connection, new, (after, numbers[-1]), moments, sys.maxsize)


def read_spans(connection: Connection, tree_id: int, first: int = 0, last: int = MAX_NUMBER) -> list[VerifiedSpan]:
    """The spans that have numbers from `first` to `last`, sorted."""
    rows = connection.execute(_SPANS, {"tree": tree_id, "first": first, "last": last})
    return [VerifiedSpan(*row) for row in rows]


def note_verified(
    connection: Connection,
    tree_id: int,
    numbers: tuple[int, int | None],
    files: Iterable[tuple[int, int | None]],
    round_begun: int,
) -> None:
    """Note of all files behind the first of `numbers`, up to the second (None: to the end), when they were read whole.

    `files` are these by number, None where one was not. A span is lengthened that the same round has just begun.
    """
    after, until = numbers[0], MAX_NUMBER if numbers[1] is None else numbers[1]
    spans: list[VerifiedSpan] = []
    gap = True
    for n, verified in files:
        if verified is None:
            gap = True
        elif not gap and spans[-1].verified == verified:
            spans[-1] = spans[-1]._replace(last=n)
        else:
            spans.append(VerifiedSpan(n, n, verified))
            gap = False
    before = read_spans(connection, tree_id, max(after, 0), until)
    kept = [span._replace(last=min(span.last, after)) for span in before if span.first <= after]
    kept += [span._replace(first=until + 1) for span in before if span.last > until]
    starts_at_once = bool(spans) and spans[0].first == next((n for n, _ in files), None)
    if kept and starts_at_once and kept[0].last == after:
        last = kept[0]
        if round_begun <= last.verified <= spans[0].verified < last.verified + SPAN_MS:
            spans[0] = VerifiedSpan(last.first, spans[0].last, last.verified)
            kept = kept[1:]
    _replace_spans(connection, tree_id, before, sorted([*kept, *spans]))


def forget_verified(connection: Connection, tree_id: int, numbers: Collection[int]) -> None:
    """Have files of a tree read again as soon as its turn comes, as if nobody had yet."""
    if not numbers:
        return
    before = read_spans(connection, tree_id, min(numbers), max(numbers))
    gone, after = sorted(numbers), []
    for span in before:
        first = span.first
        for n in gone[bisect_right(gone, span.first - 1) : bisect_right(gone, span.last)]:
            if first < n:
                after.append(VerifiedSpan(first, n - 1, span.verified))
            first = n + 1
        if first <= span.last:
            after.append(span._replace(first=first))
    _replace_spans(connection, tree_id, before, after)
    # trees from before these spans
    where = (file.c.tree_id == tree_id, file.c.n == bindparam("again"), file.c.verified.is_not(None))
    connection.execute(update(file).where(*where).values(verified=None), [{"again": n} for n in gone])


def read_digests(connection: Connection, tree_id: int, first: int = 0, last: int = MAX_NUMBER) -> dict[int, bytes]:
    """The MD5s, by number, that are known of the files of a tree from `first` to `last`."""
    digests: dict[int, bytes] = {}
    for row in connection.execute(_DIGESTS, {"tree": tree_id, "first": first, "last": last}):
        digests.update(unpack_digests(row.body))
    if first > 0 or last < MAX_NUMBER:
        return {n: digest for n, digest in digests.items() if first <= n <= last}
    return digests


def _find_digests(connection: Connection, tree_id: int, numbers: Collection[int]) -> dict[int, bytes]:
    """The MD5s that are known of some files, by number."""
    ends = {"tree": tree_id, "first": min(numbers), "last": max(numbers)}
    rows = iter(parts_with(connection.execute(_DIGEST_ROWS, ends).all(), numbers))
    digests: dict[int, bytes] = {}
    while some := [row.first_n for row in islice(rows, _READ_AT_ONCE)]:
        for row in connection.execute(_DIGESTS_OF_ROWS, {"tree": tree_id, "rows": some}):
            digests.update((n, digest) for n, digest in unpack_digests(row.body).items() if n in numbers)
    return digests


def add_digests(connection: Connection, tree_id: int, digests: Mapping[int, bytes]) -> None:
    """Note the MD5s of files of which none is known."""
    numbers = iter(sorted(digests))
    rows = []
    while part := list(islice(numbers, DIGESTS_OF_A_ROW)):
        body = pack_digests({n: digests[n] for n in part})
        rows.append({"tree_id": tree_id, "first_n": part[0], "last_n": part[-1], "body": body})
    if rows:
        connection.execute(insert(file_md5), rows)


def copy_learned(connection: Connection, old: int, new: int, last: int) -> None:
    """Let a new tree have what is known of the files that it takes over from an old one, whose last number is `last`.

    The numbers behind it are those of other files: what is said of them in the old tree is of files that are gone.
    """
    for table in (verified_files, file_md5):
        columns = [column for column in table.c if column.name != "tree_id"]
        source = select(literal(new), *columns).where(table.c.tree_id == old, table.c.last_n <= last)
        connection.execute(insert(table).from_select(["tree_id", *(column.name for column in columns)], source))
    beyond = [span for span in read_spans(connection, old, last, last) if span.last > last]
    _replace_spans(connection, new, [], [span._replace(last=last) for span in beyond])
    where = (file_md5.c.tree_id == old, file_md5.c.first_n <= last, file_md5.c.last_n > last)
    for row in connection.execute(select(file_md5.c.body).where(*where)).all():
        kept = {n: digest for n, digest in unpack_digests(row.body).items() if n <= last}
        add_digests(connection, new, kept)


def pack_digests(digests: Mapping[int, bytes]) -> bytes:
    """MD5s by number as a body of `file_md5`: a version, how many runs of numbers, these, and the digests."""
    runs: list[list[int]] = []
    for n in sorted(digests):
        if runs and sum(runs[-1]) == n:
            runs[-1][1] += 1
        else:
            runs.append([n, 1])
    packed_runs = b"".join(_RUN.pack(*run) for run in runs)
    return _HEAD.pack(_VERSION, len(runs)) + packed_runs + b"".join(digests[n] for n in sorted(digests))


def unpack_digests(body: bytes) -> dict[int, bytes]:
    """MD5s by number. Fault `catalog_damaged` where that is no body."""
    try:
        version, count = _HEAD.unpack_from(body)
        at = _HEAD.size + count * _RUN.size
        runs = [_RUN.unpack_from(body, _HEAD.size + i * _RUN.size) for i in range(count)]
    except struct.error:
        version, at, runs = 0, 0, []
    numbers = [n for first, length in runs for n in range(first, first + length)]
    if version != _VERSION or len(body) != at + len(numbers) * _MD5_BYTES:
        raise CatalogDamaged(
            "The catalog has checksums of files in a form that this version of Scandock does not know.",
            "Serve the catalog with the version that wrote it, or a copy of it from before.",
        )
    return {n: body[at + i * _MD5_BYTES : at + (i + 1) * _MD5_BYTES] for i, n in enumerate(numbers)}


_COLUMNS: Final = select(file.c.n, file.c.md5, file.c.verified).where(
    file.c.tree_id == bindparam("tree"),
    file.c.n.between(bindparam("first"), bindparam("last")),
    or_(file.c.md5.is_not(None), file.c.verified.is_not(None)),
)
_SPANS: Final = (
    select(verified_files.c.first_n, verified_files.c.last_n, verified_files.c.verified)
    .where(
        verified_files.c.tree_id == bindparam("tree"),
        verified_files.c.first_n <= bindparam("last"),
        verified_files.c.last_n >= bindparam("first"),
    )
    .order_by(verified_files.c.first_n)
)
_DIGESTS: Final = select(file_md5.c.body).where(
    file_md5.c.tree_id == bindparam("tree"),
    file_md5.c.first_n <= bindparam("last"),
    file_md5.c.last_n >= bindparam("first"),
)
_DIGEST_ROWS: Final = _DIGESTS.with_only_columns(file_md5.c.first_n, file_md5.c.last_n)
_DIGESTS_OF_ROWS: Final = select(file_md5.c.body).where(
    file_md5.c.tree_id == bindparam("tree"), file_md5.c.first_n.in_(bindparam("rows", expanding=True))
)


def _replace_spans(
    connection: Connection, tree_id: int, before: Sequence[VerifiedSpan], after: Sequence[VerifiedSpan]
) -> None:
    gone = [{"first": span.first} for span in before if span not in after]
    if gone:
        where = (verified_files.c.tree_id == tree_id, verified_files.c.first_n == bindparam("first"))
        connection.execute(delete(verified_files).where(*where), gone)
    come = [
        {"tree_id": tree_id, "first_n": span.first, "last_n": span.last, "verified": span.verified}
        for span in after
        if span not in before
    ]
    if come:
        connection.execute(insert(verified_files), come)
