"""Keys by which XNAT's clients follow what is done at once: archiving and committing (xnat-behaviour.md 5.6, 6.1).

An import tells of itself; of this nothing is kept but what stands with the key. Whoever works on it says again and
again that it does: where nobody has for a while, the server was stopped meanwhile, and that is told as the end.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final, TypedDict

from sqlalchemy import Row, insert, select, update

from scandock.access.principal import Principal
from scandock.catalog.engine import Catalog
from scandock.catalog.server_tables import tracked
from scandock.model.dataclass import dataclass
from scandock.model.uris import without_data
from scandock.services.outcomes import Outcome

ALIVE_SECONDS: Final = 60
"""How long a key is told as being worked on after whoever works said so."""
STOPPED: Final = (
    "The server was stopped while it worked on this. Nothing is half done: look where the session stands now, and ask"
    " again if it still waits."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionOutcome:
    """How it ended, and what became of each session, as (status of 6.1, sentence)."""

    succeeded: bool
    final: str
    entries: tuple[tuple[str, str], ...] = ()


def make_archived_message(uris: Iterable[str]) -> str:
    """The final message of what stands in the archive (6.1): addresses without /data."""
    return "Archive:" + ";".join(without_data(uri) for uri in uris)


def make_archive_outcome(outcome: Outcome) -> ActionOutcome:
    """How the archiving of one session ended."""
    return ActionOutcome(succeeded=True, final=make_archived_message([str(outcome.after)]))


def begin_tracking(catalog: Catalog, principal: Principal, key: str, sentences: Iterable[str]) -> int:
    """Let a key tell of work that begins now, on what the sentences name; the number of the row."""
    with catalog.write() as connection:
        now = connection.execute(select(catalog.now())).scalar_one()
        primary_key = connection.execute(
            insert(tracked).values(
                account_id=principal.account_id,
                key=key,
                created=now,
                alive_until=now + ALIVE_SECONDS * 1000,
                entries=json.dumps([tracked_entry(now, "InProgress", sentence) for sentence in sentences]),
            )
        ).inserted_primary_key
    assert primary_key is not None
    return int(primary_key[0])


def extend_tracking(catalog: Catalog, number: int) -> None:
    """Say that it is being worked on."""
    with catalog.write() as connection:
        connection.execute(
            update(tracked).where(tracked.c.number == number).values(alive_until=catalog.now() + ALIVE_SECONDS * 1000)
        )


def end_tracking(catalog: Catalog, number: int, action_outcome: ActionOutcome) -> None:
    """Write how it ended."""
    with catalog.write() as connection:
        now = connection.execute(select(catalog.now())).scalar_one()
        old_entries = connection.execute(select(tracked.c.entries).where(tracked.c.number == number)).scalar()
        if old_entries is None:  # forgotten meanwhile
            return
        entries = [*json.loads(old_entries), *(tracked_entry(now, *entry) for entry in action_outcome.entries)]
        connection.execute(
            update(tracked)
            .where(tracked.c.number == number)
            .values(succeeded=action_outcome.succeeded, final=action_outcome.final, entries=json.dumps(entries))
        )


def read_tracked_outcome(row: Row[Any]) -> tuple[str, bool | None, str | None]:
    """Of a row of such a key, with `now`: the payload, whether it succeeded (None: it goes on), the final message."""
    payload = json.dumps({"entryList": json.loads(row.entries)})
    if row.succeeded is not None:
        return payload, row.succeeded, row.final
    return (payload, False, STOPPED) if row.alive_until < row.now else (payload, None, None)


TrackedEntry = TypedDict(  # noqa: UP013  clients alone read its keys
    "TrackedEntry", {"status": str, "eventTime": int, "message": str}
)
"""One entry of a payload, in the words of the original; the time in Unix milliseconds."""


def tracked_entry(at: int, status: str, sentence: str) -> TrackedEntry:
    """An entry of a moment, in Unix milliseconds."""
    return {"status": status, "eventTime": at, "message": sentence}
