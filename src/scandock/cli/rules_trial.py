"""Rules tried on DICOM objects: which one fires, what it reads, and what comes of it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Final

from scandock.cli.command_errors import ObjectUnreadable
from scandock.cli.plain import plain
from scandock.formats.dicom_header import read_header
from scandock.formats.dicom_tally import Tally
from scandock.model.errors import BadInput
from scandock.model.tags import TAGS
from scandock.rules.labels import clean_label, is_project_id
from scandock.rules.routing_rules import RoutingRule, first_match, rule_tags
from scandock.rules.study import StudyFacts

_HEAD: Final = 64 * 1024


def studies_of(objects: Sequence[str], rules: Sequence[RoutingRule]) -> list[StudyFacts]:
    """The studies of some DICOM files, as an import would see them; Usage for a file that is none."""
    tally = Tally()
    wanted = frozenset(TAGS) | rule_tags(rules)
    for name in objects:
        with open(name, "rb") as file:

            def more(length: int) -> bytes:
                file.seek(0)
                return file.read(length)

            try:
                tally.add(read_header(more(_HEAD), os.fstat(file.fileno()).st_size, wanted, more))
            except BadInput as error:
                raise ObjectUnreadable(name, error.message) from None
    series = tally.drain()
    uids = dict.fromkeys(one.study_uid for one in series)
    return [
        StudyFacts(key=uid, study_uid=uid, series=tuple(one for one in series if one.study_uid == uid)) for uid in uids
    ]


def trial(kind: str, rules: Sequence[RoutingRule], study: StudyFacts) -> Iterator[str]:
    """What the rules make of one study, in lines: the verdict first, then every rule with what it reads."""
    hit = first_match(rules, study)
    yield f"study {plain(study.key)}: {_verdict(kind, hit)}"
    for rule in rules:
        value = study.common(rule.tag)
        taken = rule.value(value)
        outcome = f"gives {plain(taken)!r}" if taken else "does not match"
        fires = "  <- fires" if hit is not None and rule is hit[1] else ""
        yield f"  line {rule.line}: {_element(rule.tag)} is {plain(value)!r}, {outcome}{fires}"


def _verdict(kind: str, hit: tuple[str, RoutingRule] | None) -> str:
    if hit is None:
        return f"no rule fits; the {kind} is named as without rules"
    value, rule = hit
    label = value if kind == "project" else clean_label(value)
    if not label or (kind == "project" and not is_project_id(label)):
        return f"line {rule.line} gives {plain(value)!r}, which can't be a {kind}; it is named as without rules"
    said = f"{kind} {label}" + (", where that project exists" if kind == "project" else "")
    return f"{said} (line {rule.line})"


def _element(tag: int) -> str:
    known = TAGS.get(tag)
    return f"({tag >> 16:04x},{tag & 0xFFFF:04x})" + (f" {known.keyword}" if known else "")
