"""The receipt of an import that was not placed as it had decided: without what was lost, or made anew from the rows."""

from __future__ import annotations

import contextlib
import gzip
import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from typing import IO, TYPE_CHECKING

from sqlalchemy import Connection, select

from scandock.catalog.tables import upload
from scandock.model.dataclass import dataclass
from scandock.model.errors import Fault
from scandock.model.verdicts import Verdict
from scandock.publishing.intents import Placement, published_placements, recorded_placements
from scandock.publishing.tree_files import paths_of
from scandock.rules.receipt_codes import ReceiptLine, sentence
from scandock.store.paths import AMENDED_RECEIPT, RECEIPT, RelPath, TreePath, unchecked_path

if TYPE_CHECKING:
    from scandock.catalog.engine import Catalog
    from scandock.model.import_report import ImportReport
    from scandock.queue.leases import ImportLease
    from scandock.store.port import Stage, Store

KEPT = (Verdict.STORED, Verdict.RESOURCE, Verdict.CONFLICT)
"""Verdicts of entries whose bytes are in a session."""
NOT_PLACED = "not_placed"
"""Code of an entry whose session could not be placed."""
_GZIP = 16 + zlib.MAX_WBITS
"""What zlib calls gzip's format."""


@dataclass(slots=True)
class ReceiptCounts:
    """What a receipt counts."""

    entries: Counter[str] = field(default_factory=Counter)
    stored: int = 0
    """Bytes."""

    def count(self, verdict: str, size: int) -> None:
        self.entries[verdict] += 1
        if verdict in KEPT:
            self.stored += size


def amend_receipt(
    catalog: Catalog, store: Store, stage: Stage, lost: Sequence[Placement], hold: Callable[[], None]
) -> ReceiptCounts | None:
    """Let the receipt that an import has made say of what was lost that it is not stored; what it counts then.

    The one in the stage is put in its place, and may be amended again after a kill. None where there is none: it went
    with the staging. `hold` is called again and again meanwhile.
    """
    before = _open(store, stage)
    if before is None:
        return None
    names = {placement.name: _standing(catalog, placement) for placement in lost}
    tally = ReceiptCounts()
    stage.remove(AMENDED_RECEIPT)
    packer = zlib.compressobj(1, wbits=_GZIP)
    with before, gzip.GzipFile(fileobj=before) as lines, stage.put(AMENDED_RECEIPT) as amended:
        for raw in lines:
            line: ReceiptLine = json.loads(raw)
            if _is_lost(line, names):
                line["verdict"], line["code"], line["message"] = Verdict.REFUSED.value, NOT_PLACED, sentence(NOT_PLACED)
                line["stored_as"] = None
                raw = _format_line(line)  # noqa: PLW2901
            amended.write(packer.compress(raw))
            tally.count(line["verdict"], line["bytes"])
            hold()
        amended.write(packer.flush())
    stage.seal()
    stage.remove(RECEIPT)
    stage.move(AMENDED_RECEIPT, RECEIPT)
    return tally


def _open(store: Store, stage: Stage) -> IO[bytes] | None:
    if not stage.exists(RECEIPT) and stage.exists(AMENDED_RECEIPT) and not _is_kept(store, stage):
        stage.move(AMENDED_RECEIPT, RECEIPT)  # killed between the two: it is whole, as the one before it is gone
    if stage.exists(RECEIPT):
        return stage.open(RECEIPT)
    with contextlib.suppress(FileNotFoundError):
        return store.open_receipt(stage.upload)
    return None


def _is_kept(store: Store, stage: Stage) -> bool:
    with contextlib.suppress(FileNotFoundError):
        store.open_receipt(stage.upload).close()
        return True
    return False


def _standing(catalog: Catalog, placement: Placement) -> frozenset[RelPath]:
    """The files that the session has without what was lost: it stays as it was."""
    if placement.base_tree_id is None:
        return frozenset()
    with catalog.read() as connection:
        return frozenset(_known_files(connection, placement.base_tree_id))


def _is_lost(line: ReceiptLine, names: Mapping[TreePath, frozenset[RelPath]]) -> bool:
    """Whether what a line tells of went with a lost session. What that session holds since before is there still."""
    stored_as = line["stored_as"]
    name = next((name for name in names if stored_as and stored_as.startswith(f"{name}/")), None)
    if stored_as is None or name is None:
        return False
    stays = line["verdict"] == Verdict.DUPLICATE and unchecked_path(stored_as.removeprefix(f"{name}/")) in names[name]
    return not stays


def tally_without(
    connection: Connection, report: ImportReport, lost: Sequence[Placement]
) -> tuple[dict[str, int], int]:
    """Entries by verdict and bytes stored of a report without what was lost: by the rows, where there is no receipt."""
    sizes = [line["bytes"] for placement in lost for line in receipt_lines(connection, "", placement)]
    entries, left = dict(report.entries), len(sizes)
    for verdict in KEPT:
        entries[verdict] -= (less := min(left, entries[verdict]))
        entries[Verdict.REFUSED] += less
        left -= less
    return entries, max(0, report.stored - sum(sizes))


def rebuild_receipt(catalog: Catalog, store: Store, stage: Stage, lease: ImportLease) -> bool:
    """Write the receipt of what an import shows from its rows, where the one it had made is gone with its staging."""
    receipt = _open(store, stage)
    if receipt is not None:
        receipt.close()
        return False
    with catalog.read() as connection:
        archive = connection.execute(select(upload.c.archive).where(upload.c.id == lease.upload_id)).scalar_one()
        lines = [
            line
            for state in (recorded_placements, published_placements)
            for placement in state(connection, lease)
            for line in receipt_lines(connection, archive, placement)
        ]
    stage.put_whole(RECEIPT, gzip.compress(b"".join(map(_format_line, lines)), 1, mtime=0))
    return True


def receipt_lines(connection: Connection, archive: str, placement: Placement) -> Iterable[ReceiptLine]:
    """What a receipt says of the files that a placement brings, as far as its rows know that."""
    before = _known_files(connection, placement.base_tree_id) if placement.base_tree_id is not None else {}
    for path, (size, sha256) in _known_files(connection, placement.tree_id).items():
        if before.get(path) != (size, sha256):
            yield {
                "archive": archive,
                "path": path,
                "bytes": size,
                "sha256": sha256.hex(),
                "verdict": "stored",
                "code": "stored",
                "message": "Stored. The import's own receipt was lost; this line is from the catalog.",
                "stored_as": f"{placement.name}/{path}",
            }


def _known_files(connection: Connection, tree_id: int) -> Mapping[RelPath, tuple[int, bytes]]:
    """The files of a tree; none where the catalog has lost rows of it, which keeps no import from its end."""
    try:
        return paths_of(connection, tree_id)
    except Fault:
        return {}


def _format_line(line: ReceiptLine) -> bytes:
    return (json.dumps(line, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")
