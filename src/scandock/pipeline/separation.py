"""A study whose PET and MR are to be sessions of their own: its job becomes one for each (rules.md, "PET/MR")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from scandock.model.entry import Content
from scandock.pipeline.duplicates import Clashes
from scandock.pipeline.job import Job
from scandock.pipeline.ledger import Ledger
from scandock.rules.catalog_view import CatalogView
from scandock.rules.naming import StudyNaming
from scandock.rules.petmr import MapWords
from scandock.rules.policy import ProjectPolicy
from scandock.rules.study import StudyFacts
from scandock.rules.study_sides import separate_study


class StudySeparator:
    """Gives the jobs of an upload, each study's as its project wants it; asked again, as the catalog is then."""

    def __init__(self, ledger: Ledger, jobs: Sequence[Job], words: MapWords) -> None:
        self._ledger = ledger
        self._words: MapWords = words
        self.wholes = list(jobs)
        """A job for each study."""
        self._parts: dict[int, list[Job]] = {job.n: [job] for job in jobs}
        self._next = max((job.n for job in jobs), default=-1) + 1

    @property
    def projects(self) -> list[str]:
        """Of each study."""
        return [whole.final_naming.project.label for whole in self.wholes]

    def separate(self, policies: Mapping[str, ProjectPolicy], view: CatalogView) -> list[Job]:
        """The jobs, in the order of their studies, the sides of one study side by side."""
        for whole in self.wholes:
            naming = whole.final_naming
            policy = policies.get(naming.project.label) or ProjectPolicy(id=naming.project.label)
            studies = separate_study(whole.study, policy, self._words, view)
            if studies != [part.study for part in self._parts[whole.n]]:
                self._replace(whole, naming, studies)
        return [part for whole in self.wholes for part in self._parts[whole.n]]

    def _replace(self, whole: Job, naming: StudyNaming, studies: list[StudyFacts]) -> None:
        """Make the jobs of some sides, and note in the ledger what belongs to which."""
        if len(studies) == 1:
            self._parts[whole.n] = [replace(whole, study=studies[0])]
        else:
            self._parts[whole.n] = [
                replace(
                    whole,
                    n=whole.n if at == 0 else self._next,
                    study=study,
                    ecat=whole.ecat if study.ecat else [],
                    clashes=self._clashes_of(whole, study),
                    naming=replace(naming, study_key=study.key),
                    warnings=list(whole.warnings) if bool(study.ecat) == bool(whole.ecat) else [],
                )
                for at, study in enumerate(studies)
            ]
            self._next += 1
        for part in self._parts[whole.n]:
            self._ledger.many(
                "UPDATE entry SET job = ? WHERE study = ? AND series = ? AND content IN (?, ?)",
                [
                    (part.n, part.study.study_uid, tally.series_uid, Content.DICOM, Content.FILTERED)
                    for tally in part.tallies
                ],
            )
            self._ledger.many(
                "UPDATE entry SET job = ? WHERE ordinal = ?", [(part.n, one.ordinal) for one in part.ecat]
            )

    def _clashes_of(self, whole: Job, study: StudyFacts) -> Clashes:
        """The objects that clash within the upload and of which this side has a version."""
        if not whole.clashes.sops:
            return Clashes()
        series = {tally.series_uid for tally in study.series}
        rows = self._ledger.rows(
            "SELECT DISTINCT series, sop FROM entry WHERE study = ? AND content = ? AND verdict = 'conflict'",
            (study.study_uid, Content.DICOM),
        )
        return Clashes(sops={sop for series_uid, sop in rows if series_uid in series} & whole.clashes.sops)
