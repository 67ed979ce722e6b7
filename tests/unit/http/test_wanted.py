from __future__ import annotations

import pytest

from scandock.http.receiving.wanted import check_names, filename_of, key_of, options_of
from scandock.model.errors import Usage
from scandock.model.importing import ImportOptions


def test_what_is_named_becomes_options_of_the_import():
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
    options = options_of(named)
    assert options == {
        "project": "P",
        "subject": "S 1",
        "destination": "archive",
        "overwrite": "delete",
        "ignore_unparsable": False,
        "resources": "ignore",
    }
    ImportOptions(**options)


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
        options_of(fields)
    assert refused.value.code == code


def test_a_name_that_means_nothing_is_refused():
    check_names(["project", "mapping"])
    with pytest.raises(Usage):
        check_names(["projct"])


@pytest.mark.parametrize(
    ("given", "name"),
    [("", "archive"), ("a.zip", "a.zip"), ("C:\\x\\a.zip", "a.zip"), ("../../etc/a", "a"), ("a\0\nb.zip", "ab.zip")],
)
def test_file_names_are_names_alone(given, name):
    assert filename_of(given) == name


def test_keys_have_an_end():
    assert key_of(None) is None
    assert key_of("") is None
    with pytest.raises(Usage):
        key_of("x" * 256)
