"""What a store in a bucket keeps in rows (docs/design/0015-object-store.md); empty where files lie in folders.

Uploads are named by their UUIDs, not by rows: an import's work begins before its row stands, and ends after it.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    text,
)

from scandock.catalog.tables import EMPTY, Id, metadata

object_store = Table(
    "object_store",
    metadata,
    Column("uuid", String(36), primary_key=True),
    Column("nonce", Text),
    Column("predecessor", Text),
)
"""The bucket that this catalog names objects of, by the id in its marker: one row, or none. A catalog that was restored
has a random `nonce` behind the id: it has the bucket from then on, and the one whose marker is `predecessor` no more.
"""
UNBOUND: Final = "new:"
"""Before an id: the catalog is bound to no bucket yet; the first one that can be marked with it becomes that."""

store_attempt = Table(
    "store_attempt",
    metadata,
    Column("upload", String(128), nullable=False),
    Column("token", String(128), nullable=False),
    Column("began", BigInteger, nullable=False),
    Column("ended", BigInteger),
    Column("swept", Boolean, nullable=False, server_default=text("false")),
    PrimaryKeyConstraint("upload", "token"),
)
"""Attempts that have stored objects below prefixes of their own, until these were swept twice. Without a token: the
receiving of the upload.
"""

_UNCOUNTED: Final = text("live IS NULL AND due IS NULL")
IS_SPARSE: Final = text("live < bytes AND due IS NULL")
"""Whether an object has bytes that no file of a tree has any more, as its index has it."""
stored_object = Table(
    "stored_object",
    metadata,
    Column("id", Id, primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("bytes", BigInteger, nullable=False),
    Column("due", BigInteger),
    Column("live", BigInteger),
    Index(None, "due"),
    Index("ix_stored_object_uncounted", "id", sqlite_where=_UNCOUNTED),
    Index("ix_stored_object_sparse", "id", sqlite_where=IS_SPARSE),
)
"""Objects of the bucket that files of trees lie in, and what is to be deleted of others. Where `due` is set, nothing
names one any more, and it may be deleted from then on. `live`: how many of its bytes files of trees still have; not set
until that is counted, and again once a tree that named it is gone.
"""

_UNCOPIED: Final = text("name IS NOT NULL AND manifest IS NULL")
stored_tree = Table(
    "stored_tree",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("upload", String(128)),
    Column("token", String(128)),
    Column("root", Text),
    Column("name", Text, unique=True),
    Column("trash", String(128), unique=True),
    Column("note", Text, nullable=False, server_default=EMPTY),
    Column("shown", Boolean, nullable=False, server_default=text("false")),
    Column("gone", BigInteger),
    Column("manifest", Text),
    Index(None, "upload"),
    Index(None, "gone"),
    Index("ix_stored_tree_uncopied", "number", sqlite_where=_UNCOPIED),
)
"""Trees: staged (`upload`, `token` and `root`), published (`name`), in the trash (`trash`, `note`), or given up at
`gone`. `shown`: it has been published, so that somebody may be reading it. `manifest`: the key of its copy.
"""

file_place = Table(
    "file_place",
    metadata,
    Column("tree_number", BigInteger, ForeignKey("stored_tree.number", ondelete="CASCADE"), nullable=False),
    Column("first", LargeBinary, nullable=False),
    Column("files", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    PrimaryKeyConstraint("tree_number", "first"),
)
"""Where the files of a tree lie, up to a thousand a row (`store.file_places`); `first` is the path of the first."""

tree_object = Table(
    "tree_object",
    metadata,
    Column("tree_number", BigInteger, ForeignKey("stored_tree.number", ondelete="CASCADE"), nullable=False),
    Column("object_id", Id, ForeignKey("stored_object.id"), nullable=False),
    PrimaryKeyConstraint("tree_number", "object_id"),
    Index(None, "object_id"),
)
"""Which objects the files of a tree lie in."""

spool_part = Table(
    "spool_part",
    metadata,
    Column("upload", String(128), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("key", Text, nullable=False),
    Column("sha256", LargeBinary(32), nullable=False),
    PrimaryKeyConstraint("upload", "at"),
)
"""Parts of uploads that the bucket has, without gaps; `bytes` of the object from its beginning on."""

spool_writer = Table(
    "spool_writer",
    metadata,
    Column("upload", String(128), primary_key=True),
    Column("writer", String(32), nullable=False),
)
"""Who alone may note parts of an upload."""

stored_receipt = Table(
    "stored_receipt",
    metadata,
    Column("upload", String(128), nullable=False),
    Column("staged", Boolean, nullable=False),
    Column("key", Text, nullable=False),
    PrimaryKeyConstraint("upload", "staged"),
)
"""Where receipts are: of imports, and of attempts (`staged`) that have not come to their end."""
