"""What is kept of instances' headers, and what packs have of them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from scandock.formats.errors import Unparseable
from scandock.rules.dicom_attributes import IN_HEADERS, SYNTAX
from scandock.services.dicom_instances import Instance, InstanceHeaders, read_values
from scandock.viewing.metadata import describe_objects


def test_a_tree_whose_number_comes_again_is_another_sessions() -> None:
    headers = InstanceHeaders(most=2)
    before, after = (Instance(session, 7, 1, "1.2.3", "1", "DICOM", "1.dcm", 10, "") for session in ("deleted", "new"))
    headers.keep("deleted", {(7, 1): {"00200013": "1"}})
    assert headers.known([before]) == {(7, 1): {"00200013": "1"}}
    assert headers.known([after]) == {}
    headers.keep("new", {(7, 1): {"00200013": "2"}, (7, 2): {"00200013": "3"}})
    assert headers.known([before]) == {}  # the longest time ago
    assert headers.known([after]) == {(7, 1): {"00200013": "2"}}


@pytest.mark.long
@pytest.mark.corpus
@pytest.mark.filterwarnings("ignore")
def test_packs_list_of_real_objects_what_their_headers_say(corpus: Path) -> None:
    compared = 0
    odd: dict[str, tuple[object, object]] = {}
    for path in sorted(corpus.rglob("*")):
        if not path.is_file():
            continue
        with open(path, "rb") as stream:
            data = stream.read()
            if data[128:132] != b"DICM":
                continue
            with suppress(Unparseable):
                values = read_values(lambda length, data=data: data[:length], len(data))  # type: ignore[misc]
                (told,), _ = describe_objects([stream])
                compared += 1
                listed = dict(zip((one.tag for one in IN_HEADERS), told["listing"], strict=True))
                listed[SYNTAX.tag] = told["syntax"]
                if listed != values:
                    odd[path.name] = (listed, values)
    assert odd == {}
    assert compared > 650
