"""What a project has done to objects before they are stored, and how what they were is known again: by keyed hashes.

Pure: texts and bytes alone. Scripts are parsed and run where objects are scrubbed (`workers/scrub_task.py`).
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Collection, Mapping, MutableMapping
from dataclasses import field, replace
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from scandock.model.dataclass import dataclass
from scandock.rules.keyed_values import keyed_uid
from scandock.rules.labels import label_key
from scandock.rules.privacy_policy import KEEP_ALL, Policy, strictest
from scandock.rules.sop_hashes import hash_number
from scandock.rules.upload_privacy import UploadPrivacy

if TYPE_CHECKING:
    from scandock.rules.naming import StudyNaming

ENGINE: Final = 1
"""Number of what is done by the same rules: another one, and files that were stored before are told apart."""
_UID_FUNCTION: Final = re.compile(r"\b(hashUID|hashUIDList|mapUID|mapReferencedUIDs)\b")
"""Functions of scripts that make a UID of another one."""
_TOKEN: Final = re.compile(r"key:[0-9a-f]{32}|patient:[1-9][0-9]*")


class SafePrivateElement(NamedTuple):
    """A private element that a profile keeps: its creator, group, and the last two digits of its number.

    Its VR tells how it is cleaned where it is written without one.
    """

    creator: str
    group: int
    element: int
    vr: str = "UN"


@dataclass(frozen=True, kw_only=True)
class PrivacyRules:
    """The rules in force for one project. Plain values: they go to reader processes as they are (`to_plain`)."""

    key: bytes = field(repr=False)
    """The site's: UIDs, dates and all hashes here follow from it."""
    scripts: tuple[str, ...] = ()
    """Texts of DicomEdit scripts in the order in which they run: the site's, then the project's."""
    lookups: str = field(default="", repr=False)
    """The text of the lookup table; it identifies people."""
    profile: str = ""
    """The profile with its options, as `basic,modified-dates`; "" for none."""
    safe_private: tuple[SafePrivateElement, ...] = ()
    """What the option safe-private keeps; () for the standard's list."""
    residue: Literal["warn", "refuse"] = "warn"
    resources: Literal["keep", "drop", ""] = ""
    """What becomes of files that are no images, which can't be scrubbed; "": with a profile they are dropped."""
    policy: Policy = KEEP_ALL
    """What may be known of names, of the study's UID and of the patient."""
    older_keys: tuple[bytes, ...] = field(default=(), repr=False)
    """Keys that were the site's before: what was hashed by them is looked up, too."""

    @property
    def changes_objects(self) -> bool:
        """Whether objects are de-identified at all; else only names are hidden."""
        return bool(self.scripts or self.profile or self.policy.changes_objects)

    @property
    def changes_uids(self) -> bool:
        """Whether objects may get other UIDs than they came with."""
        by_profile = bool(self.profile) and "retain-uids" not in self.profile
        return by_profile or self.policy.study_uid != "keep" or any(map(_UID_FUNCTION.search, self.scripts))

    @property
    def keeps_resources(self) -> bool:
        """Whether files that are no images are stored as they came."""
        return self.resources == "keep" or (self.resources == "" and not self.profile)

    @cached_property
    def fingerprint(self) -> bytes:
        """8 bytes that stand for all of it; with another key they are others, so texts can't be guessed by them."""
        parts = [ENGINE, self.scripts, self.lookups, self.profile, sorted(self.safe_private), self.residue]
        if self.policy.changes_objects:
            parts += [self.policy.study_uid, self.policy.patient]
        return self._hash("rules", json.dumps(parts).encode())[:8]

    def origin(self, digest: bytes, syntax: str) -> bytes:
        """What stands for an object for ever, whatever is done to it.

        `digest` is the sha256 of its data set; of an ECAT file of all of it, with `ecat` for the syntax.
        """
        return self._hash("origin", digest + syntax.encode("utf-8", "surrogatepass"))

    def new_uid(self, uid: str) -> str:
        """The UID that the profile, and the policy, write in the place of one."""
        return keyed_uid(self.key, uid)

    def new_uids(self, uid: str) -> list[str]:
        """All that may have taken the place of a UID, the newest first."""
        return [rules.new_uid(uid) for rules in (self, *self._older)]

    def keyed_digits(self, kind: str, text: str) -> str:
        """64 hex digits that stand for a text among texts of its kind."""
        return hmac.digest(self.key, f"{kind}\0{text}".encode("utf-8", "surrogatepass"), sha256).hex()

    def stored_study_key(self, study_uid: str) -> str:
        """What sessions keep to be known again by it; "" where not even a hash is to be kept."""
        return "" if self.policy.study_uid == "drop" else self.study_key(study_uid)

    def older_origins(self, digest: bytes, syntax: str) -> list[bytes]:
        """The same by the keys that were the site's before."""
        return [older.origin(digest, syntax) for older in self._older]

    def stored_series_key(self, series_uid: str) -> str:
        """The same of a series."""
        return "" if self.policy.study_uid == "drop" else self.series_key(series_uid)

    def stored_sop_key(self, uid: str, own_uid: str | None, known: int | None) -> int | None:
        """What is kept to find an object by the SOP Instance UID that it had, `own_uid`, where it has another one now.

        `known` is what was kept of it in another project: its UID from before that is gone.
        """
        if self.policy.study_uid == "drop":
            return None
        if known is not None:
            return known
        return self.sop_key(own_uid) if own_uid and own_uid != uid else None

    def sop_key(self, uid: str) -> int:
        """What stands for the SOP Instance UID of an object."""
        return hash_number(self._hash("sop", uid.encode("utf-8", "surrogatepass")))

    def sop_keys(self, uid: str) -> list[int]:
        """All that may stand for one in the catalog, the newest first."""
        return [rules.sop_key(uid) for rules in (self, *self._older)]

    def study_key(self, study_uid: str) -> str:
        """What stands for a study."""
        return self._hash("study", study_uid.encode("utf-8", "surrogatepass")).hex()

    def study_keys(self, study_uid: str) -> list[str]:
        """All that may stand for a study in the catalog, the newest first; where UIDs are dropped, from before that."""
        return [rules.study_key(study_uid) for rules in (self, *self._older)]

    def patient_token(self, patient_id: str) -> str:
        """What stands for a PatientID where patients are compared; "" for an absent one, a token for itself."""
        if not patient_id or is_token(patient_id):
            return patient_id
        return f"key:{self._hash('patient', patient_id.encode('utf-8', 'surrogatepass')).hex()}"

    def series_key(self, series_uid: str) -> str:
        """What stands for a series."""
        return self._hash("series", series_uid.encode("utf-8", "surrogatepass")).hex()

    def series_keys(self, series_uid: str) -> list[str]:
        """All that may stand for a series, as `study_keys`."""
        return [rules.series_key(series_uid) for rules in (self, *self._older)]

    def older_tokens(self, patient_id: str) -> list[str]:
        """The tokens of a PatientID by the keys that were the site's before."""
        return [] if is_token(patient_id) else [older.patient_token(patient_id) for older in self._older]

    @cached_property
    def fingerprints(self) -> frozenset[bytes]:
        """What the same rules are told by, whichever key was the site's then."""
        return frozenset(rules.fingerprint for rules in (self, *self._older))

    @cached_property
    def _older(self) -> tuple[PrivacyRules, ...]:
        """These rules by each of the older keys."""
        return tuple(replace(self, key=key, older_keys=()) for key in self.older_keys)

    def _hash(self, kind: str, value: bytes) -> bytes:
        return hmac.digest(self.key, kind.encode() + b"\0" + value, sha256)[:16]

    def to_plain(self) -> tuple[object, ...]:
        """These values as the wire to a reader carries them."""
        elements = tuple(tuple(element) for element in self.safe_private)
        return (
            *(self.key, self.scripts, self.lookups, self.profile, elements, self.residue, self.resources),
            *(tuple(self.policy), self.older_keys),
        )

    @classmethod
    def from_plain(cls, values: tuple[object, ...]) -> PrivacyRules:
        """The rules of `to_plain`."""
        key, scripts, lookups, profile, elements, residue, resources, policy, older_keys = values
        return cls(
            key=key,  # type: ignore[arg-type]
            scripts=scripts,  # type: ignore[arg-type]
            lookups=lookups,  # type: ignore[arg-type]
            profile=profile,  # type: ignore[arg-type]
            safe_private=tuple(SafePrivateElement(*element) for element in elements),  # type: ignore[attr-defined]
            residue=residue,  # type: ignore[arg-type]
            resources=resources,  # type: ignore[arg-type]
            policy=Policy(*policy),  # type: ignore[misc]
            older_keys=older_keys,  # type: ignore[arg-type]
        )


@dataclass(frozen=True, slots=True)
class EarlyScrub:
    """By what objects can be de-identified as they are read, before anybody knows what their sessions are called."""

    rules: PrivacyRules
    variables: Mapping[str, str]
    """What scripts know by name: the project, where it is known."""


def early_scrub(every: Collection[PrivacyRules | None], project: str | None) -> EarlyScrub | None:
    """How an upload can be de-identified as it is read; None where its labels have to be known first.

    `every` are the rules of all projects that it may go to: they have to be the same. `project` is the one that it goes
    to, None for any: days by which a profile moves dates follow from that.
    """
    rules = next(iter(every), None)
    if rules is None or any(other != rules for other in every):
        return None
    if any(_LABELS.search(text) for text in rules.scripts):
        return None
    if project is not None:
        return EarlyScrub(rules, {"project": project})
    if rules.profile or any(_PROJECT.search(text) for text in rules.scripts):
        return None
    return EarlyScrub(rules, {})


_LABELS: Final = re.compile(r"\b(subject|session)\b")
"""A script that has one of these words anywhere may need the label."""
_PROJECT: Final = re.compile(r"\bproject\b")


@dataclass(frozen=True, kw_only=True)
class SitePrivacy:
    """All that is in force: for projects that say something themselves, and for all others."""

    site: PrivacyRules
    """Of projects that say nothing themselves, and of sessions that belong to none."""
    projects: Mapping[str, PrivacyRules]
    """By the key of the project's name."""

    def of(self, project: str) -> PrivacyRules:
        """What is in force for a project."""
        return self.projects.get(label_key(project), self.site)

    def rules_of(self, project: str) -> PrivacyRules | None:
        """By what the objects of a project are de-identified; None where they are stored as they come."""
        rules = self.of(project)
        return rules if rules.changes_objects else None

    def keeps_resources(self, project: str) -> bool:
        """Whether files that are no images are stored in a project."""
        return self.of(project).keeps_resources

    def of_upload(self, projects: Collection[str] = ()) -> UploadPrivacy:
        """What may be told of an upload that names these projects before its studies have one."""
        return UploadPrivacy(policy=self.at_door(projects), key=self.site.key)

    def at_door(self, projects: Collection[str] = ()) -> Policy:
        """What may be known of an upload that names these projects; of one that names none the strictest of all."""
        if projects:
            return strictest(self.of(project).policy for project in projects)
        return strictest(rules.policy for rules in (self.site, *self.projects.values()))


def is_token(patient_id: str) -> bool:
    """Whether what stands for a PatientID is a token."""
    return _TOKEN.fullmatch(patient_id) is not None


def hide_patients(naming: StudyNaming, rules: PrivacyRules, numbers: MutableMapping[str, str]) -> StudyNaming:
    """A study's naming with tokens in the place of PatientIDs, as `KeyedView` has them.

    Where patients are dropped these are numbers, which say who is who within one upload alone (`numbers`, by token).
    """
    patients = naming.patients

    def token_of(patient_id: str) -> str:
        token = rules.patient_token(patient_id)
        if not token or rules.policy.patient != "drop":
            return token
        return numbers.setdefault(token, f"patient:{len(numbers) + 1}")

    ids = tuple(sorted(map(token_of, patients.ids)))
    common_id = token_of(patients.common_id)
    return replace(naming, patients=replace(patients, ids=ids, common_id=common_id))
