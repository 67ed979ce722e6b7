"""Deciding what a session is held for: the choices that its code allows, each done by the verb that does it anyway."""

from __future__ import annotations

import dataclasses
from typing import Literal

from sqlalchemy import Connection, select, true, update

from scandock.catalog.records import SessionRecord
from scandock.catalog.session_lookups import of_study
from scandock.catalog.tables import session, tree
from scandock.catalog.trees import count_variants
from scandock.model.import_types import Overwrite
from scandock.pipeline.session_merge import KeepChoice, keep_one_version
from scandock.publishing.intents import SessionRow
from scandock.publishing.locks import locks_of
from scandock.publishing.operations import run_operation
from scandock.rules.choices import BESIDE_ARCHIVED, Choice, is_choice_for, list_choices
from scandock.rules.permissions import Action
from scandock.services import rights
from scandock.services.archiving import archive_session, make_tools
from scandock.services.context import ServiceContext
from scandock.services.outcomes import Outcome
from scandock.services.session_errors import ChoiceUnknown, LabelMissing, NotHeld
from scandock.services.session_moves import move_session
from scandock.services.trash import replaced_files_sentence
from scandock.store.paths import ECAT, IMAGES, LEDGER, LOOSE

_KEEPS: dict[str, KeepChoice] = {"keep_old": "old", "keep_new": "new", "keep_both": "both"}


def resolve_session(
    context: ServiceContext,
    uuid: str,
    choice: Choice,
    *,
    label: str | None = None,
    subject: str | None = None,
    dry_run: bool = False,
) -> Outcome:
    """Decide what a prearchive session is held for.

    `keep_*` and `add`, `replace` archive it, where a session of its study is archived; else it is `ready` in the
    prearchive. Raises Usage `not_held`, `choice_unknown` (naming the right ones), `label_missing`, and what moving and
    archiving raise.
    """
    with context.catalog.read() as connection:
        source = rights.find_waiting_session(connection, context.principal, uuid, Action.PREARCHIVE_EDIT)
        archived = _is_archived(connection, source)
        _check_choice(source, choice, label, subject)
    if choice == "rename":
        return move_session(context, uuid, label=label, subject=subject, dry_run=dry_run, free=True, action="resolve")
    if choice in ("add", "replace"):
        how: Overwrite = "append" if choice == "add" else "delete"
        return archive_session(context, uuid, overwrite=how, decided=True, dry_run=dry_run, action="resolve")
    if choice in _KEEPS and (archived or source.held[0] in BESIDE_ARCHIVED):
        return archive_session(
            context, uuid, overwrite="append", keep=_KEEPS[choice], dry_run=dry_run, action="resolve"
        )
    if choice in ("keep_old", "keep_new"):
        return _keep_one_version(context, source, "old" if choice == "keep_old" else "new", dry_run=dry_run)
    return _release(context, source, choice, dry_run=dry_run)


def _check_choice(source: SessionRecord, choice: Choice, label: str | None, subject: str | None) -> None:
    code = source.held[0]
    if not code:
        raise NotHeld("The session is not held: there is nothing to decide.")
    if not is_choice_for(code, choice):
        raise ChoiceUnknown(f"{choice} decides nothing of {code}.", f"Choices are {', '.join(list_choices(code))}.")
    if choice == "rename" and label is None and subject is None:
        raise LabelMissing


def _is_archived(connection: Connection, source: SessionRecord) -> bool:
    archived = connection.execute(
        select(session.c.id).where(
            session.c.project_id == source.project_id,
            session.c.place == "archive",
            of_study(source),
            session.c.side.in_(("", source.side)) if source.side else true(),
        )
    ).first()
    return archived is not None


def _release(context: ServiceContext, source: SessionRecord, choice: str, *, dry_run: bool) -> Outcome:
    """Let the session stand as it is, held no more: one transaction, nothing moves."""
    outcome = Outcome(
        session=source.uuid,
        action="resolve",
        dry_run=dry_run,
        before=source.uri,
        after=source.uri,
        counts={"kept": source.files, "trashed": 0},
        says=f"{_files_stay(source.files)}. The session is ready to be archived.",
    )
    if dry_run:
        return outcome
    with (
        run_operation(context.catalog, context.store, "resolve") as running,
        running.reserve_names({source.project}, lambda _: locks_of(source)) as connection,
    ):
        changed = connection.execute(
            update(session)
            .where(session.c.uuid == source.uuid, session.c.held_code == source.held[0])
            .values(state="ready", held_code="", held_message="", held_remedy="", modified=context.catalog.now())
        ).rowcount
        if changed != 1:
            raise NotHeld("The session is not held any more.", "Look at it again.")
        context.note(connection, "resolve", source.uuid, source.project, {"choice": choice, "code": source.held[0]})
    return outcome


def _keep_one_version(
    context: ServiceContext, source: SessionRecord, keep: Literal["old", "new"], *, dry_run: bool
) -> Outcome:
    """Leave one object of each SOP UID in the session, and hold it no more."""
    with run_operation(context.catalog, context.store, "resolve") as running:
        with running.reserve_names({source.project}, lambda _: locks_of(source)) as connection:
            source = rights.find_waiting_session(connection, context.principal, source.uuid, Action.PREARCHIVE_EDIT)
            origin = connection.execute(select(tree.c.upload_id).where(tree.c.id == source.tree_id)).scalar_one()
            dropped = count_variants(connection, source.tree_id)
        outcome = Outcome(
            session=source.uuid,
            action="resolve",
            dry_run=dry_run,
            before=source.uri,
            after=source.uri,
            counts={"kept": source.files - dropped, "trashed": dropped, "replaced": dropped},
            says=f"{_files_stay(source.files - dropped)}, {_files_left_out(dropped)}."
            + replaced_files_sentence(dropped, context.settings.trash_days),
        )
        if dry_run:
            return outcome
        tools = make_tools(context, running)
        try:
            job = keep_one_version(tools, source, keep)
        finally:
            tools.ledger.close()
        for rubbish in (IMAGES, LOOSE, ECAT, LEDGER):
            running.stage.remove(rubbish)
        running.stage.seal(running.check)
        assert job.placement is not None
        assert isinstance(job.placement.session, SessionRow)
        row = dataclasses.replace(job.placement.session, state="ready", held=("", "", ""))
        placement = dataclasses.replace(job.placement, session=row)

        def note(connection: Connection) -> None:
            details = {"choice": f"keep_{keep}", "code": source.held[0]}
            context.note(connection, "resolve", source.uuid, source.project, details)

        running.show([placement], [], note, origin=origin)
        return outcome


def _files_stay(count: int) -> str:
    return f"{count:,} {'file stays' if count == 1 else 'files stay'}"


def _files_left_out(count: int) -> str:
    return f"{count:,} {'file is' if count == 1 else 'files are'} left out"
