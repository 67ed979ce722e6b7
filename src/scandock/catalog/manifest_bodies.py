"""The files of a manifest as bytes: up to 1,000 rows of files in some 45 bytes each (docs/design/0014-manifests.md).

A byte for the version, the length of the packed part, that part (zlib of JSON, a column after the other), then what no
compression makes smaller as it is: the sha256s, origins, fingerprints of rules, and keys of UIDs.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, groupby, pairwise, repeat
from typing import Any, Final

from scandock.catalog.errors import CatalogDamaged
from scandock.catalog.file_rows import FileHead, FileRow
from scandock.rules.filenames import uid_in_name

VERSION: Final = 1
_HEAD: Final = struct.Struct("<BI")
_SHA256: Final = 32
_ORIGIN: Final = 16
_SUFFIX: Final = ".dcm"
_KEY: Final = struct.Struct("<q")


def pack_rows(rows: Sequence[FileRow]) -> bytes:
    """Rows in ascending order of their numbers, as a body."""
    names = [row.name for row in rows]
    shared = _count_all_shared(names)
    columns = [
        len(rows),
        _pack_numbers([row.n for row in rows]),
        _pack_runs([row.resource_n for row in rows]),
        shared,
        [name[length:] for name, length in zip(names, shared, strict=True)],
        [row.bytes for row in rows],
        _pack_runs([row.frames for row in rows]),
        _pack_runs([row.dataset_at for row in rows]),
        _pack_uids(rows),
        _pack_runs([row.content for row in rows]),
        _pack_runs([row.format for row in rows]),
        _pack_runs([row.tags for row in rows]),
        _pack_runs([row.origin is not None for row in rows]),
        _pack_runs([None if row.rules is None else row.rules.hex() for row in rows]),
        _pack_runs([row.sop_key is not None for row in rows]),
    ]
    packed = zlib.compress(json.dumps(columns, separators=(",", ":")).encode(), 6)
    raw = [row.sha256 for row in rows]
    raw += [row.origin for row in rows if row.origin is not None]
    raw += [_KEY.pack(row.sop_key) for row in rows if row.sop_key is not None]
    return b"".join((_HEAD.pack(VERSION, len(packed)), packed, *raw))


def unpack_rows(body: bytes) -> list[FileRow]:
    """The rows of a body. Fault `catalog_damaged` where that is none, or one of a newer version."""
    with _readable():
        return _unpack(*_open_body(body))


def unpack_row(body: bytes, n: int) -> FileRow | None:
    """The row of one file, as `unpack_rows` has it, in a quarter of the time; None where the body has none."""
    with _readable():
        columns, raw = _open_body(body)
        at = _find_number(columns[1], n)
        return None if at is None else _unpack_at(columns, raw, n, at)


def unpack_heads(body: bytes) -> list[FileHead]:
    """As `unpack_rows`, in a third of the time: of each file what lists are sorted and searched by."""
    with _readable():
        (_, numbers, resources, shared, rests, sizes, *_), _raw = _open_body(body)
        names = _unpack_names(shared, rests)
        columns = (_unpack_numbers(numbers), _unpack_runs(resources), names, sizes)
        return list(map(FileHead._make, zip(*columns, strict=True)))


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except (zlib.error, ValueError, TypeError, IndexError, struct.error) as error:
        raise CatalogDamaged(
            "The catalog has the files of a session in a form that this version of Scandock does not know.",
            "Serve the catalog with the version that wrote it, or a copy of it from before.",
        ) from error


def _open_body(body: bytes) -> tuple[Sequence[Any], bytes]:
    """The columns of a body, and its raw part."""
    version, length = _HEAD.unpack_from(body)
    if version != VERSION:
        raise ValueError(f"Version {version} is not known.")
    return json.loads(zlib.decompress(body[_HEAD.size : _HEAD.size + length])), body[_HEAD.size + length :]


def _unpack_names(shared: Iterable[int], rests: Iterable[str]) -> list[str]:
    names: list[str] = []
    name = ""
    for same, rest in zip(shared, rests, strict=True):
        name = name[:same] + rest
        names.append(name)
    return names


def _unpack(columns: Sequence[Any], raw: bytes) -> list[FileRow]:
    count, numbers, resources, shared, rests, sizes, frames, datasets, uids, contents, formats, tags, *others = columns
    with_origin, rules, with_key = (list(_unpack_runs(column)) for column in others)
    names = _unpack_names(shared, rests)
    sops = _unpack_uids(uids, names)
    at_origins = count * _SHA256
    at_keys = at_origins + sum(with_origin) * _ORIGIN
    if len(raw) != at_keys + sum(with_key) * _KEY.size:
        raise ValueError("The raw part has another length.")
    fingerprints = {value: None if value is None else bytes.fromhex(value) for value in set(rules)}
    return list(
        map(
            FileRow._make,
            zip(
                _unpack_numbers(numbers),
                _unpack_runs(resources),
                names,
                sizes,
                _cut(raw[:at_origins], _SHA256),
                sops,
                _unpack_runs(frames),
                _unpack_runs(datasets),
                _unpack_runs(contents),
                _unpack_runs(formats),
                _unpack_runs(tags),
                _spread(with_origin, _cut(raw[at_origins:at_keys], _ORIGIN)),
                (fingerprints[value] for value in rules),
                _spread(with_key, (key for (key,) in _KEY.iter_unpack(raw[at_keys:]))),
                strict=True,
            ),
        )
    )


def _find_number(runs: Iterable[Sequence[int]], n: int) -> int | None:
    """Which of ascending numbers one is, from 0; None: it is not among them."""
    before = 0
    for first, count in runs:
        if first <= n < first + count:
            return before + n - first
        before += count
    return None


def _unpack_at(columns: Sequence[Any], raw: bytes, n: int, at: int) -> FileRow:
    """The row of file `n`, which is the one at `at` of a body, from 0."""
    count, _, resources, shared, rests, sizes, frames, datasets, uids, contents, formats, tags, *others = columns
    with_origin, rules, with_key = others
    at_origins = count * _SHA256
    at_keys = at_origins + _count_true(with_origin, count) * _ORIGIN
    if len(raw) != at_keys + _count_true(with_key, count) * _KEY.size:
        raise ValueError("The raw part has another length.")
    name = _unpack_names(shared[: at + 1], rests[: at + 1])[-1]
    origin_at = at_origins + _count_true(with_origin, at) * _ORIGIN
    fingerprint = _value_at(rules, at)
    return FileRow(
        n,
        _value_at(resources, at),
        name,
        sizes[at],
        raw[at * _SHA256 : (at + 1) * _SHA256],
        name[: -len(_SUFFIX)] if uids is None else dict(uids).get(at, uid_in_name(name) or None),
        _value_at(frames, at),
        _value_at(datasets, at),
        _value_at(contents, at),
        _value_at(formats, at),
        _value_at(tags, at),
        raw[origin_at : origin_at + _ORIGIN] if _value_at(with_origin, at) else None,
        None if fingerprint is None else bytes.fromhex(fingerprint),
        _KEY.unpack_from(raw, at_keys + _count_true(with_key, at) * _KEY.size)[0] if _value_at(with_key, at) else None,
    )


def _value_at(runs: Iterable[Sequence[Any]], at: int) -> Any:  # noqa: ANN401  of whatever column
    """The value at a place of what `_unpack_runs` gives."""
    for value, count in runs:
        if at < count:
            return value
        at -= count
    raise IndexError(at)


def _count_true(runs: Iterable[Sequence[Any]], end: int) -> int:
    """How many of the first `end` values of a column are true."""
    total = 0
    for value, count in runs:
        total += min(count, end) if value else 0
        end -= min(count, end)
    return total


def _count_all_shared(names: Sequence[str]) -> list[int]:
    """How many characters each name begins with that are those of the name before."""
    counts = [0] * len(names)
    count = 0
    for at, (one, other) in enumerate(pairwise(names), 1):
        # most often as many as at the name before
        if one[:count] != other[:count] or one[count : count + 1] == other[count : count + 1]:
            count = _count_shared(one, other)
        counts[at] = count
    return counts


def _count_shared(one: str, other: str) -> int:
    """How many characters both begin with."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _pack_uids(rows: Sequence[FileRow]) -> list[tuple[int, str | None]] | None:
    """The UIDs that the names don't say, with their places; None where each file is called by its UID alone."""
    if all(row.sop_uid and row.name == f"{row.sop_uid}{_SUFFIX}" for row in rows):
        return None
    return [(at, row.sop_uid) for at, row in enumerate(rows) if row.sop_uid != (uid_in_name(row.name) or None)]


def _unpack_uids(others: Sequence[Any] | None, names: Iterable[str]) -> list[str | None]:
    if others is None:
        return [name[: -len(_SUFFIX)] for name in names]
    uids = [uid_in_name(name) or None for name in names]
    for at, uid in others:
        uids[at] = uid
    return uids


def _pack_numbers(numbers: Sequence[int]) -> list[list[int]]:
    """Ascending numbers as runs: the first, and how many follow one another."""
    runs: list[list[int]] = []
    for n in numbers:
        if runs and sum(runs[-1]) == n:
            runs[-1][1] += 1
        elif runs and n < sum(runs[-1]):
            raise ValueError(f"File {n} does not ascend.")
        else:
            runs.append([n, 1])
    return runs


def _unpack_numbers(runs: Iterable[Sequence[int]]) -> Iterator[int]:
    return (n for first, count in runs for n in range(first, first + count))


def _pack_runs(values: Iterable[object]) -> list[list[object]]:
    """Values as runs: each with how often it comes in a row."""
    return [[value, sum(1 for _ in same)] for value, same in groupby(values)]


def _unpack_runs(runs: Iterable[Sequence[Any]]) -> Iterator[Any]:
    return chain.from_iterable(repeat(value, count) for value, count in runs)


def _cut(raw: bytes, size: int) -> Iterator[bytes]:
    """Pieces of one size."""
    return (raw[at : at + size] for at in range(0, len(raw), size))


def _spread(present: Iterable[bool], values: Iterator[Any]) -> Iterator[Any]:
    """The next value where there is one, else None."""
    return (next(values) if is_present else None for is_present in present)
