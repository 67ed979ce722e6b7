"""The site's routing rules tried on a file's header or on pasted values, before they are set or as they are set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field
from sqlalchemy import Connection

from scandock.catalog.projects import find_project
from scandock.model.dataclass import dataclass
from scandock.model.json_records import JsonRecord
from scandock.rules.labels import UNASSIGNED
from scandock.rules.naming import LabelChoice
from scandock.rules.policy import SiteRules
from scandock.rules.routing_rules import parse_rules
from scandock.rules.routing_trial import KindTrial, LineTrial, element_name, try_site_rules
from scandock.services.rules import list_rules
from scandock.services.sample_headers import SampleUnreadable, make_study, parse_pasted, read_sample, tally_studies

if TYPE_CHECKING:
    from scandock.access.principal import Principal
    from scandock.rules.study import StudyFacts
    from scandock.services.settings import Settings

_SHOWN: Final = 1_000
"""Characters of a value that are shown."""


@dataclass(frozen=True, kw_only=True)
class RuleResult(JsonRecord):
    """What one line of the rules does."""

    line: Annotated[int, Field(description="Number of the line, from 1")]
    element: Annotated[str, Field(description="The element that it reads, with its keyword")]
    value: Annotated[str, Field(description="What the header has there; empty where it has nothing")]
    matched: Annotated[bool, Field(description="Whether the pattern matches the whole value")]
    group: Annotated[str, Field(description="The text of the group")]
    result: Annotated[str, Field(description="The same after t: and r:")]
    label: Annotated[str, Field(description="The label that is made of it, or the id of a project; empty for none")]
    fires: Annotated[bool, Field(description="Whether it is the first one that gives something")]


@dataclass(frozen=True, kw_only=True)
class KindResult(JsonRecord):
    """What the rules of one kind do."""

    NESTED = ("rules",)

    kind: Annotated[str, Field(description="project, subject or session")]
    rules: list[RuleResult]
    label: Annotated[str, Field(description="What an import calls it")]
    source: Annotated[
        str,
        Field(description="What gives that: `site rule 3`, `project rule 3`, a keyword, `hash` ..."),
    ]
    other_label: Annotated[str, Field(description="What an import would call it without these rules")]
    other_source: str


@dataclass(frozen=True, kw_only=True)
class RulesTest(JsonRecord):
    """The rules of all kinds, tried on one header."""

    NESTED = ("kinds",)

    kinds: list[KindResult]


def try_rules(
    connection: Connection,
    principal: Principal,
    settings: Settings,
    texts: Mapping[str, str],
    *,
    file: bytes = b"",
    values: str = "",
) -> RulesTest:
    """Try rules on a DICOM file or on pasted values; `texts` by kind, in the place of those that are set.

    AccessDenied. Usage `rules_unreadable`, `sample_unreadable`.
    """
    by_kind = {rules.kind: rules.text for rules in list_rules(connection, principal)} | dict(texts)
    site = SiteRules(
        project=parse_rules(by_kind["project"]),
        subject=parse_rules(by_kind["subject"]),
        session=parse_rules(by_kind["session"]),
        placeholders=settings.placeholder_names,
        petmr=settings.petmr,
    )
    study = read_study(site, file, values)
    return trial_results(try_site_rules(study, site, lambda name: find_project(connection, name) is not None))


def trial_results(trials: Sequence[KindTrial]) -> RulesTest:
    """What came of a trial, as it is answered."""
    session = next(trial for trial in trials if trial.kind == "session")
    return RulesTest(kinds=[_kind_result(trial, session) for trial in trials])


def read_study(site: SiteRules, file: bytes, values: str) -> StudyFacts:
    """The study of a file, with what the rules read, or of pasted values. Usage `sample_unreadable`."""
    if file:
        return tally_studies([read_sample(file, site.tags)])[0]
    if values.strip():
        return make_study(parse_pasted(values))
    raise SampleUnreadable("There is nothing to try the rules on.", "Choose a file or paste values.")


def _kind_result(trial: KindTrial, session: KindTrial) -> KindResult:
    return KindResult(
        kind=trial.kind,
        rules=[_rule_result(line) for line in trial.lines],
        label=_label(trial.choice, session.choice),
        source=trial.choice.source,
        other_label=_label(trial.otherwise, session.otherwise),
        other_source=trial.otherwise.source,
    )


def _label(choice: LabelChoice, session: LabelChoice) -> str:
    """A subject without a name of its own is called as its session."""
    return choice.label or session.label or UNASSIGNED


def _rule_result(line: LineTrial) -> RuleResult:
    return RuleResult(
        line=line.rule.line,
        element=element_name(line.rule.tag),
        value=line.value[:_SHOWN],
        matched=line.match is not None,
        group="" if line.match is None else line.match.group[:_SHOWN],
        result="" if line.match is None else line.match.result[:_SHOWN],
        label=line.label,
        fires=line.fires,
    )
