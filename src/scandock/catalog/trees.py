"""The rows of trees: read when a session is joined, written under a new tree before anybody sees it."""

from __future__ import annotations

import json
import zlib
from array import array
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from itertools import islice
from typing import Any, Final, NamedTuple, Self

from sqlalchemy import Connection, RowMapping, bindparam, delete, func, insert, literal, or_, select, update

from scandock.catalog import file_manifests, object_index
from scandock.catalog.dicom_listings import write_listing
from scandock.catalog.engine import Catalog, split_values
from scandock.catalog.file_manifests import MAX_NUMBER
from scandock.catalog.file_rows import FileAnnotations, FileHead, FileRow
from scandock.catalog.manifest_bodies import unpack_row
from scandock.catalog.server_tables import damage
from scandock.catalog.tables import RowState, ecat_file, file, manifest, resource, scan, tree
from scandock.catalog.verified_files import copy_learned, move_learned
from scandock.model.dataclass import dataclass
from scandock.model.series import EcatFacts, SeriesTally
from scandock.rules.scan_ids import sort_key
from scandock.rules.sop_hashes import sop_hash

BATCH = 5_000
"""Rows of one transaction, so that no writer waits long."""
_HASH_PARTS: Final = 64
"""Parts in which UIDs are compared, by 8 bytes each: a million texts take 160 MB."""


@dataclass(slots=True)
class ScanRow:
    """A scan of a tree. `facts` is what its attributes are made from, kept so that more objects can be added to it."""

    n: int
    scan_id: str
    series_uid: str | None
    modality: str = ""
    xsi_type: str = ""
    type: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    facts: SeriesTally | list[EcatFacts] | None = None
    """A DICOM scan's tally, or what an ECAT scan's files say."""
    frames: int = 0
    files: int = 0
    bytes: int = 0

    @classmethod
    def from_row(cls, row: RowMapping) -> Self:
        """A row of `scan`."""
        return cls(
            n=row["n"],
            scan_id=row["scan_id"],
            series_uid=row["series_uid"],
            modality=row["modality"],
            xsi_type=row["xsi_type"],
            type=row["type"],
            attributes=json.loads(row["attributes"]),
            facts=_unpack_facts(row["facts"]),
            frames=row["frames"],
            files=row["files"],
            bytes=row["bytes"],
        )


@dataclass(slots=True)
class ResourceRow:
    n: int
    scan_n: int | None
    label: str
    content: str
    format: str
    files: int = 0
    bytes: int = 0
    tags: str = ""

    @classmethod
    def from_row(cls, row: RowMapping) -> Self:
        """A row of `resource`."""
        return cls(
            n=row["n"],
            scan_n=row["scan_n"],
            label=row["label"],
            content=row["content"],
            format=row["format"],
            files=row["files"],
            bytes=row["bytes"],
            tags=row["tags"],
        )


_SCANS: Final = select(scan).where(scan.c.tree_id == bindparam("tree")).order_by(scan.c.n)
_RESOURCES: Final = select(resource).where(resource.c.tree_id == bindparam("tree")).order_by(resource.c.n)
_ALL_FILES: Final = select(*(file.c[name] for name in FileRow._fields)).where(file.c.tree_id == bindparam("tree"))
_HEADS: Final = (
    select(*(file.c[name] for name in FileHead._fields)).where(file.c.tree_id == bindparam("tree")).order_by(file.c.n)
)
_FILES_BETWEEN: Final = _ALL_FILES.where(file.c.n.between(bindparam("first"), bindparam("last"))).execution_options(
    yield_per=BATCH
)
_FILES: Final = _FILES_BETWEEN.order_by(file.c.n)
_FILES_DOWNWARDS: Final = _FILES_BETWEEN.order_by(file.c.n.desc())
_FILES_NUMBERED: Final = _ALL_FILES.where(file.c.n.in_(bindparam("numbers", expanding=True)))
_FILES_BEHIND: Final = _ALL_FILES.where(file.c.n > bindparam("last")).order_by(file.c.n).limit(bindparam("count"))

_FILE_OF_TREE: Final = select(
    tree.c.file_rows,
    tree.c.created,
    select(manifest.c.body)
    .where(manifest.c.tree_id == bindparam("tree"), manifest.c.first_n <= bindparam("n"))
    .order_by(manifest.c.first_n.desc())
    .limit(1)
    .scalar_subquery()
    .label("body"),
    select(damage.c.id)
    .where(damage.c.tree_id == bindparam("tree"), or_(damage.c.file_n.is_(None), damage.c.file_n == bindparam("n")))
    .exists()
    .label("is_damaged"),
).where(tree.c.id == bindparam("tree"))
"""A tree, and the one of its manifests that has a number, if any has it: they don't overlap."""

_ROWS_OF_OBJECTS: Final = (
    select(file.c.tree_id, *(file.c[name] for name in FileRow._fields))
    .join(tree, tree.c.id == file.c.tree_id)
    .where(tree.c.file_rows == RowState.READ)
)
_BY_HASH: Final = _ROWS_OF_OBJECTS.where(
    file.c.sop_hash.in_(bindparam("hashes", expanding=True)), file.c.sop_uid.in_(bindparam("uids", expanding=True))
)
_UNHASHED: Final = _ROWS_OF_OBJECTS.where(
    file.c.sop_uid.is_not(None), file.c.sop_hash.is_(None), file.c.sop_uid.in_(bindparam("uids", expanding=True))
)
"""Those of versions before hashes."""
_BY_KEY: Final = _ROWS_OF_OBJECTS.where(file.c.sop_key.in_(bindparam("keys", expanding=True)))


def scans_of(connection: Connection, tree_id: int) -> list[ScanRow]:
    return [ScanRow.from_row(row) for row in connection.execute(_SCANS, {"tree": tree_id}).mappings()]


def resources_of(connection: Connection, tree_id: int) -> list[ResourceRow]:
    return [ResourceRow.from_row(row) for row in connection.execute(_RESOURCES, {"tree": tree_id}).mappings()]


def files_of(
    connection: Connection, tree_id: int, first: int = 0, last: int = MAX_NUMBER, *, downwards: bool = False
) -> Generator[FileRow, None, None]:
    """The files of a tree that have numbers from `first` to `last`, by number, streamed."""
    if file_manifests.has_manifests(connection, tree_id):
        yield from file_manifests.read_files(connection, tree_id, first, last, downwards=downwards)
        return
    query = _FILES_DOWNWARDS if downwards else _FILES
    values = {"tree": tree_id, "first": first, "last": last}
    with connection.execute(query, values) as rows:  # who stops half-way leaves PostgreSQL no cursor
        for row in rows:
            yield FileRow(*row)


def heads_of(connection: Connection, tree_id: int) -> Iterator[FileHead]:
    """What lists are sorted and searched by of the files of a tree, by number."""
    if file_manifests.has_manifests(connection, tree_id):
        return file_manifests.read_heads(connection, tree_id)
    return (FileHead(*row) for row in connection.execute(_HEADS, {"tree": tree_id}))


def files_of_resources(
    connection: Connection, tree_id: int, resources: Collection[int], *, downwards: bool = False
) -> Iterator[FileRow]:
    """The files of some resources of a tree, by number, streamed."""
    if not resources:
        return iter(())
    if file_manifests.has_manifests(connection, tree_id):
        return file_manifests.read_resource_files(connection, tree_id, resources, downwards=downwards)
    return (row for row in files_of(connection, tree_id, downwards=downwards) if row.resource_n in resources)


def find_files(connection: Connection, tree_id: int, numbers: Collection[int]) -> list[FileRow]:
    """The files of some numbers of a tree, by number."""
    if file_manifests.has_manifests(connection, tree_id):
        return list(file_manifests.find_files(connection, tree_id, numbers))
    rows = [
        FileRow(*row)
        for part in split_values(sorted(numbers))
        for row in connection.execute(_FILES_NUMBERED, {"tree": tree_id, "numbers": part})
    ]
    return sorted(rows)


class TreeFile(NamedTuple):
    """What whoever reads a file of a tree asks of both."""

    row: FileRow | None
    """None where the tree has no such file."""
    created: int
    """When the tree was made, in Unix milliseconds."""
    is_damaged: bool
    """Whether the file, or the whole folder of the tree, is known to be damaged."""


def find_tree_file(connection: Connection, tree_id: int, n: int) -> TreeFile:
    """The file of a number, by one statement."""
    of_tree = connection.execute(_FILE_OF_TREE, {"tree": tree_id, "n": n}).one()
    if of_tree.file_rows == RowState.READ:
        row = next(iter(find_files(connection, tree_id, {n})), None)
    else:
        row = None if of_tree.body is None else unpack_row(of_tree.body, n)
    return TreeFile(row, of_tree.created, bool(of_tree.is_damaged))


def find_objects(
    connection: Connection, uids: Collection[str], keys: Collection[int] = (), tree_id: int | None = None
) -> Iterator[tuple[int, FileRow]]:
    """The files that have objects, with their trees, also those that nobody may see.

    By the UIDs of objects, and by the keys of those that they had before they were de-identified. `tree_id`: in this
    tree alone.
    """
    yield from object_index.find_rows(connection, uids, keys, tree_id)
    if connection.execute(_ANY_ROWS).first() is None:
        return
    of_trees = [connection.execute(_BY_KEY, {"keys": some}) for some in split_values(keys)]
    for some in split_values(uids):
        hashes = sorted({sop_hash(uid) for uid in some})
        of_trees += [connection.execute(query, {"uids": some, "hashes": hashes}) for query in (_BY_HASH, _UNHASHED)]
    found = {(row[0], row[1]): FileRow(*row[1:]) for rows in of_trees for row in rows}  # some by UID and key
    yield from ((tree, row) for (tree, _), row in found.items() if tree_id in (None, tree))


def has_variants(connection: Connection, tree_id: int) -> bool:
    """Whether a tree has objects that differ under one SOP UID."""
    return count_variants(connection, tree_id) > 0


def count_variants(connection: Connection, tree_id: int) -> int:
    """How many objects of a tree share their SOP UID with one that came before."""
    parts = [array("q") for _ in range(_HASH_PARTS)]
    for row in files_of(connection, tree_id):
        if row.sop_uid is not None:
            number = hash(row.sop_uid)
            parts[number % _HASH_PARTS].append(number)
    return sum(len(part) - len(set(part)) for part in parts)


Check = Callable[[Connection], None]
"""What each transaction begins with that writes under a tree's number: whether the tree is still the writer's own.

May raise. A tree that was removed, as its writer seemed dead, may have left its number to another one.
"""


def check_nothing(_: Connection) -> None:
    """The check of who has a tree that nobody takes over."""


def write_files(catalog: Catalog, tree_id: int, rows: Iterable[FileRow], check: Check = check_nothing) -> None:
    """Add files in batches, each a short transaction of its own, that is not synced: nothing points at a new tree."""
    every = iter(rows)
    while batch := list(islice(every, BATCH)):
        with catalog.write(synced=False) as connection:
            check(connection)
            add_files(connection, tree_id, batch)


def add_files(connection: Connection, tree_id: int, rows: Sequence[FileRow]) -> None:
    """Add files to a tree behind those that it has, as many as fit into one transaction."""
    if rows:
        added = file_manifests.add_files(connection, tree_id, rows)
        object_index.index_files(connection, ((key, row) for key, some in added for row in some))


def copy_files(
    catalog: Catalog, old: int, new: int, last: int, dropped: Collection[int], check: Check = check_nothing
) -> None:
    """Let a new tree hold all files of an old one, numbers kept, but for the dropped ones; `last` is its last one.

    Nothing of it is synced.
    """
    with catalog.read() as connection:
        by_rows = not file_manifests.has_manifests(connection, old)
    for start in range(0, last + 1, BATCH):
        with catalog.write(synced=False) as connection:
            check(connection)
            _copy_batch(connection, old, new, start, dropped, by_rows=by_rows)
    if not by_rows:
        with catalog.write(synced=False) as connection:
            check(connection)
            copy_learned(connection, old, new, last)


def copy_few_files(connection: Connection, old: int, new: int, last: int, dropped: Collection[int]) -> None:
    """The same in one transaction, for a tree whose last number is below `BATCH`."""
    by_rows = not file_manifests.has_manifests(connection, old)
    _copy_batch(connection, old, new, 0, dropped, by_rows=by_rows)
    if not by_rows:
        copy_learned(connection, old, new, last)


def _copy_batch(
    connection: Connection, old: int, new: int, start: int, dropped: Collection[int], *, by_rows: bool
) -> None:
    """Copy the files from number `start` on, as many as fit into one transaction.

    What is known to be damaged of them goes with them: the new tree has the very bytes. `by_rows`: the old tree had
    rows when the copying began, and may have manifests by now; what verification has learned is copied with the files.
    """
    last = start + BATCH - 1
    if by_rows:
        _lock_tree(connection, old)
        rows = list(files_of(connection, old, start, last))
        move_learned(connection, old, new, start - 1, [row.n for row in rows])
        add_files(connection, new, [row for row in rows if row.n not in dropped])
    else:
        file_manifests.copy_files(connection, old, new, (start, last), dropped)
        object_index.index_manifests(connection, new, start)
    columns = [column for column in damage.c if column.name not in ("id", "tree_id")]
    source = select(literal(new), *columns).where(damage.c.tree_id == old, damage.c.file_n.between(start, last))
    connection.execute(insert(damage).from_select(["tree_id", *(c.name for c in columns)], source))
    mend_files(connection, new, (n for n in dropped if start <= n <= last))


def mend_files(connection: Connection, tree_id: int, numbers: Iterable[int]) -> None:
    """Forget the damage of files that are gone from a tree, or whole again."""
    whole = [{"whole": n} for n in numbers]
    if whole:
        where = (damage.c.tree_id == tree_id, damage.c.file_n == bindparam("whole"))
        connection.execute(delete(damage).where(*where), whole)


def annotate_files(connection: Connection, tree_id: int, words: Mapping[int, FileAnnotations]) -> None:
    """Write what people said of single files (content, format, tags) into a tree that nobody sees yet, by number."""
    said = {n: dict(zip(("content", "format", "tags"), annotation, strict=True)) for n, annotation in words.items()}
    file_manifests.change_files(connection, tree_id, said)


def change_files(connection: Connection, tree_id: int, changes: Mapping[int, Mapping[str, Any]]) -> None:
    """Change what a shown tree says of single files, by number: the same columns of each, and their values."""
    if not changes:
        return
    state = _lock_tree(connection, tree_id)
    changed = file_manifests.change_files(connection, tree_id, changes)
    names = list(next(iter(changes.values())))
    if "sop_uid" in names:
        object_index.index_files(connection, ((key, row) for key, rows in changed.items() for row in rows))
    rows = [{"number": n, **{f"new_{name}": change[name] for name in names}} for n, change in changes.items()]
    if "origin" in names:
        of_ecat = (ecat_file.c.tree_id == tree_id, ecat_file.c.n == bindparam("number"))
        connection.execute(update(ecat_file).where(*of_ecat).values(origin=bindparam("new_origin")), rows)
    if state != RowState.READ:
        return
    values: dict[str, object] = {name: bindparam(f"new_{name}") for name in names}
    if "sop_uid" in names:
        values["sop_hash"] = bindparam("new_hash")
        rows = [{**row, "new_hash": sop_hash(row["new_sop_uid"])} for row in rows]
    where = (file.c.tree_id == tree_id, file.c.n == bindparam("number"))
    connection.execute(update(file).where(*where).values(**values), rows)


def move_rows(connection: Connection, tree_id: int) -> bool:
    """Bring over a transaction's share of a shown tree that has rows of files; whether more are to come.

    First they become manifests. Once all of these are there nobody reads the rows, and they go.
    """
    state = _lock_tree(connection, tree_id)
    if state == RowState.READ:
        _write_manifests(connection, tree_id)
    elif state == RowState.REMAINING:
        first = connection.execute(_FIRST_ROW, {"tree": tree_id}).scalar()
        if first is not None:
            rows = (file.c.tree_id == tree_id, file.c.n.between(first, first + BATCH - 1))
            connection.execute(delete(file).where(*rows))
            return True
        connection.execute(update(tree).where(tree.c.id == tree_id).values(file_rows=RowState.NONE))
    return state == RowState.READ


def _write_manifests(connection: Connection, tree_id: int) -> None:
    """Write the next manifests of a tree whose files are rows; with the last ones they are read instead of the rows."""
    last = connection.execute(select(func.max(manifest.c.last_n)).where(manifest.c.tree_id == tree_id)).scalar_one()
    last = -1 if last is None else last
    rows = connection.execute(_FILES_BEHIND, {"tree": tree_id, "last": last, "count": BATCH})
    files = [FileRow(*row) for row in rows]
    move_learned(connection, tree_id, tree_id, last, [row.n for row in files])
    add_files(connection, tree_id, files)
    if len(files) < BATCH:
        connection.execute(update(tree).where(tree.c.id == tree_id).values(file_rows=RowState.REMAINING))


def _lock_tree(connection: Connection, tree_id: int) -> RowState:
    """Keep others from changing what is said of the files of a tree until the transaction ends."""
    query = select(tree.c.file_rows).where(tree.c.id == tree_id).with_for_update(key_share=True)
    return RowState(connection.execute(query).scalar_one_or_none() or RowState.NONE)


def trees_with_rows(connection: Connection, after: int, count: int) -> Sequence[int]:
    """Some shown trees, or trees in the trash, that have rows of files, by their numbers behind one."""
    query = (
        select(tree.c.id)
        .where(tree.c.file_rows > 0, tree.c.state != "staged", tree.c.id > after)
        .order_by(tree.c.id)
        .limit(count)
    )
    return connection.execute(query).scalars().all()


_FIRST_ROW: Final = select(func.min(file.c.n)).where(file.c.tree_id == bindparam("tree"))
_ANY_ROWS: Final = select(tree.c.id).where(tree.c.file_rows > 0).limit(1)


def damaged_files(connection: Connection, tree_id: int) -> dict[int, str]:
    """Number -> kind of what is known to be damaged of a tree; not its folder as a whole."""
    rows = connection.execute(
        select(damage.c.file_n, damage.c.kind).where(damage.c.tree_id == tree_id, damage.c.file_n.is_not(None))
    )
    return {row.file_n: row.kind for row in rows}


_NEW_SCANS: Final = insert(scan)
_NEW_RESOURCES: Final = insert(resource)
_SUM_UP: Final = update(tree).where(tree.c.id == bindparam("of_tree"))


def write_structure(
    connection: Connection,
    tree_id: int,
    scans: Sequence[ScanRow],
    resources: Sequence[ResourceRow],
    instances: Mapping[int, int] | None = None,
) -> None:
    """Write what a tree has beside its files, once these are there: scans, resources, studies, sums.

    `instances`: how many objects of different UIDs each scan has, where that is known without asking its files.
    """
    if scans:
        connection.execute(_NEW_SCANS, [scan_values(tree_id, s) for s in scans])
    if resources:
        connection.execute(
            _NEW_RESOURCES,
            [
                {
                    "tree_id": tree_id, "n": r.n, "scan_n": r.scan_n, "label": r.label, "content": r.content,
                    "format": r.format, "files": r.files, "bytes": r.bytes, "tags": r.tags,
                }
                for r in resources
            ],
        )  # fmt: skip
    _write_ecat_files(connection, tree_id, resources)
    listing = write_listing(connection, tree_id, [(s.n, s.series_uid, s.facts) for s in scans], instances)
    sums = {"files": sum(r.files for r in resources), "bytes": sum(r.bytes for r in resources)}
    connection.execute(_SUM_UP, {"of_tree": tree_id, "listing": listing, **sums})


def _write_ecat_files(connection: Connection, tree_id: int, resources: Sequence[ResourceRow]) -> None:
    """Note the ECAT files among a tree's files, whose rows are written before."""
    numbers = {r.n for r in resources if r.scan_n is not None and r.label.casefold() == "ecat"}
    rows = [
        {"tree_id": tree_id, "n": row.n, "sha256": row.sha256, "origin": row.origin}
        for row in files_of_resources(connection, tree_id, numbers)
    ]
    if rows:
        connection.execute(insert(ecat_file), rows)


def scan_values(tree_id: int, s: ScanRow) -> dict[str, object]:
    """A scan as its row has it."""
    return {
        "tree_id": tree_id, "n": s.n, "scan_id": s.scan_id,
        "sort_key": sort_key(s.scan_id), "series_uid": s.series_uid, "modality": s.modality,
        "xsi_type": s.xsi_type, "type": s.type, "attributes": json.dumps(s.attributes),
        "facts": _pack_facts(s.facts), "frames": s.frames, "files": s.files, "bytes": s.bytes,
    }  # fmt: skip


def _pack_facts(facts: SeriesTally | list[EcatFacts] | None) -> bytes:
    if isinstance(facts, SeriesTally):
        values: dict[str, object] = {
            "study_uid": facts.study_uid,
            "series_uid": facts.series_uid,
            "objects": facts.objects,
            "frames": facts.frames,
            "values": {str(tag): tag_values for tag, tag_values in facts.values.items()},
            "nested": facts.nested,
            "overfull": sorted(facts.overfull),
        }
    elif facts is not None:
        values = {"ecat": [ecat_file._asdict() for ecat_file in facts]}
    else:
        values = {}
    return zlib.compress(json.dumps(values).encode(), 1)


def _unpack_facts(raw: bytes) -> SeriesTally | list[EcatFacts] | None:
    values = json.loads(zlib.decompress(raw))
    if "ecat" in values:
        return [ecat_facts(ecat_values) for ecat_values in values["ecat"]]
    if not values:
        return None
    return SeriesTally(
        values["study_uid"],
        values["series_uid"],
        values["objects"],
        values["frames"],
        {int(tag): tag_values for tag, tag_values in values["values"].items()},
        values["nested"],
        set(values["overfull"]),
    )


def ecat_facts(values: Mapping[str, Any]) -> EcatFacts:
    """ECAT facts from their JSON form."""
    return EcatFacts(**{**values, "frames": tuple(tuple(frame) for frame in values["frames"])})
