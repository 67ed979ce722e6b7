"""A site with much on it: long labels, 60 scans, 300 sessions, conflicts, failures, a trash, hostile names."""

from __future__ import annotations

import contextlib
import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from scandock.testing.data import make_data
from tests.builders import Image, images, uploader_layout, zip_entries
from tests.crash.processes import until
from tests.crash.served import ServerProcess
from tests.dicom_sender import DicomSender, RejectedError
from tests.ports import free_port

LONG = "Participant_0001_of_the_longitudinal_study_of_ageing_session_12"
HOSTILE = b'<script>alert(1)</script>"><img src=x onerror=alert(2)>'
ROWS = 64
MANY_SCANS = 60
MANY_SESSIONS = 300


def picture(number: int) -> dict[int, tuple[bytes, bytes]]:
    """Pixels that can be seen: a slope that turns with the number."""
    size = struct.pack("<H", ROWS)
    pixels = b"".join(
        struct.pack("<H", ((x * (number % 5 + 1) + y * (number % 3)) * 16) % 4096)
        for y in range(ROWS)
        for x in range(ROWS)
    )
    return {0x00280010: (b"US", size), 0x00280011: (b"US", size), 0x7FE00010: (b"OW", pixels)}


def scans(label: str, count: int) -> bytes:
    """A session of so many scans, one image each, one of them named to do harm."""
    entries: dict[str, bytes] = {}
    for n in range(1, count + 1):
        said = HOSTILE if n == 2 else b"t1_mprage_sag_p2_iso_1mm_a_long_description_%d" % n
        image = Image(
            case=label, series=n, series_number=b"%d" % n, patient_name=HOSTILE[:64], patient_id=b"LONG",
            also={**picture(n), 0x0008103E: (b"LO", said[:64])},
        )  # fmt: skip
        entries |= uploader_layout(label, str(n), [image.file()])
    entries[f"{label}/resources/NOTES/files/<script>alert(3)</script> \u202egnp.txt"] = b"note"
    return zip_entries(entries)


def many(count: int) -> bytes:
    """So many sessions of one image."""
    entries: dict[str, bytes] = {}
    for n in range(count):
        image = Image(case="many", study=n, patient_id=b"P%04d" % n)
        entries |= uploader_layout(f"Many_{n:04}", "1", [image.file()])
    return zip_entries(entries)


def send(served: ServerProcess, name: str, body: bytes, more: str = "") -> str:
    """Upload under a name, and wait for the outcome; the import's id."""
    status, made = served.ask("POST", f"/api/v1/imports?project=P&filename={quote(name)}{more}", body)
    assert status == 202, made
    assert served.ask("GET", f"/api/v1/imports/{made['id']}/events")[0] in (200, 204)  # which end with the import
    return str(made["id"])


def own_files(served: ServerProcess) -> None:
    """More files than a page names with the project, and with a subject, one of them named to do harm."""
    names = [f"documents/protocol_of_the_longitudinal_study_of_ageing_version_{n}.pdf" for n in range(60)]
    packed = zip_entries({"<script>alert(5)</script>" + "x" * 120: b"note", **dict.fromkeys(names, b"pdf")})
    subject = served.ask("GET", f"/api/v1/sessions?project=P&search={LONG}")[1]["items"][0]["subject"]
    for where in ("", f"/subjects/{subject}"):
        address = f"/data/projects/P{where}/resources/{LONG}/files/all.zip?extract=true"
        assert served.ask("PUT", address, packed)[0] == 200


def receive(served: ServerProcess) -> None:
    """A receiver with a study under way and a refusal, one that is off, and a peer; names as long as they can be."""
    long = "<script>alert(6)</script> " + "x" * 170
    on = {"ae_title": "W" * 16, "port": free_port(), "project": "P", "idle_seconds": 3600, "label": long}
    off = {"ae_title": "OFF", "port": 11112, "enabled": False, "allow_list": ["CT1"], "allow_list_enabled": True}
    for values in (on, off):
        assert served.ask("POST", "/api/v1/receivers", json.dumps(values).encode())[0] == 201
    peer = {"ae_title": "PACS", "host": "pacs." + "x" * 60 + ".example.org", "port": 104, "label": long}
    assert served.ask("POST", "/api/v1/peers", json.dumps(peer).encode())[0] == 201
    listens = "/api/v1/receivers/states"
    until(lambda: "listening" in str(served.ask("GET", listens)[1]), "the receiver never listened")
    with DicomSender(int(str(on["port"])), called="W" * 16, calling="<b>CT</b>") as sender:
        assert sender.send(*images(1, modality=b"MR")) == [0]
    with contextlib.suppress(RejectedError):
        DicomSender(int(str(on["port"])), called="NOBODY")
    until(lambda: served.ask("GET", "/api/v1/receivers/associations")[1]["items"], "no association was told of")


def delete(served: ServerProcess, label: str) -> None:
    """Move a session to the trash."""
    [session] = served.ask("GET", f"/api/v1/sessions?project=P&search={label}")[1]["items"]
    assert served.ask("DELETE", f"/api/v1/sessions/{session['id']}")[0] == 200


@contextmanager
def crowded(folder: Path) -> Iterator[tuple[ServerProcess, dict[str, str]]]:
    """The site, and ids of imports by what they are."""
    make_data(folder / "data")
    served = ServerProcess(folder, free_port()).ready()
    try:
        served.project()
        ids = {
            "scans": send(served, "sixty scans.zip", scans(LONG, MANY_SCANS)),
            "many": send(served, "many.zip", many(MANY_SESSIONS)),
            "waits": send(served, "to review.zip", scans("Reviewed_" + LONG[:40], 3), "&destination=prearchive"),
            "conflict": send(served, "again.zip", many(2), "&session=" + LONG),
            "refused": send(served, "<script>alert(4)</script>" + "x" * 120 + ".zip", b"no archive at all"),
        }
        own_files(served)
        receive(served)
        delete(served, f"Many_{MANY_SESSIONS - 1:04}")
        yield served, ids
        served.end()
    finally:
        served.kill()
