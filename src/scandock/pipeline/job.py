"""What the steps of one import share: its tools, and one job for each session that it makes or joins."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable, Sequence
from dataclasses import field
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from scandock.catalog.engine import Catalog
from scandock.catalog.file_rows import FileAnnotations
from scandock.catalog.records import SessionRecord
from scandock.catalog.trees import ResourceRow, ScanRow
from scandock.model import uris
from scandock.model.dataclass import dataclass
from scandock.model.series import EcatFacts, SeriesTally
from scandock.pipeline.duplicates import Clashes
from scandock.pipeline.ledger import Ledger
from scandock.publishing.deletes import Removal
from scandock.publishing.intents import Placement
from scandock.publishing.tree_plan import TreePlan
from scandock.queue.leases import ImportLease, Lease
from scandock.rules.naming import StudyNaming
from scandock.rules.notices import Notice
from scandock.rules.petmr import PetMr
from scandock.rules.policy import ProjectPolicy, SiteRules
from scandock.rules.privacy import PrivacyRules
from scandock.rules.routing import Decision
from scandock.rules.session_types import side_pet_mr
from scandock.rules.study import StudyFacts
from scandock.store.paths import IMAGES, RelPath, TreePath, archive_path, job_tree, prearchive_path
from scandock.store.port import Stage, Store

if TYPE_CHECKING:
    from scandock.rules.import_request import ImportRequest


class ScrubRules(NamedTuple):
    """By what objects of some jobs are de-identified."""

    rules: PrivacyRules
    stored_uids: builtins.bytes = b""
    """UIDs that stay as they are (`rules.stored_uids.pack_uids`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrubOrder:
    """A range of a job's entries to de-identify."""

    job: int
    rules: int
    """Which of the import's rules."""
    variables: dict[str, str]
    """What scripts know by name: project, subject and session."""
    folder: RelPath
    """Where the new objects go in the stage."""
    entries: list[tuple[bytes, str, RelPath, int, str]]
    """Ordinal, path in the archive, path in the stage, size and content of each."""


class ScrubOutcome(NamedTuple):
    """What came of one entry; plain values, since it crosses process boundaries by marshal."""

    ordinal: bytes
    state: Literal["ok", "reject", "failed"]
    message: str = ""
    size: int = 0
    sha256: builtins.bytes = b""
    staged: str = ""
    study: str = ""
    series: str = ""
    sop: str = ""
    sop_class: str = ""
    frames: int = 0
    dataset_at: int = 0
    syntax: str = ""
    facts: str = ""
    """Of an ECAT file, as JSON."""
    warnings: tuple[tuple[str, str, str], ...] = ()
    """Code, message and remedy of each."""


class ScrubListener(Protocol):
    """What is done with what comes of entries."""

    def outcomes(self, job: int, outcomes: list[ScrubOutcome]) -> None:
        """A batch of one job, each in no other batch; all are written."""

    def tally(self, job: int, values: tuple[Any, ...]) -> None:
        """What was counted over the new objects of one series in that batch."""


class Scrubber(Protocol):
    """Has entries of the stage de-identified, by processes of their own."""

    def scrub(
        self,
        rules: Sequence[ScrubRules],
        orders: Iterable[ScrubOrder],
        listener: ScrubListener,
        check: Callable[[], None],
    ) -> bool:
        """Carry the orders out. `check` is called now and then and may raise; Fault where the machine fails.

        True where files may stand in the orders' folders that no outcome names, since a process has died.
        """


@dataclass(slots=True, kw_only=True)
class JobContext:
    """Where an import works, or an operation by the steps of one, and by what it decides."""

    catalog: Catalog
    store: Store
    stage: Stage
    ledger: Ledger
    lease: Lease
    request: ImportRequest
    site: SiteRules
    zone: tzinfo
    started: datetime
    check: Callable[[], None]
    """Raises where the import was cancelled or its lease is lost; called between steps."""
    known: Catalog | None = None
    """The catalog of DATA, for an inspection, whose own has no sessions."""
    allowed: Callable[[str], bool] = lambda project: True  # noqa: ARG005
    """Whether whoever sent this may upload to a project; asked before anything is placed in it."""
    may_archive: Callable[[str], bool] = lambda project: True  # noqa: ARG005
    """Whether whoever sent this may archive what waits in a project."""
    privacy_of: Callable[[str], PrivacyRules | None] = lambda project: None  # noqa: ARG005
    """What a project has done to objects before they are stored."""
    keeps_resources: Callable[[str], bool] = lambda project: True  # noqa: ARG005
    """Whether a project stores files that are no images, whatever is done to its objects."""
    patients: dict[str, str] = field(default_factory=dict)
    """Numbers of the upload's patients by their tokens, where they are not told in any other way."""
    scrubber: Scrubber | None = None
    """Has it done; None where no project has anything done, and where nothing is stored."""
    moved: SessionRecord | None = None
    """The session whose files this takes, which goes as they are placed; None where an archive is imported."""
    moved_series: dict[str, str] = field(default_factory=dict)
    """What is known of what series of the session that moves were before they were de-identified (`SERIES_KEYS`)."""
    moved_paths: Callable[[], Iterable[tuple[bytes, str]]] = tuple
    """Of each of these files its ordinal in the import, and its path in the session, as entries may be called anew."""


@dataclass(slots=True, kw_only=True)
class ImportContext(JobContext):
    """The tools of an import alone, which ends with an outcome."""

    lease: ImportLease


@dataclass(frozen=True, slots=True)
class EcatEntry:
    """An ECAT file of the upload."""

    ordinal: bytes
    path: str
    sha256: bytes
    session_folder: str
    scan_folder: str
    facts: EcatFacts


@dataclass(slots=True, kw_only=True)
class Job:
    """One study (or ECAT session) of the upload on its way to one session."""

    n: int
    study: StudyFacts
    ecat: list[EcatEntry]
    clashes: Clashes
    naming: StudyNaming | None = None
    decision: Decision | None = None
    policy: ProjectPolicy | None = None
    project_id: int = 0
    base: SessionRecord | None = None
    base_scans: list[ScanRow] = field(default_factory=list)
    base_resources: list[ResourceRow] = field(default_factory=list)
    last_file: int = -1
    duplicates: list[tuple[bytes, int]] = field(default_factory=list)
    """Entries that the base has already: (ordinal, number of the base file)."""
    replaced: list[tuple[bytes, int]] = field(default_factory=list)
    words: dict[bytes, FileAnnotations] = field(default_factory=dict)
    """By ordinal, what people said of single files of a session that joins another one."""
    keeps_scan_ids: bool = False
    """Its scans keep their ids: they are those of a session that moves."""
    scans: list[ScanRow] = field(default_factory=list)
    resources: list[ResourceRow] = field(default_factory=list)
    scan_of: dict[str, ScanRow] = field(default_factory=dict)
    """By series UID, or by sha256 (hex) of an ECAT file."""
    warnings: list[Notice] = field(default_factory=list)
    plan: TreePlan | None = None
    """Of the tree that its session is to have; None where that stays as it is."""
    placement: Placement | None = None
    removal: Removal | None = None
    """The session left in conflict that goes with this one's coming."""
    moved_removal: Removal | None = None
    """The tree, or the session, that is moved and goes with this one's coming."""
    quarantined: bool = False
    """Whether that one was to be in quarantine: its files are in this one now."""
    attributes: dict[str, str] = field(default_factory=dict)
    fields_by_hand: list[str] = field(default_factory=list)
    """Names of the attributes that people set, by the request too."""
    xsi_type: str = ""
    privacy: PrivacyRules | None = None
    """What its project has done to its objects."""
    keeps_resources: bool = True
    """Whether its project stores files that are no images."""
    images: RelPath = IMAGES
    """Where its images wait in the stage, by series."""
    study_key: str = ""
    """Keyed hash of the study, where its objects are de-identified."""
    patient_key: str = ""
    """Token of the patient, likewise."""
    patient_tokens: tuple[str, ...] = ()
    """Tokens of all its patients, likewise."""
    files: int = 0
    bytes: int = 0

    @property
    def final_decision(self) -> Decision:
        assert self.decision is not None
        return self.decision

    @property
    def final_naming(self) -> StudyNaming:
        assert self.naming is not None
        return self.naming

    @property
    def pet_mr(self) -> PetMr:
        """What PET and MR in its session make that."""
        return side_pet_mr(self.policy.petmr if self.policy is not None else "petmr", self.final_decision.side)

    @property
    def tallies(self) -> tuple[SeriesTally, ...]:
        return self.study.series

    @property
    def tree(self) -> RelPath:
        """Where the job's tree is put together in the stage."""
        return job_tree(self.n)

    @property
    def name(self) -> TreePath:
        """The tree's name in the store, which is its folder under DATA."""
        decision = self.final_decision
        if decision.place == "archive":
            return archive_path(decision.project, decision.label)
        return prearchive_path(decision.project, decision.timestamp or "", decision.label)

    @property
    def session_uuid(self) -> str | None:
        """The session that it makes or joins; None before a new one is planned."""
        if self.placement is not None:
            return self.placement.session.uuid
        return self.base.uuid if self.base is not None else None

    @property
    def uri(self) -> str:
        """XNAT's URI of the session (design: fixed surface)."""
        decision = self.final_decision
        place, timestamp = decision.place, decision.timestamp or ""
        return uris.session(place, decision.project, timestamp, decision.subject, decision.label)
