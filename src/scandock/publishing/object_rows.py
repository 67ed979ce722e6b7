"""The rows of a store in a bucket, in PostgreSQL: `store.s3_rows.ObjectRows` says what each verb promises."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import (
    Connection,
    Delete,
    Select,
    delete,
    exists,
    insert,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import insert as insert_or
from sqlalchemy.exc import IntegrityError
from sqlalchemy.sql import ColumnElement

from scandock.catalog.engine import AdvisoryLock, Catalog, connect_server, split_values
from scandock.catalog.errors import CatalogFailed
from scandock.catalog.server_tables import data_folder
from scandock.catalog.store_tables import (
    UNBOUND,
    file_place,
    object_store,
    spool_part,
    spool_writer,
    store_attempt,
    stored_object,
    stored_receipt,
    stored_tree,
    tree_object,
)
from scandock.catalog.tables import operation, upload
from scandock.catalog.unfinished_restore import read_restore
from scandock.model.errors import TokenLost
from scandock.model.verdicts import ImportState
from scandock.publishing.compaction_rows import list_sparse, list_uncounted, move_rest, move_some, note_live, trees_of
from scandock.publishing.object_row_changes import (
    NOW,
    add_objects,
    begin_attempt,
    change_tree,
    check_attempt,
    delete_later,
    drop_manifests,
    end_attempts,
    lock_objects,
    lock_tree,
    lock_trees,
)
from scandock.store.errors import StoreFailed, TreeMissing
from scandock.store.file_places import PlaceBatch
from scandock.store.packs import StoredObject, attempt_prefix
from scandock.store.part_spools import Part, spool_prefix
from scandock.store.s3_rows import BucketIdentity, LiveBytes, ObjectMove, SparseObject, TrashRow

_TREES_AT_ONCE: Final = 100
"""Trees that one transaction forgets."""
_ATTEMPTS_AT_ONCE: Final = 100
"""Ended attempts of which one sweep goes through the prefixes."""
_KEYS_AT_ONCE: Final = 10_000
"""Keys in memory where all of them are gone through."""
_LEFT_ALONE_MS: Final = 60 * 60 * 1000
"""For how long an attempt may run before it has a row that says so, if it has one at all."""
_SWEPT_AGAIN_MS: Final = 24 * 60 * 60 * 1000
"""How long after the first time an attempt's prefixes are swept once more: a late request is over by then."""
_SAFE_MS: Final = 60 * 60 * 1000
"""How long before it may go an object is named again: longer than any transaction, so that none is just deleted."""
_OBJECTS_DELETED: Final = ("Files that were to be kept have just been deleted.", "Do it again.")
_IN_TRASH: Final = stored_tree.c.gone.is_(None) & stored_tree.c.trash.is_not(None)
_STAGED: Final = stored_tree.c.gone.is_(None) & stored_tree.c.upload.is_not(None)


class PostgresObjectRows:
    """Opened at the first verb, by each process for itself."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._opened: Catalog | None = None
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[PostgresObjectRows], tuple[str]]:
        return (PostgresObjectRows, (self._url,))

    @property
    def _catalog(self) -> Catalog:
        with self._lock:
            if self._opened is None:
                self._opened = Catalog(connect_server(self._url))
            return self._opened

    def close(self) -> None:
        with self._lock:
            opened, self._opened = self._opened, None
        if opened is not None:
            opened.dispose()

    def __del__(self, ending: Callable[[], bool] = sys.is_finalizing) -> None:
        if not ending():  # then the system closes what is open
            self.close()

    @contextmanager
    def _change(self, name: str = "") -> Iterator[Connection]:
        """A transaction; FileExistsError where the name that it gives a tree is another's by now."""
        with self._catalog.write() as connection:
            try:
                with connection.begin_nested():
                    yield connection
            except IntegrityError as error:
                if not name:
                    raise
                raise FileExistsError(17, "A tree stands there", name) from error

    # attempts, and what they stage

    def begin(self, upload: str, token: str) -> None:
        with self._catalog.write() as connection:
            begin_attempt(connection, upload, token)

    def take(self, upload: str, old_token: str, new_token: str) -> None:
        with self._catalog.write() as connection:
            for token in {old_token, new_token}:  # so that who held the old one can't begin any more
                begin_attempt(connection, upload, token)
            end_attempts(
                connection, upload, store_attempt.c.token.not_in([new_token, ""])
            )  # first: it stages nothing from here
            check_attempt(connection, upload, new_token)
            mine = _STAGED & (stored_tree.c.upload == upload)
            lock_trees(connection, mine)
            connection.execute(update(stored_tree).where(mine).values(token=new_token))

    def register(
        self,
        upload: str,
        token: str,
        root: str,
        number: int,
        batches: Iterable[PlaceBatch],
        objects: Iterable[StoredObject],
        kept: Iterable[str],
    ) -> None:
        with self._catalog.write() as connection:
            check_attempt(connection, upload, token)
            _give_up(connection, _STAGED & (stored_tree.c.upload == upload) & (stored_tree.c.root == root))
            connection.execute(insert(stored_tree).values(number=number, upload=upload, token=token, root=root))
            _name_objects(connection, number, [*add_objects(connection, objects), *sorted(kept)])
            for batch in batches:
                connection.execute(insert(file_place).values(tree_number=number, **batch._asdict()))

    def staged(self, upload: str, root: str) -> int | None:
        return self._number(_STAGED, stored_tree.c.upload == upload, stored_tree.c.root == root)

    def _number(self, *where: ColumnElement[bool]) -> int | None:
        with self._catalog.read() as connection:
            number: int | None = connection.execute(select(stored_tree.c.number).where(*where)).scalar()
        return number

    def clear(self, upload: str, token: str) -> None:
        with self._catalog.write() as connection:
            begin_attempt(connection, upload, token)
            check_attempt(connection, upload, token)
            mine = (stored_tree.c.upload == upload) & (stored_tree.c.token == token)
            _give_up(connection, _STAGED & mine)
            _drop_receipt(connection, upload, staged=True)

    def finish(self, upload: str, token: str) -> None:
        with self._catalog.write() as connection:
            # First: who takes over has its row until then, and is seen by what is asked after. So does `doom`.
            end_attempts(connection, upload, store_attempt.c.token == token)
            staged = _STAGED & (stored_tree.c.upload == upload)
            others = connection.execute(select(stored_tree.c.token).where(staged, stored_tree.c.token != token)).first()
            goes_on = (store_attempt.c.upload == upload) & store_attempt.c.ended.is_(None)
            newer = store_attempt.c.token.not_in([token, ""])
            if others or connection.execute(select(store_attempt.c.token).where(goes_on, newer)).first():
                raise TokenLost(f"Upload {upload} has been taken over by another process.")
            _give_up(connection, staged & (stored_tree.c.token == token))
            _drop_receipt(connection, upload, staged=True)

    # trees and their names

    def publish(self, upload: str, token: str, root: str, number: int, name: str, *, replace: bool) -> None:
        with self._change(name) as connection:
            published = select(stored_tree.c.number).where(stored_tree.c.number == number, stored_tree.c.name == name)
            if connection.execute(published).first() is not None:
                return
            begin_attempt(connection, upload, token)
            check_attempt(connection, upload, token)  # before the tree is locked, in the order of who takes it over
            lock_trees(connection, or_(stored_tree.c.number == number, stored_tree.c.name == name))
            tree = lock_tree(connection, stored_tree.c.number == number)
            if tree is not None and tree.name == name:
                return
            if tree is None or (tree.upload, tree.root) != (upload, root) or tree.gone is not None:
                raise TreeMissing(f"The staged tree {root} isn't there any more.", "Import it again.")
            if tree.token != token:
                raise TokenLost(f"Upload {upload} has been taken over by another process.")
            before = lock_tree(connection, stored_tree.c.name == name)
            if before is not None:
                if not replace:
                    raise FileExistsError(17, "A tree stands there", name)
                staged = {"name": None, "upload": upload, "token": token, "root": root}
                connection.execute(change_tree(before.number).values(**staged))
            connection.execute(change_tree(number).values(name=name, upload=None, token=None, root=None, shown=True))

    def rename(self, old: str, new: str, number: int, *, grace_ms: int) -> None:
        with self._change(new) as connection:
            tree = lock_tree(connection, stored_tree.c.number == number)
            if tree is not None and tree.name == new:
                return
            if tree is None or tree.name != old:
                raise FileNotFoundError(2, "No such tree", old)
            drop_manifests(connection, stored_tree.c.number == number, grace_ms)
            connection.execute(change_tree(number).values(name=new))

    def retire(self, name: str, number: int, trash: str, note: str) -> None:
        with self._catalog.write() as connection:
            tree = lock_tree(connection, stored_tree.c.number == number)
            if tree is not None and tree.name == name:
                connection.execute(change_tree(number).values(name=None, trash=trash, note=note))

    def retire_staged(self, upload: str, token: str, root: str, trash: str, note: str) -> None:
        with self._catalog.write() as connection:
            if lock_tree(connection, stored_tree.c.trash == trash) is None:
                mine = (stored_tree.c.upload == upload) & (stored_tree.c.token == token)
                here = mine & (stored_tree.c.root == root)
                tree = lock_tree(connection, _STAGED & here)
                if tree is not None:
                    values = {"upload": None, "token": None, "root": None, "trash": trash, "note": note, "shown": True}
                    connection.execute(change_tree(tree.number).values(**values))

    def restore(self, trash: str, name: str, number: int, *, grace_ms: int) -> None:
        with self._change(name) as connection:
            tree = lock_tree(connection, stored_tree.c.number == number)
            if tree is not None and tree.name == name:
                return
            if tree is None or tree.trash != trash or tree.gone is not None:
                raise FileNotFoundError(2, "Not in the trash", trash)
            drop_manifests(connection, stored_tree.c.number == number, grace_ms)
            connection.execute(change_tree(number).values(name=name, trash=None, note="", shown=True))

    def current(self, name: str) -> int | None:
        return self._number(stored_tree.c.name == name)

    def names(self, prefix: str) -> list[str]:
        below = stored_tree.c.name.startswith(f"{prefix}/", autoescape=True)
        with self._catalog.read() as connection:
            query = select(stored_tree.c.name).where(or_(stored_tree.c.name == prefix, below))
            return sorted(connection.execute(query).scalars())

    def batches(self, number: int) -> Iterator[PlaceBatch]:
        columns = (file_place.c.first, file_place.c.files, file_place.c.body)
        last = None
        while True:
            query = select(*columns).where(file_place.c.tree_number == number).order_by(file_place.c.first).limit(20)
            if last is not None:
                query = query.where(file_place.c.first > last)
            with self._catalog.read() as connection:
                rows = connection.execute(query).all()
            if not rows:
                return
            for row in rows:
                yield PlaceBatch(*row)
            last = rows[-1].first

    def batch_of(self, number: int, path: bytes) -> PlaceBatch | None:
        columns = (file_place.c.first, file_place.c.files, file_place.c.body)
        query = select(*columns).where(file_place.c.tree_number == number, file_place.c.first <= path)
        with self._catalog.read() as connection:
            row = connection.execute(query.order_by(file_place.c.first.desc()).limit(1)).first()
        return None if row is None else PlaceBatch(*row)

    # the trash, and what is deleted

    def trash(self) -> list[TrashRow]:
        query = select(stored_tree.c.trash, stored_tree.c.note).where(_IN_TRASH).order_by(stored_tree.c.trash)
        with self._catalog.read() as connection:
            return [TrashRow(*row) for row in connection.execute(query)]

    def trashed(self, trash: str) -> int | None:
        return self._number(_IN_TRASH, stored_tree.c.trash == trash)

    def give_up(self, trash: Iterable[str], *, at_once: bool = False) -> None:
        for some in split_values(trash):
            with self._catalog.write() as connection:
                _give_up(connection, _IN_TRASH & stored_tree.c.trash.in_(some), at_once=at_once)

    def doom(self, *, grace_ms: int, stop: Callable[[], bool]) -> int:
        with self._catalog.write() as connection:
            running = select(upload.c.uuid).where(upload.c.state == ImportState.RUNNING)
            over = store_attempt.c.upload.not_in(union_all(running, select(operation.c.uuid)))
            old = (store_attempt.c.token != "") & (store_attempt.c.began < NOW - _LEFT_ALONE_MS)
            connection.execute(
                update(store_attempt).where(store_attempt.c.ended.is_(None), over, old).values(ended=NOW)
            )
            goes_on = exists().where(
                store_attempt.c.upload == stored_tree.c.upload,
                store_attempt.c.token == stored_tree.c.token,
                store_attempt.c.ended.is_(None),
            )
            _give_up(connection, _STAGED & ~goes_on)
        forgotten = 0
        while not stop() and (count := self._forget_trees(grace_ms)):
            forgotten += count
        return forgotten

    def _forget_trees(self, grace_ms: int) -> int:
        """Forget some trees that nobody may be reading any more; their objects are due that no other tree names."""
        is_over = or_(~stored_tree.c.shown, stored_tree.c.gone <= NOW - grace_ms)
        query = select(stored_tree.c.number).where(stored_tree.c.gone.is_not(None), is_over).limit(_TREES_AT_ONCE)
        with self._catalog.write() as connection:
            numbers = connection.execute(query.with_for_update(skip_locked=True)).scalars().all()
            of_trees = tree_object.c.tree_number.in_(numbers)
            objects = connection.execute(select(tree_object.c.object_id).where(of_trees).distinct()).scalars().all()
            drop_manifests(connection, stored_tree.c.number.in_(numbers))
            connection.execute(delete(stored_tree).where(stored_tree.c.number.in_(numbers)))
            for some in split_values(sorted(objects)):
                # Locked first: whoever is just naming one has it by then, and is seen by the statement after.
                mine = stored_object.c.id.in_(some)
                lock_objects(connection, mine)
                unnamed = ~exists().where(tree_object.c.object_id == stored_object.c.id)
                connection.execute(update(stored_object).where(mine, unnamed).values(due=NOW))
                connection.execute(update(stored_object).where(mine, stored_object.c.due.is_(None)).values(live=None))
        return len(numbers)

    def ended_attempts(self, *, grace_ms: int) -> list[tuple[str, str]]:
        over = store_attempt.c.ended <= NOW - grace_ms
        late = store_attempt.c.ended <= NOW - grace_ms - _SWEPT_AGAIN_MS
        query = select(store_attempt.c.upload, store_attempt.c.token).where(over, or_(~store_attempt.c.swept, late))
        with self._catalog.read() as connection:
            oldest = query.order_by(store_attempt.c.ended).limit(_ATTEMPTS_AT_ONCE)
            return [(row.upload, row.token) for row in connection.execute(oldest)]

    def swept(self, upload: str, token: str, *, grace_ms: int) -> None:
        mine = (store_attempt.c.upload == upload) & (store_attempt.c.token == token)
        late = store_attempt.c.ended <= NOW - grace_ms - _SWEPT_AGAIN_MS  # else another host has swept just now, too
        with self._catalog.write() as connection:
            connection.execute(delete(store_attempt).where(mine, store_attempt.c.swept, late))
            connection.execute(update(store_attempt).where(mine).values(swept=True))
            if token:
                _drop_receipt_of_attempt(connection, upload, token)

    def unknown_keys(self, keys: Sequence[str], upload: str | None = None) -> list[str]:
        with self._catalog.read() as connection:
            known = {
                key
                for some in split_values(keys)
                for query in _select_named(some, upload)
                for key in connection.execute(query).scalars()
            }
        return [key for key in keys if key not in known]

    def due(self, most: int) -> list[str]:
        query = select(stored_object.c.key).where(stored_object.c.due <= NOW).order_by(stored_object.c.due)
        with self._catalog.read() as connection:
            return list(connection.execute(query.limit(most)).scalars())

    def deleted(self, keys: Sequence[str]) -> None:
        for some in split_values(keys):
            with self._catalog.write() as connection:
                ids = lock_objects(connection, stored_object.c.key.in_(some) & stored_object.c.due.is_not(None))
                connection.execute(delete(stored_object).where(stored_object.c.id.in_(ids)))

    def delete_later(self, keys: Iterable[str], *, grace_ms: int) -> None:
        for some in split_values(keys):
            with self._catalog.write() as connection:
                delete_later(connection, some, grace_ms)

    # compaction

    def uncounted(self, most: int) -> list[str]:
        with self._catalog.read() as connection:
            return list_uncounted(connection, most)

    def uncounted_of(self, trees: Collection[int], most: int) -> list[str]:
        with self._catalog.read() as connection:
            return list_uncounted(connection, most, trees)

    def trees_of(self, keys: Sequence[str]) -> dict[str, frozenset[int]]:
        trees: dict[str, frozenset[int]] = {}
        with self._catalog.read() as connection:
            for some in split_values(keys):
                trees |= trees_of(connection, some)
        return trees

    def note_live(self, counts: Mapping[str, LiveBytes]) -> None:
        for some in split_values(counts):
            with self._catalog.write() as connection:
                note_live(connection, {key: counts[key] for key in some})

    def sparse(self, most: int) -> list[SparseObject]:
        with self._catalog.read() as connection:
            return list_sparse(connection, most)

    def move_trees(self, upload: str, token: str, move: ObjectMove, trees: Collection[int], *, grace_ms: int) -> bool:
        try:
            with self._catalog.write() as connection:
                check_attempt(connection, upload, token)
                return move_some(connection, move, trees, grace_ms)
        except KeyError:  # a tree that came meanwhile has a file there that was thought dead
            return False

    def move_places(self, upload: str, token: str, move: ObjectMove, *, grace_ms: int) -> bool:
        try:
            with self._catalog.write() as connection:
                check_attempt(connection, upload, token)
                end_attempts(connection, upload, store_attempt.c.token == token)
                return move_rest(connection, move, grace_ms)
        except KeyError:  # as above
            return False

    # copies of manifests

    def without_manifest(self, after: int, most: int) -> list[tuple[int, str]]:
        where = (stored_tree.c.name.is_not(None), stored_tree.c.manifest.is_(None), stored_tree.c.number > after)
        query = select(stored_tree.c.number, stored_tree.c.name).where(*where).order_by(stored_tree.c.number)
        with self._catalog.read() as connection:
            return [(row.number, row.name) for row in connection.execute(query.limit(most))]

    def begin_manifest(self, key: str, most_ms: int) -> None:
        with self._catalog.write() as connection:
            delete_later(connection, [key], most_ms)

    def keep_manifest(self, number: int, name: str, key: str, objects: Set[str]) -> bool:
        with self._catalog.write() as connection:
            tree = lock_tree(connection, stored_tree.c.number == number)
            named = (
                select(stored_object.c.key)
                .join(tree_object, tree_object.c.object_id == stored_object.c.id)
                .where(tree_object.c.tree_number == number)
            )
            is_right = set(connection.execute(named).scalars()) == objects
            if tree is None or tree.name != name or tree.manifest is not None or not is_right:
                return False
            waits = (stored_object.c.key == key) & (stored_object.c.due > NOW)
            if not connection.execute(delete(stored_object).where(waits)).rowcount:
                return False  # it took so long that it is being deleted
            connection.execute(change_tree(number).values(manifest=key))
        return True

    # spools and receipts

    def hold_spool(self, upload: str, writer: str) -> None:
        with self._catalog.write() as connection:
            hold_spool(connection, upload, writer)

    def parts(self, upload: str) -> list[Part]:
        with self._catalog.read() as connection:
            return _parts(connection, upload)

    def note_parts(
        self, upload: str, writer: str, before: Sequence[Part], after: Sequence[Part], *, grace_ms: int
    ) -> None:
        with self._catalog.write() as connection:
            if _lock_writer(connection, upload) != writer or _parts(connection, upload) != list(before):
                raise TokenLost(f"Another process has gone on with upload {upload}.")
            kept = 0
            while kept < min(len(before), len(after)) and before[kept] == after[kept]:
                kept += 1
            old = before[kept:]
            if old:
                later = (spool_part.c.upload == upload) & (spool_part.c.at >= old[0].at)
                connection.execute(delete(spool_part).where(later))
                delete_later(connection, {part.key for part in old} - {part.key for part in after}, grace_ms)
            if after[kept:]:
                connection.execute(insert(spool_part), _part_rows(upload, after[kept:]))

    def add_parts(self, upload: str, writer: str, parts: Sequence[Part]) -> None:
        mine = spool_part.c.upload == upload
        with self._catalog.write() as connection:
            is_held = _lock_writer(connection, upload) == writer
            last = select(spool_part.c.at + spool_part.c.bytes).where(mine).order_by(spool_part.c.at.desc()).limit(1)
            if not is_held or (connection.execute(last).scalar() or 0) != parts[0].at:
                raise TokenLost(f"Another process has gone on with upload {upload}.")
            connection.execute(insert(spool_part), _part_rows(upload, parts))

    def drop_spool(self, upload: str, *, grace_ms: int) -> None:
        with self._catalog.write() as connection:
            _lock_writer(connection, upload)  # a part that it is just noting is seen by the statement after
            mine = spool_part.c.upload == upload
            keys = connection.execute(select(spool_part.c.key).where(mine)).scalars().all()
            delete_later(connection, keys, grace_ms)
            if not grace_ms:
                _delete_parts_now(connection, upload)
            connection.execute(delete(spool_part).where(mine))
            connection.execute(delete(spool_writer).where(spool_writer.c.upload == upload))
            end_attempts(connection, upload, store_attempt.c.token == "")

    def spools(self) -> list[str]:
        with self._catalog.read() as connection:
            return sorted(connection.execute(select(spool_part.c.upload).distinct()).scalars())

    def keep_receipt(self, upload: str, token: str, key: str, *, staged: bool, grace_ms: int = 0) -> None:
        statement = insert_or(stored_receipt).values(upload=upload, staged=staged, key=key)
        with self._catalog.write() as connection:
            check_attempt(connection, upload, token)
            if not staged:  # it may be the attempt's own, which becomes the import's
                connection.execute(_delete_receipt(upload, key))
            before = connection.execute(_receipt_key(upload, staged=staged).with_for_update()).scalar()
            connection.execute(statement.on_conflict_do_update(index_elements=["upload", "staged"], set_={"key": key}))
            delete_later(connection, {before} - {None, key}, grace_ms)

    def receipt(self, upload: str, *, staged: bool) -> str | None:
        with self._catalog.read() as connection:
            key: str | None = connection.execute(_receipt_key(upload, staged=staged)).scalar()
        return key

    def without_receipt(self, uploads: Iterable[str]) -> Iterator[str]:
        for some in split_values(uploads):
            has = select(stored_receipt.c.upload).where(stored_receipt.c.upload.in_(some), ~stored_receipt.c.staged)
            with self._catalog.read() as connection:
                known = set(connection.execute(has).scalars())
            yield from (upload for upload in some if upload not in known)

    def drop_staged_receipt(self, upload: str, token: str) -> None:
        with self._catalog.write() as connection:
            begin_attempt(connection, upload, token)
            check_attempt(connection, upload, token)
            _drop_receipt(connection, upload, staged=True)

    def drop_receipt(self, upload: str, *, grace_ms: int) -> None:
        with self._catalog.write() as connection:
            _drop_receipt(connection, upload, staged=False, grace_ms=grace_ms)

    # the bucket

    def identity(self, new: str) -> BucketIdentity:
        with self._catalog.write() as connection:
            self._catalog.alone(connection, AdvisoryLock.MAKE_TABLES)
            identity = _read_identity(connection)
            if identity is None:
                connection.execute(insert(object_store).values(uuid=UNBOUND + new))
        return identity or BucketIdentity(new, None, None, is_bound=False)

    def bound_identity(self) -> BucketIdentity | None:
        with self._catalog.read() as connection:
            identity = _read_identity(connection)
        return identity if identity is not None and identity.is_bound else None

    def succeed(self, owner: str) -> None:
        uuid = owner.partition(".")[0]
        values = {"uuid": UNBOUND + uuid, "nonce": os.urandom(16).hex(), "predecessor": owner}
        with self._catalog.write() as connection:
            self._catalog.alone(connection, AdvisoryLock.MAKE_TABLES)
            if read_restore(connection) is None:
                raise CatalogFailed("Another process has restored this catalog.", "Start a server with it.")
            connection.execute(delete(object_store))
            connection.execute(insert(object_store).values(**values))

    def adopt(self) -> None:
        with self._catalog.write() as connection:
            self._catalog.alone(connection, AdvisoryLock.MAKE_TABLES)
            identity = _read_identity(connection)
            if identity is not None and not identity.is_bound:
                connection.execute(update(object_store).values(uuid=identity.uuid))
                connection.execute(delete(data_folder))

    def named_keys(self) -> Generator[str, None, None]:
        named = select(stored_object.c.key).where(stored_object.c.due.is_(None))
        copies = select(stored_tree.c.manifest).where(stored_tree.c.manifest.is_not(None))
        with self._catalog.read() as connection:
            for query in (named, select(spool_part.c.key), select(stored_receipt.c.key), copies):
                with connection.execute(query.execution_options(yield_per=_KEYS_AT_ONCE)) as result:
                    yield from result.scalars()

    def unshown_keys(self, keys: Sequence[str]) -> list[str]:
        named = exists().where(tree_object.c.object_id == stored_object.c.id)
        is_in_use = stored_tree.c.trash.is_(None) & stored_tree.c.gone.is_(None)
        used = named.where(stored_tree.c.number == tree_object.c.tree_number, is_in_use)
        with self._catalog.read() as connection:
            return [
                key
                for some in split_values(keys)
                for key in connection.execute(
                    select(stored_object.c.key).where(stored_object.c.key.in_(some), named, ~used)
                ).scalars()
            ]

    def attempts(self) -> list[tuple[str, str]]:
        with self._catalog.read() as connection:
            rows = connection.execute(select(store_attempt.c.upload, store_attempt.c.token))
            return [(row.upload, row.token) for row in rows]


def _read_identity(connection: Connection) -> BucketIdentity | None:
    row = connection.execute(select(object_store)).first()
    if row is None:
        return None
    is_bound = not row.uuid.startswith(UNBOUND)
    return BucketIdentity(row.uuid.removeprefix(UNBOUND), row.nonce, row.predecessor, is_bound=is_bound)


def hold_spool(connection: Connection, upload: str, writer: str) -> None:
    """Let one writer alone note parts of an upload, from the end of this transaction on (`ObjectRows.hold_spool`)."""
    statement = insert_or(spool_writer).values(upload=upload, writer=writer)
    connection.execute(statement.on_conflict_do_update(index_elements=["upload"], set_={"writer": writer}))
    begin_attempt(connection, upload, "")


def _give_up(connection: Connection, where: ColumnElement[bool], *, at_once: bool = False) -> None:
    """Let trees be forgotten: what was shown once readers are over, or `at_once` as what nobody has seen."""
    values: dict[str, Any] = dict.fromkeys(("upload", "token", "root", "name", "trash"))
    values |= {"gone": NOW, "shown": False} if at_once else {"gone": NOW}
    for some in split_values(lock_trees(connection, where)):
        connection.execute(update(stored_tree).where(stored_tree.c.number.in_(some)).values(**values))


def _name_objects(connection: Connection, number: int, keys: Sequence[str]) -> None:
    """Have a tree name objects. Fault where one that it shares is being deleted.

    One that waits for that is named again: what it holds was moved elsewhere while the tree was put together.
    """
    object_ids = [
        each
        for some in split_values(keys)
        for each in connection.execute(select(stored_object.c.id).where(stored_object.c.key.in_(some))).scalars()
    ]
    if len(object_ids) != len(keys):
        raise StoreFailed(*_OBJECTS_DELETED)
    for some in split_values(sorted(object_ids)):
        mine = stored_object.c.id.in_(some)
        lock_objects(connection, mine)  # before it is asked when they are due: their files may just be moved
        connection.execute(update(stored_object).where(mine, stored_object.c.due > NOW + _SAFE_MS).values(due=None))
        ids = connection.execute(select(stored_object.c.id).where(mine, stored_object.c.due.is_(None))).scalars().all()
        if len(ids) != len(some):
            raise StoreFailed(*_OBJECTS_DELETED)
        connection.execute(insert(tree_object), [{"tree_number": number, "object_id": each} for each in ids])


def _delete_parts_now(connection: Connection, upload: str) -> None:
    """Let all parts of an upload go that were to go later: those that were given up, or sent again, before."""
    is_part = stored_object.c.key.startswith(f"{spool_prefix(upload)}/", autoescape=True)
    later = update(stored_object).where(stored_object.c.due > NOW, is_part)
    connection.execute(later.values(due=NOW))


def _lock_writer(connection: Connection, upload: str) -> str | None:
    """Who may note parts of an upload: nobody else becomes that, and it notes none, until the transaction ends."""
    query = select(spool_writer.c.writer).where(spool_writer.c.upload == upload).with_for_update()
    writer: str | None = connection.execute(query).scalar()
    return writer


def _parts(connection: Connection, upload: str) -> list[Part]:
    columns = (spool_part.c.at, spool_part.c.bytes, spool_part.c.key, spool_part.c.sha256)
    query = select(*columns).where(spool_part.c.upload == upload).order_by(spool_part.c.at)
    return [Part(row.at, row.bytes, row.key, bytes(row.sha256)) for row in connection.execute(query)]


def _part_rows(upload: str, parts: Iterable[Part]) -> list[dict[str, object]]:
    return [
        {"upload": upload, "at": part.at, "bytes": part.length, "key": part.key, "sha256": part.sha256}
        for part in parts
    ]


def _select_named(keys: Sequence[str], upload: str | None) -> Iterator[Select[Any]]:
    """Those of these keys that rows name. Of the tables without an index of keys only the rows of `upload` are read."""
    yield select(stored_object.c.key).where(stored_object.c.key.in_(keys))
    for table in (spool_part, stored_receipt):
        named = select(table.c.key).where(table.c.key.in_(keys))
        yield named if upload is None else named.where(table.c.upload == upload)
    if upload is None:
        yield select(stored_tree.c.manifest).where(stored_tree.c.manifest.in_(keys))


def _receipt_key(upload: str, *, staged: bool) -> Select[Any]:
    mine = (stored_receipt.c.upload == upload) & (stored_receipt.c.staged == staged)
    return select(stored_receipt.c.key).where(mine)


def _delete_receipt(upload: str, key: str) -> Delete:
    return delete(stored_receipt).where(stored_receipt.c.upload == upload, stored_receipt.c.key == key)


def _drop_receipt_of_attempt(connection: Connection, upload: str, token: str) -> None:
    """Drop the receipt of an attempt that has ended, unless another goes on, which may have taken it over.

    It is left where a process was killed behind the end of its import. One that begins now has keys of its own.
    """
    goes_on = exists().where(
        store_attempt.c.upload == upload, store_attempt.c.token != "", store_attempt.c.ended.is_(None)
    )
    mine = (stored_receipt.c.upload == upload) & stored_receipt.c.staged
    own = stored_receipt.c.key.startswith(f"{attempt_prefix('r', upload, token)}/", autoescape=True)
    dropped = delete(stored_receipt).where(mine, own, ~goes_on).returning(stored_receipt.c.key)
    delete_later(connection, connection.execute(dropped).scalars().all(), grace_ms=0)


def _drop_receipt(connection: Connection, upload: str, *, staged: bool, grace_ms: int = 0) -> None:
    key = connection.execute(_receipt_key(upload, staged=staged).with_for_update()).scalar()
    if key is not None:
        connection.execute(_delete_receipt(upload, key))
        delete_later(connection, [key], grace_ms)
