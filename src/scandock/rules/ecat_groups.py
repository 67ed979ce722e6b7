"""ECAT files to sessions (rules.md, "ECAT"): by `{session_id}` folder, else patient and scan date, else a hash."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from typing import Final

from scandock.model.dataclass import dataclass
from scandock.model.series import EcatFacts
from scandock.rules.labels import PLACEHOLDERS, clean_label, is_placeholder, label_key
from scandock.rules.layout import split_path
from scandock.rules.notices import Notice, make_notice
from scandock.rules.patients import find_patients
from scandock.rules.study import StudyFacts

_PIECES: Final = re.compile(r"[/\\!]+")
_INSIDE: Final = frozenset({"scans", "resources", "assessors"})


@dataclass(frozen=True, slots=True, kw_only=True)
class EcatFile:
    """One ECAT entry: its path (through nested archives, with `!`), its `{session_id}` folder or "", its content."""

    path: str
    folder: str
    sha256: bytes
    facts: EcatFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class EcatGrouping:
    """The studies of an upload once its ECAT files have joined them."""

    studies: tuple[StudyFacts, ...]
    """The DICOM studies, some with ECAT files now, and those of ECAT alone."""
    keys: Mapping[str, str]
    """Key of the study of each file, by the file's path."""
    warnings: Mapping[str, tuple[Notice, ...]]
    """Warnings by the key of the study."""


def group_ecat(
    files: Sequence[EcatFile],
    dicom_studies: Sequence[StudyFacts],
    zone: tzinfo = UTC,
    placeholders: Collection[str] = PLACEHOLDERS,
    shown_folder: Callable[[str], str] = str,
) -> EcatGrouping:
    """Put each ECAT file into a study.

    Files under one `{session_id}` folder are one session, with the DICOM study that lies there; that their patients
    differ is found, and held, by `settle`. `zone` is SCANDOCK_TIMEZONE: ECAT's clock gives seconds, the date is local.
    `shown_folder`: what warnings call a folder; "" where that may not be known.
    """
    studies = {study.key: study for study in dicom_studies}
    groups: dict[tuple[str, ...], list[EcatFile]] = defaultdict(list)
    for file in sorted(files, key=lambda file: (file.sha256, file.path)):
        groups[_group_key(file, zone, placeholders)].append(file)
    keys: dict[str, str] = {}
    warnings: dict[str, tuple[Notice, ...]] = {}
    for own_key, group in _split_roots(groups, placeholders):
        ecat_study = _make_study(own_key, group, zone)
        host, host_warnings = _find_host_study(ecat_study, list(studies.values()), placeholders, shown_folder)
        study = ecat_study if host is None else _join_study(host, ecat_study)
        studies[study.key] = study
        warnings[study.key] = warnings.get(study.key, ()) + host_warnings
        keys.update((file.path, study.key) for file in group)
    return EcatGrouping(studies=tuple(studies.values()), keys=keys, warnings=warnings)


def scan_date(facts: EcatFacts, zone: tzinfo) -> str:
    """The date (yyyyMMdd) of a file's scan start in `zone`, or "" where it is unset or out of range."""
    return _scan_start(facts, zone)[0]


def _scan_start(facts: EcatFacts, zone: tzinfo) -> tuple[str, str]:
    """(yyyyMMdd, HHMMSS) of a file's scan start in `zone`, both "" where it is unset or out of range."""
    if facts.scan_start_time <= 0:
        return "", ""
    try:
        start = datetime.fromtimestamp(facts.scan_start_time, zone)
    except (ValueError, OverflowError, OSError):
        return "", ""
    return f"{start:%Y%m%d}", f"{start:%H%M%S}"


def _earliest(starts: Iterable[tuple[str, str]]) -> tuple[str, str]:
    return min((start for start in starts if start[0]), default=("", ""))


def _group_key(file: EcatFile, zone: tzinfo, placeholders: Collection[str]) -> tuple[str, ...]:
    if clean_label(file.folder):
        return "folder", label_key(file.folder)
    patient = file.facts.patient_id.strip()
    if clean_label(patient) and not is_placeholder(patient, placeholders):
        return "patient", patient, scan_date(file.facts, zone)
    return "hash", file.sha256.hex()


def _split_roots(
    groups: Mapping[tuple[str, ...], list[EcatFile]], placeholders: Collection[str]
) -> list[tuple[str, list[EcatFile]]]:
    """(key, files) of each session.

    Folders of one name in several places (inner archives) are one session, unless their patients differ.
    """
    sessions: dict[str, list[EcatFile]] = defaultdict(list)
    for group, files in groups.items():
        if group[0] != "folder":
            sessions["ecat:" + ":".join(group)].extend(files)
            continue
        roots: dict[str, list[EcatFile]] = defaultdict(list)
        for file in files:
            roots[_root(file.path, file.folder)].append(file)
        apart = len(_patients(files, placeholders)) > 1
        for root_files in roots.values() if apart else [files]:
            ids = "|".join(_patients(root_files, placeholders))
            sessions[f"ecat:folder:{group[1]}:{ids}"].extend(root_files)
    return sorted(sessions.items())


def _patients(files: Sequence[EcatFile], placeholders: Collection[str]) -> tuple[str, ...]:
    ids = {file.facts.patient_id.strip() for file in files}
    return tuple(sorted(text for text in ids if not is_placeholder(text, placeholders)))


def _make_study(key: str, files: Sequence[EcatFile], zone: tzinfo) -> StudyFacts:
    distinct = {file.sha256: file.facts for file in files}
    names = Counter(file.folder for file in files if clean_label(file.folder))
    folder = min(names, key=lambda name: (-names[name], name), default="")
    day, clock = _earliest(_scan_start(facts, zone) for facts in distinct.values())
    return StudyFacts(
        key=key,
        study_uid=None,
        ecat=tuple(distinct.values()),
        session_folders={folder: len(distinct)} if folder else {},
        folders=frozenset(split_path(file.path)[0] for file in files),
        ecat_date=day,
        ecat_time=clock,
    )


def _find_host_study(
    ecat_study: StudyFacts,
    studies: Sequence[StudyFacts],
    placeholders: Collection[str],
    shown_folder: Callable[[str], str],
) -> tuple[StudyFacts | None, tuple[Notice, ...]]:
    """The DICOM study that shares the ECAT session's folder; a warning where several do and none is the patient's."""
    folder = ecat_study.session_folder
    if not folder:
        return None, ()
    ids = find_patients(ecat_study, placeholders).ids
    mine = _roots(ecat_study, folder)
    candidates, same_patient_studies = [], []
    for study in studies:
        if study.study_uid is None or label_key(study.session_folder) != label_key(folder):
            continue
        theirs = find_patients(study, placeholders)
        differ = any(theirs.differ_from(patient_id, cut=True) for patient_id in ids)
        if not differ or mine & _roots(study, folder):
            candidates.append(study)
        if ids and theirs.ids and not differ:
            same_patient_studies.append(study)
    if len(candidates) == 1 or len(same_patient_studies) == 1:
        return (candidates if len(candidates) == 1 else same_patient_studies)[0], ()
    if not candidates:
        return None, ()
    return None, (make_notice("ecat_apart", folder=shown_folder(folder) or "(hidden)", count=len(candidates)),)


def _join_study(host: StudyFacts, ecat_study: StudyFacts) -> StudyFacts:
    folders = Counter(host.session_folders)
    folders[host.session_folder] += len(ecat_study.ecat)
    day, clock = _earliest((study.ecat_date, study.ecat_time) for study in (host, ecat_study))
    return replace(
        host,
        ecat=(*host.ecat, *ecat_study.ecat),
        session_folders=dict(folders),
        folders=host.folders | ecat_study.folders,
        ecat_date=day,
        ecat_time=clock,
    )


def _roots(study: StudyFacts, folder: str) -> set[str]:
    return {_root(path, folder) for path in study.folders} - {""}


def _root(path: str, folder: str) -> str:
    """The path up to and with its folder `folder` (the one before `scans` or `resources`, else the first); or ""."""
    pieces = _PIECES.split(path)
    places = [at for at, piece in enumerate(pieces) if label_key(piece) == label_key(folder)]
    inside = [at for at in places if pieces[at + 1 : at + 2] and pieces[at + 1].casefold() in _INSIDE]
    at = (inside or places or [-1])[0]
    return "/".join(pieces[: at + 1])
