"""The one list of what is asked of an import, and the texts of it that uploads' rows keep."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from dataclasses import asdict
from typing import Any

import pytest

from scandock.cli.import_options import ImportOptions
from scandock.rules.import_request import ImportRequest, RequestSource
from scandock.rules.mapping import parse_mapping

FROM_THE_DIALECT = {
    "project": "P",
    "destination": "archive",
    "overwrite": "delete",
    "ignore_unparsable": False,
    "resources": "ignore",
    "dialect": True,
    "keep_names": True,
    "ignores_by_name": True,
}
OF_THE_COMMAND = {"create_project": True, "mapping_path": "/etc/passwd", "workers": 64, "receipt": True}


def test_a_row_keeps_what_was_named_and_gives_it_back() -> None:
    request = ImportRequest(project="P", session="\xe9", overwrite="append", said={"note": "n"})
    assert json.loads(request.to_json()) == {
        "project": "P", "session": "\xe9", "overwrite": "append", "said": {"note": "n"},
    }  # fmt: skip
    assert ImportRequest.from_json(request.to_json()) == request


def test_a_default_that_was_named_is_no_default_that_was_not() -> None:
    """By it an idempotency key knows its upload again."""
    assert ImportRequest(ignore_unparsable=True).named != ImportRequest().named
    assert ImportRequest(project=None).named == ImportRequest().named == {}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", {}),
        ("{}", {}),
        ('{"operation": "move"}', {}),
        ('{"project": "P", "subject": null, "unheard_of": [1]}', {"project": "P"}),
        ('{"project": "P", "session": null, "resources": "keep"}', {"project": "P", "resources": "keep"}),
        (json.dumps({"project": "P", **OF_THE_COMMAND}), {"project": "P"}),
        (json.dumps(FROM_THE_DIALECT), FROM_THE_DIALECT),
    ],
)  # fmt: skip
def test_texts_of_every_version_are_read(text: str, named: dict[str, Any]) -> None:
    assert ImportRequest.from_json(text).named == named


def test_the_rows_of_a_mapping_go_to_the_rules_and_into_no_text() -> None:
    rows = parse_mapping("patient_id,project\n1,P\n", "")
    request = ImportRequest(project="P").with_fields(mapping=rows)
    assert request.mapping == rows
    assert request.with_fields(project="Q").mapping == rows
    assert request.to_json() == '{"project": "P"}'


def test_a_path_that_is_no_unicode_is_one() -> None:
    path = b"m\xff.csv".decode(errors="surrogateescape")
    request = ImportRequest(mapping_path=path, session="\udcff").with_fields(project="P")
    assert (request.mapping_path, request.session) == (path, "\udcff")
    assert ImportRequest.from_json(request.to_json()).session == "\udcff"


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"destination": "elsewhere"}, ValueError),
        ({"overwrite": True}, ValueError),
        ({"projct": "P"}, TypeError),
    ],
)
def test_what_is_no_request_is_none(wrong: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        ImportRequest(**wrong)
    with pytest.raises(error):
        ImportRequest().with_fields(**wrong)


def test_a_copy_knows_what_was_named() -> None:
    request = ImportRequest(project="P", unnamed=("subject",))
    assert pickle.loads(pickle.dumps(request)).named == request.named == {"project": "P", "unnamed": ("subject",)}
    assert ImportRequest.from_json(request.to_json()) == request


def test_senders_and_the_command_line_have_fields_of_their_own() -> None:
    assert ImportRequest.fields_of(RequestSource.SENDER) == (
        "project", "subject", "session", "destination", "overwrite", "ignore_unparsable", "resources",
    )  # fmt: skip
    assert set(ImportRequest.fields_of(RequestSource.COMMAND)) == set(OF_THE_COMMAND)


def test_reader_processes_load_no_pydantic() -> None:
    code = "import sys, scandock.workers.reader_process, scandock.rules.routing; sys.exit('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_doors_know_what_kind_a_field_is() -> None:
    kinds = {name: ImportRequest.choices(name) for name in ImportRequest.fields_of(RequestSource.SENDER)}
    assert {name: words for name, words in kinds.items() if words} == {
        "destination": ("prearchive", "archive"),
        "overwrite": ("none", "append", "delete"),
        "resources": ("keep", "ignore"),
    }
    assert [name for name in kinds if ImportRequest.is_flag(name)] == ["ignore_unparsable"]


def test_the_command_line_asks_what_any_sender_may_ask() -> None:
    senders = {
        name: ImportRequest.__dataclass_fields__[name].default for name in ImportRequest.fields_of(RequestSource.SENDER)
    }
    assert asdict(ImportOptions()) == {**senders, "mapping": None}
