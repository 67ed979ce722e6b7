"""Damaged objects through scripts and profile: no mark gets out, and pydicom reads what came out as the tree does."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import settings

from scandock.deidentification.dictionary import dictionary_vr
from scandock.deidentification.parsing import parse
from scandock.deidentification.profile.actions import _numbered_rows
from scandock.deidentification.profile.options import parse_profile
from scandock.deidentification.script.lookup_table import parse_lookup_table
from scandock.deidentification.script.parser import parse_script
from scandock.deidentification.scrub import Context, Failed, Rules, Scrubbed, ScrubResult, scrub
from scandock.model.tags import PIXEL_DATA
from tests.unit.deidentification.mutation import MARK, bases, mutated
from tests.unit.deidentification.objects import joined
from tests.unit.deidentification.referee import pydicom_reading, tree_reading

pytestmark = pytest.mark.hypothesis

CASES = 10_000
EACH = 1 if settings.get_current_profile_name() == "fuzz" else 25

CODES = "- */(0008,0100)\n- */(0008,0104)\n"
"""What the profile keeps of codes, as the standard does."""
SCRIPTS = (
    "",
    "removeAllPrivateTags\nhashUIDList[(0008,0018), */(0008,1155), (0020,000D)]\n",
    'version "6.6"\n(0010,0010) := subject\n(0010,0020) ?= concatenate[session, "-", (0020,0013)]\n- (0008,1140)[0]\n',
    '*/(0010,0010) ?= "X"\nretainPrivateTags[(0029,{SIEMENS CSA HEADER}08)]\n(0040,0275)[1]/(0040,0007) := "head"\n',
    (
        "blankValues[(0010,0010), (0010,0020), (0008,1030)]\nisPresent[(0008,0020)] ? (0008,0020) := "
        'shiftDateByIncrement[(0008,0020), "-3", "days"]\nset["(0008,1140)[0]/(0010,4000)", "MARKED"]\n'
    ),
    (
        'if (ismatch[(0008,0060), "M.*"]) {\n alterPixels["rectangle", "l=0,t=0,r=1,b=2", "solid", "v=0"]\n'
        ' (0020,000D) := mapUID[(0020,000D), "1.2.3"]\n} else { reject[] }\n(0010,0020) := lookup["pid", "MARK0004"]\n'
    ),
)
PROFILES = (
    "basic",
    "basic,modified-dates,clean-descriptors,clean-structured,clean-graphics,retain-patient,safe-private",
)
CONTEXT = Context(key=b"k" * 32, variables={"project": "P", "subject": "MARKSUBJECT", "session": "S1"})


def rules(number: int) -> Rules:
    text = SCRIPTS[number % len(SCRIPTS)].replace('version "6.6"\n', "")
    script = parse_script(f'version "6.6"\n{CODES}{text}', "fuzz.das")
    profile = parse_profile(PROFILES[number % len(PROFILES)])
    return Rules(scripts=(script,), lookups=parse_lookup_table("pid/MARK0004 = MARKTABLE"), profile=profile)


RULES = [rules(number) for number in range(len(SCRIPTS) * len(PROFILES))]


def checked(data: bytes, number: int) -> ScrubResult:
    """What comes of an object; AssertionError where a mark gets out, or pydicom reads it otherwise."""
    chosen = RULES[number % len(RULES)]
    result = scrub(data, rules=chosen, context=CONTEXT)
    if not isinstance(result, Scrubbed):
        assert "MARK" not in result.message
        return result
    out = joined(result.parts, data)
    obj = parse(out)
    rest, kept = out, []
    for data_set, tag in obj.data.walk():
        if data_set is obj.data and tag in PIXEL_DATA:
            rest = rest.replace(data_set.value(tag), b"") if data_set.size(tag) else rest
        elif data_set.items(tag) is None and MARK in data_set.value(tag):
            kept.append((data_set, tag))
            rest = rest.replace(data_set.value(tag), b"")
    assert MARK not in rest
    assert all(_is_kept_by_the_standard(tag) for _, tag in kept), [hex(tag) for _, tag in kept]
    expected = pydicom_reading(out)
    assert tree_reading(obj.data, expected) == expected
    again = scrub(out, rules=Rules(), context=CONTEXT)
    assert isinstance(again, Scrubbed)
    assert joined(again.parts, out) == out
    return result


def _is_kept_by_the_standard(tag: int) -> bool:
    """Short texts of which no row says anything, as which damage to a tag has the text of another one."""
    return not tag & 0x10000 and dictionary_vr(tag) in {"LO", "SH"} and tag not in _numbered_rows()


def test_no_mark_of_what_is_whole_gets_out(subtests: pytest.Subtests) -> None:
    for index, base in enumerate(bases()):
        for number in range(len(RULES)):
            with subtests.test(index=index, number=number):
                assert isinstance(checked(base, number), Scrubbed | Failed)


def test_no_mark_of_what_is_damaged_gets_out() -> None:
    outcomes: Counter[str] = Counter()
    for seed in range(0, CASES, EACH):
        try:
            outcomes[type(checked(mutated(seed), seed)).__name__] += 1
        except Exception as wrong:
            raise AssertionError(f"seed {seed}") from wrong
    total = sum(outcomes.values())
    assert outcomes[Scrubbed.__name__] > total / 10
    assert outcomes[Failed.__name__] > total / 2
