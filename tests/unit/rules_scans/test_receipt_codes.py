from __future__ import annotations

import re

import pytest

from scandock.model.verdicts import Verdict
from scandock.rules.notices import CODES as NOTICES
from scandock.rules.receipt_codes import ARCHIVES, CODES, ENTRIES, sentence

ROW = re.compile(r"^\| `([a-z0-9_]+)` \|([^|]*)\|([^|]*)\|([^|]*)\|$", re.MULTILINE)


@pytest.fixture(scope="module")
def documented(project_root):
    text = (project_root / "docs" / "codes.md").read_text(encoding="utf-8")
    return {code: (verdicts.strip(), say.strip(), do.strip()) for code, verdicts, say, do in ROW.findall(text)}


def test_every_code_is_documented_in_its_own_words(documented):
    ours = {
        code: (entry.sentence, entry.remedy + (f" The setting is `{entry.setting}`." if entry.setting else ""))
        for code, entry in CODES.items()
    }
    assert {code: row[1:] for code, row in documented.items() if code in ours} == ours


def test_the_verdicts_of_a_code_are_documented(documented):
    ours = {code: ", ".join(sorted(entry.verdicts)) for code, entry in ENTRIES.items()}
    assert {code: row[0] for code, row in documented.items() if code in ours} == ours


def test_every_code_of_a_session_is_documented(project_root):
    text = (project_root / "docs" / "codes.md").read_text(encoding="utf-8")
    for code, entry in NOTICES.items():
        assert f"| `{code}` | {entry.kind} | {entry.section} | {entry.sentence} | {entry.remedy} |" in text


def test_every_verdict_has_a_code():
    assert {verdict for code in CODES.values() for verdict in code.verdicts} == set(Verdict)


def test_codes_of_entries_and_archives_are_told_apart():
    assert not set(ENTRIES) & set(ARCHIVES)
    assert all(ENTRIES[code].verdicts and not CODES[code].whole for code in ENTRIES)
    assert all(CODES[code].whole for code in ARCHIVES)


def test_a_code_says_a_sentence_and_a_refusal_says_what_to_do(subtests):
    for code, entry in CODES.items():
        with subtests.test(code):
            assert re.fullmatch(r"[a-z][a-z0-9_]+", code)
            assert entry.sentence[0].isupper()
            assert entry.sentence.endswith(".")
            assert len(entry.sentence) < 160
            assert entry.remedy.endswith((".", ")")) or not entry.remedy
            if {Verdict.UNPARSEABLE, Verdict.REFUSED, Verdict.CONFLICT} & entry.verdicts or entry.whole:
                assert entry.remedy


def test_the_sentence_of_a_code():
    assert sentence("stored") == "Stored as it came."
    with pytest.raises(KeyError):
        sentence("no_such_code")
