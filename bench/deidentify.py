"""What de-identification costs: python -m bench.deidentify [--rounds 5] [--objects 1000] [--files 100000] [--write].

Headers per second of the processor, in one process and on objects in memory, against pydicom reading and writing whole
objects in the same run; then the memory of the command over few and many files, and over one object of 2 GB.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset

from bench import archives, contenders, report
from bench.memory import peak_pss
from scandock.deidentification.profile.options import parse_profile
from scandock.deidentification.script.parser import parse_script
from scandock.deidentification.scrub import Context, Rules, Scrubbed, scrub

BEGIN, END = "<!-- deidentify:begin -->", "<!-- deidentify:end -->"
SCRIPT = 'version "6.6"\n(0008,1030) := project\n(0010,0010) := subject\n(0010,0020) := session\n'
FILL = 'version "6.6"\nalterPixels["rectangle", "l=100,t=100,r=30000,b=2000", "solid", "v=0"]\n'
OPTIONS = "basic,modified-dates,clean-descriptors,clean-structured,clean-graphics"
ROWS, COLUMNS = 32_768, 32_767
LARGE = ROWS * COLUMNS * 2
GOAL = 4_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--objects", type=int, default=1_000)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--write", action="store_true", help="write the table to docs/performance.md")
    chosen = parser.parse_args()
    folder = archives.HOME / "deidentify" / f"{time.time_ns()}"
    folder.mkdir(parents=True)
    try:
        text = "\n".join([*_speeds(chosen.rounds, chosen.objects), "", *_memory(folder, chosen.files)])
        text += f"\n\n{report.machine(folder)}; {chosen.rounds} rounds."
    finally:
        shutil.rmtree(folder)
    print(text)
    if chosen.write:
        report.write(text, BEGIN, END)


def _speeds(rounds: int, count: int) -> Iterator[str]:
    ways: dict[str, Callable[[bytes], object]] = {
        "scrub, basic profile": _scrubber(Rules(profile=parse_profile("basic"))),
        f"scrub, {OPTIONS.replace(',', ', ')}": _scrubber(Rules(profile=parse_profile(OPTIONS))),
        "scrub, default script and basic profile": _scrubber(
            Rules(profile=parse_profile("basic"), scripts=(parse_script(SCRIPT),))
        ),
        "pydicom: read, remove, write": _rewrite,
    }
    figures: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        objects = make_objects(count, number * count)  # other ones each time: nothing of them is remembered
        names = [*ways][number % len(ways) :] + [*ways][: number % len(ways)]  # who comes first finds nothing in caches
        for name in names:
            figures[name].append(_per_second(ways[name], objects))
    figures = {name: values[1:] for name, values in figures.items()}
    plain = statistics.median(figures["pydicom: read, remove, write"])
    what = f"{count:,} MR objects of {len(make_objects(1, 0)[0]) // 1000} kB in memory"
    yield f"| {what} | headers a CPU second | of pydicom |"
    yield "| --- | --- | --- |"
    for name, values in figures.items():
        middle = statistics.median(values)
        yield f"| {name} | {middle:,.0f} ({min(values):,.0f}-{max(values):,.0f}) | {middle / plain:.0f} times |"


def make_objects(count: int, first: int) -> list[bytes]:
    """MR objects as a scanner writes them: 112 elements, 3 sequences, 12 kB of private data.

    Each has its own UID, number, position, times and window, eleven elements in all.
    """
    (series,) = archives.series_of(7, 1, 1, archives.MR)
    ((_, data),) = series.each()
    model: Any = pydicom.dcmread(io.BytesIO(data))
    for keyword, value in (_MORE | _OWN).items():
        setattr(model, keyword, value)
    for keyword in ("ReferencedImageSequence", "ReferencedStudySequence", "RequestAttributesSequence"):
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = model.SOPClassUID, f"{series.study_uid}.7"
        setattr(model, keyword, [item])
    block = model.private_block(0x0051, "BENCH HEADER", create=True)
    for number in range(0x10, 0x18):
        block.add_new(number, "OB", bytes(1_500))
    uid = model.SOPInstanceUID = model.file_meta.MediaStorageSOPInstanceUID = f"{series.study_uid}.900000000"
    written = io.BytesIO()
    model.save_as(written)
    whole = written.getvalue()
    return [
        whole.replace(uid.encode(), f"{series.study_uid}.9{number:08}".encode()).replace(_EACH, f"{number:05}".encode())
        for number in range(first, first + count)
    ]


_MORE = {
    "InstanceCreationDate": "20240517", "InstanceCreationTime": "101112.5", "SeriesDate": "20240517",
    "AcquisitionDate": "20240517", "ContentDate": "20240517", "SeriesTime": "101112", "AcquisitionTime": "101113",
    "ContentTime": "101114", "AccessionNumber": "4711", "InstitutionName": "Bench Clinic",
    "InstitutionAddress": "1 Bench Street", "ReferringPhysicianName": "Referrer^R", "StationName": "MRC1",
    "InstitutionalDepartmentName": "Radiology", "PerformingPhysicianName": "Performer^P", "OperatorsName": "Op^O",
    "PatientBirthDate": "19700101", "PatientSex": "F", "PatientAge": "054Y", "PatientSize": "1.7",
    "PatientWeight": "70", "BodyPartExamined": "BRAIN", "ScanningSequence": "GR", "SequenceVariant": "SP",
    "ScanOptions": "PFP", "MRAcquisitionType": "3D", "SequenceName": "tfl3d1", "AngioFlag": "N",
    "NumberOfAverages": "1", "ImagingFrequency": "123.25", "ImagedNucleus": "1H", "EchoNumbers": "1",
    "MagneticFieldStrength": "3", "NumberOfPhaseEncodingSteps": "255", "EchoTrainLength": "1",
    "PercentSampling": "100", "PercentPhaseFieldOfView": "100", "PixelBandwidth": "240",
    "DeviceSerialNumber": "45678", "SoftwareVersions": "syngo", "ProtocolName": "t1_mprage",
    "TransmitCoilName": "Body", "InPlanePhaseEncodingDirection": "ROW", "FlipAngle": "9",
    "VariableFlipAngleFlag": "N", "SAR": "0.1", "dBdt": "0", "PatientPosition": "HFS", "StudyID": "1",
    "AcquisitionNumber": "1", "FrameOfReferenceUID": "1.2.3.4.5.6", "PositionReferenceIndicator": "",
    "SliceLocation": "1.5", "WindowCenter": "300", "WindowWidth": "700",
    "PerformedProcedureStepStartDate": "20240517", "PerformedProcedureStepStartTime": "101010",
    "PerformedProcedureStepID": "MR1", "PerformedProcedureStepDescription": "Brain",
}  # fmt: skip


_EACH = b"77777"
"""What is another number in each object."""
_OWN: dict[str, str | list[str]] = {
    "InstanceNumber": "77777", "SliceLocation": "1.77777", "ImagePositionPatient": ["-9.77777", "8.77777", "3.77777"],
    "InstanceCreationTime": "101112.77777", "AcquisitionTime": "101113.77777", "ContentTime": "101114.77777",
    "WindowCenter": "3.77777", "WindowWidth": "7.77777", "SAR": "0.77777",
}  # fmt: skip


def _scrubber(rules: Rules) -> Callable[[bytes], object]:
    context = Context(key=os.urandom(32), variables={"project": "P", "subject": "S", "session": "E"})

    def run(data: bytes) -> object:
        result = scrub(data, rules=rules, context=context)
        if not isinstance(result, Scrubbed):
            raise TypeError(result)
        return result.parts

    return run


def _rewrite(data: bytes) -> object:
    """What a plain script does: the whole object read, some elements changed, all of it written."""
    obj = pydicom.dcmread(io.BytesIO(data))
    obj.remove_private_tags()
    obj.PatientName = obj.PatientID = ""
    obj.walk(_drop_dates)
    written = io.BytesIO()
    obj.save_as(written)
    return written


def _drop_dates(dataset: Dataset, element: pydicom.DataElement) -> None:  # noqa: ARG001
    if element.VR in {"DA", "PN"}:
        element.value = ""


def _per_second(way: Callable[[bytes], object], objects: Sequence[bytes]) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        began = time.process_time()
        for data in objects:
            way(data)
        return len(objects) / (time.process_time() - began)


def _memory(folder: Path, many: int) -> Iterator[str]:
    yield "| the command | peak of PSS (MB) | wall (s) |"
    yield "| --- | --- | --- |"
    data = b""
    for count in (many // 100, many // 4, many):
        source = folder / f"in{count}"
        (series,) = archives.series_of(7, 1, count, archives.TINY)
        for number, (_, data) in enumerate(series.each()):
            name = source / f"{number // 1000:03}" / f"{number:06}.dcm"
            name.parent.mkdir(parents=True, exist_ok=True)
            name.write_bytes(data)
        yield _run(f"{count:,} files of 8 kB in folders", source, folder)
        shutil.rmtree(source)
    large = folder / "large.dcm"
    _write_large(large, data)
    yield _run("one object of 2 GB", large, folder)
    script = folder / "fill.das"
    script.write_text(FILL)
    yield _run("one object of 2 GB, an area filled", large, folder, "--script", str(script))
    large.unlink()


def _run(what: str, source: Path, folder: Path, *more: str) -> str:
    out = folder / "out"
    command = [
        str(contenders.SCANDOCK), "deidentify", str(source), "--out", str(out), "--profile", "basic", "--json", *more,
    ]  # fmt: skip
    began = time.perf_counter()
    peak = peak_pss(command, folder / "lines")
    seconds = time.perf_counter() - began
    shutil.rmtree(out)
    return f"| {what} | {peak / 1e6:.0f} | {seconds:.1f} |"


def _write_large(path: Path, data: bytes) -> None:
    """An object with 2 GB of pixels that take no room on the disk."""
    obj = pydicom.dcmread(io.BytesIO(data))
    obj.Rows, obj.Columns, obj.NumberOfFrames = ROWS, COLUMNS, 1
    obj.PixelData = b"\0\0"
    obj.save_as(path)
    with path.open("r+b") as file:
        at = file.seek(-6, os.SEEK_END)
        file.write(LARGE.to_bytes(4, "little"))
        file.truncate(at + 4 + LARGE)


if __name__ == "__main__":
    main()
