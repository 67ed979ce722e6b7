r"""Assignments in comments: `Project:ABC Subject:S01 Session:S01_MR1 AA:true` (xnat-behaviour.md 2.5).

The original matches `(?:\A|(?:.*[\s,;]))X\s*\:\s*([\w\-]*)(?:(?:[\s,;].*\Z)|\Z)` on the whole text: an assignment at
its very start wins, else the last one. The search here finds the same in one pass, also over several lines.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

from scandock.rules.study import StudyFacts

COMMENT_KEYWORDS: Final = ("PatientComments", "StudyComments", "AdditionalPatientHistory")
"""The elements that are asked, in this order."""


def _assignment(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?:\A|(?<=[\s,;])){name}\s*:\s*([\w-]*)(?=[\s,;]|\Z)", re.ASCII | re.IGNORECASE)


_ASSIGNMENTS: Final = {name: _assignment(name) for name in ("Project", "Subject", "Session", "AA")}


def find_assignment(name: str, text: str) -> str:
    """What `text` assigns to `name` (Project, Subject, Session or AA), or ""."""
    last = ""
    for match in _ASSIGNMENTS[name].finditer(text):
        if match.start() == 0 and match[1]:
            return match[1]
        last = match[1] or last
    return last


def find_common_assignment(name: str, study: StudyFacts) -> tuple[str, str]:
    """(value, keyword of the element) that most objects of `study` assign to `name`; ("", "") where none does."""
    assignments = list_assignments(name, study)
    return assignments[0] if assignments else ("", "")


def list_assignments(name: str, study: StudyFacts) -> list[tuple[str, str]]:
    """As `find_common_assignment`, one for each of the three elements that has an assignment, in their order."""
    assignments = []
    for keyword in COMMENT_KEYWORDS:
        votes: Counter[str] = Counter()
        for text, count in study.counts(keyword).items():
            value = find_assignment(name, text)
            if value:
                votes[value] += count
        if votes:
            assignments.append((most_common(votes), keyword))
    return assignments


def most_common(votes: Counter[str]) -> str:
    """The value with most votes; of several the first in code-point order."""
    return min(votes, key=lambda value: (-votes[value], value))


def auto_archive(study: StudyFacts) -> bool | None:
    """`AA:t...` true, `AA:f...` false, None where the comments say neither."""
    for value, _ in list_assignments("AA", study):
        if value[:1] in "tT":
            return True
        if value[:1] in "fF":
            return False
    return None
