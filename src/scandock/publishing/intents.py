"""The intent: everything that is about to be shown, in one transaction, before any name changes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, field, replace
from functools import cache
from typing import Any, Self

from sqlalchemy import Connection, Insert, RowMapping, Select, bindparam, insert, select, update

from scandock.catalog.engine import Catalog, database_now
from scandock.catalog.own_resources import current_tree_id
from scandock.catalog.records import ScanEdit, SessionFacts
from scandock.catalog.tables import IntentKind, intent, tree, upload
from scandock.model.dataclass import dataclass
from scandock.model.errors import Fault
from scandock.model.import_report import ImportOutcome, format_outcome
from scandock.publishing.deletes import Removal, check_standing, new_trash_id, record_removals
from scandock.publishing.errors import BaseChanged, FolderUnknown
from scandock.queue.leases import ImportLease, Lease, OperationLease, check_lease
from scandock.rules.labels import label_key
from scandock.store.paths import RelPath, TreePath, parse_rel, parse_tree
from scandock.store.port import Mark, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRow(SessionFacts):
    """What the catalog will say of a session once its tree is shown; `uuid` of an existing one, or a new one."""

    new: bool
    make_subject: bool
    """In the archive a session's subject is a row of its own; in the prearchive only a label."""
    key: str
    patient_ids: list[str] = field(default_factory=list)
    edits: list[ScanEdit] = field(default_factory=list)
    """Of a new one: what a person said of its scans, as rows without its number, which it does not have yet."""

    @classmethod
    def of(cls, source: SessionFacts, *, new: bool = False, **changes: Any) -> Self:  # noqa: ANN401  its fields
        """That of a session that stands, or that comes back (`new`), with some of it changed."""
        label = changes.get("label", source.label)
        patients = [source.patient_token] if source.patient_token else []
        derived = {"make_subject": source.place == "archive", "key": label_key(label), "patient_ids": patients}
        return cls(**{**source.facts(), **derived, **changes}, new=new)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnResourcesRow:
    """The same of own resources: the files that a project, or a subject, has of its own."""

    uuid: str
    new: bool
    project_id: int
    subject_id: int | None
    key: str
    files: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """The switch of one session, or shelf: the staged tree, the name it gets, and the tree that stands there now."""

    n: int
    name: TreePath
    staged: RelPath | None
    """None where the tree is no staged one: it moves, or comes back."""
    mark: Mark
    tree_id: int
    base_tree_id: int | None
    base_mark: Mark | None
    keep_base: bool
    """Whether the replaced tree goes to the trash (something was taken out) or is given up (only added to)."""
    session: SessionRow | OwnResourcesRow
    trash: str | None = None
    """The id that the replaced tree gets in the trash, chosen before, so that no repetition makes a second one."""
    moves: TreePath | None = None
    """The name at which the tree stands now, where it is no staged one but a session's that moves."""
    restores: str | None = None
    """The id under which the tree lies in the trash, where it comes back from there."""
    discard: bool = False
    """The replaced tree is not kept in the trash, as nobody may know of it."""

    @property
    def staged_path(self) -> RelPath:
        """Where the tree is in the stage. ValueError of one that is not there."""
        if self.staged is None:
            raise ValueError(f"{self.name} has no staged tree")
        return self.staged

    @property
    def kind(self) -> IntentKind:
        """What it does."""
        if self.moves is not None:
            return IntentKind.MOVE
        return IntentKind.PUBLISH if self.restores is None else IntentKind.RESTORE

    @classmethod
    def from_row(cls, row: RowMapping) -> Self:
        """A row of `intent`."""
        facts = json.loads(row["session"])
        trash, moves, restores = facts.pop("trash"), facts.pop("moves", None), facts.pop("restores", None)
        stamp = facts.pop("stamp", None)  # an older version recorded none
        base_number = row["base_inode"]
        discard = facts.pop("discard", False)
        is_shelf = facts.pop("shelf", False)
        session_row = OwnResourcesRow(**facts) if is_shelf else SessionRow(**{**facts, "held": tuple(facts["held"])})
        return cls(
            n=row["n"],
            name=parse_tree(row["name"]),
            staged=parse_rel(row["staged"]) if row["staged"] is not None else None,
            mark=Mark(row["inode"], stamp),
            tree_id=row["tree_id"],
            base_tree_id=row["base_tree_id"],
            base_mark=None if base_number is None else Mark(base_number),
            keep_base=row["keep_base"],
            moves=parse_tree(moves) if moves is not None else None,
            restores=restores,
            session=session_row,
            trash=trash,
            discard=discard,
        )

    def columns(self) -> dict[str, object]:
        """The columns of a row that say this, but for whose it is."""
        session_values = {
            **asdict(self.session),
            "shelf": isinstance(self.session, OwnResourcesRow),
            "trash": self.trash,
            "moves": self.moves,
            "restores": self.restores,
            "discard": self.discard,
            "stamp": self.mark.stamp,
        }
        return {
            "n": self.n,
            "state": "intent",
            "kind": self.kind,
            "name": self.name,
            "staged": self.staged,
            "inode": self.mark.number,
            "base_inode": None if self.base_mark is None else self.base_mark.number,
            "base_tree_id": self.base_tree_id,
            "tree_id": self.tree_id,
            "keep_base": self.keep_base,
            "session": json.dumps(session_values),
        }


def record_import(
    catalog: Catalog,
    store: Store,
    connection: Connection,
    lease: ImportLease,
    placements: list[Placement],
    outcome: ImportOutcome,
    removals: Sequence[Removal] = (),
) -> None:
    """Write the intents of an import, and the outcome that they lead to. From here on it only rolls forward.

    Fault `base_changed` or `name_taken` where that would not end well.
    """
    _record(catalog, store, connection, lease, placements, removals)
    connection.execute(update(upload).where(upload.c.id == lease.upload_id).values(report=format_outcome(outcome)))


def record_operation(
    catalog: Catalog,
    store: Store,
    connection: Connection,
    lease: OperationLease,
    placements: list[Placement],
    removals: Sequence[Removal],
    *,
    origin: int | None,
) -> None:
    """Write the intents of an operation; its trees become those of the import `origin`, or of none.

    Fault as `record`.
    """
    _record(catalog, store, connection, lease, placements, removals)
    connection.execute(update(tree).where(lease.holds(tree)).values(upload_id=origin))


def _record(
    catalog: Catalog,
    store: Store,
    connection: Connection,
    lease: Lease,
    placements: list[Placement],
    removals: Sequence[Removal],
) -> None:
    check_lease(catalog, connection, lease)
    for placement in placements:
        stays = placement.moves == placement.name  # another subject, or no longer held
        if placement.base_tree_id is None and not stays and store.current(placement.name) is not None:
            raise name_taken_fault(placement.name)
    for placement in placements:
        base = placement.base_tree_id
        if base is not None and current_tree_id(connection, placement.session.uuid) != base:
            raise BaseChanged(f"{placement.name} was changed while this was being placed.", "Do it again.")
    for placement in placements:
        if placement.moves is not None:
            check_standing(
                store, connection, placement.session.uuid, placement.tree_id, placement.moves, placement.mark
            )
    for removal in removals:
        check_standing(store, connection, removal.uuid, removal.tree_id, removal.name, removal.mark)
    record_removals(connection, lease, removals)
    if placements:
        recorded = [
            replace(placement, trash=new_trash_id(catalog, store, connection) if placement.keep_base else None)
            for placement in placements
        ]
        connection.execute(insert(intent), [{**lease.mark(), **placement.columns()} for placement in recorded])


def recorded_placements(connection: Connection, lease: Lease) -> list[Placement]:
    """The placements of an import, or an operation, that are not published yet, in order."""
    return _placements(connection, lease, "intent")


def published_placements(connection: Connection, lease: Lease) -> list[Placement]:
    """The placements that are visible, but whose replaced trees may still have to be put away."""
    return _placements(connection, lease, "published")


@cache
def _placements_of(kind: type[Lease]) -> Select[Any]:
    held = intent.c[kind.column] == bindparam("lease_row")
    wanted = intent.c.state == bindparam("intent_state")
    return select(intent).where(held, wanted, intent.c.kind != IntentKind.REMOVE).order_by(intent.c.n)


def _placements(connection: Connection, lease: Lease, state: str) -> list[Placement]:
    parameters = {"lease_row": lease.row_id, "intent_state": state}
    rows = connection.execute(_placements_of(type(lease)), parameters).mappings()
    return [Placement.from_row(row) for row in rows]


def name_taken_fault(name: TreePath) -> Fault:
    """Why a tree can't have its name."""
    return FolderUnknown(name)


def new_tree(catalog: Catalog, connection: Connection, lease: Lease) -> int:
    """A tree to write rows under; invisible until a session points at it. TokenLost."""
    check_lease(catalog, connection, lease)
    key = connection.execute(_tree_insertion(sqlite=catalog.sqlite), lease.mark()).inserted_primary_key
    assert key is not None
    number: int = key[0]
    return number


@cache
def _tree_insertion(*, sqlite: bool) -> Insert:
    return insert(tree).values(state="staged", created=database_now(sqlite=sqlite))
