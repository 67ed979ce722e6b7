"""What is kept of instances' headers."""

from __future__ import annotations

from scandock.services.dicom_instances import Instance, InstanceHeaders
from scandock.store.paths import parse_rel


def test_a_tree_whose_number_comes_again_is_another_sessions() -> None:
    headers = InstanceHeaders(most=2)
    path = parse_rel("1.dcm")
    before, after = (Instance(session, 7, 1, "1.2.3", path, 10) for session in ("deleted", "new"))
    headers.keep("deleted", {(7, 1): {"00200013": "1"}})
    assert headers.known([before]) == {(7, 1): {"00200013": "1"}}
    assert headers.known([after]) == {}
    headers.keep("new", {(7, 1): {"00200013": "2"}, (7, 2): {"00200013": "3"}})
    assert headers.known([before]) == {}  # the longest time ago
    assert headers.known([after]) == {(7, 1): {"00200013": "2"}}
