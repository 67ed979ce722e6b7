"""Routing rules of projects: they name subject and session of studies that go there, before the site's rules do.

Owners write them, so their patterns are bounded as those of import filters are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field
from sqlalchemy import Connection, select

from scandock.catalog.privacy_texts import find_text, routing_in_force
from scandock.catalog.tables import routing_rules
from scandock.model.dataclass import dataclass
from scandock.model.json_records import JsonRecord, MaybeMoment
from scandock.rules.errors import RulesUnreadable
from scandock.rules.java_patterns import PatternError, compile_pattern
from scandock.rules.labels import label_key
from scandock.rules.permissions import Action
from scandock.rules.policy import ProjectRules, SiteRules
from scandock.rules.routing_rules import MAX_VALUE, RoutingRule, parse_rules
from scandock.rules.routing_trial import try_project_rules
from scandock.services import rights
from scandock.services.audit import AuditAction
from scandock.services.editing import check_if_match
from scandock.services.rules_trial import RulesTest, read_study, trial_results
from scandock.services.versioned_texts import TextChange, TextOwner, add_version, find_owner, version_of

if TYPE_CHECKING:
    from scandock.access.principal import Principal
    from scandock.services.context import ServiceContext
    from scandock.services.settings import Settings

PROJECT_KINDS: Final = ("subject", "session")


@dataclass(frozen=True, kw_only=True)
class ProjectRouting(JsonRecord):
    """The routing rules of a project."""

    project: str
    subject: Annotated[str, Field(description="Rules that name subjects, one a line")]
    session: Annotated[str, Field(description="Rules that name sessions, one a line")]
    site: Annotated[list[str], Field(description="Kinds of which the site has rules, which are asked after these")]
    version: Annotated[int, Field(description="How often they were set; 0 where they never were")]
    fingerprint: Annotated[str, Field(description="SHA-256 of the rules, by which the audit names them")]
    modified: MaybeMoment
    by: Annotated[str, Field(description="Account that made this version")]


def find_routing(connection: Connection, principal: Principal, project_name: str) -> ProjectRouting:
    """The rules of a project, for its owners. AccessDenied."""
    rights.check(connection, principal, Action.SETTINGS_EDIT, project_name)
    return _read_routing(connection, find_owner(connection, project_name))


def set_routing(
    context: ServiceContext, project_name: str, texts: Mapping[str, str], *, if_match: str | None = None
) -> ProjectRouting:
    """Replace a project's rules, by kind; an empty text takes them away. AccessDenied, Usage `rules_unreadable`."""
    with context.catalog.read() as connection:
        rights.check(connection, context.principal, Action.SETTINGS_EDIT, project_name)
    texts = {kind: texts.get(kind, "").replace("\r\n", "\n") for kind in PROJECT_KINDS}
    for text in texts.values():
        parse_bounded_rules(text)
    with context.catalog.write() as connection:
        rights.check(connection, context.principal, Action.SETTINGS_EDIT, project_name)
        owner = find_owner(connection, project_name, to_change=True)
        before = _read_routing(connection, owner)
        check_if_match(before, if_match)
        document = json.dumps(texts, sort_keys=True) if any(texts.values()) else ""
        if document or before.version:
            change = TextChange(kind="routing", text=document, action=AuditAction.RULES_SET)
            add_version(context.catalog, connection, owner, change, context.principal, context.request)
        return _read_routing(connection, owner)


def try_routing(
    connection: Connection,
    principal: Principal,
    settings: Settings,
    project_name: str,
    texts: Mapping[str, str],
    *,
    file: bytes = b"",
    values: str = "",
) -> RulesTest:
    """Try a project's rules on a DICOM file or on pasted values; `texts` by kind, in the place of those that are set.

    The site's are asked after them. AccessDenied. Usage `rules_unreadable`, `sample_unreadable`.
    """
    saved = find_routing(connection, principal, project_name)
    by_kind = {"subject": saved.subject, "session": saved.session} | dict(texts)
    own = ProjectRules(subject=parse_bounded_rules(by_kind["subject"]), session=parse_bounded_rules(by_kind["session"]))
    site = SiteRules(placeholders=settings.placeholder_names, petmr=settings.petmr)
    site_texts = {row.kind: row.text for row in connection.execute(select(routing_rules))}
    site = replace(
        site,
        subject=parse_rules(site_texts.get("subject", "")),
        session=parse_rules(site_texts.get("session", "")),
        projects={label_key(saved.project): own},
    )
    return trial_results(try_project_rules(read_study(site, file, values), site, saved.project))


def load_project_rules(connection: Connection) -> dict[str, ProjectRules]:
    """The rules of every project that has some, by the key of its name."""
    rules = {}
    for name, document in routing_in_force(connection).items():
        texts = json.loads(document)
        rules[label_key(name)] = ProjectRules(
            subject=parse_rules(texts["subject"]), session=parse_rules(texts["session"])
        )
    return rules


def parse_bounded_rules(text: str) -> tuple[RoutingRule, ...]:
    """The rules of a text; Usage `rules_unreadable` also for a pattern that could take long."""
    rules = parse_rules(text)
    for rule in rules:
        for pattern in (rule.pattern, rule.target):
            if pattern is None:
                continue
            try:
                compile_pattern(pattern.pattern, is_search=pattern is rule.target, value_length=MAX_VALUE)
            except PatternError as reason:
                raise RulesUnreadable(rule.line, f"can't be used: {reason}") from None
    return rules


def _read_routing(connection: Connection, owner: TextOwner) -> ProjectRouting:
    newest = find_text(connection, "routing", owner.project_id)
    version, fingerprint, modified, by = version_of(newest)
    texts = json.loads(newest.text) if newest is not None and newest.text else {}
    site = {row.kind for row in connection.execute(select(routing_rules)) if row.text.strip()}
    return ProjectRouting(
        project=owner.name or "",
        subject=texts.get("subject", ""),
        session=texts.get("session", ""),
        site=sorted(site & set(PROJECT_KINDS)),
        version=version,
        fingerprint=fingerprint,
        modified=modified,
        by=by,
    )
