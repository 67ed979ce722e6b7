"""Before an upload: which sessions are there already, as far as one may see them."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from scandock.catalog.tables import ecat_file, session, subject_patient
from scandock.rules.privacy import PrivacyRules
from scandock.rules.privacy_policy import Policy
from scandock.testing.privacy import given_privacy
from tests.integration.sample_server import SampleServer, serve_samples
from tests.stored_files import session_files

pytestmark = pytest.mark.long

KNOWN = "/api/v1/sessions/known"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SampleServer]:
    with serve_samples(tmp_path_factory.mktemp("known")) as ready:
        yield ready


def asked(made: SampleServer, who: str, *sessions: dict[str, Any]) -> list[dict[str, Any]]:
    answer = made.clients[who].post(KNOWN, json={"sessions": list(sessions)})
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def test_a_session_is_known_by_its_label_in_any_case_and_by_its_study(made: SampleServer) -> None:
    place = made.places[0]
    there = made.clients["admin"].get(f"/api/v1/sessions/{place.archived}").json()
    project, label, uid = there["project"], there["label"], there["study_uid"]
    found = asked(
        made,
        "member",
        {"project": project.lower(), "label": label.upper(), "study_uid": "1.2.3"},
        {"project": project, "label": "of_none", "study_uid": uid},
        {"project": project, "label": "of_none"},
        {"project": "Nowhere", "label": label, "study_uid": uid},
    )
    shown = {key: there[key] for key in ("project", "label", "subject", "study_uid")}
    assert {**shown, "place": "archive", "state": "ready"} == found[0]["label"] == found[1]["study"]
    assert [one["study"] for one in found[:1]] == [None]
    assert found[2:] == [{"label": None, "study": None}] * 2


def test_what_waits_is_told_to_those_who_may_see_it(made: SampleServer) -> None:
    place = made.places[0]
    there = made.clients["admin"].get(f"/api/v1/prearchive/{place.waiting}").json()
    one = {"project": there["project"], "label": there["label"]}
    [told] = asked(made, "member", one)
    assert told["label"]["place"] == "prearchive"
    for who in ("stranger", "uploading"):
        assert asked(made, who, one) == [{"label": None, "study": None}], who


def test_whether_an_archived_session_has_exactly_these_images_is_told_where_counted(
    made: SampleServer,
) -> None:
    there = made.clients["admin"].get(f"/api/v1/sessions/{made.places[0].archived}").json()
    with made.web.site.catalog.read() as connection:
        files = session_files(connection, session.c.uuid == made.places[0].archived)
    sums = [zlib.crc32(one.row.sop_uid.encode()) for one in files if one.row.sop_uid is not None]
    assert sums
    one = {"project": there["project"], "label": there["label"], "study_uid": there["study_uid"]}
    same = {**one, "images": len(sums), "images_sum": sum(sums)}
    found = asked(made, "member", one, same, {**same, "images": len(sums) + 1}, {**same, "images_sum": 1})
    assert [item.get("same_images") for item in found] == [None, True, False, False]
    assert "same_images" not in asked(made, "stranger", same)[0]
    crcs = [f"{crc:08x}" for crc in (*sums[1:], 7)]
    some = {**one, "images": len(crcs), "images_sum": 1, "image_crcs": "".join(crcs)}
    assert [item.get("shared_images") for item in asked(made, "member", same, some)] == [None, len(set(sums)) - 1]
    assert "shared_images" not in asked(made, "stranger", some)[0]
    odd = {**some, "image_crcs": "1234567"}
    assert made.clients["member"].post(KNOWN, json={"sessions": [odd]}).status_code == 422


def test_it_asks_who_one_is_and_takes_many(made: SampleServer) -> None:
    assert made.clients["anonymous"].post(KNOWN, json={"sessions": []}).status_code == 401
    many = [{"project": made.places[0].project, "label": f"L{n}", "study_uid": f"1.{n}"} for n in range(2_000)]
    assert asked(made, "member", *many) == [{"label": None, "study": None}] * 2_000
    one_more = [*many, many[0]]
    assert made.clients["member"].post(KNOWN, json={"sessions": one_more}).status_code == 422


def test_what_a_patient_and_an_ecat_file_have_elsewhere_is_told_where_it_is_asked_for(made: SampleServer) -> None:
    place = made.places[0]
    there = made.clients["admin"].get(f"/api/v1/sessions/{place.archived}").json()
    with made.web.site.catalog.write() as connection:
        tree = connection.execute(
            update(session)
            .where(session.c.uuid == place.archived)
            .values(patient_id="PID")
            .returning(session.c.tree_id)
        ).scalar_one()
        connection.execute(insert(ecat_file).values(tree_id=tree, n=10_000, sha256=b"e" * 32))
    one = {"project": there["project"], "label": "of_none", "subject": "NEW", "patient_id": "PID"}
    one |= {"ecat": [(b"e" * 32).hex(), (b"f" * 32).hex()]}
    nothing: dict[str, Any] = {"label": None, "study": None, "subjects": [], "ecat": []}
    own = {**one, "subject": there["subject"].lower(), "label": there["label"].lower()}
    found, mine, other = asked(made, "member", one, own, {**one, "project": "Nowhere"})
    assert (found["subjects"], found["ecat"]) == ([there["subject"]], [there["label"]])
    assert (mine["subjects"], mine["ecat"], other) == ([], [], nothing)
    for who in ("stranger", "uploading"):
        assert asked(made, who, one) == [nothing], who
    odd = {**one, "ecat": ["no digest"]}
    assert made.clients["member"].post(KNOWN, json={"sessions": [odd]}).status_code == 422


def test_a_subject_of_an_earlier_version_is_told_to_those_who_may_upload_beside_it(made: SampleServer) -> None:
    place = made.places[0]
    there = made.clients["admin"].get(f"/api/v1/sessions/{place.archived}").json()
    with made.web.site.catalog.write() as connection:
        of = connection.execute(select(session.c.subject_id).where(session.c.uuid == place.archived)).scalar_one()
        connection.execute(insert(subject_patient).values(subject_id=of, patient_id="OLD"))
    one: dict[str, Any] = {"project": there["project"], "label": "of_none", "study_uid": "1.2.9", "patient_id": "OLD"}
    one["former_subjects"] = ["of_none", there["subject"].upper()]
    for who in ("member", "uploader", "owner", "admin"):
        other, none, found = asked(made, who, {**one, "patient_id": "NEW"}, {**one, "project": "Nowhere"}, one)
        assert found["kept"] == there["subject"], who
        assert "kept" not in other, who
        assert "kept" not in none, who
    for who in ("collaborator", "reading", "uploading", "stranger"):
        assert "kept" not in asked(made, who, one)[0], who
    with made.web.site.catalog.write() as connection:
        named = {"attributes": json.dumps({"dcmPatientName": "M\xfcller^Anna"})}
        connection.execute(update(session).where(session.c.subject_id == of).values(**named))
    nameless = {**one, "patient_id": "", "patient_name": "M\xdcLLER^Anna^"}
    [by_name, other] = asked(made, "member", nameless, {**nameless, "patient_name": "M\xf6ller^Anna"})
    assert (by_name["kept"], "kept" in other) == (there["subject"], False)
    many = made.clients["member"].post(KNOWN, json={"sessions": [{**one, "former_subjects": ["a", "b", "c"]}]})
    assert many.status_code == 422


def test_whose_a_subject_is_that_images_name_is_told_to_those_who_may_upload_beside_it(made: SampleServer) -> None:
    place = made.places[0]
    there = made.clients["admin"].get(f"/api/v1/sessions/{place.archived}").json()
    with made.web.site.catalog.write() as connection:
        of = connection.execute(select(session.c.subject_id).where(session.c.uuid == place.archived)).scalar_one()
        connection.execute(insert(subject_patient).values(subject_id=of, patient_id="SIXTEEN_LETTERS_AND_MORE"))
    one: dict[str, Any] = {"project": there["project"], "label": "of_none", "study_uid": "1.2.9"}
    one["derived_subjects"] = [there["subject"].upper(), "of_none"]
    own, other, nobody = ({**one, "patient_id": name} for name in ("SIXTEEN_LETTERS_AND_MORE", "SIXTEEN_LETTERS_", ""))
    of_ecat = {**other, "study_uid": ""}  # whose ids are cut
    for who in ("member", "uploader", "owner", "admin"):
        told = [(item.get("own"), item.get("taken")) for item in asked(made, who, own, other, nobody, of_ecat)]
        mine, theirs = ([there["subject"]], None), (None, [there["subject"]])
        assert told == [mine, theirs, (None, None), mine], who
    for who in ("collaborator", "reading", "uploading", "stranger"):
        assert not {"own", "taken"} & asked(made, who, own)[0].keys(), who


def test_where_uids_are_dropped_original_ones_are_told_to_those_who_may_upload_there(made: SampleServer) -> None:
    """Whoever else may read the session can't try out whose UID its own was made of."""
    there = made.clients["admin"].get(f"/api/v1/sessions/{made.places[0].archived}").json()
    rules = PrivacyRules(key=b"k" * 32, policy=Policy(study_uid="drop"))
    original, [new] = "1.2.840.99", rules.new_uids("1.2.840.99")
    renamed = update(session).where(session.c.uuid == there["id"])
    with made.web.site.catalog.write() as connection:
        connection.execute(renamed.values(study_uid=new))
    one = {"project": there["project"], "label": "of_none"}

    def told(who: str, uid: str) -> dict[str, Any] | None:
        study: dict[str, Any] | None = asked(made, who, {**one, "study_uid": uid})[0]["study"]
        return study

    try:
        with given_privacy(projects={there["project"]: rules}):
            for who in ("member", "admin"):
                study = told(who, original)
                assert study is not None, who
                assert study["study_uid"] == original, who
            for who in ("collaborator", "reading"):
                assert told(who, original) is None, who
                study = told(who, new)
                assert study is not None, who
                assert study["study_uid"] == new, who
    finally:
        with made.web.site.catalog.write() as connection:
            connection.execute(renamed.values(study_uid=there["study_uid"]))
