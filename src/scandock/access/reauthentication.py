"""What a request proved its sender by, kept so that a request that lasts can ask again whether it still holds.

Roles are read anew with it: what is asked of the principal that this gives is as the catalog stands now.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import field
from typing import TypedDict

from sqlalchemy import Connection

from scandock.access import accounts, logins, members, tokens
from scandock.access.authentication import Credentials, login_failed_error, make_principal
from scandock.access.principal import ANONYMOUS, Door, Principal, raise_denied
from scandock.catalog.engine import Catalog
from scandock.model.dataclass import dataclass
from scandock.rules.permissions import AccessDecision, Scope


@dataclass(frozen=True, slots=True)
class SavedCredentials:
    """What somebody proved who they are by.

    A name and password are not kept: that they hold is told by the account's epoch, which changes with the password.
    """

    door: Door
    account_id: int | None = None
    epoch: int = 0
    alias: str = ""
    secret: str = field(default="", repr=False)


def save_credentials(principal: Principal, sent: Credentials) -> SavedCredentials:
    """What `principal` was proved by, as the request brought it along."""
    if principal.door is Door.TOKEN:
        alias, secret = sent.basic or (sent.token or "").partition(".")[::2]
        return SavedCredentials(Door.TOKEN, alias=alias.lower(), secret=secret)
    if principal.door is Door.COOKIE:
        return SavedCredentials(Door.COOKIE, secret=sent.cookie or "")
    return SavedCredentials(principal.door, principal.account_id, principal.epoch)


def reauthenticate(catalog: Catalog, proof: SavedCredentials) -> Principal:
    """Who asks, as their account is now.

    AccessDenied (401) where the account, the login or the token has ended since.
    """
    principal = reauthenticate_all(catalog, [proof]).get(proof)
    if principal is not None:
        return principal
    if proof.door is Door.COOKIE:
        raise_denied(AccessDecision.SIGN_IN)
    raise login_failed_error()


def reauthenticate_all(catalog: Catalog, proofs: Collection[SavedCredentials]) -> dict[SavedCredentials, Principal]:
    """Who asks, by each of the proofs that still hold: four statements however many they are."""
    nobody = {proof: ANONYMOUS for proof in proofs if proof.door is Door.NONE}
    signed_in = {proof for proof in proofs if proof.door is not Door.NONE}
    if not signed_in:
        return nobody
    with catalog.read() as connection:
        principals, stale = _find_principals(connection, signed_in)
    _record_use(catalog, stale)
    return nobody | principals


class _ProofFacts(TypedDict, total=False):
    """What a proof says beside whose it is, as `make_principal` takes it."""

    scope: Scope
    csrf: str
    token: str | None


def _find_principals(
    connection: Connection, proofs: Collection[SavedCredentials]
) -> tuple[dict[SavedCredentials, Principal], list[SavedCredentials]]:
    """Who asks, by proof; and of the proofs those whose use has not been noted for a while."""
    by_cookie = logins.find_all(
        connection, [credentials.secret for credentials in proofs if credentials.door is Door.COOKIE]
    )
    by_token = tokens.find_all(
        connection,
        [(credentials.alias, credentials.secret) for credentials in proofs if credentials.door is Door.TOKEN],
    )
    whose: dict[SavedCredentials, tuple[int, _ProofFacts]] = {}
    stale = []
    for credentials in proofs:
        if credentials.door is Door.BASIC and credentials.account_id is not None:
            whose[credentials] = (credentials.account_id, {})
        elif credentials.door is Door.COOKIE and (login := by_cookie.get(credentials.secret)) is not None:
            whose[credentials] = (login.account_id, {"csrf": login.csrf, "token": login.token})
            stale += [credentials] if login.stale else []
        elif (
            credentials.door is Door.TOKEN
            and (token := by_token.get((credentials.alias, credentials.secret))) is not None
        ):
            whose[credentials] = (token.account_id, {"scope": token.scope, "token": token.alias})
            stale += [credentials] if token.stale else []
    ids = {account_id for account_id, _ in whose.values()}
    people = {person.id: person for person in accounts.by_ids(connection, ids)}
    roles = members.roles_of_all(connection, ids)
    principals = {}
    for proof, (account_id, more) in whose.items():
        person = people.get(account_id)
        if person is None or person.disabled or (proof.door is Door.BASIC and person.epoch != proof.epoch):
            continue
        principals[proof] = make_principal(connection, person, proof.door, roles=roles[account_id], **more)
    return principals, stale


def _record_use(catalog: Catalog, stale: list[SavedCredentials]) -> None:
    """What asks again is used: at most once a minute for each, in one transaction for all."""
    if not stale:
        return

    def touch(connection: Connection) -> None:
        for credentials in stale:
            if credentials.door is Door.COOKIE:
                logins.touch(connection, credentials.secret)
            else:
                tokens.touch(connection, credentials.alias)

    catalog.note(tuple(stale), touch)
