"""Who writes to a resumable upload, where several hosts serve one catalog: one request at a time, by compare-and-set.

The row names the writer by a token, and when it last brought bytes, by the database's clock. All that is noted of the
upload's bytes is noted for that token alone (`receiving.py`), so a request that was replaced changes nothing any more.
In SQLite there is no such row: one process receives everything, and its memory is enough (`web.tus.locks`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from sqlalchemy import or_, select, update

from scandock.catalog.server_tables import reception
from scandock.catalog.tables import upload
from scandock.model.dataclass import dataclass
from scandock.model.verdicts import ImportState

if TYPE_CHECKING:
    from sqlalchemy.sql import ColumnElement

    from scandock.catalog.engine import Catalog

STALE_SECONDS: Final = 10.0
"""A writer that has brought nothing for so long gives way: its connection, or its host, is probably dead."""


def is_written(catalog: Catalog) -> ColumnElement[bool]:
    """Whether a request of any host brings bytes of a reception; of SQLite's the web process alone knows."""
    return (reception.c.writer != "") & (reception.c.writer_seen > catalog.now() - int(STALE_SECONDS * 1000))


@dataclass(frozen=True, slots=True)
class UploadWriters:
    """The writers of resumable uploads, as rows have them."""

    catalog: Catalog

    def take(self, uuid: str, token: str, *, previous: str, stop: bool) -> bool | None:
        """Have `token` be the writer; False where another one is, unless that is `previous` or stale, or `stop` is set.

        `previous`: one of this process that could not be released. None of what is no upload that is received: nobody
        writes to it.
        """
        unreceived = select(upload.c.id).where(upload.c.uuid == uuid, upload.c.state == ImportState.RECEIVING)
        mine = (reception.c.upload_id.in_(unreceived)) & (reception.c.door == "tus")
        free = or_(reception.c.writer.in_(("", previous)), ~is_written(self.catalog))
        with self.catalog.write() as connection:
            query = select(reception.c.upload_id).where(mine).with_for_update()
            if connection.execute(query).first() is None:
                return None
            changed = connection.execute(
                update(reception)
                .where(mine, *([] if stop else [free]))
                .values(writer=token, writer_seen=self.catalog.now())
            ).rowcount
        return changed == 1

    def release(self, token: str) -> None:
        """Let whoever comes next write; nothing where somebody does already."""
        with self.catalog.write() as connection:
            connection.execute(update(reception).where(reception.c.writer == token).values(writer=""))

    def renew(self, seen: Mapping[str, bool]) -> list[str]:
        """Note which of these tokens have brought bytes just now; those that are writers no more."""
        with self.catalog.write() as connection:
            brought = [token for token, is_new in seen.items() if is_new]
            if brought:
                connection.execute(
                    update(reception).where(reception.c.writer.in_(brought)).values(writer_seen=self.catalog.now())
                )
            query = select(reception.c.writer).where(reception.c.writer.in_(list(seen)))
            held = set(connection.execute(query).scalars())
        return [token for token in seen if token not in held]
