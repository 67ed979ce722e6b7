"""Which id a scan gets (rules.md "Which scan", "ECAT"; xnat-behaviour.md 2.7, 4.3).

One scan for each series. The only image series of a number keeps the bare number; what accompanies it
(reports, segmentations, presentation states) gets `{n}-SR1` and so on; several image series of one number get `4-MR1`,
`4-MR2`, by series time, then UID. Ids once given never change. Every id is a safe path piece, unique in any case.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from scandock.model.dataclass import dataclass
from scandock.model.series import SeriesTally
from scandock.rules.sop_classes import NOT_IMAGE_MODALITIES, is_image
from scandock.rules.tally_values import count_values, most_common, parse_times

MAX_ID: Final = 64
_MAX_STEM: Final = 44
_MAX_MODALITY: Final = 10
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_.-]")
_NOT_WORD: Final = re.compile(r"[^A-Za-z0-9_]")
_DEVICE: Final = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE)
_NUMBERED: Final = re.compile(r"(.+)-([A-Z0-9_]{1,64}?)(\d{1,64})")
_RUNS: Final = re.compile("([0-9]+)")
_ASCII_DIGITS: Final = frozenset("0123456789")
ECAT_MODALITY: Final = "PT"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSeries:
    """What decides on a series' id."""

    uid: str
    number: str = ""
    """Its SeriesNumber; empty where missing."""
    modality: str = ""
    image: bool = True
    time: str = ""
    """Earliest SeriesTime, `HH:MM:SS`; empty sorts last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EcatScan:
    """What decides on the scan of an ECAT file."""

    sha256: str
    scan_folder: str = ""
    """The `{scan_id}` folder of the documented layout; empty without one."""
    start: int = 0
    """Scan start in Unix seconds; 0 (unknown) sorts last."""
    path: str = ""


def new_series(tally: SeriesTally) -> NewSeries:
    """What decides on the id of a series, from its tally: the most common number (ties: the first by code point)."""
    modality = most_common(count_values(tally, "Modality"))
    classes = count_values(tally, "SOPClassUID") or {"": 1}
    series_times = parse_times(count_values(tally, "SeriesTime"))
    return NewSeries(
        uid=tally.series_uid,
        number=most_common(count_values(tally, "SeriesNumber")),
        modality=modality,
        image=any(is_image(sop_class, modality) for sop_class in classes),
        time=series_times[0].isoformat() if series_times else "",
    )


def assign_scan_ids(
    new: Iterable[NewSeries], existing: Mapping[str, str], in_use: Collection[str] = ()
) -> dict[str, str]:
    """An id for each series of `new`, by series UID.

    `existing` holds the ids that series of this session have already: a series in it keeps its own. `in_use` holds ids
    that are in use otherwise (ECAT scans). The result does not depend on the order of `new`.
    """
    ids: dict[str, str] = {}
    used = {scan_id.casefold() for scan_id in (*existing.values(), *in_use)}
    groups: defaultdict[str, list[NewSeries]] = defaultdict(list)
    for series in sorted({series.uid: series for series in sorted(new, key=_order)}.values(), key=_order):
        if series.uid in existing:
            ids[series.uid] = existing[series.uid]
        else:
            groups[id_stem(series).casefold()].append(series)
    shared, shared_by_images = _shared_numbers(existing.values())
    for stem, group in sorted(groups.items()):
        bare = _find_bare_series(group)
        if bare is not None and stem not in used and stem not in (shared_by_images if bare.image else shared):
            ids[bare.uid] = id_stem(bare)
            used.add(stem)
    for _, group in sorted(groups.items()):
        for series in group:
            if series.uid not in ids:
                ids[series.uid] = _next_numbered(id_stem(series), series.modality, used)
    return ids


def assign_ecat_scan_ids(
    new: Iterable[EcatScan], existing: Mapping[str, str] | None = None, in_use: Collection[str] = ()
) -> dict[str, str]:
    """A scan id for each ECAT file, by sha256: its `{scan_id}` folder, else the next free number by scan start.

    Files of one scan folder are one scan. `existing` holds the ids of the session's ECAT files, which they keep, and
    which a file of the same scan folder joins; `in_use` the ids of its DICOM scans, which are never shared: then the
    folder's name is numbered (`900-PT1`).
    """
    existing = existing or {}
    ids: dict[str, str] = {}
    used = {scan_id.casefold() for scan_id in (*existing.values(), *in_use)}
    joined = {scan_id.casefold(): scan_id for scan_id in existing.values()}
    ordered = sorted(new, key=lambda scan: (scan.start == 0, scan.start, scan.path, scan.sha256))
    loose: list[EcatScan] = []
    for scan in ordered:
        if scan.sha256 in existing or scan.sha256 in ids:
            ids.setdefault(scan.sha256, existing.get(scan.sha256, ""))
        elif scan.scan_folder:
            stem = _safe(scan.scan_folder)
            if stem.casefold() not in joined:
                free = stem.casefold() not in used
                joined[stem.casefold()] = stem if free else _next_numbered(stem, ECAT_MODALITY, used)
                used.add(joined[stem.casefold()].casefold())
            ids[scan.sha256] = joined[stem.casefold()]
        else:
            loose.append(scan)
    used |= {scan_id.partition("-")[0] for scan_id in used}  # no chronological 4 beside a 4-MR1
    number = 1
    for scan in loose:
        if scan.sha256 not in ids:
            while str(number) in used:
                number += 1
            ids[scan.sha256] = str(number)
            number += 1
    return ids


def sort_key(scan_id: str) -> str:
    """What sorts ids of scans as people count: 2, 4-MR1, 4-MR2, 10, then what begins with a letter.

    Hexadecimal digits alone, which every database sorts alike, whatever language it sorts by.
    """
    key = bytearray()
    for part in filter(None, _RUNS.split(scan_id)):
        if part[0] in _ASCII_DIGITS:
            digits = part.lstrip("0") or "0"
            key += b"\x01" + len(digits).to_bytes(2, "big") + digits.encode()
        else:
            key += b"\x02" + part.casefold().encode("utf-8", "surrogatepass") + b"\x00"
    return key.hex()


def id_stem(series: NewSeries) -> str:
    """The id that a series would have alone: its number made safe, `+4` as `_4`, else its UID, cleaned."""
    number = series.number.strip()
    return _safe(number) if number else _cut(_NOT_WORD.sub("_", series.uid) or "NA", series.uid, MAX_ID)


def _find_bare_series(group: Sequence[NewSeries]) -> NewSeries | None:
    """The series of a number that keeps it bare: the only one, or the only image among what accompanies it."""
    images = [series for series in group if series.image]
    if len(images) == 1:
        return images[0]
    return group[0] if len(group) == 1 else None


def _shared_numbers(ids: Iterable[str]) -> tuple[set[str], set[str]]:
    """Numbers that several series share already, told by ids such as `4-SR1`; and those of them that images share."""
    shared: set[str] = set()
    by_images: set[str] = set()
    for scan_id in ids:
        match = _NUMBERED.fullmatch(scan_id)
        if match is not None:
            shared.add(match[1].casefold())
            if match[2] not in NOT_IMAGE_MODALITIES:
                by_images.add(match[1].casefold())
    return shared, by_images


def _next_numbered(stem: str, modality: str, used: set[str]) -> str:
    code = _NOT_WORD.sub("_", modality.strip().upper())[:_MAX_MODALITY] or "OT"
    short = _cut(stem, stem, _MAX_STEM)
    count = 1
    while f"{short}-{code}{count}".casefold() in used:
        count += 1
    name = f"{short}-{code}{count}"
    used.add(name.casefold())
    return name


def _safe(text: str) -> str:
    text = _UNSAFE.sub("_", text.strip()) or "_"
    if text[0] == ".":
        text = "_" + text[1:]
    if text[-1] == ".":
        text = text[:-1] + "_"
    if _DEVICE.fullmatch(text):
        text = "_" + text
    return _cut(text, text, _MAX_STEM)


def _cut(text: str, whole: str, room: int) -> str:
    if len(text) <= room:
        return text
    return f"{text[: room - 9]}_{hashlib.sha256(whole.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def _order(series: NewSeries) -> tuple[bool, str, str]:
    return (not series.time, series.time, series.uid)
