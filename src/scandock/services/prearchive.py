"""The prearchive's verbs for one session or many at once: each is judged alone, and one that fails costs itself.

Every verb has a dry run, which says what would happen and changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, update

from scandock.catalog.records import SessionRecord
from scandock.catalog.tables import scan, session
from scandock.catalog.trees import ScanRow, scans_of
from scandock.model.errors import ScandockError
from scandock.model.series import EcatFacts, SeriesTally
from scandock.pipeline.session_description import describe_scan
from scandock.pipeline.plan import read_policies
from scandock.publishing.locks import locks_of
from scandock.publishing.operations import run_operation
from scandock.rules.notices import FACT_WARNINGS, Notice
from scandock.rules.permissions import Action
from scandock.rules.session_fields import merge_attributes
from scandock.rules.session_attributes import session_attributes
from scandock.rules.session_types import session_type
from scandock.services import rights
from scandock.services.moving import Desk, Outcome

MANY = 500
"""Sessions of one request."""


def tried(uuids: Iterable[str], verb: Callable[[str], Outcome]) -> Iterator[tuple[str, Outcome | ScandockError]]:
    """Do a verb to each session, once; what is refused or fails stands in its place."""
    for uuid in dict.fromkeys(uuids):
        try:
            yield uuid, verb(uuid)
        except ScandockError as error:
            yield uuid, error


def each(uuids: Iterable[str], verb: Callable[[str], Outcome], action: str) -> list[dict[str, Any]]:
    """Do a verb to each session; what is refused or fails is told in its place, with its code."""
    return [
        outcome_json(told)
        if isinstance(told, Outcome)
        else {"session": uuid, "action": action, "done": False, "code": told.code, "message": str(told)}
        for uuid, told in tried(uuids, verb)
    ]


def outcome_json(outcome: Outcome) -> dict[str, Any]:
    """What was done, or would be, as the API tells it."""
    return {
        "session": outcome.session,
        "action": outcome.action,
        "done": not outcome.dry_run,
        "dry_run": outcome.dry_run,
        "code": "",
        "message": _sentence(outcome),
        "from": outcome.before,
        "to": outcome.after,
        "into": outcome.into,
        "warnings": [asdict(one) for one in outcome.warnings],
        "counts": dict(outcome.counts),
    }


def _sentence(outcome: Outcome) -> str:
    return f"{_where(outcome)} {outcome.says}".strip()


def _where(outcome: Outcome) -> str:
    if outcome.into is not None:
        return f"It {'would join' if outcome.dry_run else 'joined'} the archived session at {outcome.after}."
    if outcome.after is None:
        return f"It {'would go' if outcome.dry_run else 'went'} to the trash."
    if outcome.after == outcome.before:
        return f"It {'would stay' if outcome.dry_run else 'stands'} where it is."
    return f"It {'would stand' if outcome.dry_run else 'stands now'} at {outcome.after}."


def rebuild(desk: Desk, uuid: str, *, headers_first: bool = False, dry_run: bool = False) -> Outcome:
    """Write a session's attributes, and those of its scans, anew from the facts that its objects gave.

    Files, labels and what people set stay, the type too; `headers_first`: what the objects say goes before what people
    set. For a session of the archive or the prearchive.
    """
    with desk.catalog.read() as connection:
        source = _editable(connection, desk, uuid)
        if dry_run:
            return _rebuilt(source, _describe(desk, connection, source, headers_first), dry_run=True)
    with (
        run_operation(desk.catalog, desk.store, "rebuild") as running,
        running.reserve_names({source.project}, lambda _: locks_of(source)) as connection,
    ):
        source = _editable(connection, desk, uuid)
        anew = _describe(desk, connection, source, headers_first)
        _write(desk, connection, source, anew)
        desk.note(connection, "rebuild", uuid, source.project)
    return _rebuilt(source, anew, dry_run=False)


def _rebuilt(source: SessionRecord, anew: _Anew, *, dry_run: bool) -> Outcome:
    found = (
        f"Details of the session that differ from before: {anew.changed}; scans with such details:"
        f" {len(anew.changed_scans)} of {len(anew.scans)}."
        if anew.changed or anew.changed_scans
        else "Its images say what is known of it already: no detail differs."
    )
    says = f"{found} All files stay as they are ({source.files})."
    return Outcome(
        session=source.uuid,
        action="rebuild",
        dry_run=dry_run,
        before=source.uri,
        after=source.uri,
        counts={
            "attributes": anew.changed,
            "scans": len(anew.changed_scans),
            "kept": source.files,
            "trashed": 0,
        },
        says=says,
    )


def _editable(connection: Connection, desk: Desk, uuid: str) -> SessionRecord:
    return rights.session_for(connection, desk.principal, uuid, Action.SESSION_EDIT, waiting=Action.PREARCHIVE_EDIT)


@dataclass(frozen=True, slots=True)
class _Anew:
    """What a session and its scans would say of themselves."""

    scans: list[ScanRow]
    attributes: dict[str, Any]
    fields_by_hand: list[str]
    warnings: list[dict[str, str]]
    xsi_type: str
    changed: int
    """Attributes of the session that differ from what it says now, its type among them."""
    changed_scans: frozenset[int]


def _describe(desk: Desk, connection: Connection, source: SessionRecord, headers_first: bool) -> _Anew:
    zone = desk.settings.zone
    scans = scans_of(connection, source.tree_id)
    before = {one.n: _says(one) for one in scans}
    for one in scans:
        describe_scan(one, zone)
    ecat: list[EcatFacts] = [facts for one in scans if isinstance(one.facts, list) for facts in one.facts]
    tallies = [one.facts for one in scans if isinstance(one.facts, SeriesTally)]
    found, said = session_attributes(tallies, ecat, zone)
    stays = [name for name in source.fields_by_hand if not (headers_first and found.get(name))]
    attributes = merge_attributes(source.attributes, found, stays, by_hand=source.by_hand)
    _, policy = read_policies(connection)[source.project]
    kind = session_type([one.xsi_type for one in scans], [one.modality for one in scans], policy.petmr)
    if source.type_by_hand:
        kind = source.xsi_type
    had = [Notice(**one) for one in source.warnings if one["code"] not in FACT_WARNINGS]
    warnings = dict.fromkeys([*had, *said])
    names = {*source.attributes, *attributes}
    return _Anew(
        scans=scans,
        attributes=attributes,
        fields_by_hand=stays,
        warnings=[asdict(one) for one in warnings],
        xsi_type=kind,
        changed=sum(source.attributes.get(name) != attributes.get(name) for name in names) + (kind != source.xsi_type),
        changed_scans=frozenset(one.n for one in scans if _says(one) != before[one.n]),
    )


def _says(one: ScanRow) -> tuple[Any, ...]:
    return (dict(one.attributes), one.type, one.xsi_type, one.modality)


def _write(desk: Desk, connection: Connection, source: SessionRecord, anew: _Anew) -> None:
    for one in anew.scans:
        connection.execute(
            update(scan)
            .where(scan.c.tree_id == source.tree_id, scan.c.n == one.n)
            .values(attributes=json.dumps(one.attributes), type=one.type, xsi_type=one.xsi_type, modality=one.modality)
        )
    connection.execute(
        update(session)
        .where(session.c.id == source.id)
        .values(
            attributes=json.dumps(anew.attributes),
            fields_by_hand=json.dumps(anew.fields_by_hand),
            warnings=json.dumps(anew.warnings),
            xsi_type=anew.xsi_type,
            modified=desk.catalog.now(),
        )
    )
