"""The prearchive's verbs for one session or many at once: each is judged alone, and one that fails costs itself.

Every verb has a dry run, which says what would happen and changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from typing import Any, NotRequired, TypedDict

from sqlalchemy import Connection, update

from scandock.catalog.records import SessionRecord
from scandock.catalog.sessions import note_listing
from scandock.catalog.tables import scan, session
from scandock.catalog.trees import ScanRow, scans_of
from scandock.model.dataclass import dataclass
from scandock.model.errors import ScandockError
from scandock.model.series import EcatFacts, SeriesTally
from scandock.pipeline.plan import find_policy, read_policies
from scandock.pipeline.session_description import describe_scan
from scandock.publishing.locks import locks_of
from scandock.publishing.operations import run_operation
from scandock.rules.notices import FACT_WARNINGS, Notice
from scandock.rules.permissions import Action
from scandock.rules.session_attributes import session_attributes
from scandock.rules.session_fields import merge_attributes
from scandock.rules.session_types import session_type, side_pet_mr
from scandock.services import rights
from scandock.services.context import ServiceContext
from scandock.services.outcomes import Outcome

MAX_SESSIONS = 500
"""Sessions of one request."""


class RefusalJson(TypedDict):
    """What was not done to one of several sessions."""

    session: str
    action: str
    done: bool
    code: str
    message: str


OutcomeJson = TypedDict(
    "OutcomeJson",
    {
        "session": str,
        "action": str,
        "done": bool,
        "dry_run": bool,
        "code": str,
        "message": str,
        "from": str | None,
        "to": str | None,
        "into": str | None,
        "warnings": list[dict[str, str]],
        "counts": dict[str, int],
        "import": NotRequired[str],
    },
)
"""What was done to a session, or would be; `import` names the import that is to do it, and has not done it yet."""


def try_each(uuids: Iterable[str], verb: Callable[[str], Outcome]) -> Iterator[tuple[str, Outcome | ScandockError]]:
    """Do a verb to each session, once; what is refused or fails stands in its place."""
    for uuid in dict.fromkeys(uuids):
        try:
            yield uuid, verb(uuid)
        except ScandockError as error:
            yield uuid, error


def run_each(uuids: Iterable[str], verb: Callable[[str], Outcome], action: str) -> list[OutcomeJson | RefusalJson]:
    """Do a verb to each session; what is refused or fails is told in its place, with its code."""
    return [
        outcome_json(result)
        if isinstance(result, Outcome)
        else {"session": uuid, "action": action, "done": False, "code": result.code, "message": str(result)}
        for uuid, result in try_each(uuids, verb)
    ]


def outcome_json(outcome: Outcome) -> OutcomeJson:
    """What was done, or would be, as the API tells it."""
    answer: OutcomeJson = {
        "session": outcome.session,
        "action": outcome.action,
        "done": not outcome.dry_run and not outcome.waits,
        "dry_run": outcome.dry_run,
        "code": "",
        "message": _sentence(outcome),
        "from": outcome.before,
        "to": outcome.after,
        "into": outcome.into,
        "warnings": [asdict(warning) for warning in outcome.warnings],
        "counts": dict(outcome.counts),
    }
    if outcome.import_uuid:
        answer["import"] = outcome.import_uuid
    return answer


def _sentence(outcome: Outcome) -> str:
    return f"{_where(outcome)} {outcome.says}".strip()


def _where(outcome: Outcome) -> str:
    if outcome.waits:
        return f"An import {'would move' if outcome.dry_run else 'moves'} it to {outcome.after}."
    if outcome.into is not None:
        return f"It {'would join' if outcome.dry_run else 'joined'} the archived session at {outcome.after}."
    if outcome.after is None:
        return f"It {'would go' if outcome.dry_run else 'went'} to the trash."
    if outcome.after == outcome.before:
        return f"It {'would stay' if outcome.dry_run else 'stands'} where it is."
    return f"It {'would stand' if outcome.dry_run else 'stands now'} at {outcome.after}."


def rebuild_session(
    context: ServiceContext, uuid: str, *, headers_first: bool = False, dry_run: bool = False
) -> Outcome:
    """Write a session's attributes, and those of its scans, anew from the facts that its objects gave.

    Files, labels and what people set stay, the type too; `headers_first`: what the objects say goes before what people
    set. For a session of the archive or the prearchive.
    """
    with context.catalog.read() as connection:
        source = _find_editable(connection, context, uuid)
        if dry_run:
            return _rebuild_outcome(source, _read_values(context, connection, source, headers_first), dry_run=True)
    with (
        run_operation(context.catalog, context.store, "rebuild") as running,
        running.reserve_names({source.project}, lambda _: locks_of(source)) as connection,
    ):
        source = _find_editable(connection, context, uuid)
        rebuilt = _read_values(context, connection, source, headers_first)
        _write_values(context, connection, source, rebuilt)
        context.note(connection, "rebuild", uuid, source.project)
    return _rebuild_outcome(source, rebuilt, dry_run=False)


def _rebuild_outcome(source: SessionRecord, rebuilt: _RebuiltValues, *, dry_run: bool) -> Outcome:
    warnings = (
        f"Details of the session that differ from before: {rebuilt.changed}; scans with such details:"
        f" {len(rebuilt.changed_scans)} of {len(rebuilt.scans)}."
        if rebuilt.changed or rebuilt.changed_scans
        else "Its images say what is known of it already: no detail differs."
    )
    says = f"{warnings} All files stay as they are ({source.files})."
    return Outcome(
        session=source.uuid,
        action="rebuild",
        dry_run=dry_run,
        before=source.uri,
        after=source.uri,
        counts={
            "attributes": rebuilt.changed,
            "scans": len(rebuilt.changed_scans),
            "kept": source.files,
            "trashed": 0,
        },
        says=says,
    )


def _find_editable(connection: Connection, context: ServiceContext, uuid: str) -> SessionRecord:
    return rights.find_session_for(
        connection, context.principal, uuid, Action.SESSION_EDIT, prearchive_action=Action.PREARCHIVE_EDIT
    )


@dataclass(frozen=True, slots=True)
class _RebuiltValues:
    """What a session and its scans would say of themselves."""

    scans: list[ScanRow]
    attributes: dict[str, str]
    fields_by_hand: list[str]
    warnings: list[dict[str, str]]
    xsi_type: str
    changed: int
    """Attributes of the session that differ from what it says now, its type among them."""
    changed_scans: frozenset[int]


def _read_values(
    context: ServiceContext, connection: Connection, source: SessionRecord, headers_first: bool
) -> _RebuiltValues:
    zone = context.settings.zone
    scans = scans_of(connection, source.tree_id)
    before = {each_row.n: _scan_values(each_row) for each_row in scans}
    for each_row in scans:
        describe_scan(each_row, zone)
    ecat: list[EcatFacts] = [
        facts for each_row in scans if isinstance(each_row.facts, list) for facts in each_row.facts
    ]
    tallies = [each_row.facts for each_row in scans if isinstance(each_row.facts, SeriesTally)]
    new_attributes, fields_said = session_attributes(tallies, ecat, zone)
    stays = [name for name in source.fields_by_hand if not (headers_first and new_attributes.get(name))]
    attributes = merge_attributes(source.attributes, new_attributes, stays, by_hand=source.by_hand)
    _, policy = find_policy(read_policies(connection, context.settings.petmr), source.project)
    kind = session_type(
        [each_row.xsi_type for each_row in scans],
        [each_row.modality for each_row in scans],
        side_pet_mr(policy.petmr, source.side),
    )
    if source.type_by_hand:
        kind = source.xsi_type
    had = [Notice(**warning) for warning in source.warnings if warning["code"] not in FACT_WARNINGS]
    warnings = dict.fromkeys([*had, *fields_said])
    names = {*source.attributes, *attributes}
    return _RebuiltValues(
        scans=scans,
        attributes=attributes,
        fields_by_hand=stays,
        warnings=[asdict(each_row) for each_row in warnings],
        xsi_type=kind,
        changed=sum(source.attributes.get(name) != attributes.get(name) for name in names) + (kind != source.xsi_type),
        changed_scans=frozenset(each_row.n for each_row in scans if _scan_values(each_row) != before[each_row.n]),
    )


def _scan_values(row: ScanRow) -> tuple[Any, ...]:
    return (dict(row.attributes), row.type, row.xsi_type, row.modality)


def _write_values(
    context: ServiceContext, connection: Connection, source: SessionRecord, rebuilt: _RebuiltValues
) -> None:
    for scan_row in rebuilt.scans:
        connection.execute(
            update(scan)
            .where(scan.c.tree_id == source.tree_id, scan.c.n == scan_row.n)
            .values(
                attributes=json.dumps(scan_row.attributes),
                type=scan_row.type,
                xsi_type=scan_row.xsi_type,
                modality=scan_row.modality,
            )
        )
    connection.execute(
        update(session)
        .where(session.c.id == source.id)
        .values(
            attributes=json.dumps(rebuilt.attributes),
            fields_by_hand=json.dumps(rebuilt.fields_by_hand),
            warnings=json.dumps(rebuilt.warnings),
            xsi_type=rebuilt.xsi_type,
            modified=context.catalog.now(),
        )
    )
    note_listing(connection, source.id)
