"""The old and new values of a change, as the audit has them."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from scandock.services.audit import MAX_DETAIL, differences


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:12]


def test_a_list_says_what_was_added_and_removed() -> None:
    """However long it is: an entry in its middle is not cut out of the audit."""
    old = [f"PEER{number:012}" for number in range(40)]
    new = [*old[:30], "EVIL@0.0.0.0/0", *old[31:]]
    assert differences({"allow_list": old, "port": 1}, {"allow_list": new, "port": 1}) == {
        "before": {}, "now": {}, "added": {"allow_list": "EVIL@0.0.0.0/0"}, "removed": {"allow_list": old[30]},
    }  # fmt: skip
    assert differences({"allow_list": []}, {"allow_list": ["A", "B"]}) == {
        "before": {}, "now": {}, "added": {"allow_list": "A, B"}, "removed": {"allow_list": ""},
    }  # fmt: skip


def test_a_list_in_another_order_has_both_orders() -> None:
    assert differences({"list": ["a", "a, a"]}, {"list": ["a, a", "a"]}) == {
        "before": {"list": '["a", "a, a"]'}, "now": {"list": '["a, a", "a"]'},
    }  # fmt: skip


def test_a_value_that_is_cut_has_its_length_and_digest() -> None:
    old, new = "x" * 300 + "old", "x" * 300 + "new"
    changed: Any = differences({"label": old, "on": True}, {"label": new, "on": None})
    for state, text in (("before", old), ("now", new)):
        value = changed[state]["label"]
        assert value.startswith("xxx")
        assert value.endswith(f"… (303 characters, SHA-256 {_digest(text)})")
        assert len(value) == MAX_DETAIL
    assert (changed["before"]["on"], changed["now"]["on"]) == (True, None)

    added = [f"PEER{number:012}" for number in range(1_000)]
    text = ", ".join(added)
    changed = differences({"list": []}, {"list": added})
    assert changed["added"]["list"].endswith(f"… ({len(text):,} characters, SHA-256 {_digest(text)})")
    as_it_stands = "x" * MAX_DETAIL
    assert differences({"label": ""}, {"label": as_it_stands})["now"] == {"label": as_it_stands}
