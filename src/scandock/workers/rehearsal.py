"""An import of nothing, done by a fork server of attempts before it serves: its forks find all of it done once.

What an attempt does for the first time takes longer than ever again: SQL statements are compiled, patterns too, caches
are filled. Of a small import that is a third. So made-up objects are imported into a folder of their own, which goes
again, with its catalog. No thread, connection or file is left of it.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import struct
import tempfile
import time
import zipfile
from contextlib import closing
from typing import TYPE_CHECKING, Final

from sqlalchemy import insert

from scandock.catalog.projects import ProjectRow, add_project
from scandock.catalog.server_tables import account, reception
from scandock.catalog.shared_statements import COMPILED, share_sqlite_statements
from scandock.catalog.tables import upload
from scandock.model import crash_points
from scandock.queue.claim import SlotUsage, claim
from scandock.queue.enqueue import accept
from scandock.queue.owner import this_owner
from scandock.queue.tokens import new_uuid
from scandock.services.data_catalog import open_data_catalog
from scandock.services.data_preparation import prepare_data
from scandock.services.settings import load_settings
from scandock.store.opening import open_store
from scandock.workers.attempt import AttemptRequest, run_attempt

if TYPE_CHECKING:
    from scandock.catalog.engine import Catalog
    from scandock.store.port import Store

PROJECT: Final = "REHEARSAL"
_PREFIX: Final = "scandock-rehearsal-"
_OLD_SECONDS: Final = 3600
"""Age of a folder that a server has left that was killed meanwhile."""
MR_IMAGE: Final = "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1"
ROOT: Final = "2.25.1"


def rehearse() -> None:
    """Import made-up objects; nothing where this process has done so, or is to be killed at a point of an import."""
    share_sqlite_statements()
    if COMPILED or crash_points.is_armed():
        return
    settings = load_settings().model_copy(
        update={"database_url": None, "store": None, "workers": 1, "min_free_bytes": 0}
    )
    _remove_old_folders()
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as folder:
        data = os.path.join(folder, "data")
        with closing(open_store(data)) as store:
            prepare_data(store, settings)
            catalog = open_data_catalog(data, settings)
            try:
                add_project(catalog, ProjectRow(name=PROJECT))
                account_id = _add_account(catalog)
                for study in (1, 2):
                    run_attempt(_receive(catalog, store, account_id, make_archive(study, series=study)), settings)
            finally:
                catalog.dispose()


def _remove_old_folders() -> None:
    """Remove what servers have left that were killed as they began."""
    before = time.time() - _OLD_SECONDS
    with os.scandir(tempfile.gettempdir()) as entries:
        folders = [entry for entry in entries if entry.name.startswith(_PREFIX)]
    for folder in folders:
        with contextlib.suppress(OSError):  # another server has just removed it
            if folder.stat(follow_symlinks=False).st_mtime < before:
                shutil.rmtree(folder.path, ignore_errors=True)


def _add_account(catalog: Catalog) -> int:
    person = {"uuid": new_uuid(), "name": "rehearsal", "key": "rehearsal", "admin": True}
    with catalog.write() as connection:
        return connection.execute(insert(account).values(created=0, modified=0, **person)).lastrowid


def _receive(catalog: Catalog, store: Store, account_id: int, archive: bytes) -> AttemptRequest:
    """Have an archive received, as if it had come by the server, and claimed."""
    uuid = new_uuid()
    with closing(store.spool(uuid)) as spool:
        spool.append(0, archive)
    request = json.dumps({"project": PROJECT, "destination": "archive"})
    with catalog.write() as connection:
        row = {"uuid": uuid, "archive": "a.zip", "source": "server", "state": "receiving", "request": request}
        upload_id = connection.execute(insert(upload).values(created=catalog.now(), **row)).lastrowid
        received = {"upload_id": upload_id, "account_id": account_id, "door": "raw", "size": len(archive)}
        connection.execute(insert(reception).values(received=len(archive), **received))
        accept(catalog, connection, upload_id)
    claimed = claim(catalog, this_owner(), SlotUsage(total=1))
    if claimed is None:
        raise RuntimeError("What was received can't be claimed.")
    return AttemptRequest(
        data=store.path,
        upload=uuid,
        token=claimed.lease.token,
        previous=claimed.previous,
        attempt=claimed.attempt,
        exhausted=claimed.exhausted,
        reason=claimed.reason,
    )


def make_archive(study: int, *, series: int) -> bytes:
    """A zip of so many series of two objects, and a file beside them."""
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(2 * series):
            archive.writestr(f"S/{number}.dcm", _make_object(study, number // 2 + 1, number + 1))
        archive.writestr("S/notes.txt", b"none")
    return output.getvalue()


def _make_object(study: int, series: int, number: int) -> bytes:
    """An MR image in explicit VR little endian, without pixels."""
    instance = f"{ROOT}.{study}.{series}.{number}"
    meta = b"".join(
        (
            _element(0x00020001, "OB", b"\0\1"),
            _element(0x00020002, "UI", MR_IMAGE),
            _element(0x00020003, "UI", instance),
            _element(0x00020010, "UI", EXPLICIT_LITTLE_ENDIAN),
        )
    )
    values = {
        0x00080016: ("UI", MR_IMAGE),
        0x00080018: ("UI", instance),
        0x00080020: ("DA", "20260101"),
        0x00080030: ("TM", "120000"),
        0x00080060: ("CS", "MR"),
        0x00080070: ("LO", "NONE"),
        0x00081030: ("LO", f"STUDY {study}"),
        0x0008103E: ("LO", "SERIES"),
        0x00100010: ("PN", "NOBODY^NO"),
        0x00100020: ("LO", "NOBODY"),
        0x0020000D: ("UI", f"{ROOT}.{study}"),
        0x0020000E: ("UI", f"{ROOT}.{study}.{series}"),
        0x00200011: ("IS", str(series)),
        0x00200013: ("IS", str(number)),
    }
    data_set = b"".join(_element(tag, vr, value) for tag, (vr, value) in values.items())
    length = _element(0x00020000, "UL", struct.pack("<I", len(meta)))
    return bytes(128) + b"DICM" + length + meta + data_set


def _element(tag: int, vr: str, value: str | bytes) -> bytes:
    content = value if isinstance(value, bytes) else value.encode()
    content += (b"\0" if vr == "UI" else b" ") * (len(content) % 2)
    length = struct.pack("<2xI", len(content)) if vr == "OB" else struct.pack("<H", len(content))
    return struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode() + length + content
