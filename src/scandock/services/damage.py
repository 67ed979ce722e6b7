"""Damage: stored files that are not what they were, as verification found them, for administrators and owners."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, and_, func, literal, select, true, union_all

from scandock.access.principal import AccessDenied
from scandock.access.visibility import projects_where
from scandock.catalog.engine import split_values
from scandock.catalog.own_resources import Holder, find_holder
from scandock.catalog.server_tables import account, damage, member, verification
from scandock.catalog.tables import project, session, shelf, subject
from scandock.catalog.tree_places import read_places
from scandock.catalog.trees import find_files
from scandock.model.dataclass import dataclass
from scandock.rules.permissions import Action
from scandock.services import own_resources, rights
from scandock.services.audit import AuditAction
from scandock.services.context import ServiceContext
from scandock.services.file_verification import VerificationCounts, VerificationPlan, mark_for_verification, verify_tree
from scandock.services.pagination import Page, Sorting, read_rows
from scandock.services.records import Damage, StoredFile
from scandock.services.session_errors import SessionUnknown
from scandock.web import urls

KINDS: Final = ("changed", "missing", "unreadable", "folder_missing")
"""How a file is damaged: its bytes are others, it is gone, the disk does not give it; or the whole folder is gone."""

SORTS: Final = {"found": damage.c.found}
"""What the list may be sorted by."""


def list_damage(
    connection: Connection, context: ServiceContext, sorting: Sorting, *, project_name: str | None = None
) -> Page[Damage]:
    """What is damaged, of the projects whose damage the principal may see; the earliest found first unless asked
    otherwise. What is in the trash is not listed.
    """
    rights.check_scope(context.principal, Action.DAMAGE_READ)
    query = _select_damage().where(projects_where(context.principal, Action.DAMAGE_READ))
    if project_name is not None:
        rights.check(connection, context.principal, Action.DAMAGE_READ, project_name)
        query = query.where(project.c.key == project_name.casefold())
    rows, following = read_rows(connection, query, SORTS, damage.c.id, sorting)
    return Page(_make_damage(connection, rows), following)


def _select_holders() -> Any:  # noqa: ANN401  a Subquery
    """Sessions, and what projects and subjects have of their own, by their trees."""
    sessions = select(
        session.c.tree_id, session.c.project_id, session.c.uuid, session.c.place, session.c.timestamp,
        session.c.subject, session.c.label,
    )  # fmt: skip
    of_resources = select(
        shelf.c.tree_id, shelf.c.project_id, shelf.c.uuid, literal("resources").label("place"),
        literal("").label("timestamp"), func.coalesce(subject.c.label, "").label("subject"),
        literal("").label("label"),
    ).outerjoin(subject, subject.c.id == shelf.c.subject_id)  # fmt: skip
    return union_all(sessions, of_resources).subquery("holder")


def _select_damage() -> Select[Any]:
    holder = _select_holders()
    return (
        select(
            damage.c.id, damage.c.tree_id, damage.c.file_n, damage.c.kind, damage.c.bytes, damage.c.found,
            project.c.name.label("project"), holder.c.uuid, holder.c.place, holder.c.timestamp,
            holder.c.subject, holder.c.label,
        )
        .join(holder, holder.c.tree_id == damage.c.tree_id)
        .join(project, project.c.id == holder.c.project_id)
    )  # fmt: skip


def _make_damage(connection: Connection, rows: Sequence[RowMapping]) -> list[Damage]:
    """Rows of `_select_damage` as records, with what the catalog says of the files."""
    numbers: dict[int, set[int]] = defaultdict(set)
    for row in rows:
        if row["file_n"] is not None:
            numbers[row["tree_id"]].add(row["file_n"])
    stored: dict[tuple[int, int], StoredFile] = {}
    for tree_id, of_tree in numbers.items():
        places = read_places(connection, tree_id)
        for file_row in find_files(connection, tree_id, of_tree):
            if file_row.resource_n in places:
                stored[tree_id, file_row.n] = StoredFile.make(file_row, places[file_row.resource_n])
    return [Damage.from_row(row, stored.get((row["tree_id"], row["file_n"]))) for row in rows]


def count_damage(connection: Connection) -> dict[str, int]:
    """How many are damaged by kind, over the site, for its metrics."""
    holder = _select_holders()
    rows = connection.execute(
        select(damage.c.kind, func.count().label("n"))
        .join(holder, holder.c.tree_id == damage.c.tree_id)
        .group_by(damage.c.kind)
    )
    return {row.kind: row.n for row in rows}


@dataclass(frozen=True, slots=True)
class DamageFigures:
    """What is damaged, for a message: how much, when it was found last, and the newest by name."""

    files: int
    sessions: int
    found: int
    newest: int
    """The id of what was found last; 0 where nothing is damaged."""
    named: list[Damage]
    page: str
    """Where all of it is listed for who is told."""


MAX_NAMED: Final = 20


def read_damage_figures(connection: Connection, *, project_id: int | None, account_id: int | None) -> DamageFigures:
    """What is damaged in a project, or in all that an account answers for: as an administrator, of the site."""
    holder = _select_holders()
    if account_id is None:
        name = connection.execute(select(project.c.name).where(project.c.id == project_id)).scalar_one()
        where, page = project.c.id == project_id, urls.project_page(name, "damage")
    elif connection.execute(select(account.c.admin).where(account.c.id == account_id)).scalar_one():
        where, page = true(), urls.admin_page("damage")
    else:
        owned = select(member.c.project_id).where(member.c.account_id == account_id, member.c.role == "owner")
        where, page = project.c.id.in_(owned), urls.PROJECTS
    totals = connection.execute(
        select(func.count(), func.count(damage.c.tree_id.distinct()), func.max(damage.c.found), func.max(damage.c.id))
        .join(holder, holder.c.tree_id == damage.c.tree_id)
        .join(project, project.c.id == holder.c.project_id)
        .where(where)
    ).one()
    newest = _select_damage().where(where).order_by(damage.c.id.desc()).limit(MAX_NAMED)
    named = _make_damage(connection, connection.execute(newest).mappings().all())
    return DamageFigures(totals[0], totals[1], totals[2] or 0, totals[3] or 0, named, page)


def read_verification_ages(connection: Connection) -> tuple[int | None, int]:
    """When the file was read that waits the longest for being read again, and how many trees nobody has read whole."""
    holder = _select_holders()
    row = connection.execute(
        select(func.min(verification.c.oldest), func.count().filter(verification.c.finished.is_(None)))
        .select_from(holder)
        .outerjoin(verification, verification.c.tree_id == holder.c.tree_id)
    ).one()
    return row[0], row[1]


def count_damaged_files(tree_id: ColumnElement[int]) -> ColumnElement[int]:
    """How many files of a tree are damaged, for a query that has the tree."""
    return select(func.count()).where(damage.c.tree_id == tree_id).scalar_subquery()


def verify_damaged_again(context: ServiceContext, project_name: str | None = None) -> int:
    """Have all that is damaged read again before all else: of a project, or wherever the principal may ask it.

    Gives of how many sessions, and projects and subjects with files of their own. AccessDenied.
    """
    return len(_request_damaged(context, project_name))


class _DamagedHolder(NamedTuple):
    """A session, or what a project or subject has of its own, that has damage."""

    uuid: str
    tree_id: int
    project: str


def _request_damaged(context: ServiceContext, project_name: str | None) -> list[_DamagedHolder]:
    with context.catalog.write() as connection:
        holders = _find_damaged(connection, context, project_name)
        mark_for_verification(context.catalog, connection, *(holder.tree_id for holder in holders))
        for name, count in sorted(Counter(holder.project for holder in holders).items()):
            context.note(connection, AuditAction.VERIFY, name, name, {"sessions": count}, kind="project")
    return holders


def _find_damaged(connection: Connection, context: ServiceContext, project_name: str | None) -> list[_DamagedHolder]:
    """What has damage and may be read again by the principal: UUID, tree and project. AccessDenied."""
    rights.check_scope(context.principal, Action.DAMAGE_VERIFY)
    holder = _select_holders()
    where = projects_where(context.principal, Action.DAMAGE_VERIFY)
    if project_name is not None:
        rights.check(connection, context.principal, Action.DAMAGE_VERIFY, project_name)
        where = and_(where, project.c.key == project_name.casefold())
    rows = connection.execute(
        select(holder.c.uuid, holder.c.tree_id, project.c.name.label("project"))
        .join(project, project.c.id == holder.c.project_id)
        .where(where, holder.c.tree_id.in_(select(damage.c.tree_id)))
        .order_by(holder.c.uuid)
    )
    return [_DamagedHolder._make(row) for row in rows]


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """What came of reading sessions, and what projects and subjects have of their own, to their ends."""

    verified: VerificationCounts
    damaged: int
    """Files of theirs that are damaged, whoever found it: a server's worker reads beside a command."""
    left: tuple[str, ...]
    """Those that could not be read, as they were being moved or replaced."""
    named: int
    """How many were to be read."""


def verify_in_process(
    context: ServiceContext, uuids: Sequence[str], *, damaged: bool = False, project_name: str | None = None
) -> VerifyResult:
    """Read again in this process, to their ends: what `uuids` name, and with `damaged` all that is, of a project.

    Usage `session_unknown`.
    """
    for uuid in uuids:
        try:
            verify_session_again(context, uuid)
        except AccessDenied:
            raise SessionUnknown(uuid) from None
    all_uuids = list(uuids)
    if damaged:
        all_uuids += [holder.uuid for holder in _request_damaged(context, project_name)]
    plan, done, unread = VerificationPlan(mail=context.settings.smtp_host is not None), VerificationCounts(), []
    for uuid in dict.fromkeys(all_uuids):
        with context.catalog.read() as connection:
            holder = find_holder(connection, uuid)
        if holder is None:  # it was deleted meanwhile
            continue
        counts = verify_tree(context.catalog, context.store, holder, plan)
        done.add(counts)
        if not counts.trees:
            unread.append(uuid)
    with context.catalog.read() as connection:
        unread = [uuid for uuid in unread if find_holder(connection, uuid) is not None]
        return VerifyResult(done, _count_damaged(connection, all_uuids), tuple(unread), len(set(all_uuids)))


def _count_damaged(connection: Connection, uuids: Sequence[str]) -> int:
    """How many files of these are damaged."""
    holder = _select_holders()
    count = select(func.count()).select_from(damage).join(holder, holder.c.tree_id == damage.c.tree_id)
    parts = split_values(dict.fromkeys(uuids))
    return sum(connection.execute(count.where(holder.c.uuid.in_(part))).scalar_one() for part in parts)


def verify_session_again(context: ServiceContext, uuid: str) -> None:
    """Have the files of a session, or of a project's or subject's own, read again before all others. AccessDenied."""
    with context.catalog.write() as connection:
        holder: Holder = own_resources.find_holder_for(connection, context.principal, uuid, Action.DAMAGE_VERIFY)
        mark_for_verification(context.catalog, connection, holder.tree_id)
        own_resources.record_in_audit(context, connection, AuditAction.VERIFY, holder)
