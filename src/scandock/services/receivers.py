"""DICOM receivers as administrators set them, and what an import of what they received is asked for."""

from __future__ import annotations

from sqlalchemy import Connection

from scandock.access.principal import Principal
from scandock.catalog import receivers as rows
from scandock.model.receivers import Receiver
from scandock.rules.import_request import ImportRequest
from scandock.rules.permissions import Action
from scandock.services import rights


def list_receivers(connection: Connection, principal: Principal) -> list[Receiver]:
    """Every receiver to administrators, to others those of the projects that they own. AccessDenied."""
    rights.check_scope(principal, Action.RECEIVERS_READ)
    return [one for one in rows.list_receivers(connection) if can_read(connection, principal, one)]


def can_read(connection: Connection, principal: Principal, receiver: Receiver) -> bool:
    """Whether somebody may see a receiver: administrators, and the owners of its project."""
    if rights.is_allowed(connection, principal, Action.SITE_ADMIN, None):
        return True
    return receiver.project is not None and rights.is_allowed(
        connection, principal, Action.RECEIVERS_READ, receiver.project
    )


def make_import_request(receiver: Receiver) -> ImportRequest:
    """What is asked of the import of a study that a receiver took: nobody else names anything of it."""
    rules = {
        kind: text
        for kind, text in (
            ("project", receiver.project_rules),
            ("subject", receiver.subject_rules),
            ("session", receiver.session_rules),
        )
        if receiver.rules_enabled and text
    }
    named: dict[str, object] = {"overwrite": "append", "ignore_unparsable": True}
    if receiver.project is not None:
        named["project"] = receiver.project
    if receiver.destination is not None:
        named["destination"] = receiver.destination
    if not receiver.anonymize:
        named["prevent_anon"] = True
    if rules:
        named["receiver_rules"] = rules
    return ImportRequest.model_validate(named)
