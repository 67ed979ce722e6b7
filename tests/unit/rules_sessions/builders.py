"""Studies, ECAT files and a catalog to decide on: plain values, no files."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from scandock.model.series import EcatFacts, SeriesTally
from scandock.model.tags import NUMBERS
from scandock.rules.catalog_view import KnownSession, KnownSubject
from scandock.rules.ecat_groups import EcatFile
from scandock.rules.import_request import ImportRequest
from scandock.rules.labels import is_placeholder, label_key
from scandock.rules.naming import StudyNaming, name_study
from scandock.rules.petmr import Side
from scandock.rules.policy import ProjectPolicy, SiteRules
from scandock.rules.routing import Decision, route_studies
from scandock.rules.study import StudyFacts

NOW = datetime(2024, 5, 6, 7, 8, 9, 123456, UTC)
STAMP = "20240506_070809123"


def series(study_uid: str, objects: int = 10, uid: str = "", **elements: str) -> SeriesTally:
    """A series whose objects all carry the same values."""
    tally = SeriesTally(study_uid, uid or f"{study_uid}.1", objects=objects)
    for keyword, text in elements.items():
        tally.add(NUMBERS[keyword], text, objects)
    return tally


def study(uid: str, folder: str = "", **elements: str) -> StudyFacts:
    """A study of one series; `folder` is its `{session_id}` folder."""
    return study_of(series(uid, 10, "", **elements), folder=folder)


def study_of(*tallies: SeriesTally, folder: str = "", folders: Sequence[str] = ()) -> StudyFacts:
    uid = tallies[0].study_uid
    count = sum(tally.objects for tally in tallies)
    paths = [f"{folder}/scans/1/resources/DICOM/files/"] if folder else []
    return StudyFacts(
        key=uid,
        study_uid=uid,
        series=tallies,
        session_folders={folder: count} if folder else {},
        folders=frozenset([*folders, *paths]),
    )


def ecat_facts(patient_id: str = "", patient_name: str = "", start: int = 0) -> EcatFacts:
    return EcatFacts(
        magic="MATRIX72v", file_type=7, patient_id=patient_id, patient_name=patient_name, scan_start_time=start,
        study_type="", study_description="", facility="", acquisition_type=0, num_planes=1, num_frames=1, num_gates=1,
        operator="", original_file_name="", system_type=0, isotope="", radiopharmaceutical="", dose_start_time=0,
    )  # fmt: skip


def ecat_file(path: str, folder: str = "", content: int = 1, **facts: object) -> EcatFile:
    return EcatFile(path=path, folder=folder, sha256=bytes([content]) * 32, facts=ecat_facts(**facts))  # type: ignore[arg-type]


class FakeCatalog:
    """A `CatalogView` in memory that can take decisions in, as publishing would."""

    def __init__(self, *sessions: KnownSession, subjects: Sequence[KnownSubject] = (), project: str = "P") -> None:
        self.sessions = list(sessions)
        self.series: dict[str, list[str]] = {}
        """UIDs of series by the session that has them."""
        self.promised: list[KnownSession] = []
        """Sessions that are still to be built."""
        self.subjects = {(project, label_key(subject.label)): subject for subject in subjects}

    def sessions_of_study(self, project: str, study_uid: str) -> list[KnownSession]:
        return [s for s in self.sessions if s.project == project and s.study_uid == study_uid]

    def series_of_study(self, project: str, study_uid: str) -> dict[str, Side]:
        return {
            uid: session.side
            for session in self.sessions_of_study(project, study_uid)
            for uid in self.series.get(session.uuid, ())
        }

    def sessions_labelled(self, project: str, label: str) -> list[KnownSession]:
        return [s for s in self.sessions if s.project == project and label_key(s.label) == label_key(label)]

    def subject(self, project: str, label: str) -> KnownSubject | None:
        return self.subjects.get((project, label_key(label)))

    def subjects_labelled(self, project: str, labels: Collection[str]) -> dict[str, KnownSubject]:
        return {label_key(label): found for label in labels if (found := self.subject(project, label)) is not None}

    def is_timestamp_taken(self, project: str, timestamp: str) -> bool:
        return any(s.project == project and s.timestamp == timestamp for s in self.sessions)

    def promised_sessions(self, project: str, *, label: str = "", study_uid: str = "") -> list[KnownSession]:
        return [
            one
            for one in self.promised
            if one.project == project
            and (not label or label_key(one.label) == label_key(label))
            and (not study_uid or one.study_uid == study_uid)
        ]

    def take(self, decisions: Sequence[Decision], *, ecat: bool = False) -> None:
        """Make what was decided stand, as placing does; fails where two would stand in one place."""
        for decision in decisions:
            key = (decision.project, label_key(decision.subject))
            known = self.subjects.get(key, KnownSubject(label=decision.subject))
            ids = known.patient_ids | ({decision.patient_id} - {""})
            if decision.place == "archive":
                self.subjects[key] = replace(known, patient_ids=ids)
            if decision.existing is not None:
                at = next(n for n, s in enumerate(self.sessions) if s.uuid == decision.existing)
                held = decision.held.code if decision.held else self.sessions[at].held
                self.sessions[at] = replace(self.sessions[at], held=held, by_hand=False)
                continue
            for other in self.sessions_labelled(decision.project, decision.label):
                assert other.place != decision.place or other.timestamp != decision.timestamp, decision
            self.sessions.append(self._known(decision, ecat=ecat))

    def _known(self, decision: Decision, *, ecat: bool) -> KnownSession:
        return KnownSession(
            uuid=f"u{len(self.sessions)}",
            project=decision.project,
            subject=decision.subject,
            label=decision.label,
            study_uid=decision.study_uid,
            place=decision.place,
            timestamp=decision.timestamp,
            patient_id="" if is_placeholder(decision.patient_id) else decision.patient_id,
            ecat=ecat or decision.study_uid is None,
            held=decision.held.code if decision.held else "",
            side=decision.side,
        )


def known(label: str, study_uid: str | None = None, **more: object) -> KnownSession:
    """An archived session of project P, of subject S; other values by name."""
    values: dict[str, object] = {"uuid": f"uuid-{label}", "project": "P", "subject": "S", "place": "archive"}
    return KnownSession(label=label, study_uid=study_uid, **{**values, **more})  # type: ignore[arg-type]


def waiting(label: str, study_uid: str | None = None, **more: object) -> KnownSession:
    """As `known`, in the prearchive."""
    return known(label, study_uid, **{"place": "prearchive", "timestamp": "20200101_000000000", **more})


def name(
    facts: StudyFacts, request: ImportRequest | None = None, site: SiteRules | None = None, projects: str = "P"
) -> StudyNaming:
    """The naming of one study, into project P; `projects` are those that may be used, with spaces between."""
    usable = projects.split()
    return name_study(
        facts, request or ImportRequest(project="P"), site or SiteRules(), lambda project: project in usable
    )


def decide(
    *studies: StudyFacts,
    catalog: FakeCatalog | None = None,
    policy: ProjectPolicy | None = None,
    site: SiteRules | None = None,
    **request: object,
) -> list[Decision]:
    """The decisions for an upload into project P; further arguments are those of `Request`."""
    asked = ImportRequest(**{"project": "P", **request})  # type: ignore[arg-type]
    namings = [name(facts, asked, site) for facts in studies]
    policies = {"P": policy or ProjectPolicy(id="P")}
    return route_studies(namings, studies, asked, policies, catalog or FakeCatalog(), NOW)


def codes(decision: Decision) -> list[str]:
    """The codes of a decision's warnings, sorted."""
    return sorted(warning.code for warning in decision.warnings)


def held(decision: Decision) -> str:
    """The code that holds a decision, or ""."""
    return decision.held.code if decision.held else ""


def why(decision: Decision) -> str:
    """The sentence that says why a decision is held, or ""."""
    return decision.held.message if decision.held else ""
