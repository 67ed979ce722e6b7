"""Routing rules tried on one study: what each line reads and gives, which one fires, and what the study is called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from scandock.model.dataclass import dataclass
from scandock.model.tags import TAGS
from scandock.rules.import_request import ImportRequest
from scandock.rules.labels import clean_label, is_project_id, label_key
from scandock.rules.naming import LabelChoice, name_study
from scandock.rules.policy import ProjectRules, SiteRules
from scandock.rules.routing_rules import RoutingRule, RuleMatch, first_match
from scandock.rules.study import StudyFacts

KINDS: Final = ("project", "subject", "session")


@dataclass(frozen=True, slots=True, kw_only=True)
class LineTrial:
    """One rule, tried."""

    rule: RoutingRule
    value: str
    """What the study has in the rule's element; "" where it has none."""
    match: RuleMatch | None
    label: str
    """What is made of the result: the cleaned label, or the id of a project; "" where that can be none."""
    fires: bool
    """Whether it is the first one that gives something: those below it are not asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KindTrial:
    """The rules of one kind, tried."""

    kind: str
    lines: tuple[LineTrial, ...]
    choice: LabelChoice
    """What an import makes of the study."""
    otherwise: LabelChoice
    """What it would make of it without these rules: from comments and the other elements."""


def try_lines(kind: str, rules: Sequence[RoutingRule], study: StudyFacts) -> tuple[LineTrial, ...]:
    """Each rule with what it reads in a study and what it gives."""
    first = first_match(rules, study)
    trials = []
    for rule in rules:
        value = study.common(rule.tag)
        match = rule.match(value)
        label = "" if match is None else _make_label(kind, match.result)
        fires = first is not None and rule is first[1]
        trials.append(LineTrial(rule=rule, value=value, match=match, label=label, fires=fires))
    return tuple(trials)


def try_project_rules(study: StudyFacts, site: SiteRules, project: str) -> tuple[KindTrial, ...]:
    """What a project's own rules make of a study that is sent to it."""
    request = ImportRequest(project=project)
    key = label_key(project)
    own = site.projects.get(key, ProjectRules())
    naming = name_study(study, request, site, lambda _: True)
    trials = []
    for kind, rules in (("subject", own.subject), ("session", own.session)):
        rest = replace(own, subject=()) if kind == "subject" else replace(own, session=())
        without = replace(site, projects={**site.projects, key: rest})
        other = name_study(study, request, without, lambda _: True)
        choices = [one.subject if kind == "subject" else one.session for one in (naming, other)]
        lines = try_lines(kind, rules, study)
        trials.append(KindTrial(kind=kind, lines=lines, choice=choices[0], otherwise=choices[1]))
    return tuple(trials)


def try_site_rules(study: StudyFacts, site: SiteRules, usable_project: Callable[[str], bool]) -> tuple[KindTrial, ...]:
    """What the site's rules of each kind make of a study of which a request says nothing."""
    request = ImportRequest()
    naming = name_study(study, request, site, usable_project)
    choices = {"project": naming.project, "subject": naming.subject, "session": naming.session}
    rules: dict[str, tuple[RoutingRule, ...]] = {
        "project": site.project,
        "subject": site.subject,
        "session": site.session,
    }
    trials = []
    for kind in KINDS:
        without: dict[str, tuple[RoutingRule, ...]] = {kind: ()}
        other = name_study(study, request, replace(site, **without), usable_project)  # type: ignore[arg-type]
        trials.append(
            KindTrial(
                kind=kind,
                lines=try_lines(kind, rules[kind], study),
                choice=choices[kind],
                otherwise={"project": other.project, "subject": other.subject, "session": other.session}[kind],
            )
        )
    return tuple(trials)


def element_name(tag: int) -> str:
    """An element as people write it, with its keyword where that is known."""
    known_tag = TAGS.get(tag)
    return f"({tag >> 16:04x},{tag & 0xFFFF:04x})" + (f" {known_tag.keyword}" if known_tag else "")


def _make_label(kind: str, text: str) -> str:
    if kind == "project":
        return text if is_project_id(text) else ""
    return clean_label(text)
