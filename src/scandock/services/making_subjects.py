"""Making subjects by hand, and writing what is said of them (xnat-clients.md 2.4).

What is said of a subject are facts of a person's health: the trail names fields, never their values.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from sqlalchemy import Connection, select, update

from scandock.catalog.subjects import add_subject
from scandock.catalog.project_sums import mark_project_changed
from scandock.catalog.tables import project, subject
from scandock.publishing.locks import subject_lock
from scandock.publishing.operations import lock_names
from scandock.queue.tokens import new_uuid
from scandock.rules.labels import label_key
from scandock.rules.permissions import Action
from scandock.services import rights
from scandock.services.making import new_label, project_of
from scandock.services.moving import Desk


def make_subject(desk: Desk, project_name: str, label: str, said: Mapping[str, str]) -> tuple[int, bool]:
    """The number of a subject, made where there is none of the label; whether it is new. Denied.

    `said` is of a new one alone.
    """
    label = new_label(label)
    with desk.catalog.read() as connection:
        rights.check(connection, desk.principal, Action.SUBJECT_EDIT, project_name)
        project_id, name = project_of(connection, project_name)
        if (found := _number(connection, project_id, label)) is not None:
            return found, False
    reserved = {subject_lock(name, label)}
    with lock_names(desk.catalog, {name}, lambda _: reserved) as connection:
        if (found := _number(connection, project_id, label)) is not None:
            return found, False
        uuid = new_uuid()
        kept = {field: text for field, text in said.items() if text}
        number = add_subject(desk.catalog, connection, uuid=uuid, project_id=project_id, label=label, attributes=kept)
        mark_project_changed(connection, project_id)
        fields = {"fields": sorted(kept)} if kept else {}
        desk.note(connection, "edit", uuid, name, {"made": True, **fields}, kind="subject")
        return number, True


def _number(connection: Connection, project_id: int, label: str) -> int | None:
    where = (subject.c.project_id == project_id, subject.c.key == label_key(label))
    found: int | None = connection.execute(select(subject.c.id).where(*where)).scalar()
    return found


def say_of_subject(desk: Desk, uuid: str, said: Mapping[str, str]) -> None:
    """Write attributes of a subject; an empty text takes one back, and what is so already is no change. Denied.

    The row alone is locked: an import that places sessions of the subject reads no attribute of it.
    """
    with desk.catalog.write() as connection:
        write_said(desk, connection, uuid, said)


def write_said(desk: Desk, connection: Connection, uuid: str, said: Mapping[str, str]) -> None:
    """Write attributes of a subject, as `say_of_subject`, within the transaction of a change. Denied."""
    query = select(subject.c.id, subject.c.attributes, project.c.name.label("project")).join(
        project, project.c.id == subject.c.project_id
    )
    row = connection.execute(query.where(subject.c.uuid == uuid).with_for_update(of=subject, key_share=True)).first()
    rights.check(connection, desk.principal, Action.SUBJECT_EDIT, row.project if row is not None else "")
    assert row is not None
    before: dict[str, str] = json.loads(row.attributes)
    changes = {field: text for field, text in said.items() if before.get(field, "") != text}
    if not changes:
        return
    now = {field: text for field, text in {**before, **changes}.items() if text}
    written = update(subject).values(attributes=json.dumps(now), modified=desk.catalog.now())
    connection.execute(written.where(subject.c.id == row.id))
    desk.note(connection, "edit", uuid, row.project, {"fields": sorted(changes)}, kind="subject")
