"""The catalog as the rules ask it, where projects keep keyed hashes of what their objects were.

Studies and patients of an upload are compared with these, so that what was de-identified is known again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Protocol

from scandock.rules.catalog_view import CatalogView, KnownSession, KnownSubject
from scandock.rules.petmr import Side
from scandock.rules.privacy import PrivacyRules


class KeyedCatalog(CatalogView, Protocol):
    """A catalog that finds sessions by the key of their study, too."""

    def sessions_of_key(self, project: str, study_key: str, /) -> Sequence[KnownSession]:
        """All sessions of a study in a project, by its keyed hash."""

    def origins_of_sides(self, project: str, study_key: str, study_uid: str, /) -> Iterable[tuple[bytes, Side]]:
        """The origins of the files that sessions of one side have of a study, with that side.

        By its keyed hash, or by the UID that it has now.
        """


MatchSeries = Callable[[str, Iterable[tuple[bytes, Side]]], Mapping[str, Side]]
"""Gives the sides of the series that a study has in the upload, by the origins of files that are there."""


class KeyedView:
    """A view in which patients are tokens, in projects with rules; sessions of the upload's studies have their UIDs."""

    def __init__(
        self,
        view: KeyedCatalog,
        rules_of: Callable[[str], PrivacyRules | None],
        study_uids: Iterable[str],
        match_series: MatchSeries,
        study_keys: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """`study_uids` are those of the upload's studies, as its objects have them; `study_keys` the keys of those that
        were de-identified before, by these UIDs.
        """
        self._view = view
        self._rules_of = rules_of
        self._uids = frozenset(study_uids)
        self._match_series = match_series
        self._study_keys = study_keys
        self._by_key: dict[bytes, dict[str, str]] = {}

    def sessions_of_study(self, project: str, study_uid: str) -> Sequence[KnownSession]:
        """By the study's key, by the UID that takes the place of its own, which is all where keys are not kept, and by
        the UID itself: an exported session has the one that it was given.
        """
        sessions = self._view.sessions_of_study(project, study_uid)
        rules = self._rules_of(project)
        if rules is None:
            return sessions
        keyed = self._view.sessions_of_key(project, self._study_key(rules, study_uid))
        renamed = self._view.sessions_of_study(project, rules.new_uid(study_uid))
        every = {session.uuid: session for session in (*keyed, *renamed, *sessions)}
        return [self._translate(rules, session) for session in every.values()]

    def series_of_study(self, project: str, study_uid: str) -> Mapping[str, Side]:
        """By the UID itself, by the one that takes its place, and where any file of a series is there by its origin."""
        series = self._view.series_of_study(project, study_uid)
        rules = self._rules_of(project)
        if rules is None:
            return series
        renamed = self._view.series_of_study(project, rules.new_uid(study_uid))
        stored = self._view.origins_of_sides(project, self._study_key(rules, study_uid), rules.new_uid(study_uid))
        return _KnownSeries({**series, **self._match_series(study_uid, stored)}, renamed, rules)

    def sessions_labelled(self, project: str, label: str) -> Sequence[KnownSession]:
        sessions = self._view.sessions_labelled(project, label)
        rules = self._rules_of(project)
        return sessions if rules is None else [self._translate(rules, session) for session in sessions]

    def subject(self, project: str, label: str) -> KnownSubject | None:
        subject = self._view.subject(project, label)
        rules = self._rules_of(project)
        return subject if rules is None or subject is None else _hide_patients(subject, rules)

    def subjects_labelled(self, project: str, labels: Collection[str]) -> Mapping[str, KnownSubject]:
        subjects = self._view.subjects_labelled(project, labels)
        rules = self._rules_of(project)
        if rules is None:
            return subjects
        return {key: _hide_patients(subject, rules) for key, subject in subjects.items()}

    def is_timestamp_taken(self, project: str, timestamp: str) -> bool:
        return self._view.is_timestamp_taken(project, timestamp)

    def _translate(self, rules: PrivacyRules, session: KnownSession) -> KnownSession:
        own_keys = self._own_keys(rules)
        own = own_keys.get(session.study_key) or own_keys.get(session.study_uid or "")
        if rules.policy.patient == "drop":
            return replace(session, study_uid=own or session.study_uid, patient_id="")
        if own is not None:
            return replace(session, study_uid=own, patient_id=session.patient_key)
        if session.study_uid in self._uids:  # as it was given back: so its patient is the one that its objects name
            return replace(session, patient_id=rules.patient_token(session.patient_id))
        return replace(session, patient_id=session.patient_key or rules.patient_token(session.patient_id))

    def _study_key(self, rules: PrivacyRules, study_uid: str) -> str:
        return self._study_keys.get(study_uid) or rules.study_key(study_uid)

    def _own_keys(self, rules: PrivacyRules) -> dict[str, str]:
        """The upload's studies by their keys, and by the UIDs that take the place of theirs."""
        keys = self._by_key.get(rules.key)
        if keys is None:
            keys = self._by_key[rules.key] = {
                name: uid for uid in self._uids for name in (self._study_key(rules, uid), rules.new_uid(uid))
            }
        return keys


class _KnownSeries(Mapping[str, Side]):
    """The sides of series by their UIDs, and by those that have taken their place."""

    def __init__(self, sides: Mapping[str, Side], renamed: Mapping[str, Side], rules: PrivacyRules) -> None:
        self._sides = sides
        self._renamed = renamed
        self._rules = rules

    def __getitem__(self, uid: str) -> Side:
        side = self._sides.get(uid) or self._renamed.get(self._rules.new_uid(uid))
        if side is None:
            raise KeyError(uid)
        return side

    def __iter__(self) -> Iterator[str]:
        return iter(self._sides)

    def __len__(self) -> int:
        return len(self._sides)


def _hide_patients(subject: KnownSubject, rules: PrivacyRules) -> KnownSubject:
    """A subject with tokens for its patients; names that were de-identified tell nobody apart.

    Where patients are dropped nobody knows whose it is: they are compared within one upload alone.
    """
    if rules.policy.patient == "drop":
        return replace(subject, patient_ids=frozenset(), patient_names=frozenset())
    ids = frozenset(rules.patient_token(patient_id) for patient_id in subject.patient_ids)
    return replace(subject, patient_ids=ids, patient_names=frozenset())
