"""Searches that accounts keep by names of their own, as XNAT's `/data/search/saved` does (docs/xnat-compatibility.md).

What is kept is the document; what it finds is computed anew, with the rights of whoever asks. Who may use a search is
what its document says: the accounts that it names read and change it, and so does its maker. One that names nobody and
says `secure="false"` is read by every account.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, TypedDict
from xml.etree import ElementTree as ET

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, func, insert, or_, select, true, update
from sqlalchemy.exc import IntegrityError

from scandock.access.principal import Principal, raise_denied
from scandock.catalog.engine import split_values
from scandock.catalog.server_tables import account, saved_search, saved_search_user
from scandock.model import request_limits
from scandock.model.dataclass import dataclass
from scandock.model.errors import Usage
from scandock.model.request_errors import RequestInvalid
from scandock.rules.permissions import AccessDecision, Action
from scandock.services import rights
from scandock.services.audit import AuditAction, DetailValue
from scandock.services.context import ServiceContext
from scandock.web.xnat.errors import SearchesTooMany, SearchNameTaken
from scandock.web.xnat.services.columns import Rows
from scandock.web.xnat.services.default_searches import XDAT
from scandock.web.xnat.services.search_bundle import make_bundle, parse_search
from scandock.web.xnat.services.search_fields import find_kind
from scandock.web.xnat.services.xml_parsing import document_invalid_error

MAX_BYTES: Final = request_limits.SAVED_SEARCH_BYTES
MAX_SEARCHES: Final = request_limits.SAVED_SEARCHES
MAX_USERS: Final = request_limits.SAVED_SEARCH_USERS
MAX_NAME: Final = 128
_MAX_LOGIN: Final = 64
_OWN_ATTRIBUTES: Final = ("ID", "secure")
"""Attributes of a document that are written anew for each reader."""
_USER_ELEMENTS: Final = frozenset({"allowed_user", "allowed_groups"})
"""Elements that say who may use it: they are kept apart from the document."""
_COLUMN_NAMES: Final = (
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

    def to_document(self) -> bytes:
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
    connection: Connection, principal: Principal, *, user: str = "", list_all: bool = False, tag: str | None = None
) -> Rows:
    """The saved searches that one may read, those without a tag.

    `tag`: those of this one instead; empty for any. For administrators: all with `list_all`, or what `user` reads.
    AccessDenied.
    """
    rights.check_scope(principal, Action.SESSION_READ)
    if not principal.signed_in:
        return Rows(list(_COLUMN_NAMES), [])
    if tag:
        rights.check(connection, principal, Action.PROJECT_SEE, tag)
    reader_name = user if principal.admin and user else principal.name
    conditions = [true() if list_all and principal.admin else _readable_condition(reader_name)]
    if not (list_all and principal.admin):
        tagged = saved_search.c.tag
        conditions.append(tagged == "" if tag is None else func.lower(tagged) == tag.lower() if tag else tagged != "")
    rows = connection.execute(select(saved_search).where(*conditions).order_by(saved_search.c.name)).all()
    users = _find_users(connection, [row.id for row in rows])
    return Rows(list(_COLUMN_NAMES), [_make_row(_from_row(row, users.get(row.id, []), principal)) for row in rows])


def _make_row(saved: SavedSearch) -> list[str]:
    users = "{" + ",".join(saved.users) + "}"
    secure = "0" if saved.public else "1"
    return [saved.name, saved.brief, saved.description, saved.root, saved.tag, secure, users, str(saved.id)]


def find_saved(connection: Connection, principal: Principal, name: str) -> SavedSearch:
    """The saved search of a name. AccessDenied, in the same words where there is none and where it is hidden."""
    rights.check_scope(principal, Action.SESSION_READ)
    saved = _find_visible(connection, principal, name) if principal.signed_in else None
    if saved is None:
        raise_denied(AccessDecision.HIDDEN if principal.signed_in else AccessDecision.SIGN_IN)
    return saved


def _find_visible(connection: Connection, principal: Principal, name: str) -> SavedSearch | None:
    """The saved search of a name, where the reader may know of it."""
    row = _find_row(connection, name)
    if row is None:
        return None
    saved = _from_row(row, _find_users(connection, [row.id]).get(row.id, []), principal)
    return saved if saved.public or saved.changeable else None


def _find_row(connection: Connection, name: str) -> Row[Any] | None:
    return connection.execute(select(saved_search).where(saved_search.c.name == name)).first()


def _from_row(row: Row[Any], users: list[str], principal: Principal) -> SavedSearch:
    changeable = principal.admin or principal.name.casefold() in (user_name.casefold() for user_name in users)
    return SavedSearch(
        id=row.id, name=row.name, root=row.root, brief=row.brief, description=row.description, tag=row.tag,
        public=row.public, document=row.document, users=tuple(users) if changeable else (), changeable=changeable,
    )  # fmt: skip


def _find_users(connection: Connection, ids: list[int]) -> dict[int, list[str]]:
    """The accounts that some searches name."""
    users_by_search: dict[int, list[str]] = {}
    for part in split_values(ids):
        query = select(saved_search_user.c.search_id, saved_search_user.c.name)
        query = query.where(saved_search_user.c.search_id.in_(part)).order_by(saved_search_user.c.key)
        for row in connection.execute(query):
            users_by_search.setdefault(row.search_id, []).append(row.name)
    return users_by_search


def _readable_condition(reader: str) -> ColumnElement[bool]:
    shared_ids = select(saved_search_user.c.search_id).where(saved_search_user.c.key == reader.casefold())
    return or_(saved_search.c.public, saved_search.c.id.in_(shared_ids))


# -- changing ----------------------------------------------------------------------------------------------------------


class SearchValues(TypedDict):
    """Columns of `saved_search` that its document says."""

    root: str
    brief: str
    description: str
    tag: str
    public: bool
    document: str


def save_search(service_context: ServiceContext, name: str, body: bytes, *, copy: bool = False) -> str:
    """Keep a search by a name, in place of the one that has it; the name.

    `copy`: by another name where it has one, for its maker alone. AccessDenied; Usage `request_invalid`, `search_taken`
    where the name is another account's search's, `too_many_searches`.
    """
    root = _parse_document(name, body)
    users = [] if copy else _read_user_names(root)
    attributes = {
        attribute: root.get(attribute, "").strip() for attribute in ("brief-description", "description", "tag")
    }
    open_to_all = root.get("secure", "").strip().lower() in ("false", "0") and not users
    values: SearchValues = {
        "root": make_bundle(root).root,
        "brief": attributes["brief-description"],
        "description": attributes["description"],
        "tag": attributes["tag"],
        "public": open_to_all,
        "document": _strip_document(root),
    }
    principal = service_context.principal
    with service_context.catalog.write() as connection:
        rights.check(connection, principal, Action.ACCOUNT_EDIT, None)
        if attributes["tag"]:
            rights.check(connection, principal, Action.PROJECT_SEE, attributes["tag"])
        name = _free_name(connection, name) if copy else name
        row = _find_row(connection, name)
        if row is None:
            search_id = _insert_search(service_context, connection, name, values)
            _insert_users(connection, search_id, [*users, principal.name])
        else:
            existing = _find_visible(connection, principal, name)
            if existing is None:
                raise _name_taken_error(name)
            if not existing.changeable:
                raise_denied(AccessDecision.FORBIDDEN)
            search_id = existing.id
            now = service_context.catalog.now()
            changed = update(saved_search).where(saved_search.c.id == search_id).values(**values, modified=now)
            connection.execute(changed)
            if users:
                kept_users = [principal.name] if _is_user(existing, principal) else []
                connection.execute(delete(saved_search_user).where(saved_search_user.c.search_id == search_id))
                _insert_users(connection, search_id, [*users, *kept_users])
        details: dict[str, DetailValue] = {"made": row is None, "root": values["root"], "public": open_to_all}
        service_context.note(connection, AuditAction.SEARCH_SAVE, str(search_id), "", details, kind="search")
    return name


def delete_search(service_context: ServiceContext, name: str) -> None:
    """Take a saved search back: with others that use it, it stays for these. AccessDenied."""
    principal = service_context.principal
    with service_context.catalog.write() as connection:
        rights.check(connection, principal, Action.ACCOUNT_EDIT, None)
        existing = _find_visible(connection, principal, name)
        if existing is None:
            raise_denied(AccessDecision.HIDDEN)
        if not existing.changeable:
            raise_denied(AccessDecision.FORBIDDEN)
        new_owner_id = _find_heir(connection, existing, principal) if _is_user(existing, principal) else None
        if new_owner_id is None:
            connection.execute(delete(saved_search).where(saved_search.c.id == existing.id))
        else:
            key = principal.name.casefold()
            of_search = saved_search_user.c.search_id == existing.id
            connection.execute(delete(saved_search_user).where(of_search, saved_search_user.c.key == key))
            own_search = and_(saved_search.c.id == existing.id, saved_search.c.account_id == principal.account_id)
            connection.execute(update(saved_search).where(own_search).values(account_id=new_owner_id))
        service_context.note(
            connection,
            AuditAction.SEARCH_DELETE,
            str(existing.id),
            "",
            {"for_all": new_owner_id is None},
            kind="search",
        )


def _is_user(saved: SavedSearch, principal: Principal) -> bool:
    return principal.name.casefold() in (user_name.casefold() for user_name in saved.users)


def _find_heir(connection: Connection, saved: SavedSearch, principal: Principal) -> int | None:
    """An account that uses a search besides one; None where no other does."""
    keys = [user_name.casefold() for user_name in saved.users if user_name.casefold() != principal.name.casefold()]
    account_id: int | None = connection.execute(
        select(account.c.id).where(account.c.key.in_(keys), ~account.c.disabled).order_by(account.c.id).limit(1)
    ).scalar()
    return account_id


def _insert_search(service_context: ServiceContext, connection: Connection, name: str, values: SearchValues) -> int:
    """The number of a new search. Usage `too_many_searches`, `search_taken`."""
    account_id, now = service_context.principal.account_id, service_context.catalog.now()
    connection.execute(select(account.c.id).where(account.c.id == account_id).with_for_update())
    of_account = select(func.count()).select_from(saved_search).where(saved_search.c.account_id == account_id)
    if connection.execute(of_account).scalar_one() >= MAX_SEARCHES:
        raise SearchesTooMany(MAX_SEARCHES)
    try:
        key = connection.execute(
            insert(saved_search).values(name=name, account_id=account_id, created=now, modified=now, **values)
        ).inserted_primary_key
    except IntegrityError:  # somebody takes the name in this very moment
        raise _name_taken_error(name) from None
    assert key is not None
    return int(key[0])


def _name_taken_error(name: str) -> Usage:
    return SearchNameTaken(name)


def _free_name(connection: Connection, name: str) -> str:
    """A name that no search has: the name itself, or with `_1` behind it, as often as it takes."""
    while _find_row(connection, name) is not None:
        name = f"{name}_1"
    _check_name(name)
    return name


def _insert_users(connection: Connection, search_id: int, users: list[str]) -> None:
    rows = {
        user_name.casefold(): {"search_id": search_id, "key": user_name.casefold(), "name": user_name}
        for user_name in users
    }
    if rows:
        connection.execute(insert(saved_search_user), list(rows.values()))


# -- documents ---------------------------------------------------------------------------------------------------------


def _parse_document(name: str, body: bytes) -> ET.Element:
    """The elements of a document that can be kept by a name. Usage `request_invalid`."""
    _check_name(name)
    if len(body) > MAX_BYTES:
        raise _too_long_error(len(body))
    root = parse_search(body)
    kind = make_bundle(root).root
    if find_kind(kind) is None:
        raise document_invalid_error(f"{kind[:80]} can't be searched.", "GET /data/search/elements names what can be.")
    return root


def _check_name(name: str) -> None:
    if not 0 < len(name) <= MAX_NAME or not name.isprintable() or name.startswith("@"):
        raise RequestInvalid(
            f"{name[:40]!r} can't be the name of a search.",
            f"A name is 1 to {MAX_NAME} letters, digits and signs, and does not begin with @.",
        )


def _read_user_names(root: ET.Element) -> list[str]:
    """The accounts that a document names. Usage `request_invalid`."""
    names = [(name.text or "").strip() for name in root.iterfind("allowed_user/login")]
    users = [name for name in dict.fromkeys(names) if name]
    if len(users) > MAX_USERS:
        raise document_invalid_error(f"The search names {len(users)} accounts.", f"At most {MAX_USERS} use one search.")
    for name in users:
        if len(name) > _MAX_LOGIN or not name.isprintable():
            raise document_invalid_error(f"{name[:40]!r} is no name of an account.", "Name accounts as they sign in.")
    return users


def _strip_document(root: ET.Element) -> str:
    """A document without its name and those who may use it. Usage `request_invalid` where it is too long."""
    ET.register_namespace("xdat", XDAT)
    copied = ET.Element(
        f"{{{XDAT}}}bundle", {name: text for name, text in _attributes(root) if name not in _OWN_ATTRIBUTES}
    )
    for child in root:
        if child.tag not in _USER_ELEMENTS:
            copied.append(_copy_with_namespace(child))
    text = ET.tostring(copied, encoding="unicode")
    if len(text.encode("utf-8", "surrogatepass")) > 2 * MAX_BYTES:
        raise _too_long_error(len(text))
    return text


def _copy_with_namespace(element: ET.Element) -> ET.Element:
    copied = ET.Element(f"{{{XDAT}}}{element.tag}", dict(_attributes(element)))
    copied.text = element.text
    copied.extend(_copy_with_namespace(child) for child in element)
    return copied


def _attributes(element: ET.Element) -> Iterator[tuple[str, str]]:
    """Attributes without those of other namespaces: xsi:schemaLocation."""
    return ((name, text) for name, text in element.attrib.items() if "}" not in name)


def _too_long_error(size: int) -> Usage:
    return document_invalid_error(f"The search has {size} bytes.", f"At most {MAX_BYTES} are kept.")
