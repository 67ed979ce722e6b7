"""What the rules ask of the catalog: which sessions and subjects are known already."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, Protocol

from scandock.model.dataclass import dataclass
from scandock.rules.petmr import Side

SessionPlace = Literal["archive", "prearchive"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSession:
    """A session that stands in a project's archive or prearchive (in `Unassigned`: what its uploader may see)."""

    uuid: str
    project: str
    subject: str
    label: str
    study_uid: str | None
    place: SessionPlace
    timestamp: str | None = None
    patient_id: str = ""
    """As it came; "" where absent."""
    by_hand: bool = False
    """Made by a person, and no import has put objects into it yet: it never redirects an import."""
    ecat: bool = False
    held: str = ""
    """Code of the reason for which it is held in the prearchive, or ""."""
    xsi_type: str = ""
    type_is_set: bool = False
    """Whether a person set its type; a session that has one and no scans counts so."""
    side: Side = ""
    """Which it has of a study whose PET and MR were separated."""
    is_assessor: bool = False
    """No session, but an assessor of one: its label is taken, and nothing joins it."""
    study_key: str = ""
    """Keyed hash of the study that its objects were of before they were de-identified, or ""."""
    patient_key: str = ""
    """Token of the patient that they were of then, or ""."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSubject:
    """A subject of a project, or one that only sessions in its prearchive name (held ones apart), and who it is."""

    label: str
    patient_ids: frozenset[str] = frozenset()
    """PatientIDs, non-absent ones, of its sessions."""
    patient_names: frozenset[str] = frozenset()
    """PatientNames of its sessions as `Patients.name` compares them; empty where they were not asked for."""


class CatalogView(Protocol):
    """Answers from the catalog at one moment; labels are compared without case."""

    def sessions_of_study(self, project: str, study_uid: str, /) -> Sequence[KnownSession]:
        """All sessions of a study in a project, in both places."""

    def series_of_study(self, project: str, study_uid: str, /) -> Mapping[str, Side]:
        """The sides of the series that sessions of one side have of a study in a project, by series UID."""

    def sessions_labelled(self, project: str, label: str, /) -> Sequence[KnownSession]:
        """All sessions of a label in a project, in both places."""

    def subject(self, project: str, label: str, /) -> KnownSubject | None:
        """The subject of a label in a project."""

    def subjects_labelled(self, project: str, labels: Collection[str], /) -> Mapping[str, KnownSubject]:
        """The subjects of some labels in a project, with their patients' names, by `label_key`."""

    def is_timestamp_taken(self, project: str, timestamp: str, /) -> bool:
        """Whether any prearchive session of a project stands under a timestamp, or is to be built there."""

    def promised_sessions(self, project: str, /, *, label: str = "", study_uid: str = "") -> Sequence[KnownSession]:
        """Sessions of a label, or of a study, that are still to be built in a project's prearchive, the oldest first.

        They have no id: senders of single objects were told where each is to stand.
        """
