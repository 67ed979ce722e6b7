"""What a request proved its sender by, kept so that a request that lasts can ask again whether it still holds.

Roles are read anew with it: what is asked of the principal that this gives is as the catalog stands now.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from scandock.access import accounts, logins, members, tokens
from scandock.access.authenticate import Credentials, login_failed, principal_of
from scandock.access.principal import ANONYMOUS, Door, Principal, deny
from scandock.catalog.engine import Catalog
from scandock.rules.permissions import Answer


@dataclass(frozen=True, slots=True)
class Proof:
    """What somebody proved who they are by.

    A name and password are not kept: that they hold is told by the account's epoch, which changes with the password.
    """

    door: Door
    account_id: int | None = None
    epoch: int = 0
    alias: str = ""
    secret: str = field(default="", repr=False)


def proof_of(principal: Principal, sent: Credentials) -> Proof:
    """What `principal` was proved by, as the request brought it along."""
    if principal.door is Door.TOKEN:
        alias, secret = sent.basic or (sent.token or "").partition(".")[::2]
        return Proof(Door.TOKEN, alias=alias.lower(), secret=secret)
    if principal.door is Door.COOKIE:
        return Proof(Door.COOKIE, secret=sent.cookie or "")
    return Proof(principal.door, principal.account_id, principal.epoch)


def ask_again(catalog: Catalog, proof: Proof) -> Principal:
    """Who asks, as their account is now. Denied (401) where the account, the login or the token has ended since."""
    found = ask_all_again(catalog, [proof]).get(proof)
    if found is not None:
        return found
    if proof.door is Door.COOKIE:
        deny(Answer.SIGN_IN)
    raise login_failed()


def ask_all_again(catalog: Catalog, proofs: Collection[Proof]) -> dict[Proof, Principal]:
    """Who asks, by each of the proofs that still hold: four statements however many they are."""
    nobody = {proof: ANONYMOUS for proof in proofs if proof.door is Door.NONE}
    asked = {proof for proof in proofs if proof.door is not Door.NONE}
    if not asked:
        return nobody
    with catalog.read() as connection:
        found, stale = _people(connection, asked)
    _touch(catalog, stale)
    return nobody | found


def _people(connection: Connection, asked: Collection[Proof]) -> tuple[dict[Proof, Principal], list[Proof]]:
    """Who asks, by proof; and of the proofs those whose use has not been noted for a while."""
    by_cookie = logins.find_all(connection, [one.secret for one in asked if one.door is Door.COOKIE])
    by_token = tokens.find_all(connection, [(one.alias, one.secret) for one in asked if one.door is Door.TOKEN])
    whose: dict[Proof, tuple[int, dict[str, Any]]] = {}
    stale = []
    for one in asked:
        if one.door is Door.BASIC and one.account_id is not None:
            whose[one] = (one.account_id, {})
        elif one.door is Door.COOKIE and (login := by_cookie.get(one.secret)) is not None:
            whose[one] = (login.account_id, {"csrf": login.csrf, "token": login.token})
            stale += [one] if login.stale else []
        elif one.door is Door.TOKEN and (token := by_token.get((one.alias, one.secret))) is not None:
            whose[one] = (token.account_id, {"scope": token.scope, "token": token.alias})
            stale += [one] if token.stale else []
    ids = {account_id for account_id, _ in whose.values()}
    people = {person.id: person for person in accounts.by_ids(connection, ids)}
    roles = members.roles_of_all(connection, ids)
    found = {}
    for proof, (account_id, more) in whose.items():
        person = people.get(account_id)
        if person is None or person.disabled or (proof.door is Door.BASIC and person.epoch != proof.epoch):
            continue
        found[proof] = principal_of(connection, person, proof.door, roles=roles[account_id], **more)
    return found, stale


def _touch(catalog: Catalog, stale: list[Proof]) -> None:
    """What asks again is used: at most once a minute for each, in one transaction for all."""
    if not stale:
        return

    def touch(connection: Connection) -> None:
        for one in stale:
            if one.door is Door.COOKIE:
                logins.touch(connection, one.secret)
            else:
                tokens.touch(connection, one.alias)

    catalog.note(tuple(stale), touch)
