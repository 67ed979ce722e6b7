"""One record of a session: from its row and back into columns, and the narrower records that are made of it."""

from __future__ import annotations

import json
from dataclasses import asdict, fields

from scandock.catalog.engine import Catalog
from scandock.catalog.records import DeletedSession, SessionFacts, SessionRecord
from scandock.catalog.sessions import find_session, read_for_trash
from scandock.catalog.tables import session
from scandock.publishing.intents import SessionRow
from tests.unit.catalog.conftest import Rows

LISTED = {"date", "modalities"}
"""Columns that say again what others say (`catalog.sessions.note_listing`)."""
ELSEWHERE = {
    "id", "uuid", "key", "subject_id", "tree_id", "created", "modified", "received", "received_by", *LISTED,
}  # fmt: skip
"""Columns that say which row it is, where its tree is, when it was written, and how it came: whoever writes it knows
these.
"""


def record(catalog: Catalog, rows: Rows, **values: object) -> SessionRecord:
    uuid = rows.session(
        rows.project(),
        label="Visit",
        subject="S1",
        place="prearchive",
        timestamp="20200101_101112131",
        state="conflict",
        study_uid="1.2",
        patient_id="P1",
        ecat=True,
        by_hand=True,
        quarantined=True,
        type_by_hand=True,
        fields_by_hand='["date"]',
        folder="Came",
        overwrite="delete",
        xsi_type="xnat:petSessionData",
        attributes='{"date": "2020-01-01"}',
        warnings='[{"code": "x", "message": "y", "remedy": ""}]',
        held_code="sop_clash",
        held_message="It clashes.",
        held_remedy="Decide.",
        scans=2,
        files=3,
        bytes=4,
        **values,
    )
    with catalog.read() as connection:
        found = find_session(connection, uuid)
    assert found is not None
    return found


def test_every_column_of_a_session_is_in_its_record_and_comes_back(catalog: Catalog, rows: Rows) -> None:
    found = record(catalog, rows)
    assert found.columns().keys() == set(session.c.keys()) - ELSEWHERE
    assert {one.name for one in fields(SessionRecord)} == {
        *(set(session.c.keys()) - {"key", "held_code", "held_message", "held_remedy", *LISTED}), "project", "held",
    }  # fmt: skip
    with catalog.read() as connection:
        row = connection.execute(session.select().where(session.c.uuid == found.uuid)).mappings().one()
    for name, value in found.columns().items():
        assert value == row[name], name


def test_what_is_archived_keeps_nothing_of_its_time_in_the_prearchive(catalog: Catalog, rows: Rows) -> None:
    facts = SessionFacts(**{**record(catalog, rows).facts(), "place": "archive"})
    assert (facts.columns()["folder"], facts.columns()["overwrite"]) == ("", "")


def test_a_row_to_be_written_is_the_session_with_what_was_changed(catalog: Catalog, rows: Rows) -> None:
    found = record(catalog, rows)
    row = SessionRow.of(found, label="Later", quarantined=False)
    assert (row.label, row.key, row.new, row.make_subject, row.patient_ids) == ("Later", "later", False, False, ["P1"])
    changed = {"label": "Later", "quarantined": False}
    assert row.facts() == {**found.facts(), **changed}


def test_the_rules_know_it_as_it_is(catalog: Catalog, rows: Rows) -> None:
    known = record(catalog, rows).known
    assert (known.timestamp, known.held, known.type_is_set) == ("20200101_101112131", "sop_clash", True)


def test_a_deleted_session_comes_back_from_json_as_it_was(catalog: Catalog, rows: Rows) -> None:
    found = record(catalog, rows)
    with catalog.read() as connection:
        deleted = read_for_trash(connection, found)
    assert deleted.facts() == found.facts()
    assert DeletedSession.from_json(json.loads(json.dumps(asdict(deleted)))) == deleted


def test_what_an_older_version_has_deleted_comes_back_too(catalog: Catalog, rows: Rows) -> None:
    """It wrote more keys of its row, and none of those that there were not."""
    found = record(catalog, rows)
    kept = {**asdict(found), "edits": []}
    for name in ("quarantined", "type_by_hand", "fields_by_hand", "folder", "overwrite"):
        del kept[name]
    back = DeletedSession.from_json(json.loads(json.dumps(kept)))
    assert (back.quarantined, back.type_by_hand, back.fields_by_hand, back.folder) == (False, True, [], "")
    assert (back.uuid, back.held, back.attributes) == (found.uuid, found.held, found.attributes)
