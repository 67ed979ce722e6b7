"""A study while it is being settled, and the decision that comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field

from scandock.model.dataclass import dataclass
from scandock.model.import_types import Overwrite
from scandock.rules.catalog_view import KnownSession, SessionPlace
from scandock.rules.labels import append_suffix, label_key
from scandock.rules.naming import StudyNaming
from scandock.rules.notices import Notice
from scandock.rules.petmr import PetMr, Side, shares_side
from scandock.rules.policy import ProjectPolicy
from scandock.rules.session_types import side_pet_mr
from scandock.rules.study import StudyFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Where one study of an upload goes, as what, and what a person should know."""

    study_key: str
    study_uid: str | None
    project: str
    subject: str
    label: str
    place: SessionPlace
    side: Side = ""
    """Which of the study's two sessions this is, where its PET and MR are separated."""
    existing: str | None = None
    """The session, in `place`, whose tree this one joins; None: a new session."""
    archived: str | None = None
    """The archived session of this study or label, also where this one stands in the prearchive."""
    timestamp: str | None = None
    """For the prearchive: of the session joined, the one that was asked for, or a free one."""
    settles: KnownSession | None = None
    """For the archive: the session left in conflict that goes where this import brings all of it."""
    folder: str = ""
    """For the prearchive: what the request calls its folder there."""
    held: Notice | None = None
    warnings: tuple[Notice, ...] = ()
    overwrite: Overwrite = "append"
    patient_id: str = ""
    """The PatientID of most objects, "" where absent."""


@dataclass(slots=True, kw_only=True, eq=False)
class StudyCase:
    """One study on its way to a decision. Changed in place by the steps of `settle`, one rule a step."""

    study: StudyFacts
    naming: StudyNaming
    policy: ProjectPolicy
    bound: SessionPlace
    """Where it goes if nothing holds it."""
    label: str
    subject: str = ""
    keeps_subject: bool = False
    """Whether `subject` is one that its patient has from an earlier version."""
    known: Sequence[KnownSession] = ()
    """Sessions of the same study in the same project, those made by hand left out."""
    archived_session: KnownSession | None = None
    """The archived session that it belongs to."""
    waiting: KnownSession | None = None
    """The prearchive session that gave it its label."""
    other_sides: Sequence[KnownSession] = ()
    """Sessions that have the other side of its study."""
    base_label: str = ""
    """What the study is called, where its label is that of one side: `side_label`, or a suffixed form of that."""
    side_label: str = ""
    partner: StudyCase | None = None
    """The other side of its study, where the upload has both."""
    held: list[Notice] = field(default_factory=list)
    """The first is the reason; more are said as warnings."""
    warnings: list[Notice] = field(default_factory=list)

    @property
    def requested(self) -> bool:
        return self.naming.session.requested

    @property
    def fixed(self) -> bool:
        """Whether its label is given: by the request, or by the session that it belongs to."""
        return self.requested or self.archived_session is not None or self.waiting is not None

    @property
    def key(self) -> str:
        return label_key(self.label)

    @property
    def pet_mr(self) -> PetMr:
        """What PET and MR in its session make that."""
        return side_pet_mr(self.policy.petmr, self.study.side)

    @property
    def takes_rest(self) -> bool:
        """Whether it is the side that a session joins which has reports of the study and no side yet."""
        return self.study.side != "PET" or (
            self.partner is None and not any(session.side == "MR" for session in self.other_sides)
        )

    @property
    def subject_label(self) -> str:
        """What a subject is called that is called as its session: both sides of a study have the same one."""
        case = self.partner if self.partner is not None and self.study.side == "PET" else self
        if not case.side_label or not case.label.startswith(case.side_label):
            return case.label
        return append_suffix(case.base_label, case.label[len(case.side_label) :])

    def is_own(self, session: KnownSession) -> bool:
        """Whether a known session is of this very study, and of its side where it has one."""
        if self.study.study_uid is None or session.study_uid != self.study.study_uid:
            return False
        return shares_side(session.side, self.study.side) and (bool(session.side) or session.by_hand or self.takes_rest)

    def can_join(self, session: KnownSession) -> bool:
        """Whether a session of the same label is the one that this study belongs to.

        By the study UID; an ECAT session by its label, where the patients do not differ; ECAT and DICOM from one
        `{session_id}` folder and one patient (rules.md, "ECAT"); a session made by hand that has no study yet.
        """
        if session.is_assessor:
            return False
        if session.study_uid is not None and self.study.study_uid is not None:
            return self.is_own(session)
        if self.differs_from(session):
            return False
        if session.by_hand and session.study_uid is None:
            subjects = {label_key(self.naming.subject.label or self.label), label_key(self.naming.subject.former)}
            return self.requested or label_key(session.subject) in subjects
        if session.study_uid is None and self.study.study_uid is None:
            return session.ecat
        return (session.ecat or bool(self.study.ecat)) and len(self.study.session_folders) == 1

    def differs_from(self, session: KnownSession) -> bool:
        """Whether a known session is certainly another patient's."""
        cut = self.study.study_uid is None or session.study_uid is None
        return self.naming.patients.differ_from(session.patient_id, cut=cut)
