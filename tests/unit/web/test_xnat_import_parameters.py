"""What the import service's parameters mean, one by one (xnat-behaviour.md 1.3 to 1.6)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scandock.model.errors import Usage
from scandock.web.receiving.upload_fields import parse_import_request
from scandock.web.xnat.import_parameters import ImportCall, read_handler, read_import_fields, read_listener, read_values
from scandock.web.xnat.services.destinations import Destination


def names(**said: str) -> dict[str, str]:
    """Project, subject and session that a call names."""
    fields, _ = read_import_fields({name.replace("__", "/"): value for name, value in said.items()})
    return {name: fields[name] for name in ("project", "subject", "session") if name in fields}


@pytest.mark.parametrize("prefix", ["", "/data"])
@pytest.mark.parametrize(
    ("dest", "place", "found"),
    [
        ("/archive", "archive", {}),
        ("/archive/projects/P", "archive", {"project": "P"}),
        ("/archive/projects/P/subjects/S", "archive", {"project": "P", "subject": "S"}),
        (
            "/archive/projects/P/subjects/S/experiments/E",
            "archive",
            {"project": "P", "subject": "S", "session": "E"},
        ),
        ("/archive/projects/P/experiments/E", "archive", {"project": "P", "session": "E"}),
        ("/archive/subjects/S", "archive", {"subject": "S"}),
        ("/archive/subjects/S/experiments/E", "archive", {"subject": "S", "session": "E"}),
        ("/archive/experiments/E", "archive", {"session": "E"}),
        ("/prearchive", "prearchive", {}),
        ("/prearchive/projects/P", "prearchive", {"project": "P"}),
        ("/prearchive/projects/Unassigned", "prearchive", {}),
        ("/prearchive/projects/P/20260101_101010123", "prearchive", {"project": "P"}),
        ("/prearchive/projects/P/20260101_101010/E", "prearchive", {"project": "P", "session": "E"}),
    ],
)
def test_every_form_of_a_destination(prefix: str, dest: str, place: str, found: dict[str, str]) -> None:
    for end in ("", "/"):
        fields, _ = read_import_fields({"dest": prefix + dest + end})
        assert fields["destination"] == place
        assert {name: fields[name] for name in ("project", "subject", "session") if name in fields} == found


@pytest.mark.parametrize(
    "dest",
    ["archive", "/archives", "/archive/P", "/archive/projects", "/prearchive/P", "/prearchive/projects/P/E", "/data",
     "/archive/projects/P/subjects/S/experiments/E/scans/1", "/prearchive/projects/P/20260101_101010/E/x", "//archive"],
)  # fmt: skip
def test_a_destination_of_no_form_is_told_in_the_original_s_words(dest: str) -> None:
    with pytest.raises(Usage) as error:
        read_import_fields({"dest": dest})
    assert (error.value.code, error.value.message) == ("dest_invalid", "Parameter dest format error")


def test_a_name_goes_before_an_address_and_an_address_before_an_alias() -> None:
    dest = "/archive/projects/A/subjects/B/experiments/C"
    aliases = {"PROJECT_ID": "P", "SUBJECT_ID": "S", "EXPT_LABEL": "E"}
    assert names(dest=dest, **aliases) == {"project": "A", "subject": "B", "session": "C"}
    assert names(**aliases) == {"project": "P", "subject": "S", "session": "E"}
    own = {"project": "p", "subject": "s", "session": "e"}
    assert names(dest=dest, **aliases, **own) == own
    assert names(project="", subject=" ", session="", **aliases) == {"project": "P", "subject": "S", "session": "E"}
    assert names(SUBJECT_LABEL="S", PREARC_SESSION_FOLDER="F") == {"subject": "S", "session": "F"}


@pytest.mark.parametrize(
    ("said", "is_experiment"),
    [
        ({"session": "XNAT_E00001"}, False),
        ({"EXPT_LABEL": "XNAT_E00001"}, False),
        ({"EXPT_ID": "XNAT_E00001"}, True),
        ({"EXPT_ID": "XNAT_E00001", "EXPT_LABEL": "XNAT_E00001"}, False),
        ({"dest": "/archive/experiments/XNAT_E00001"}, True),
        ({"dest": "/archive/experiments/XNAT_E00001", "EXPT_LABEL": "E"}, True),
        ({"dest": "/archive/experiments/XNAT_E00001", "session": "E"}, False),
    ],
)
def test_an_experiment_is_named_by_its_id_in_an_address_alone(said: dict[str, str], is_experiment: bool) -> None:
    asked: list[Destination] = []

    def labels(named: Destination) -> Destination:
        asked.append(named)
        return replace(named, session="FOUND")

    fields, _ = read_import_fields(said, labels=labels)
    assert [one.is_experiment for one in asked] == [is_experiment]
    assert fields["session"] == "FOUND"


@pytest.mark.parametrize(
    ("said", "overwrite"),
    [
        ({}, None),
        ({"overwrite": ""}, None),
        ({"overwrite": "none"}, "none"),
        ({"overwrite": "Append"}, "append"),
        ({"overwrite": "delete"}, "delete"),
        ({"overwrite": "override"}, "delete"),
        ({"overwrite": "append", "prearchive_code": "1"}, "append"),
        ({"overwrite_files": "true"}, "delete"),
        ({"overwrite": "append", "overwrite_files": "TRUE"}, "delete"),
        ({"overwrite": "none", "overwrite_files": "true"}, "none"),
        ({"overwrite": "append", "overwrite_files": "false"}, "append"),
        ({"overwrite": "True"}, "append"),
        ({"overwrite": " 1 "}, "append"),
        ({"overwrite": "whatever"}, "append"),
        ({"overwrite": "False"}, None),
        ({"overwrite": "0"}, None),
        ({"overwrite": "whatever", "prearchive_code": "0"}, "append"),
        ({"overwrite": "none", "prearchive_code": "1"}, "none"),
        ({"overwrite": "false", "overwrite_files": "true"}, "delete"),
    ],
)
def test_overwrite_means_what_it_was_meant_to(said: dict[str, str], overwrite: str | None) -> None:
    assert parse_import_request(read_import_fields(said)[0]).overwrite == overwrite


@pytest.mark.parametrize(
    ("said", "ignored", "by_name"),
    [
        ({}, False, False),
        ({"Ignore-Unparsable": "true"}, True, True),
        ({"Ignore-Unparsable": "false", "action": "commit"}, False, False),
        ({"action": "commit"}, True, False),
        ({"dest": "/archive"}, True, False),
        ({"import-handler": "SI"}, True, False),
        ({"import-handler": "SI", "Ignore-Unparsable": "false"}, True, False),
        ({"import-handler": "SI", "Ignore-Unparsable": "true"}, True, True),
    ],
)
def test_what_can_t_be_read_is_ignored_where_that_is_said_or_follows(
    said: dict[str, str], ignored: bool, by_name: bool
) -> None:
    fields, own = read_import_fields(said)
    assert (parse_import_request(fields).ignore_unparsable, own.ignores_by_name) == (ignored, by_name)


def test_resources_are_ignored_and_names_kept_unless_that_is_said_otherwise() -> None:
    fields, own = read_import_fields({}, "application/zip")
    assert (fields["resources"], fields["filename"]) == ("ignore", "upload.zip")
    assert own.named == {"dialect": True, "keep_names": True, "ignores_by_name": False}
    assert read_import_fields({"rename": "true"})[1].keep_names is False
    assert read_import_fields({}, "application/dicom")[1].keep_names is False, "single objects have no names"
    assert read_import_fields({"Direct-Archive": "true"})[1].direct is True
    assert read_import_fields({"filename": "a.zip"}, "application/x-tar")[0]["filename"] == "a.zip"


@pytest.mark.parametrize(
    ("said", "media_type", "handler"),
    [
        ({}, "", "DICOM-zip"),
        ({}, "application/zip", "DICOM-zip"),
        ({}, "application/dicom", "gradual-DICOM"),
        ({}, "application/x-mirc", "gradual-DICOM"),
        ({"import-handler": "SI"}, "application/dicom", "SI"),
        ({"import-handler": "inbox"}, "", "inbox"),
    ],
)
def test_the_importer_goes_by_its_name_or_the_type_of_the_body(
    said: dict[str, str], media_type: str, handler: str
) -> None:
    assert read_handler(said, media_type) == handler


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"import-handler": "dicom-zip"}, "handler_unknown"),
        ({"import-handler": "XAR"}, "handler_unknown"),
        ({"overwrite": "true", "prearchive_code": "1"}, "overwrite_invalid"),
        ({"overwrite": "0", "prearchive_code": "1"}, "overwrite_invalid"),
        ({"dest": "/archive/projects/unassigned"}, "dest_invalid"),
        ({"import-handler": "SI", "dest": "/prearchive", "PREARC_TIMESTAMP": "x"}, "dest_invalid"),
    ],
)
def test_what_can_t_be_meant(said: dict[str, str], code: str) -> None:
    with pytest.raises(Usage) as error:
        read_import_fields(said)
    assert error.value.code == code


def test_a_listener_has_a_key() -> None:
    assert read_listener({}) == ""
    assert read_listener({"http-session-listener": " k "}) == "k"
    with pytest.raises(Usage, match="'transaction' is required"):
        read_listener({"http-session-listener": " "})


def test_a_form_may_not_name_a_file_of_the_server() -> None:
    assert read_values([("reference", "x"), ("a", "1"), ("a", "2")], "query") == {"reference": "x", "a": "2"}
    with pytest.raises(Usage, match="may not be used to upload files via reference"):
        read_values([("reference", "x")], "form")


def test_a_query_goes_before_a_form_and_both_are_known_afterwards() -> None:
    call = ImportCall({"project": "Q"}, "multipart/form-data", lambda named: named)
    speech = call.speech()
    assert speech.parse([("project", "R"), ("subject", "S")], "form") == {"project": "R", "subject": "S"}
    assert call.values == {"project": "Q", "subject": "S"}
    assert speech.translate({"project": "Q", "subject": "S", "filename": "a.zip"})[0]["project"] == "Q"
    with pytest.raises(Usage) as error:
        speech.translate({"src": "/x", "filename": "a.zip"})
    assert error.value.code == "multipart_files"


@pytest.mark.parametrize(
    ("said", "options"),
    [
        ({"dest": "/prearchive/projects/P/20000101_050505/E"}, {"timestamp": "20000101_050505", "folder": "E"}),
        ({"dest": "/prearchive/projects/P/20000101_050505123"}, {"timestamp": "20000101_050505123"}),
        ({"PREARC_TIMESTAMP": "20000101_050505", "PREARC_SESSION_FOLDER": "E"}, {"timestamp": "20000101_050505"}),
        ({"PREARC_TIMESTAMP": "20000101_050505", "PREARC_SESSION_FOLDER": "a b"}, {"timestamp": "20000101_050505"}),
        ({"PREARC_SESSION_FOLDER": "E"}, {}),
        ({"dest": "/archive/projects/P", "PREARC_TIMESTAMP": "20000101_050505"}, {}),
        ({"dest": "/archive/projects/P/subjects/S/experiments/E"}, {"one_patient": True}),
        ({"dest": "/archive/projects/P/experiments/E", "subject": "S"}, {}),
        ({"dest": "/archive/projects/P/subjects/S", "session": "E"}, {}),
    ],
)
def test_a_place_in_the_prearchive_and_whose_session_it_is_are_said_by_dest(
    said: dict[str, str], options: dict[str, object]
) -> None:
    named = read_import_fields(said)[1].named
    found = {name: named[name] for name in ("timestamp", "folder", "one_patient") if name in named}
    assert found == {**options, **({"folder": "E"} if said.get("PREARC_SESSION_FOLDER") == "E" and options else {})}


@pytest.mark.parametrize("stamp", ["now", "2000010_0505055", "20000101_0505051234", "\u0662" * 8 + "_050505"])
def test_a_timestamp_is_digits(stamp: str) -> None:
    with pytest.raises(Usage, match="PREARC_TIMESTAMP can't be"):
        read_import_fields({"PREARC_TIMESTAMP": stamp})


def test_who_may_archive_settles_what_was_left() -> None:
    for may in (False, True):
        call = ImportCall({"project": "P"}, "application/zip", lambda named: named, may_archive=may)
        assert call.read_fields(call.values)[1].settles is may
