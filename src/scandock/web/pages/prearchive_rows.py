"""A session that waits, as the list, its own page and the answer to a decision show it: what is in conflict, and what
may be decided of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from sqlalchemy import Connection

from scandock.access.principal import Principal, ProjectRights, decide_access_of
from scandock.model.dataclass import dataclass
from scandock.rules.choices import MEANING, REASONS, Choice, usable_choices
from scandock.rules.labels import UNASSIGNED
from scandock.rules.permissions import AccessDecision, Action
from scandock.services.comparison import Comparison, compare_sessions
from scandock.services.label_conflicts import find_taken_labels
from scandock.services.records import Session
from scandock.services.session_origin import read_archive_names
from scandock.web.pages.action_preview import TITLES, SessionPreview
from scandock.web.pages.text_format import format_count

OFFERED: Final = {
    "archive": Action.SESSION_ARCHIVE,
    "change": Action.PREARCHIVE_EDIT,
    "delete": Action.PREARCHIVE_DELETE,
}
"""Verbs that are offered to whoever may."""
FREES_BY_NAME: Final = "rename"
"""The choice that other names make."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedChoice:
    """One of the things that may be decided of a held session."""

    name: Choice
    title: str
    meaning: str
    replaces: bool
    """Whether an archived session stands beside it, whose files are replaced."""
    effect: str
    """What it does to how many files, where that is known."""
    loss: int
    """How many files it replaces or leaves out, as far as that is known; 0 also for none."""

    @property
    def button(self) -> str:
        """What its button says: what is lost by it, where anything is, so that pressing it confirms that."""
        if not self.loss:
            return self.title
        verb = "replace" if self.name == "keep_new" and self.replaces else "leave out"
        return f"{self.title}: {verb} {format_count(self.loss, 'file')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingRow:
    """A session that waits, with what stands beside it in the archive and what the reader may do to it."""

    session: Session
    comparison: Comparison | None
    can: frozenset[str]
    """Names of `OFFERED`."""
    label_taken: bool = False
    """Whether an archived session that it can't join has its label: it has to be renamed to be archived."""
    archive_name: str = ""
    """The archive that it came by; "" for who may not know it."""
    result: SessionPreview | None = None
    """What became of it just now, or would."""
    is_ask: bool = False
    """Whether `result` is what would happen: it is done once somebody says so again."""
    verb: str = ""
    """What is asked for, as the button sends it."""
    title: str = ""
    fields: Mapping[str, str] | None = None
    """What was typed, which goes along."""

    @property
    def reason(self) -> str:
        """What it is held for, in a few words; nothing where it is not held."""
        return REASONS.get(self.session.code, "needs a decision") if self.session.code else ""

    @property
    def is_unassigned(self) -> bool:
        return self.session.project == UNASSIGNED

    @property
    def choices(self) -> tuple[OfferedChoice, ...]:
        """What is offered: what will do something, given what stands beside it; renaming has fields of its own."""
        archived = self.comparison is not None and self.comparison.stands is not None
        return tuple(
            OfferedChoice(
                name=choice,
                title=TITLES[choice],
                meaning=MEANING[choice],
                effect=describe_effect(choice, self.comparison),
                loss=count_loss(choice, self.comparison),
                replaces=archived,
            )
            for choice in self._usable
            if choice != FREES_BY_NAME and "change" in self.can
        )

    @property
    def _usable(self) -> tuple[Choice, ...]:
        comparison = self.comparison
        archived = comparison is not None and comparison.stands is not None
        differ = comparison is not None and comparison.unequal
        return usable_choices(self.session.code, archived=archived, differ=differ, label_taken=self.label_taken)

    @property
    def can_rename(self) -> bool:
        """Whether other names let it be archived, or are just what somebody wants."""
        return "change" in self.can and (not self.session.code or FREES_BY_NAME in self._usable)

    @property
    def can_archive(self) -> bool:
        """Whether it may be archived as it is."""
        return "archive" in self.can and not self.session.code and not self.is_unassigned

    @property
    def needs_label(self) -> bool:
        """Whether another label is what lets it be archived."""
        return self.label_taken and self.can_rename and not self.is_unassigned

    @property
    def study(self) -> str:
        """Date and description of its study, by which sessions of one label are told apart."""
        attributes = self.session.attributes
        return " · ".join(text for text in (attributes.get("date"), attributes.get("session_type")) if text)

    @property
    def can_rename_and_archive(self) -> bool:
        return self.can_rename and "archive" in self.can and not self.is_unassigned

    @property
    def summary(self) -> str:
        """How what came compares to what is archived, in one line."""
        comparison = self.comparison
        if comparison is None:
            return ""
        if comparison.stands is not None and comparison.differ is not None:
            parts = [
                (comparison.same, "in the archive already"),
                (comparison.only_came, "new"),
                (comparison.differ, "with other content"),
            ]
            counted = ", ".join(f"{count:,} {words}" for count, words in parts if count)
            return f"{format_count(comparison.came.files, 'file')}: {counted}" if counted else ""
        if comparison.inner:
            return f"{format_count(comparison.inner, 'image')} in several versions"
        return ""

    def with_result(
        self, result: SessionPreview, *, is_ask: bool, verb: str, title: str, fields: Mapping[str, str]
    ) -> WaitingRow:
        """The same with what became of it, or would."""
        return replace(self, result=result, is_ask=is_ask, verb=verb, title=title, fields=fields)


def build_rows(connection: Connection, principal: Principal, sessions: Iterable[Session]) -> list[WaitingRow]:
    """The rows of sessions that may be seen, in a number of statements that does not grow with them."""
    sessions = list(sessions)
    comparisons = compare_sessions(connection, [session.id for session in sessions if session.code])
    taken = find_taken_labels(connection, [session.id for session in sessions])
    archive_names = read_archive_names(connection, principal, sessions)
    can = may_decide(connection, principal, {session.project for session in sessions})
    return [
        WaitingRow(
            session=session,
            comparison=comparisons.get(session.id),
            can=can[session.project],
            label_taken=session.id in taken,
            archive_name=archive_names.get(session.id, ""),
        )
        for session in sessions
    ]


def may_decide(connection: Connection, principal: Principal, names: set[str]) -> dict[str, frozenset[str]]:
    """By project: which verbs are one's own to use there. What one sees of `Unassigned` is one's own, or one is
    an administrator.
    """
    project_rights = ProjectRights(connection)
    return {
        name: frozenset(
            verb
            for verb, action in OFFERED.items()
            if decide_access_of(principal, action, name, project_rights, own=name == UNASSIGNED)
            is AccessDecision.ALLOWED
        )
        for name in names
    }


def count_loss(choice: Choice, comparison: Comparison | None) -> int:
    """How many files a choice replaces or leaves out, as a comparison by checksums counts them; 0 for none known."""
    if comparison is None or comparison.differ is None or choice not in ("keep_old", "keep_new"):
        return 0
    if comparison.stands is None:
        return comparison.spare or 0
    return (comparison.replaced if choice == "keep_new" else comparison.differ) or 0


def describe_effect(choice: Choice, comparison: Comparison | None) -> str:
    """What a choice does to how many files, as a comparison by checksums counts them; "" where nothing is known."""
    if comparison is None or comparison.differ is None:
        return ""
    differ, replaced, spare = comparison.differ, comparison.replaced or 0, comparison.spare or 0
    if comparison.stands is None:
        if choice == "keep_both":
            return f"All {format_count(comparison.came.files, 'file')} stay."
        return f"{format_count(spare, 'file is', 'files are')} left out." if spare else ""
    sentences = []
    if choice == "keep_new" and differ:
        ones = "one" if replaced == 1 else "ones"
        sentences.append(f"{format_count(differ, 'file replaces', 'files replace')} {replaced:,} archived {ones}.")
    elif choice == "keep_old" and differ:
        sentences.append(f"{format_count(differ, 'file is', 'files are')} left out.")
    elif choice == "keep_both" and differ:
        ones = "one" if replaced == 1 else "ones"
        sentences.append(f"{format_count(differ, 'file is', 'files are')} kept beside {replaced:,} archived {ones}.")
    if comparison.only_came:
        sentences.append(f"{format_count(comparison.only_came, 'file is', 'files are')} added.")
    elif not sentences and comparison.same:
        sentences.append("No file is new.")
    return " ".join(sentences)
