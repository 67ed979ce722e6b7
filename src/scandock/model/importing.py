"""What a caller asks of one import, and what it hears while the import runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Destination = Literal["prearchive", "archive"]
Overwrite = Literal["none", "append", "delete"]
Resources = Literal["keep", "ignore"]
Stage = Literal["sending", "waiting", "opening", "reading", "deciding", "placing", "syncing"]

STAGES: tuple[Stage, ...] = ("opening", "reading", "deciding", "placing", "syncing")
"""In the order in which an import goes through them; a client that uploads has been sending and waiting before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """The request beside the archive's bytes (design: fixed surface; rules.md: "Defaults").

    `None` means "not named": the project's policy, the setting or the rules decide.
    """

    project: str | None = None
    """Id of the project; one that does not exist is an error unless `create_project`."""
    create_project: bool = False
    """Make the project where it is missing; does nothing where it exists."""
    subject: str | None = None
    """Requested label of the subject."""
    session: str | None = None
    """Requested label of the session."""
    mapping_path: str | None = None
    """CSV or JSON file with rows of study_uid | patient_id | folder, project, subject, session."""
    destination: Destination | None = None
    overwrite: Overwrite | None = None
    """What a session that is already archived gets (rules.md, "Again"); not named is not the same as `append` there."""
    ignore_unparsable: bool = True
    """Off: any unparseable entry refuses the whole archive, naming them all."""
    resources: Resources = "keep"
    workers: int | None = None
    """Shard processes; `None`: the setting, else the cores, at most 4."""
    dialect: bool = False
    """Came by XNAT's dialect (rules.md, "Which session" 1 and 5)."""
    keep_names: bool = False
    """Objects keep the archive's own base names where these are safe and free: the dialect's `rename=false`."""
    quarantine: bool = False
    """What is archived of it is in quarantine until somebody activates it (xnat-behaviour.md 1.4)."""
    one_patient: bool = False
    """Whoever sent it named subject and session by hand: several PatientIDs in a study are one patient's."""
    settles: bool = False
    """Whoever sent it may archive: what it brings of a session that was left in conflict is decided by it."""
    timestamp: str = ""
    """The prearchive's timestamp that what comes is to stand under, where it goes there."""
    folder: str = ""
    """What its folder there is called by whoever sent it, where that is not its label."""
    said: Mapping[str, str] = field(default_factory=dict)
    """Attributes that are said of every session of the upload (xnat-behaviour.md 1.4: VISIT, SUBTYPE, paths)."""
    receipt: bool = False
    """The caller will ask for the receipt's lines; an inspection, which stores nothing, keeps them only then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One moment of a running import; totals are None until they are known, and never guessed."""

    stage: Stage
    entries_done: int = 0
    """File entries that have a verdict or are being read past."""
    entries_total: int | None = None
    bytes_done: int = 0
    """Unpacked bytes, over all levels of nesting."""
    bytes_total: int | None = None
    sessions: tuple[str, ...] = ()
    """The sessions found so far, in the order found: by their patients, and by their labels once these are decided."""
    seconds: float = 0.0
    """Since the import began."""
