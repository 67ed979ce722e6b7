"""Codes of sessions: one table, sentences that can be filled, and a page that names them all."""

from __future__ import annotations

import re
import string

from scandock.rules.notices import CODES, make_notice, printable
from scandock.rules.routing import HOLD_REASONS


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_a_code_is_a_sentence_for_people_and_a_remedy(subtests):
    for code, entry in CODES.items():
        with subtests.test(code):
            filled = make_notice(code, **dict.fromkeys(fields(entry.sentence) | fields(entry.remedy), "X"))
            assert (filled.code, "{" in filled.message + filled.remedy) == (code, False)
            assert filled.message.endswith(".")
            assert filled.remedy.endswith(".")
            assert not re.search(r"\b(may|stands?|lies?|anew|says?|told)\b", entry.sentence)
            assert len(code) <= 32
            assert not re.search(r"delete (it|one|the)", entry.remedy), "many who read it have no right to"


def test_every_code_is_on_the_page_of_rules_with_its_remedy(project_root):
    page = (project_root / "docs" / "rules.md").read_text(encoding="utf-8")
    rows = {
        code: (kind, remedy.strip())
        for code, kind, remedy in re.findall(r"^\| `(\w+)` \| ([a-z]+).*\| (.*)\|$", page, re.MULTILINE)
        if code in CODES
    }
    assert rows == {code: (entry.kind, entry.remedy) for code, entry in CODES.items()}


def test_the_page_lists_the_reasons_in_the_order_in_which_they_win(project_root):
    page = (project_root / "docs" / "rules.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `([a-z_]+)` \| held", page, re.MULTILINE)
    assert listed == [*HOLD_REASONS, "sop_clash"]


def test_texts_from_outside_are_made_fit_to_show():
    assert printable("a\nb\x1b[31m") == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}[31m"
    assert len(printable("x" * 1000)) == 80
    assert make_notice("patient_mismatch", label="{0}", ids="{ids}").message.startswith("Session {0} ")
