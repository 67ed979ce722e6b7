"""Files that are made again when they are asked for: pictures."""

from __future__ import annotations

from sqlalchemy import select

from scandock.catalog.engine import Catalog, split_values
from scandock.catalog.server_tables import damage, verification
from scandock.catalog.tables import session
from scandock.services.cleaning.cleaner import Cleaner, OfServer
from scandock.services.decoding import Pictures
from scandock.services.pictures import ROUND, tree_key


def tidy_pictures(pictures: Pictures, catalog: Catalog) -> int:
    """Forget what is kept of trees that stand no more, and what is too much. Returns how many trees it was.

    And of those with damage, and of rounds of verification before: it may have been made of damaged bytes.
    """

    def standing(keys: list[str]) -> list[str]:
        found: list[str] = []
        uuids = {key.partition("-")[2] for key in keys}
        for some in split_values(sorted(uuids)):
            with catalog.read() as connection:
                rows = connection.execute(
                    select(session.c.tree_id, session.c.uuid, ROUND.label("round"))
                    .outerjoin(verification, verification.c.tree_id == session.c.tree_id)
                    .where(session.c.uuid.in_(some), session.c.tree_id.not_in(select(damage.c.tree_id)))
                ).all()
            found += [tree_key(row.tree_id, row.uuid, row.round) for row in rows]
        return found

    return pictures.cache.tidy(standing)


PICTURES: Cleaner[OfServer] = Cleaner(
    what="pictures of sessions that stand no more, and the longest unused of too many",
    clean=lambda site, _age: tidy_pictures(site.pictures, site.catalog),
    every_seconds=300.0,
)
