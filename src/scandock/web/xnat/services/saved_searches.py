"""Searches that accounts keep by names of their own, as XNAT's `/data/search/saved` does (docs/xnat-compatibility.md).

What is kept is the document; what it finds is computed anew, with the rights of whoever asks. Who may use a search is
what its document says: the accounts that it names read and change it, and so does its maker. One that names nobody and
says `secure="false"` is read by every account.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, TypedDict
from xml.etree import ElementTree as ET

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, func, insert, or_, select, true, update
from sqlalchemy.exc import IntegrityError

from scandock.access.principal import Principal, raise_denied
from scandock.catalog.engine import split_values
from scandock.catalog.server_tables import account, saved_search, saved_search_user
from scandock.model import request_limits
from scandock.model.errors import Usage
from scandock.model.request_errors import RequestInvalid
from scandock.rules.permissions import AccessDecision, Action
from scandock.services import rights
from scandock.services.audit import AuditAction, DetailValue
from scandock.services.context import ServiceContext
from scandock.web.xnat.errors import SearchesTooMany, SearchTaken
from scandock.web.xnat.services.columns import Rows
from scandock.web.xnat.services.default_searches import XDAT
from scandock.web.xnat.services.search_bundle import bundle_of, read_search
from scandock.web.xnat.services.search_fields import kind_of
from scandock.web.xnat.services.xml_reading import off

MAX_BYTES: Final = request_limits.SAVED_SEARCH_BYTES
MOST: Final = request_limits.SAVED_SEARCHES
MOST_USERS: Final = request_limits.SAVED_SEARCH_USERS
MAX_NAME: Final = 128
_MAX_LOGIN: Final = 64
_OWN: Final = ("ID", "secure")
"""Attributes of a document that are written anew for each reader."""
_USERS: Final = frozenset({"allowed_user", "allowed_groups"})
"""Elements that say who may use it: they are kept apart from the document."""
_NAMES: Final = (
    "id", "brief_description", "description", "root_element_name", "tag", "secure", "users", "stored_search_info",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SavedSearch:
    """A saved search as one reader may know it."""

    id: int
    name: str
    root: str
    brief: str
    description: str
    tag: str
    public: bool
    document: str
    users: tuple[str, ...]
    """Who may read and change it; none where the reader is not of them."""
    changeable: bool
    """Whether the reader may change it."""

    def written(self) -> bytes:
        """Its document, with its name and those who may use it."""
        ET.register_namespace("xdat", XDAT)
        root = ET.fromstring(self.document)  # noqa: S314  which this program wrote
        root.set("ID", self.name)
        root.set("secure", "false" if self.public else "true")
        for login in () if self.public else self.users:
            user = ET.SubElement(root, f"{{{XDAT}}}allowed_user")
            ET.SubElement(user, f"{{{XDAT}}}login").text = login
        document: bytes = ET.tostring(root, encoding="utf-8")  # which writes no declaration of its own
        return b'<?xml version="1.0" encoding="UTF-8"?>\n' + document


# -- reading -----------------------------------------------------------------------------------------------------------


def list_saved(
    connection: Connection, principal: Principal, *, user: str = "", every: bool = False, tag: str | None = None
) -> Rows:
    """The saved searches that one may read, those without a tag.

    `tag`: those of this one instead; empty for any. For administrators: all with `every`, or those that `user` reads.
    Denied.
    """
    rights.check_scope(principal, Action.SESSION_READ)
    if not principal.signed_in:
        return Rows(list(_NAMES), [])
    if tag:
        rights.check(connection, principal, Action.PROJECT_SEE, tag)
    reader = user if principal.admin and user else principal.name
    where = [true() if every and principal.admin else _readable(reader)]
    if not (every and principal.admin):
        tagged = saved_search.c.tag
        where.append(tagged == "" if tag is None else func.lower(tagged) == tag.lower() if tag else tagged != "")
    rows = connection.execute(select(saved_search).where(*where).order_by(saved_search.c.name)).all()
    users = _users_of(connection, [row.id for row in rows])
    return Rows(list(_NAMES), [_cells(_known(row, users.get(row.id, []), principal)) for row in rows])


def _cells(one: SavedSearch) -> list[str]:
    users = "{" + ",".join(one.users) + "}"
    secure = "0" if one.public else "1"
    return [one.name, one.brief, one.description, one.root, one.tag, secure, users, str(one.id)]


def find_saved(connection: Connection, principal: Principal, name: str) -> SavedSearch:
    """The saved search of a name. Denied, in the same words where there is none and where it is hidden."""
    rights.check_scope(principal, Action.SESSION_READ)
    found = _find(connection, principal, name) if principal.signed_in else None
    if found is None:
        raise_denied(AccessDecision.HIDDEN if principal.signed_in else AccessDecision.SIGN_IN)
    return found


def _find(connection: Connection, principal: Principal, name: str) -> SavedSearch | None:
    """The saved search of a name, where the reader may know of it."""
    row = _row(connection, name)
    if row is None:
        return None
    found = _known(row, _users_of(connection, [row.id]).get(row.id, []), principal)
    return found if found.public or found.changeable else None


def _row(connection: Connection, name: str) -> Row[Any] | None:
    return connection.execute(select(saved_search).where(saved_search.c.name == name)).first()


def _known(row: Row[Any], users: list[str], principal: Principal) -> SavedSearch:
    changeable = principal.admin or principal.name.casefold() in (one.casefold() for one in users)
    return SavedSearch(
        id=row.id, name=row.name, root=row.root, brief=row.brief, description=row.description, tag=row.tag,
        public=row.public, document=row.document, users=tuple(users) if changeable else (), changeable=changeable,
    )  # fmt: skip


def _users_of(connection: Connection, ids: list[int]) -> dict[int, list[str]]:
    """The accounts that some searches name."""
    found: dict[int, list[str]] = {}
    for part in split_values(ids):
        query = select(saved_search_user.c.search_id, saved_search_user.c.name)
        query = query.where(saved_search_user.c.search_id.in_(part)).order_by(saved_search_user.c.key)
        for row in connection.execute(query):
            found.setdefault(row.search_id, []).append(row.name)
    return found


def _readable(reader: str) -> ColumnElement[bool]:
    named = select(saved_search_user.c.search_id).where(saved_search_user.c.key == reader.casefold())
    return or_(saved_search.c.public, saved_search.c.id.in_(named))


# -- changing ----------------------------------------------------------------------------------------------------------


class SearchValues(TypedDict):
    """Columns of `saved_search` that its document says."""

    root: str
    brief: str
    description: str
    tag: str
    public: bool
    document: str


def save_search(context: ServiceContext, name: str, body: bytes, *, copy: bool = False) -> str:
    """Keep a search by a name, in place of the one that has it; the name.

    `copy`: by another name where it has one, for its maker alone. Denied; Usage `request_invalid`, `search_taken` where
    the name is another account's search's, `too_many_searches`.
    """
    root = _checked(name, body)
    users = [] if copy else _named_users(root)
    said = {one: root.get(one, "").strip() for one in ("brief-description", "description", "tag")}
    open_to_all = root.get("secure", "").strip().lower() in ("false", "0") and not users
    values: SearchValues = {
        "root": bundle_of(root).root, "brief": said["brief-description"], "description": said["description"],
        "tag": said["tag"], "public": open_to_all, "document": _plain(root),
    }  # fmt: skip
    principal = context.principal
    with context.catalog.write() as connection:
        rights.check(connection, principal, Action.ACCOUNT_EDIT, None)
        if said["tag"]:
            rights.check(connection, principal, Action.PROJECT_SEE, said["tag"])
        name = _free_name(connection, name) if copy else name
        row = _row(connection, name)
        if row is None:
            number = _insert(context, connection, name, values)
            _name_users(connection, number, [*users, principal.name])
        else:
            there = _find(connection, principal, name)
            if there is None:
                raise _taken(name)
            if not there.changeable:
                raise_denied(AccessDecision.FORBIDDEN)
            number = there.id
            now = context.catalog.now()
            changed = update(saved_search).where(saved_search.c.id == number).values(**values, modified=now)
            connection.execute(changed)
            if users:
                stays = [principal.name] if _is_user(there, principal) else []
                connection.execute(delete(saved_search_user).where(saved_search_user.c.search_id == number))
                _name_users(connection, number, [*users, *stays])
        details: dict[str, DetailValue] = {"made": row is None, "root": values["root"], "public": open_to_all}
        context.note(connection, AuditAction.SEARCH_SAVE, str(number), "", details, kind="search")
    return name


def delete_search(context: ServiceContext, name: str) -> None:
    """Take a saved search back: with others that use it, it stays for these. Denied."""
    principal = context.principal
    with context.catalog.write() as connection:
        rights.check(connection, principal, Action.ACCOUNT_EDIT, None)
        there = _find(connection, principal, name)
        if there is None:
            raise_denied(AccessDecision.HIDDEN)
        if not there.changeable:
            raise_denied(AccessDecision.FORBIDDEN)
        heir = _heir(connection, there, principal) if _is_user(there, principal) else None
        if heir is None:
            connection.execute(delete(saved_search).where(saved_search.c.id == there.id))
        else:
            key = principal.name.casefold()
            of_search = saved_search_user.c.search_id == there.id
            connection.execute(delete(saved_search_user).where(of_search, saved_search_user.c.key == key))
            whose = and_(saved_search.c.id == there.id, saved_search.c.account_id == principal.account_id)
            connection.execute(update(saved_search).where(whose).values(account_id=heir))
        context.note(connection, AuditAction.SEARCH_DELETE, str(there.id), "", {"for_all": heir is None}, kind="search")


def _is_user(there: SavedSearch, principal: Principal) -> bool:
    return principal.name.casefold() in (one.casefold() for one in there.users)


def _heir(connection: Connection, there: SavedSearch, principal: Principal) -> int | None:
    """An account that uses a search besides one; None where no other does."""
    keys = [one.casefold() for one in there.users if one.casefold() != principal.name.casefold()]
    found: int | None = connection.execute(
        select(account.c.id).where(account.c.key.in_(keys), ~account.c.disabled).order_by(account.c.id).limit(1)
    ).scalar()
    return found


def _insert(context: ServiceContext, connection: Connection, name: str, values: SearchValues) -> int:
    """The number of a new search. Usage `too_many_searches`, `search_taken`."""
    account_id, now = context.principal.account_id, context.catalog.now()
    connection.execute(select(account.c.id).where(account.c.id == account_id).with_for_update())
    of_account = select(func.count()).select_from(saved_search).where(saved_search.c.account_id == account_id)
    if connection.execute(of_account).scalar_one() >= MOST:
        raise SearchesTooMany(MOST)
    try:
        key = connection.execute(
            insert(saved_search).values(name=name, account_id=account_id, created=now, modified=now, **values)
        ).inserted_primary_key
    except IntegrityError:  # somebody takes the name in this very moment
        raise _taken(name) from None
    assert key is not None
    return int(key[0])


def _taken(name: str) -> Usage:
    return SearchTaken(name)


def _free_name(connection: Connection, name: str) -> str:
    """A name that no search has: the name itself, or with `_1` behind it, as often as it takes."""
    while _row(connection, name) is not None:
        name = f"{name}_1"
    _check_name(name)
    return name


def _name_users(connection: Connection, number: int, users: list[str]) -> None:
    rows = {one.casefold(): {"search_id": number, "key": one.casefold(), "name": one} for one in users}
    if rows:
        connection.execute(insert(saved_search_user), list(rows.values()))


# -- documents ---------------------------------------------------------------------------------------------------------


def _checked(name: str, body: bytes) -> ET.Element:
    """The elements of a document that can be kept by a name. Usage `request_invalid`."""
    _check_name(name)
    if len(body) > MAX_BYTES:
        raise _too_long(len(body))
    root = read_search(body)
    kind = bundle_of(root).root
    if kind_of(kind) is None:
        raise off(f"{kind[:80]} can't be searched.", "GET /data/search/elements names what can be.")
    return root


def _check_name(name: str) -> None:
    if not 0 < len(name) <= MAX_NAME or not name.isprintable() or name.startswith("@"):
        raise RequestInvalid(
            f"{name[:40]!r} can't be the name of a search.",
            f"A name is 1 to {MAX_NAME} letters, digits and signs, and does not begin with @.",
        )


def _named_users(root: ET.Element) -> list[str]:
    """The accounts that a document names. Usage `request_invalid`."""
    found = [(one.text or "").strip() for one in root.iterfind("allowed_user/login")]
    users = [one for one in dict.fromkeys(found) if one]
    if len(users) > MOST_USERS:
        raise off(f"The search names {len(users)} accounts.", f"At most {MOST_USERS} use one search.")
    for one in users:
        if len(one) > _MAX_LOGIN or not one.isprintable():
            raise off(f"{one[:40]!r} is no name of an account.", "Name accounts as they sign in.")
    return users


def _plain(root: ET.Element) -> str:
    """A document without its name and those who may use it. Usage `request_invalid` where it is too long."""
    ET.register_namespace("xdat", XDAT)
    made = ET.Element(f"{{{XDAT}}}bundle", {name: text for name, text in _attributes(root) if name not in _OWN})
    for one in root:
        if one.tag not in _USERS:
            made.append(_in_namespace(one))
    text = ET.tostring(made, encoding="unicode")
    if len(text.encode("utf-8", "surrogatepass")) > 2 * MAX_BYTES:
        raise _too_long(len(text))
    return text


def _in_namespace(element: ET.Element) -> ET.Element:
    made = ET.Element(f"{{{XDAT}}}{element.tag}", dict(_attributes(element)))
    made.text = element.text
    made.extend(_in_namespace(one) for one in element)
    return made


def _attributes(element: ET.Element) -> Iterator[tuple[str, str]]:
    """Attributes without those of other namespaces: xsi:schemaLocation."""
    return ((name, text) for name, text in element.attrib.items() if "}" not in name)


def _too_long(size: int) -> Usage:
    return off(f"The search has {size} bytes.", f"At most {MAX_BYTES} are kept.")
