"""Imports a real session archive into demo/data, shows what came of it, and serves it: `make demo`.

The archive is made of the real DICOM and ECAT files that pydicom and nibabel bring along for their own tests: session
archives of several people in the documented layout, bundled in one zip. Each run begins anew. A folder other than demo/
may be named: python scripts/demo.py FOLDER. Then a server is started on a free port, the archive is uploaded to it, cut
half-way and gone on with, and the server stays in the foreground until Ctrl-C.
"""

from __future__ import annotations

import io
import json
import shlex
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import nibabel
import pydicom
from demo_server import Ended, Server, hear_signals, served, upload_in_two_parts
from demo_server import tell as tell_upload

ROOT = Path(__file__).resolve().parent.parent
DEMO = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT / "demo"
ARCHIVE, DATA, RECEIPT = DEMO / "sessions.zip", DEMO / "data", DEMO / "receipt.jsonl"
LOG = DEMO / "server.log"
SCANDOCK = Path(sys.executable).with_name("scandock")
DICOM = Path(pydicom.__file__).parent / "data" / "test_files"
DISC = DICOM / "dicomdirtests" / "98892003"
NIBABEL = Path(nibabel.__file__).parent / "tests" / "data"
DATED = (2024, 3, 11, 8, 0, 0)
SESSIONS = {
    "doe_peter_ct": [DICOM / "dicomdirtests" / "98892001"],
    "doe_peter_mra": [DISC / "MR1" / "5641", DISC / "MR2" / "6273", DISC / "MR2" / "6605", DISC / "MR700"],
    "doe_archibald_ct": [DICOM / "dicomdirtests" / "77654033" / "CT2"],
    "phantom_mr": [NIBABEL / "0.dcm", NIBABEL / "1.dcm"],
    "lesion_mr": [DICOM / "examples_overlay.dcm"],
    "liver_ct": [DICOM / "J2K_pixelrep_mismatch.dcm"],
    "heart_us": [DICOM / "examples_ybr_color.dcm"],
}
"""Session folders, and the real files that go into each."""
PICTURED = "lesion_mr"
"""The session that one is led to."""
TAR_SESSION = ("citizen_jan_ct", DICOM / "dicomdirtests" / "TINY_ALPHA" / "PT000000")
ECAT = NIBABEL / "tinypet.v"

Entry = tuple[str, bytes]


def main() -> int:
    hear_signals()
    try:
        return run()
    except Ended:
        say("\nEnded.")
        return 0


def run() -> int:
    for old in (DATA, ARCHIVE, RECEIPT):
        if old.is_dir():
            shutil.rmtree(old)
        else:
            old.unlink(missing_ok=True)
    DEMO.mkdir(parents=True, exist_ok=True)
    pack()
    command = ["import", shown(ARCHIVE), "--data", shown(DATA), "--project", "DEMO", "--create-project"]
    command += ["--receipt", shown(RECEIPT)]
    say(f"$ scandock {' '.join(command)}")
    code = subprocess.run([SCANDOCK, *command], cwd=ROOT, check=False).returncode
    if code:
        say(f"\nThe import ended with exit code {code}; what it says above is why.")
        return code
    tell()
    say("\nNow the same archive through the API, with a server:")
    with served(DATA, LOG) as server:
        found = upload_in_two_parts(server, ARCHIVE, say)
        tell_upload(server, found, say)
        if found["state"] != "placed":
            return 1
        tell_where(server)
        return server.process.wait() or 1  # it should not end by itself


def tell_where(server: Server) -> None:
    """Where it is served, who may log in, and what to try."""
    url, user = server.url, shlex.quote(f"admin:{server.password}")
    user, password = f"--user {user}", shlex.quote(server.password)
    say("\nTo look further while it serves:")
    for command, why in {
        f"curl -s {user} {url}/api/v1/sessions": "the sessions, as JSON",
        f"curl -s {user} -OJ {url}/api/v1/projects/DEMO/download": "a project as a zip, which is again a valid upload",
        f"SCANDOCK_PASSWORD={password} .venv/bin/scandock upload {shown(ARCHIVE)} --url {url} --user admin"
        " --project UPLOADED": "again: all duplicates, no harm",
        f"curl -s {url}/readyz": "whether it is ready; /metrics for Prometheus, /api/openapi.json for programs",
        f"less {shown(LOG)}": "the server's log",
    }.items():
        say(f"  {command}\n      {why}")
    say(f"\nServing {shown(DATA)} at {url}/\nLogin: admin, password {server.password}")
    say(f"A session with pictures: {server.session_page('DEMO', PICTURED)}\nCtrl-C ends it.")


def pack() -> None:
    """Writes the bundle: session zips, one tar.gz, and an ECAT session, each told by its content when imported."""
    entries = [(f"{name}.zip", zipped(documented(name, sources))) for name, sources in SESSIONS.items()]
    name, source = TAR_SESSION
    entries.append((f"{name}.tar.gz", tarred(documented(name, [source]))))
    ecat = [("pet_phantom/scans/1/resources/ECAT/files/tinypet.v", ECAT.read_bytes())]
    entries.append(("pet_phantom.zip", zipped(ecat)))
    ARCHIVE.write_bytes(zipped(entries))
    images = sum(len(list(files([source]))) for sources in SESSIONS.values() for source in sources)
    images += len(list(files([TAR_SESSION[1]]))) + 1
    say(f"{shown(ARCHIVE)}: {len(entries)} session archives with {images} real DICOM and ECAT files, bundled in a zip.")


def documented(session: str, sources: list[Path]) -> Iterator[Entry]:
    """Entries in the uploader's documented layout, the scan folders named by series number; and what a Mac adds."""
    for path in files(sources):
        header = pydicom.dcmread(path, stop_before_pixels=True)
        yield f"{session}/scans/{header.SeriesNumber}/resources/DICOM/files/{path.name}", path.read_bytes()
    yield f"{session}/.DS_Store", b"\0\0\0\1Bud1" + bytes(60)


def files(sources: list[Path]) -> Iterator[Path]:
    for source in sources:
        yield from sorted(path for path in source.rglob("*") if path.is_file()) if source.is_dir() else [source]


def zipped(entries: Iterator[Entry] | list[Entry]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(zipfile.ZipInfo(name, DATED), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def tarred(entries: Iterator[Entry]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in entries:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def tell() -> None:
    """The receipt's sums, the folders that now stand, and the commands that show more."""
    lines = [json.loads(line) for line in RECEIPT.read_text(encoding="utf-8").splitlines()]
    sums = Counter(line["verdict"] for line in lines)
    say(f"\nThe receipt accounts for all {len(lines)} files: {', '.join(f'{n} {what}' for what, n in sums.items())}.")
    example = next(line for line in lines if line["verdict"] == "stored")
    say(f"One of its lines: {example['path']}\n      stored as: {example['stored_as']}")
    say("\nThe sessions are plain folders and files:")
    for scan in sorted(DATA.glob("archive/*/*/scans/*")):
        stored = [path for path in scan.rglob("*") if path.is_file()]
        count = "1 file" if len(stored) == 1 else f"{len(stored)} files"
        say(f"  {shown(scan)}  {count}, {sum(path.stat().st_size for path in stored):,} bytes")
    say("\nTo look further:")
    for command, why in {
        f"scandock check --data {shown(DATA)}": "catalog and files agree, every checksum holds",
        f"scandock import {shown(ARCHIVE)} --data {shown(DATA)} --project DEMO": "again: all duplicates, no harm",
        f"scandock inspect {shown(ARCHIVE)} --json": "what an import would do, as JSON",
        f"less {shown(RECEIPT)}": "what became of every file, and why",
    }.items():
        prefix = ".venv/bin/" if command.startswith("scandock") else ""
        say(f"  {prefix}{command}\n      {why}")


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()  # the import's own lines come in between


if __name__ == "__main__":
    sys.exit(main())
