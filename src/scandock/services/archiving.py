"""Archiving what waits in the prearchive: a move where nothing stands yet, else a merge by imports' steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import Connection, select, update

from scandock.catalog.records import SessionRecord
from scandock.catalog.session_lookups import is_same_study, of_study
from scandock.catalog.sessions import find_session, note_joined
from scandock.catalog.tables import project, session, tree
from scandock.catalog.trees import has_variants, scans_of
from scandock.model.import_types import Overwrite
from scandock.model.series import SeriesTally
from scandock.pipeline.job import JobContext
from scandock.pipeline.ledger import Ledger
from scandock.pipeline.session_merge import KeepChoice, MergeResult, merge_sessions
from scandock.pipeline.staging import scratch_path
from scandock.publishing.intents import SessionRow
from scandock.publishing.locks import locks_of, session_locks
from scandock.publishing.operations import Operation, run_operation
from scandock.rules.choices import ARCHIVABLE, REASONS
from scandock.rules.import_request import ImportRequest
from scandock.rules.labels import UNASSIGNED, is_placeholder, label_key
from scandock.rules.notices import Notice, make_notice
from scandock.rules.permissions import Action
from scandock.rules.petmr import PetMr, Side, effective_pet_mr, shares_side
from scandock.rules.policy import SiteRules
from scandock.rules.session_types import BESIDE, SIDE_OF_TYPE, can_join_type, side_pet_mr
from scandock.rules.study import StudyFacts, is_same_patient
from scandock.services import audit, rights
from scandock.services.context import ServiceContext
from scandock.services.label_conflicts import may_join
from scandock.services.moving import check_label, check_no_assessor, publish_session_row, subject_warnings
from scandock.services.outcomes import Outcome
from scandock.services.privacy_source import usable_privacy
from scandock.services.session_errors import (
    HeldUndecided,
    LabelTaken,
    ObjectsClash,
    PatientMismatch,
    ProjectUnassigned,
    RulesDiffer,
    SessionExists,
    StudyElsewhere,
    SubjectDiffers,
    TypeDiffers,
)
from scandock.services.session_imports import (
    SessionDestination,
    check_not_moving,
    find_import_need,
    queue_session_import,
)
from scandock.services.trash import build_removal, replaced_files_sentence
from scandock.store.paths import ECAT, IMAGES, LEDGER, LOOSE

ONE_PATIENT: Final = {"patients": "accepted as one"}
"""What the audit says where somebody archives a session of several PatientIDs as one subject's."""


def archive_session(
    context: ServiceContext,
    uuid: str,
    *,
    overwrite: Overwrite | None = None,
    label: str | None = None,
    subject: str | None = None,
    keep: KeepChoice = "ask",
    decided: bool = False,
    xnat_rules: bool = False,
    of_subject: str | None = None,
    one_patient: bool = False,
    quarantine: bool = False,
    said: Mapping[str, str] | None = None,
    dry_run: bool = False,
    action: str = "archive",
) -> Outcome:
    """Archive a prearchive session.

    A session of its study that is archived already is joined by it: `append` adds what is new, `delete` replaces what
    clashes, `none` refuses; not named, the project's code says. `keep` and `decided` are for `held_sessions.py`: a
    person has decided what it was held for. `xnat_rules`: XNAT's dialect, where a label that is named makes a session
    of its own, also of a study that is archived under another label, and where an archived session of another patient
    is not joined; `of_subject`: whose session it must be that is joined, where no `subject` is named. `one_patient`:
    who asks says that several PatientIDs are one patient's: the warning stays. `quarantine`: what enters the archive is
    to be looked at first (5.6); so it is where the project, or the session's import, asked for that. Where the
    project's privacy rules are to change its files first, an import archives it, with what is `said` of it besides.
    Usage `session_exists`, `sop_clash` (which then holds it), `held_undecided`, `label_taken`, `type_differs`,
    `project_unassigned`, `session_busy`, `rules_differ`, (`xnat_rules`) `subject_differs`, `patient_mismatch`.
    """
    label, subject = check_label(label), check_label(subject)
    with context.catalog.read() as connection:
        source = rights.find_waiting_session(connection, context.principal, uuid, Action.SESSION_ARCHIVE)

    lock_names = locks_of(source) | session_locks(
        source.project, label=label or source.label, subject=subject or source.subject, study_uid=source.study_uid
    )
    with run_operation(context.catalog, context.store, action) as running:
        with running.reserve_names({source.project}, lambda _: lock_names) as connection:
            source = rights.find_waiting_session(connection, context.principal, uuid, Action.SESSION_ARCHIVE)
            policy, petmr, quarantine = _read_policy(context, connection, source, overwrite, quarantine=quarantine)
            patient_ids = _read_patient_ids(context, connection, source)
            held_beside = xnat_rules and _is_held_beside(source, patient_ids)
            accepted = _accept_patients(connection, source) if one_patient and not held_beside else ()
            is_decided = decided or held_beside or keep != "ask" or bool(accepted)
            _check_held(source, decided=is_decided, overwrite=overwrite)
            check_not_moving(connection, source)
            need = find_import_need(context, connection, source, source.project_id, source.project)
            if need is not None:
                if keep != "ask":
                    raise RulesDiffer(source.project)
                destination = SessionDestination(
                    project_id=source.project_id, project=source.project, place="archive", label=label, subject=subject,
                    overwrite=policy, one_patient=one_patient or decided, quarantine=quarantine, dialect=xnat_rules,
                    said=said or {},
                )  # fmt: skip
                return queue_session_import(
                    context, connection, source, destination, need, action, dry_run=dry_run,
                    details=ONE_PATIENT if accepted else None,
                )  # fmt: skip
            target, study_warnings = _find_target(connection, source, label, xnat_rules=xnat_rules)
            patient_warnings = subject_warnings(connection, source.project, subject or source.subject, source)
        if target is None:
            row = SessionRow.of(
                source,
                make_subject=True,
                place="archive",
                timestamp="",
                label=label or source.label,
                subject=subject or source.subject,
                state="ready",
                held=("", "", ""),
                quarantined=quarantine,
                warnings=[*source.warnings, *(asdict(warning) for warning in (*accepted, *study_warnings))],
                patient_ids=[warning for warning in patient_ids if warning],
            )
            return publish_session_row(
                context, running, source, row, source.project, dry_run=dry_run, action=action,
                warnings=(*accepted, *study_warnings, *patient_warnings), details=ONE_PATIENT if accepted else None,
            )  # fmt: skip
        _check_target(target, policy, (subject or of_subject) if xnat_rules else None)
        if keep == "ask" and (label is not None or not decided):
            _check_type(source, target, policy, petmr)
        if xnat_rules:
            accepted += _check_patient(context, source, target, one_patient=one_patient)
        source = replace(source, warnings=[*source.warnings, *(asdict(warning) for warning in accepted)])
        edited_fields = {name: text for name, text in source.attributes.items() if name in source.fields_by_hand}
        tools = make_tools(context, running, quarantine=quarantine, edited_fields=edited_fields)
        return _merge_sessions(
            context, tools, running, source, target, policy, keep, dry_run=dry_run, action=action,
            details=ONE_PATIENT if accepted else {},
        )  # fmt: skip


def _read_policy(
    context: ServiceContext,
    connection: Connection,
    source: SessionRecord,
    overwrite: Overwrite | None,
    *,
    quarantine: bool,
) -> tuple[Overwrite, PetMr, bool]:
    """What an archived session gets, what PET and MR are, and whether it is in quarantine: as asked, else as the
    project says (5.5).
    """
    row = connection.execute(
        select(project.c.prearchive_code, project.c.petmr, project.c.quarantine).where(
            project.c.id == source.project_id
        )
    ).one()
    policy: Overwrite = overwrite or ("delete" if row.prearchive_code == 5 else "append")
    petmr = side_pet_mr(effective_pet_mr(row.petmr, context.settings.petmr), source.side)
    return policy, petmr, quarantine or source.quarantined or bool(row.quarantine)


def _check_held(source: SessionRecord, *, decided: bool, overwrite: Overwrite | None) -> None:
    if source.project == UNASSIGNED:
        raise ProjectUnassigned("What belongs to no project can't be archived.", "Move it to a project first.")
    code = source.held[0]
    if not code or decided or code in ARCHIVABLE or (code == "sop_clash" and overwrite == "delete"):
        return
    raise HeldUndecided(
        f"The session waits for a decision: {REASONS.get(code, code)}.",
        "Decide that first: its choices stand with it in the prearchive.",
    )


def _is_held_beside(source: SessionRecord, patient_ids: list[str]) -> bool:
    """Whether a session is of one patient, and held as the archived one that it was to join is of another: which of
    them it joins now, if any, is judged anew. Where its objects do not tell their patients any more, nobody knows that.
    """
    return source.held[0] == "patient_mismatch" and len(patient_ids) == 1 and not source.patient_key


def _accept_patients(connection: Connection, source: SessionRecord) -> tuple[Notice, ...]:
    """What a session was held for, as a warning, where that are several PatientIDs. Usage `held_undecided` where there
    are objects in it that differ: who says that they are one patient's says nothing of these.
    """
    code, message, remedy = source.held
    if code != "patient_mismatch":
        return ()
    if has_variants(connection, source.tree_id):
        raise HeldUndecided(
            "The session waits for a decision: several patients in it, and objects that differ under one SOP UID.",
            "Decide that first: its choices stand with it in the prearchive.",
        )
    return (Notice(code=code, message=message, remedy=remedy),)


def _check_type(source: SessionRecord, target: SessionRecord, policy: Overwrite, petmr: PetMr) -> None:
    """Usage where a person set the archived session's type, and what comes is of another (5.7, 6)."""
    if policy == "delete" or not target.type_is_set:
        return
    if not can_join_type(target.xsi_type, source.xsi_type, petmr, same_study=is_same_study(source, target)):
        warning = make_notice("type_differs", label=target.label, other=target.xsi_type, type=source.xsi_type)
        raise TypeDiffers(warning.message, "Archive it with delete, which keeps the type, or under another label.")


def _check_patient(
    context: ServiceContext, source: SessionRecord, target: SessionRecord, *, one_patient: bool
) -> tuple[Notice, ...]:
    """The warning that two sessions are of different patients for certain; Usage where nobody says that they are one:
    to append says nothing of it.
    """
    if bool(source.patient_key) != bool(target.patient_key):
        return ()  # one says what its objects came with, the other one what they were given: nothing is certain
    placeholders = context.settings.placeholder_names
    ids = {
        each_session.patient_token
        for each_session in (source, target)
        if not is_placeholder(each_session.patient_token, placeholders)
    }
    cut = None in (source.study_uid, target.study_uid)
    if len(ids) < 2 or (cut and is_same_patient(*ids)):
        return ()
    warning = make_notice("patient_mismatch", label=target.label, ids=", ".join(sorted(ids)))
    if one_patient:
        return (warning,)
    remedy = "Archive it under another label, or with allowPatientMismatch=true where they are one patient."
    raise PatientMismatch(warning.message, remedy)


def _read_patient_ids(context: ServiceContext, connection: Connection, source: SessionRecord) -> list[str]:
    """Every PatientID in a session that has several, as its subject is all of them; else the one it has."""
    if source.patient_key:
        return [source.patient_token]
    facts = [scan.facts for scan in scans_of(connection, source.tree_id)]
    study = StudyFacts(
        key=source.uuid,
        study_uid=source.study_uid,
        series=tuple(item for item in facts if isinstance(item, SeriesTally)),
        ecat=tuple(item for ecat_list in facts if isinstance(ecat_list, list) for item in ecat_list),
    )
    ids = study.patient_ids(context.settings.placeholder_names)
    return list(ids) if source.held[0] == "patient_mismatch" or len(ids) > 1 else [source.patient_token]


def _check_target(target: SessionRecord, policy: Overwrite, subject: str | None) -> None:
    """Usage where the archived session is not to be joined: by the policy, or as another subject is named."""
    if subject is not None and label_key(subject) != label_key(target.subject):
        warning = make_notice("subject_differs", label=target.label, other=target.subject, subject=subject)
        raise SubjectDiffers(warning.message, "Archive it without a subject, or under another label.")
    if policy == "none":
        warning = make_notice("session_exists", label=target.label, project=target.project)
        raise SessionExists(warning.message, "Archive it with append or delete, or under another label.")


def _find_target(
    connection: Connection, source: SessionRecord, label: str | None, *, xnat_rules: bool
) -> tuple[SessionRecord | None, tuple[Notice, ...]]:
    """The archived session that this one belongs to, and (`xnat_rules`) the warning that its study is elsewhere too.

    Raises Usage `study_elsewhere`, `label_taken`.
    """
    wanted_key = label_key(label or source.label)
    candidates = connection.execute(
        select(
            session.c.uuid, session.c.label, session.c.key, session.c.study_uid, session.c.by_hand, session.c.ecat,
            session.c.side, session.c.study_key,
        )
        .where(
            session.c.project_id == source.project_id,
            session.c.place == "archive",
            (session.c.key == wanted_key) | of_study(source),
        )
        .order_by(session.c.id)
    ).all()  # fmt: skip
    same_study = [
        row
        for row in candidates
        if is_same_study(source, row) and _joins_side(source, row.side) and (not row.by_hand or row.key == wanted_key)
    ]
    warnings: tuple[Notice, ...] = ()
    if same_study and label is not None:
        same_label = [row for row in same_study if row.key == wanted_key]
        if not same_label and not xnat_rules:
            raise StudyElsewhere
        if not same_label:
            warnings = (make_notice("study_twice", project=source.project, other=same_study[0].label, label=label),)
        same_study = same_label
    chosen = same_study[0].uuid if same_study else None
    for row in candidates:
        if row.key == wanted_key and row.uuid != chosen:
            if chosen is None and may_join(source, row.study_uid, by_hand=row.by_hand, ecat=row.ecat):
                chosen = row.uuid
            elif chosen is None:
                raise LabelTaken("That label belongs to another archived session.", "Choose another label.")
    if chosen is None:
        check_no_assessor(connection, source.project_id, label or source.label)
    return (find_session(connection, chosen) if chosen is not None else None), warnings


def _joins_side(source: SessionRecord, side: Side) -> bool:
    """Whether a session joins an archived one that has this side of its study.

    One that came as a whole joins the side that has its images: with PET and MR it is neither, and stays whole.
    """
    if source.side or not side:
        return shares_side(source.side, side)
    own = SIDE_OF_TYPE.get(source.xsi_type)
    return own == side if own is not None else source.xsi_type in BESIDE


def make_tools(
    context: ServiceContext,
    running: Operation,
    *,
    quarantine: bool = False,
    edited_fields: Mapping[str, str] | None = None,
) -> JobContext:
    """The tools of the pipeline's steps, for an operation; `edited_fields`: what people set of what joins a session."""
    with context.catalog.read() as connection:
        privacy = usable_privacy(connection)
    return JobContext(
        catalog=context.catalog,
        store=context.store,
        stage=running.stage,
        ledger=Ledger(scratch_path(running.stage, LEDGER)),
        lease=running.lease,
        request=ImportRequest(quarantine=quarantine, said=edited_fields or {}),
        site=SiteRules(placeholders=context.settings.placeholder_names, petmr=context.settings.petmr),
        zone=context.settings.zone,
        started=datetime.now(context.settings.zone),
        check=running.check,
        privacy_of=privacy.rules_of if privacy is not None else lambda _: None,
    )


def _merge_sessions(
    context: ServiceContext,
    tools: JobContext,
    running: Operation,
    source: SessionRecord,
    target: SessionRecord,
    policy: Overwrite,
    keep: KeepChoice,
    *,
    dry_run: bool,
    action: str,
    details: Mapping[str, audit.DetailValue],
) -> Outcome:
    try:
        overwrite: Literal["append", "delete"] = "delete" if policy == "delete" else "append"
        merged = merge_sessions(tools, source, target, overwrite, keep, dry_run=dry_run)
    finally:
        tools.ledger.close()
    if merged.undecided:
        warning = make_notice("sop_clash", label=target.label, count=merged.clashes)
        if not dry_run:
            hold_session(context, source, warning)
        raise ObjectsClash(warning.message, "Decide first which to keep: the old, the new or both.")
    outcome = Outcome(
        session=source.uuid,
        action=action,
        dry_run=dry_run,
        before=source.uri,
        after=target.uri,
        into=target.uuid,
        warnings=(make_notice("label_kept", project=target.project, label=target.label, other=source.label),)
        if label_key(target.label) != label_key(source.label)
        else (),
        counts={
            "new": merged.new,
            "duplicate": merged.duplicates,
            "clash": merged.clashes,
            "replaced": merged.replaced,
        },
        says=_merge_sentences(merged, keep) + replaced_files_sentence(merged.replaced, context.settings.trash_days),
    )
    if not dry_run:
        _publish(context, running, source, target, merged, action, details)
    return outcome


def _merge_sentences(merged: MergeResult, keep: KeepChoice) -> str:
    """What becomes of the files of a merge, in sentences that hold before and after it."""
    sentences = []
    if merged.replaced:
        verb, ones = "replaces" if merged.replacing == 1 else "replace", "one" if merged.replaced == 1 else "ones"
        sentences.append(f"{_count_files(merged.replacing)} {verb} {merged.replaced:,} archived {ones}.")
    if merged.clashes and keep == "old":
        sentences.append(f"Of {_count_objects(merged.clashes)} the first version stays, the others are left out.")
    elif merged.clashes and keep == "both":
        sentences.append(f"Of {_count_objects(merged.clashes)} all versions stay.")
    if added := max(merged.new - merged.replacing, 0):
        sentences.append(f"{_count_files(added)} {'is' if added == 1 else 'are'} added.")
    if merged.duplicates:
        verb = "is" if merged.duplicates == 1 else "are"
        sentences.append(f"{_count_files(merged.duplicates)} {verb} in the archive already.")
    return " ".join(sentences)


def _count_files(count: int) -> str:
    return f"{count:,} file{'' if count == 1 else 's'}"


def _count_objects(count: int) -> str:
    return f"{count:,} image{'' if count == 1 else 's'}"


def _publish(
    context: ServiceContext,
    running: Operation,
    source: SessionRecord,
    target: SessionRecord,
    merged: MergeResult,
    action: str,
    details: Mapping[str, audit.DetailValue],
) -> None:
    for rubbish in (IMAGES, LOOSE, ECAT, LEDGER):
        running.stage.remove(rubbish)
    running.stage.seal(running.check)
    placement = merged.job.placement
    removal = build_removal(context, source, keep=False)
    with context.catalog.read() as connection:
        origin = connection.execute(select(tree.c.upload_id).where(tree.c.id == source.tree_id)).scalar_one()

    def note(connection: Connection) -> None:
        context.note(
            connection,
            action,
            target.uuid,
            target.project,
            {"joined": source.uuid, "new": merged.new, "replaced": merged.replaced, **details},
        )
        note_joined(context.catalog, connection, source.uuid, target.uuid)

    running.show([placement] if placement is not None else [], [removal], note, origin=origin)


def hold_session(context: ServiceContext, source: SessionRecord, why: Notice) -> None:
    """Note why a session can't join the archived one as it is: a person decides."""
    with context.catalog.write() as connection:
        connection.execute(
            update(session)
            .where(session.c.uuid == source.uuid, session.c.tree_id == source.tree_id, session.c.state == "ready")
            .values(
                state="conflict",
                held_code=why.code,
                held_message=why.message,
                held_remedy=why.remedy,
                modified=context.catalog.now(),
            )
        )
