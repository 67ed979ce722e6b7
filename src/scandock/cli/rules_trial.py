"""Rules tried on DICOM objects: which one fires, what it reads, and what comes of it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from scandock.cli.text_format import printable
from scandock.rules.routing_rules import RoutingRule, rule_tags
from scandock.rules.routing_trial import LineTrial, element_name, try_lines
from scandock.services.sample_headers import read_object, tally_studies

if TYPE_CHECKING:
    from scandock.rules.study import StudyFacts

_HEAD: Final = 64 * 1024


def read_studies(objects: Sequence[str], rules: Sequence[RoutingRule]) -> list[StudyFacts]:
    """The studies of some DICOM files, as an import would see them; Usage for a file that is none."""
    headers = []
    for name in objects:
        with open(name, "rb") as file:

            def more(length: int) -> bytes:
                file.seek(0)
                return file.read(length)

            headers.append(read_object(name, more(_HEAD), os.fstat(file.fileno()).st_size, rule_tags(rules), more))
    return tally_studies(headers)


def try_rules(kind: str, rules: Sequence[RoutingRule], study: StudyFacts) -> Iterator[str]:
    """What the rules make of one study, in lines: the verdict first, then every rule with what it reads."""
    trials = try_lines(kind, rules, study)
    first = next((trial for trial in trials if trial.fires), None)
    yield f"study {printable(study.key)}: {_verdict(kind, first)}"
    for trial in trials:
        result = trial.match.result if trial.match is not None else ""
        outcome = f"gives {printable(result)!r}" if result else "does not match"
        element = element_name(trial.rule.tag)
        fires = "  <- fires" if trial.fires else ""
        yield f"  line {trial.rule.line}: {element} is {printable(trial.value)!r}, {outcome}{fires}"


def _verdict(kind: str, first: LineTrial | None) -> str:
    if first is None or first.match is None:
        return f"no rule fits; the {kind} is named as without rules"
    line = first.rule.line
    if not first.label:
        value = printable(first.match.result)
        return f"line {line} gives {value!r}, which can't be a {kind}; it is named as without rules"
    result = f"{kind} {first.label}" + (", where that project exists" if kind == "project" else "")
    return f"{result} (line {line})"
