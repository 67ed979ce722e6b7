"""Imports as the pages show them: whose they are, what became of their sessions, and what can be done to each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, case, exists, func, select

from scandock.access.principal import Principal
from scandock.access.visibility import projects_where
from scandock.catalog.engine import Catalog
from scandock.catalog.server_tables import account, cached_file, received_study, reception
from scandock.catalog.tables import project, session, tree, upload
from scandock.model.dataclass import dataclass
from scandock.model.verdicts import UNFINISHED, ImportState, Verdict
from scandock.rules.labels import UNASSIGNED
from scandock.rules.permissions import Action
from scandock.services.import_outcomes import (
    WORST_FIRST,
    ExceptionLine,
    Now,
    SessionOutcome,
    count_outcomes,
    read_exceptions,
    read_outcomes,
)
from scandock.services.import_records import Import
from scandock.services.imports import list_imports, read_import
from scandock.services.pagination import Page, Sorting

TO_DECIDE: Final = "to-decide"
TROUBLED: Final = "troubled"
GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "under-way": tuple(state.value for state in UNFINISHED),
    "done": (ImportState.PLACED.value,),
    TO_DECIDE: (ImportState.HELD.value,),
    TROUBLED: (ImportState.PARTLY.value, ImportState.REFUSED.value, ImportState.FAILED.value),
    "cancelled": (ImportState.CANCELLED.value,),
}
"""What imports are sought by: the states that people tell apart."""

SESSIONS: Final = 50
"""Sessions that an import shows in a list of imports; `list_outcomes` has all."""
OWN_PAGE_SESSIONS: Final = 1_000
"""The same of the import's own page."""

_MAY_WAIT: Final = (ImportState.HELD, ImportState.PARTLY)

SILENT_MS: Final = 120_000
"""For how long no byte of an upload comes before it counts as interrupted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityFilter:
    """Which imports: one's own or all that one may see, of a group of `GROUPS`, of a project, by the archive's name."""

    mine: bool = True
    group: str = ""
    project: str = ""
    search: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrivingStudy:
    """A study that a DICOM receiver takes: who sent its first object, and how many have come."""

    calling: str
    address: str
    objects: int
    wish: str
    """What somebody wants done with it; empty for nothing."""


@dataclass(frozen=True, kw_only=True)
class Activity(Import):
    """An import, whose it is, and what has become of its sessions."""

    owner: str
    mine: bool
    outcomes: list[SessionOutcome]
    """What became of its first sessions."""
    counts: dict[Now, int]
    """How many sessions are where: in a list of imports of those alone that are shown."""
    exceptions: list[ExceptionLine]
    """The first entries that need an eye; in a list of imports none."""
    waits: bool
    """Whether a session of it waits for a decision."""
    decided: bool
    """Whether none of what was held waits for a decision any more."""
    hidden: frozenset[int]
    """Positions of its sessions out of sight whose first project is so as well: nothing says that they were moved."""
    silent_ms: int | None
    """Of one that is being received: for how long no byte of it has come. None of a file that waits in a cache, and of
    what a DICOM receiver takes, which goes on by itself."""
    study: ArrivingStudy | None
    """Of one that a DICOM receiver takes now."""

    def interrupted(self, bringing: bool) -> bool:
        """Whether its upload goes on no more by itself; `bringing`: whether a request brings bytes of it now."""
        return self.silent_ms is not None and self.silent_ms >= SILENT_MS and not bringing

    @property
    def open_verdicts(self) -> tuple[Verdict, ...]:
        """Verdicts of entries that need an eye: those in conflict no more once all their sessions are decided."""
        return tuple(verdict for verdict in WORST_FIRST if verdict is not Verdict.CONFLICT or self.waits)

    @property
    def open_entries(self) -> int:
        """How many entries need an eye."""
        return sum(self.entries.get(verdict.value, 0) for verdict in self.open_verdicts)

    @property
    def had_conflicts(self) -> bool:
        """Whether entries were in conflict when it ended, and nothing of it waits for a decision any more."""
        return not self.waits and self.entries.get(Verdict.CONFLICT.value, 0) > 0

    @property
    def can_retry(self) -> bool:
        """Whether it failed and its bytes are kept."""
        return self.state is ImportState.FAILED and self.accepted is not None

    @property
    def can_cancel(self) -> bool:
        """Whether it goes on, and nobody has cancelled it.

        A study that a receiver took is discarded instead, and single objects that still come are waited for.
        """
        is_coming = self.door == "gradual" and self.state is ImportState.RECEIVING
        return self.state in UNFINISHED and not self.cancelling and self.door != "dimse" and not is_coming

    @property
    def can_discard(self) -> bool:
        """Whether it is a study that a DICOM receiver takes or took, which goes on as nobody wants otherwise."""
        is_wished = self.study is not None and self.study.wish != ""
        return self.state in UNFINISHED and not self.cancelling and self.door == "dimse" and not is_wished

    def is_hidden(self, outcome: SessionOutcome) -> bool:
        """Whether a session of it is out of sight as its whole project is: that it was moved is not said."""
        return outcome.position in self.hidden

    @property
    def verdict_words(self) -> str:
        """What came of its sessions in one sentence, what needs somebody first; "" before its end."""
        if self.state in UNFINISHED:
            return ""
        parts = [(self.counts[now], now) for now in _WORDS if self.counts.get(now)]
        if not parts:
            return self.message
        words = []
        for n, (count, now) in enumerate(parts):
            one, many = _HIDDEN if now == "out_of_sight" and self.hidden else _WORDS[now]
            noun = "" if n else " session" if count == 1 else " sessions"
            words.append(f"{count}{noun} {one if count == 1 else many}{self._within(now, count)}")
        return f"{', '.join(words)}."

    def _within(self, now: Now, count: int) -> str:
        """The project of those that are archived, where that is one."""
        if now != "archived":
            return ""
        projects = [outcome.project for outcome in self.outcomes if outcome.now == now]
        return f" in {projects[0]}" if len(projects) == count and len(set(projects)) == 1 else ""


_WORDS: Final[dict[Now, tuple[str, str]]] = {
    "needs_decision": ("needs a decision", "need a decision"),
    "refused": ("refused", "refused"),
    "out_of_sight": ("moved to another project", "moved to another project"),
    "deleted": ("deleted", "deleted"),
    "unknown": ("not found", "not found"),
    "prearchive": ("in the prearchive", "in the prearchive"),
    "archived": ("archived", "archived"),
}

_HIDDEN: Final = ("not visible to you", "not visible to you")


def list_activity(catalog: Catalog, principal: Principal, filters: ActivityFilter, sorting: Sorting) -> Page[Activity]:
    """A page of imports, the newest first."""
    page = list_imports(
        catalog,
        principal,
        sorting,
        project_name=filters.project or None,
        states=GROUPS.get(filters.group, ()),
        mine=filters.mine,
        search=filters.search,
        has_waiting=_has_waiting_session() if filters.group == TO_DECIDE else None,
    )
    with catalog.read() as connection:
        return Page(_add_details(catalog, connection, principal, page.items), page.next)


def list_own_uploads(catalog: Catalog, principal: Principal, limit: int) -> list[Activity]:
    """One's own imports whose bytes are not all here yet, the newest first."""
    states = (ImportState.RECEIVING.value,)
    page = list_imports(catalog, principal, Sorting(sort="-id", limit=limit), states=states, mine=True)
    with catalog.read() as connection:
        return _add_details(catalog, connection, principal, page.items)


def read_activity(catalog: Catalog, principal: Principal, uuid: str, *, details: bool = False) -> Activity:
    """One import; `details`: for its own page, with what was done to its sessions, those that need somebody first.

    AccessDenied where it may not be known of.
    """
    item = read_import(catalog, principal, uuid)
    with catalog.read() as connection:
        (activity,) = _add_details(catalog, connection, principal, [item], details=details)
        if details:
            activity.outcomes.sort(key=_urgency)
        counts = count_outcomes(connection, principal, item)
        activity = replace(activity, counts=counts, waits=activity.waits or counts.get("needs_decision", 0) > 0)
        exceptions = read_exceptions(connection, item.id, activity.open_verdicts)
        return replace(activity, exceptions=exceptions)


def _urgency(outcome: SessionOutcome) -> tuple[bool, str]:
    """Sorts sessions that wait for a decision, or were refused, before the others, then by label."""
    label = outcome.label or outcome.then.label or ""
    return outcome.now not in ("needs_decision", "refused"), label.casefold()


def _add_details(
    catalog: Catalog, connection: Connection, principal: Principal, items: list[Import], *, details: bool = False
) -> list[Activity]:
    receptions = _read_receptions(catalog, connection, [item.id for item in items])
    outcomes_by_import = read_outcomes(
        connection, principal, items, limit=OWN_PAGE_SESSIONS if details else SESSIONS, details=details
    )
    all_outcomes = [outcome for of_import in outcomes_by_import.values() for outcome in of_import]
    visible_in = _read_project_rights(connection, principal, all_outcomes)
    waiting_uuids = _find_waiting(connection, [item.id for item in items if item.state in _MAY_WAIT])
    detailed = []
    for item in items:
        received = receptions.get(item.id)
        outcomes = outcomes_by_import[item.id]
        waits = item.id in waiting_uuids or any(outcome.now == "needs_decision" for outcome in outcomes)
        detailed.append(
            Activity(
                **vars(item),
                owner=received.name if received is not None else "",
                mine=received is not None and received.account_id == principal.account_id,
                outcomes=outcomes,
                counts=dict(Counter(outcome.now for outcome in outcomes)),
                exceptions=[],
                hidden=_find_hidden(outcomes, visible_in),
                silent_ms=received.silent if received is not None else None,
                study=received.study if received is not None and item.state is ImportState.RECEIVING else None,
                waits=waits,
                decided=item.state is ImportState.HELD and not waits,
            )
        )
    return detailed


def _read_project_rights(
    connection: Connection, principal: Principal, outcomes: list[SessionOutcome]
) -> dict[str, tuple[bool, bool]]:
    """By project that sessions now out of sight were brought to: whether its archived and waiting ones are seen."""
    away = [outcome for outcome in outcomes if outcome.now == "out_of_sight"]
    names = sorted({outcome.then.project for outcome in away if outcome.then.project is not None})
    if not names:
        return {}
    query = select(
        project.c.name,
        projects_where(principal, Action.SESSION_READ).label("reads"),
        projects_where(principal, Action.PREARCHIVE_READ).label("waits"),
    ).where(project.c.name.in_(names))
    return {row.name: (bool(row.reads), bool(row.waits)) for row in connection.execute(query)}


def _find_hidden(outcomes: list[SessionOutcome], visible_in: Mapping[str, tuple[bool, bool]]) -> frozenset[int]:
    """Positions of the sessions out of sight that would be so in the project that they were brought to, too."""
    hidden = set()
    for outcome in outcomes:
        if outcome.now != "out_of_sight":
            continue
        reads, waits = visible_in.get(outcome.then.project or "", (False, False))
        is_visible = waits or (reads and outcome.state == "archive") or outcome.then.project == UNASSIGNED
        if not is_visible:  # what was in `Unassigned` was its uploader's to see
            hidden.add(outcome.position)
    return frozenset(hidden)


def _has_waiting_session() -> ColumnElement[bool]:
    """Of an upload: whether a session that its files came by waits for a decision, shown or not."""
    its = select(session.c.id).join(tree, tree.c.id == session.c.tree_id).where(tree.c.upload_id == upload.c.id)
    return exists(its.where(session.c.place == "prearchive", session.c.held_code != ""))


def _find_waiting(connection: Connection, uuids: list[str]) -> set[str]:
    """Those of them of which a session waits for a decision."""
    if not uuids:
        return set()
    return set(
        connection.execute(select(upload.c.uuid).where(upload.c.uuid.in_(uuids), _has_waiting_session())).scalars()
    )


def silent_time(catalog: Catalog) -> ColumnElement[int | None]:
    """Of an upload with its reception and `cached_file`: milliseconds without a byte; null unless bytes are to come.

    Of one that was begun before the catalog noted it, bytes came last at its beginning.
    """
    comes = (
        (upload.c.state == ImportState.RECEIVING)
        & ~func.coalesce(cached_file.c.whole, False)
        & reception.c.door.not_in(("dimse", "gradual"))
    )
    return case((comes, catalog.now() - func.coalesce(reception.c.heard, upload.c.created)))


class _Reception(NamedTuple):
    """Whose an upload is, and for how long no byte of it has come where it is being received."""

    name: str
    account_id: int
    silent: int | None
    study: ArrivingStudy | None


def _read_receptions(catalog: Catalog, connection: Connection, uuids: list[str]) -> dict[str, _Reception]:
    """By upload."""
    rows = connection.execute(
        select(
            upload.c.uuid, account.c.name, account.c.id, silent_time(catalog).label("silent"),
            received_study.c.upload_id.label("study"), received_study.c.calling, received_study.c.address,
            received_study.c.objects, received_study.c.wish,
        )
        .join(reception, reception.c.upload_id == upload.c.id)
        .join(account, account.c.id == reception.c.account_id)
        .outerjoin(cached_file, cached_file.c.upload_id == upload.c.id)
        .outerjoin(received_study, received_study.c.upload_id == upload.c.id)
        .where(upload.c.uuid.in_(uuids))
    )  # fmt: skip
    return {row.uuid: _Reception(row.name, row.id, row.silent, _arriving_study(row)) for row in rows}


def _arriving_study(row: Row[Any]) -> ArrivingStudy | None:
    if row.study is None:
        return None
    return ArrivingStudy(calling=row.calling, address=row.address, objects=row.objects, wish=row.wish)
