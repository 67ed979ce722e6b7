from __future__ import annotations

import pytest

from scandock.model.errors import Usage
from scandock.rules.import_request import ImportRequest
from scandock.web.receiving.upload_fields import (
    check_fields_agree,
    check_idempotency_key,
    check_misspelled,
    clean_filename,
    parse_fields,
    parse_import_request,
)


def test_what_is_named_is_asked_of_the_import():
    named = {
        "project": "P",
        "subject": " S 1 ",
        "session": "",
        "destination": "Archive",
        "overwrite": "delete",
        "ignore_unparsable": "false",
        "resources": "ignore",
        "filename": "a.zip",
    }
    assert parse_import_request(named).named == {
        "project": "P",
        "subject": "S 1",
        "destination": "archive",
        "overwrite": "delete",
        "ignore_unparsable": False,
        "resources": "ignore",
    }


def test_what_a_door_asks_for_of_its_own_stays_beside_what_is_named():
    own = ImportRequest(dialect=True, said={"note": "n"})
    assert parse_import_request({"project": "P"}, own).named == {"project": "P", "dialect": True, "said": {"note": "n"}}


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"project": "a/b"}, "project_id_invalid"),
        ({"project": "Unassigned"}, "project_id_invalid"),
        ({"subject": "***"}, "label_unusable"),
        ({"destination": "elsewhere"}, "request_invalid"),
        ({"overwrite": "yes"}, "request_invalid"),
        ({"ignore_unparsable": "perhaps"}, "request_invalid"),
    ],
)
def test_what_cannot_be_meant_is_refused(fields, code):
    with pytest.raises(Usage) as refused:
        parse_import_request(fields)
    assert refused.value.code == code


def test_a_name_that_means_nothing_or_comes_twice_is_refused():
    assert parse_fields([("project", "P"), ("mapping", "m")]) == {"project": "P", "mapping": "m"}
    for pairs in ([("projct", "P")], [("project", "P"), ("project", "Q")], [("project", "P"), ("project", "P")]):
        with pytest.raises(Usage):
            parse_fields(pairs)


def test_a_query_and_a_form_agree():
    check_fields_agree({"project": "P", "subject": "S"}, {"project": " P", "session": "L"})
    with pytest.raises(Usage, match="project"):
        check_fields_agree({"project": "P"}, {"project": "Q"})


@pytest.mark.parametrize("name", ["projct", "Project", "project_id", "sesion", "destinaton", "over-write"])
def test_near_misses_in_metadata_are_refused(name):
    with pytest.raises(Usage, match=name):
        check_misspelled(["filename", name])


def test_names_that_clients_of_tus_bring_along_are_theirs():
    check_misspelled(
        ["filename", "filetype", "name", "type", "fingerprint", "relativePath", "caption", "description", "version"]
    )


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("", "archive"),
        ("a.zip", "a.zip"),
        ("C:\\x\\a.zip", "a.zip"),
        ("../../etc/a", "a"),
        ("a\0\nb.zip", "a\\x00\\x0ab.zip"),
        ("a\u202epiz.zip", "a\\u202epiz.zip"),
    ],
)
def test_file_names_are_names_alone(given, name):
    assert clean_filename(given) == name


def test_keys_have_an_end():
    assert check_idempotency_key(None) is None
    assert check_idempotency_key("") is None
    with pytest.raises(Usage):
        check_idempotency_key("x" * 256)
