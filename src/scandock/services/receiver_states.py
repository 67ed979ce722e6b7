"""Which receivers are to listen on this host and which do, and the one that `serve --dicom-port` makes."""

from __future__ import annotations

from typing import Final

from sqlalchemy import ColumnElement, and_, delete, exists, func, insert, or_, outerjoin, select, true, update

from scandock.catalog import receivers
from scandock.catalog.engine import Catalog
from scandock.catalog.server_tables import account, dicom_association, receiver, receiver_state, reception
from scandock.catalog.tables import upload
from scandock.model.receivers import ANY_HOST, DEFAULT_TITLE, Receiver
from scandock.model.reception import SILENT_MS, AssociationOutcome
from scandock.model.verdicts import ImportState
from scandock.queue.tokens import new_uuid
from scandock.services.received_records import HOST

GONE: Final = "The host does not answer any more."
_ALL_ADDRESSES: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104  what the person has named
_WORK: Final = select(
    or_(
        exists().where(receiver.c.enabled, receiver.c.host.in_((ANY_HOST, HOST))),
        exists().where(
            upload.c.state == ImportState.RECEIVING, reception.c.upload_id == upload.c.id, reception.c.door == "dimse"
        ),
    )
)
"""Made once: it is asked each second."""


def has_receivers(catalog: Catalog) -> bool:
    """Whether a receiver process has something to do on this host: receivers, or studies that one has left."""
    with catalog.read() as connection:
        return bool(connection.execute(_WORK).scalar())


def is_host_silent(host: ColumnElement[str], now: ColumnElement[int] | int) -> ColumnElement[bool]:
    """Whether the receiver process of another host says nothing any more; that of this one has its supervisor."""
    says = exists().where(receiver_state.c.host == host, receiver_state.c.at > now - SILENT_MS)
    return and_(host != HOST, ~says)


def end_associations_of_silent_hosts(catalog: Catalog) -> int:
    """Say of associations of hosts that are gone that they ended; how many. A host that comes back says otherwise."""
    with catalog.write() as connection:
        now = catalog.now()
        return connection.execute(
            update(dicom_association)
            .where(
                dicom_association.c.outcome == AssociationOutcome.OPEN, is_host_silent(dicom_association.c.host, now)
            )
            .values(outcome=AssociationOutcome.ENDED, ended=now, message=GONE)
        ).rowcount


def clear_states(catalog: Catalog) -> None:
    """Nothing is known yet of this host's receivers."""
    with catalog.write() as connection:
        connection.execute(delete(receiver_state).where(receiver_state.c.host == HOST))


def count_unsettled(catalog: Catalog, *, all_of_them: bool = False) -> int:
    """Enabled receivers of this host that neither listen, as they are set now, nor are known not to.

    `all_of_them`: of which nothing is known, as there is no receiver process.
    """
    unsettled = or_(receiver_state.c.at.is_(None), receiver_state.c.at < receiver.c.modified)
    here = (receiver_state.c.receiver_id == receiver.c.id) & (receiver_state.c.host == HOST)
    query = (
        select(func.count())
        .select_from(outerjoin(receiver, receiver_state, here))
        .where(receiver.c.enabled, receiver.c.host.in_((ANY_HOST, HOST)), true() if all_of_them else unsettled)
    )
    with catalog.read() as connection:
        return connection.execute(query).scalar_one()


def set_option_receiver(catalog: Catalog, port: int | None, host: str) -> Receiver | None:
    """Make the receiver of `serve --dicom-port`, or have it listen at another port; without a port it does not listen.

    It acts for the oldest account of an administrator. None without a port.
    """
    with catalog.write() as connection:
        now = catalog.now()
        if port is None:
            connection.execute(
                update(receiver)
                .where(receiver.c.by_option, or_(receiver.c.enabled, receiver.c.stopped))
                .values(enabled=False, stopped=False, modified=now)
            )
            return None
        titled = receiver.c.title == DEFAULT_TITLE
        known = connection.execute(
            select(receiver.c.id)
            .where(titled)
            .order_by(receiver.c.by_option.desc(), (receiver.c.port == port).desc(), receiver.c.id)
        ).scalar()
        bind = "" if host in _ALL_ADDRESSES else host
        values = {"port": port, "bind": bind, "enabled": True, "stopped": False, "by_option": True, "modified": now}
        if known is not None:
            at_port = connection.execute(
                select(receiver.c.id).where(titled, receiver.c.port == port, receiver.c.id != known)
            ).scalar()
            if at_port is not None:  # one that people have made has the port already
                known = at_port
            connection.execute(update(receiver).where(receiver.c.id == known).values(**values))
        else:
            acts_for = connection.execute(
                select(account.c.id).where(account.c.admin).order_by(account.c.disabled, account.c.id)
            ).scalar()
            connection.execute(
                insert(receiver).values(
                    uuid=new_uuid(), title=DEFAULT_TITLE, host=ANY_HOST, account_id=acts_for, created=now, **values
                )
            )
        return receivers.find_receiver_title(connection, DEFAULT_TITLE, port)
