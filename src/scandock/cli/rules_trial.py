"""Rules tried on DICOM objects: which one fires, what it reads, and what comes of it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Final

from scandock.cli.command_errors import ObjectUnreadable
from scandock.cli.text_format import printable
from scandock.formats.dicom_header import read_header
from scandock.formats.dicom_tally import Tally
from scandock.model.errors import BadInput
from scandock.model.tags import TAGS
from scandock.rules.labels import clean_label, is_project_id
from scandock.rules.routing_rules import RoutingRule, first_match, rule_tags
from scandock.rules.study import StudyFacts

_HEAD: Final = 64 * 1024


def read_studies(objects: Sequence[str], rules: Sequence[RoutingRule]) -> list[StudyFacts]:
    """The studies of some DICOM files, as an import would see them; Usage for a file that is none."""
    tally = Tally()
    tags = frozenset(TAGS) | rule_tags(rules)
    for name in objects:
        with open(name, "rb") as file:

            def more(length: int) -> bytes:
                file.seek(0)
                return file.read(length)

            try:
                tally.add(read_header(more(_HEAD), os.fstat(file.fileno()).st_size, tags, more))
            except BadInput as error:
                raise ObjectUnreadable(name, error.message) from None
    series = tally.drain()
    uids = dict.fromkeys(series_facts.study_uid for series_facts in series)
    return [
        StudyFacts(
            key=uid,
            study_uid=uid,
            series=tuple(series_facts for series_facts in series if series_facts.study_uid == uid),
        )
        for uid in uids
    ]


def try_rules(kind: str, rules: Sequence[RoutingRule], study: StudyFacts) -> Iterator[str]:
    """What the rules make of one study, in lines: the verdict first, then every rule with what it reads."""
    match = first_match(rules, study)
    yield f"study {printable(study.key)}: {_verdict(kind, match)}"
    for rule in rules:
        value = study.common(rule.tag)
        result = rule.value(value)
        outcome = f"gives {printable(result)!r}" if result else "does not match"
        fires = "  <- fires" if match is not None and rule is match[1] else ""
        yield f"  line {rule.line}: {_element(rule.tag)} is {printable(value)!r}, {outcome}{fires}"


def _verdict(kind: str, match: tuple[str, RoutingRule] | None) -> str:
    if match is None:
        return f"no rule fits; the {kind} is named as without rules"
    value, rule = match
    label = value if kind == "project" else clean_label(value)
    if not label or (kind == "project" and not is_project_id(label)):
        return f"line {rule.line} gives {printable(value)!r}, which can't be a {kind}; it is named as without rules"
    result = f"{kind} {label}" + (", where that project exists" if kind == "project" else "")
    return f"{result} (line {rule.line})"


def _element(tag: int) -> str:
    known_tag = TAGS.get(tag)
    return f"({tag >> 16:04x},{tag & 0xFFFF:04x})" + (f" {known_tag.keyword}" if known_tag else "")
