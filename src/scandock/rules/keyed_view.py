"""The catalog as the rules ask it, where projects keep keyed hashes of what their objects were.

Studies and patients of an upload are compared with these, so that what was de-identified is known again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Protocol

from scandock.model.dataclass import dataclass
from scandock.rules.catalog_view import CatalogView, KnownSession, KnownSubject
from scandock.rules.petmr import Side
from scandock.rules.privacy import PrivacyRules


class KeyedCatalog(CatalogView, Protocol):
    """A catalog that finds sessions by the key of their study, too."""

    def sessions_of_key(self, project: str, study_key: str, /) -> Sequence[KnownSession]:
        """All sessions of a study in a project, by its keyed hash."""

    def origins_of_sides(
        self, project: str, study_keys: Collection[str], study_uids: Collection[str], /
    ) -> Iterable[tuple[bytes, Side]]:
        """The origins of the files that sessions of one side have of a study, with that side.

        By its keyed hashes, or by the UIDs that it may have now.
        """

    def series_keys_of_sides(self, project: str, study_key: str, /) -> Iterable[tuple[str, Side]]:
        """The keyed hashes of the series that sessions of one side have of a study, with that side."""

    def subjects_of_patients(self, project: str, patient_ids: Collection[str], /) -> Mapping[str, set[str]]:
        """The subjects that each patient has, by PatientID where that is kept, or by its token."""


MatchSeries = Callable[[str, Iterable[tuple[bytes, Side]]], Mapping[str, Side]]
"""Gives the sides of the series that a study has in the upload, by the origins of files that are there."""


class KeyedView:
    """A view in which patients are tokens, in projects with rules; sessions of the upload's studies have their UIDs.

    Tokens are by the site's newest key. What was hashed by an older one is known where the upload has it too, and so
    are sessions from before the rules, whose UIDs and PatientIDs are as they came.
    """

    def __init__(
        self,
        view: KeyedCatalog,
        rules_of: Callable[[str], PrivacyRules | None],
        study_uids: Iterable[str],
        match_series: MatchSeries,
        patient_ids: Iterable[str] = (),
        series_uids: Iterable[str] = (),
        study_keys: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """UIDs and `patient_ids` are those of the upload, as its objects have them or refer to them; `study_keys` the
        keys of studies that were de-identified before, by the UIDs that they have now.
        """
        self._view = view
        self._rules_of = rules_of
        self._uids = frozenset(study_uids)
        self._match_series = match_series
        self._study_keys = study_keys
        self._patient_ids = frozenset(patient_ids) - {""}
        self._series_uids = frozenset(series_uids)
        self._by_rules: dict[PrivacyRules, _UploadHashes] = {}

    def sessions_of_study(self, project: str, study_uid: str) -> Sequence[KnownSession]:
        """By the study's keys, and by the UIDs that take the place of its own, which are all where no keys are kept.

        By the UID itself, too: an exported session has the one that it was given.
        """
        sessions = self._view.sessions_of_study(project, study_uid)
        rules = self._rules_of(project)
        if rules is None:
            return sessions
        keys = self._keys_of(rules, study_uid)
        keyed = [one for key in keys for one in self._view.sessions_of_key(project, key)]
        renamed = [one for uid in rules.new_uids(study_uid) for one in self._view.sessions_of_study(project, uid)]
        every = {session.uuid: session for session in (*keyed, *renamed, *sessions)}
        return [self._translate(rules, session) for session in every.values()]

    def series_of_study(self, project: str, study_uid: str) -> Mapping[str, Side]:
        """By the UID itself, by its keys, by the UIDs that take its place, and by the origins of files.

        Of series too that are not in the upload, but to which it refers.
        """
        series = self._view.series_of_study(project, study_uid)
        rules = self._rules_of(project)
        if rules is None:
            return series
        keys, new_uids = self._keys_of(rules, study_uid), rules.new_uids(study_uid)
        renamed = {
            uid: side for new_uid in new_uids for uid, side in self._view.series_of_study(project, new_uid).items()
        }
        stored = self._view.origins_of_sides(project, keys, new_uids)
        matched = self._match_series(study_uid, stored)
        sides = dict(one for key in keys for one in self._view.series_keys_of_sides(project, key))
        keyed = {
            uid: sides[key] for uid in self._series_uids if sides for key in rules.series_keys(uid) if key in sides
        }
        return _KnownSeries({**keyed, **series, **matched}, renamed, rules)

    def sessions_labelled(self, project: str, label: str) -> Sequence[KnownSession]:
        sessions = self._view.sessions_labelled(project, label)
        rules = self._rules_of(project)
        return sessions if rules is None else [self._translate(rules, session) for session in sessions]

    def subject(self, project: str, label: str) -> KnownSubject | None:
        subject = self._view.subject(project, label)
        rules = self._rules_of(project)
        return subject if rules is None or subject is None else self._hide_patients(rules, subject)

    def subjects_labelled(self, project: str, labels: Collection[str]) -> Mapping[str, KnownSubject]:
        subjects = self._view.subjects_labelled(project, labels)
        rules = self._rules_of(project)
        if rules is None:
            return subjects
        return {key: self._hide_patients(rules, subject) for key, subject in subjects.items()}

    def subjects_of_patients(self, project: str, patient_ids: Collection[str]) -> Mapping[str, set[str]]:
        """Subjects by patient; of a patient of the upload whatever the catalog knows it by."""
        rules = self._rules_of(project)
        if rules is None:
            return self._view.subjects_of_patients(project, patient_ids)
        tokens = self._hashes(rules).tokens
        aliases = {alias: token for alias, token in tokens.items() if token in patient_ids}
        subjects: dict[str, set[str]] = {}
        for alias, labels in self._view.subjects_of_patients(project, {*patient_ids, *aliases}).items():
            subjects.setdefault(aliases.get(alias, alias), set()).update(labels)
        return subjects

    def is_timestamp_taken(self, project: str, timestamp: str) -> bool:
        return self._view.is_timestamp_taken(project, timestamp)

    def promised_sessions(self, project: str, *, label: str = "", study_uid: str = "") -> Sequence[KnownSession]:
        """By the study's UID, and by those that take its place."""
        rules = self._rules_of(project)
        if rules is None:
            return self._view.promised_sessions(project, label=label, study_uid=study_uid)
        uids = [study_uid, *rules.new_uids(study_uid)] if study_uid else [""]
        sessions = [one for uid in uids for one in self._view.promised_sessions(project, label=label, study_uid=uid)]
        return [self._translate(rules, session) for session in sessions]

    def _translate(self, rules: PrivacyRules, session: KnownSession) -> KnownSession:
        hashes = self._hashes(rules)
        own = hashes.studies.get(session.study_key) or hashes.studies.get(session.study_uid or "")
        if rules.policy.patient == "drop":
            return replace(session, study_uid=own or session.study_uid, patient_id="")
        if own is not None and own != session.study_uid:
            return replace(session, study_uid=own, patient_id=self._token(rules, session.patient_key))
        if own is None and session.study_uid in self._uids:
            # as it was given back, or from before the rules: so its patient is the one that its objects name
            return replace(session, patient_id=rules.patient_token(session.patient_id))
        return replace(session, patient_id=self._token(rules, session.patient_key or session.patient_id))

    def _keys_of(self, rules: PrivacyRules, study_uid: str) -> list[str]:
        """The keys of a study, the newest first; of one that was de-identified before, the one that it got then."""
        earlier = self._study_keys.get(study_uid)
        return rules.study_keys(study_uid) if earlier is None else [earlier]

    def _hide_patients(self, rules: PrivacyRules, subject: KnownSubject) -> KnownSubject:
        """A subject with tokens for its patients; names that were de-identified tell nobody apart.

        Where patients are dropped nobody knows whose it is: they are compared within one upload alone.
        """
        ids = () if rules.policy.patient == "drop" else subject.patient_ids
        tokens = frozenset(self._token(rules, patient_id) for patient_id in ids)
        return replace(subject, patient_ids=tokens, patient_names=frozenset())

    def _token(self, rules: PrivacyRules, patient_id: str) -> str:
        """The newest token of a PatientID, or of an older token of one that the upload has."""
        return self._hashes(rules).tokens.get(patient_id) or rules.patient_token(patient_id)

    def _hashes(self, rules: PrivacyRules) -> _UploadHashes:
        hashes = self._by_rules.get(rules)
        if hashes is None:
            hashes = self._by_rules[rules] = _UploadHashes(
                studies={
                    name: uid for uid in self._uids for name in (*self._keys_of(rules, uid), *rules.new_uids(uid))
                },
                tokens={
                    alias: rules.patient_token(patient_id)
                    for patient_id in self._patient_ids
                    for alias in (patient_id, *rules.older_tokens(patient_id))
                },
            )
        return hashes


@dataclass(frozen=True, slots=True)
class _UploadHashes:
    """What the upload's own studies and patients may be known by."""

    studies: Mapping[str, str]
    """UIDs by their keys, and by the UIDs that take their place."""
    tokens: Mapping[str, str]
    """The newest token of a patient by its PatientID and by its older tokens."""


class _KnownSeries(Mapping[str, Side]):
    """The sides of series by their UIDs, and by those that have taken their place."""

    def __init__(self, sides: Mapping[str, Side], renamed: Mapping[str, Side], rules: PrivacyRules) -> None:
        self._sides = sides
        self._renamed = renamed
        self._rules = rules

    def __getitem__(self, uid: str) -> Side:
        renamed = (self._renamed.get(new_uid) for new_uid in self._rules.new_uids(uid))
        side = self._sides.get(uid) or next(filter(None, renamed), None)
        if side is None:
            raise KeyError(uid)
        return side

    def __iter__(self) -> Iterator[str]:
        return iter(self._sides)

    def __len__(self) -> int:
        return len(self._sides)
