"""Names that files get in the store: from UIDs, hashes and cleaned entry names, never an entry name as it came.

rules.md "Which file". Every name made here is a relative path of plain pieces: no `..`, no control or bidirectional
character, nothing hidden, nothing that Windows, a shell or a URL reads as something else.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from array import array
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final, Protocol

MAX_PIECE_BYTES: Final = 200
MAX_PATH_BYTES: Final = 1000
MAX_FOLDERS: Final = 32
_MAX_SUFFIX_BYTES: Final = 24

_UID: Final = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_PLAIN: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_ .,()+=@-]*[A-Za-z0-9_)+=@-])?")
_FORBIDDEN: Final = frozenset('<>:"|?*/\\')
_PERCENT: Final = re.compile(r"%(?=[0-9A-Fa-f]{2})")
_DEVICE: Final = re.compile(
    r"(?:con|prn|aux|nul|clock\$|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(?:[ .].*)?", re.IGNORECASE | re.DOTALL
)
_PACKED: Final = frozenset({"gz", "bz2", "xz", "zst"})


def object_name(sop_uid: str, sha256: bytes | str) -> str:
    """`{SOPInstanceUID}.dcm`; 40 hex digits of the file's sha256 where the UID is none (digits, dots, 64 at most)."""
    return f"{sop_uid if is_uid(sop_uid) else _hex(sha256)[:40]}.dcm"


def variant_name(sop_uid: str, sha256: bytes | str) -> str:
    """The name of a further object with the same SOP UID but other content: its sha256 tells it apart."""
    return f"{sop_uid}_{_hex(sha256)[:12]}.dcm" if is_uid(sop_uid) else object_name(sop_uid, sha256)


def is_uid(text: str) -> bool:
    """Whether names can be made of it: digits and dots, 64 at most."""
    return len(text) <= 64 and _UID.fullmatch(text) is not None


def uid_in_name(name: str) -> str:
    """The SOP UID of the object that a name of these two stands for; "" where it has none."""
    stem = name.removesuffix(".dcm").partition("_")[0]
    return stem if is_uid(stem) else ""


def _hashed_deep_name(folders: Sequence[str]) -> str:
    """What stands for folders that are too deep: the same for the same ones."""
    digest = _digest("\0".join(folders))[:16]
    return f"deep-{digest}"


def resource_path(
    folders: Sequence[str], base: str, *, deep_name: Callable[[Sequence[str]], str] = _hashed_deep_name
) -> str:
    """The relative path of a kept file: cleaned pieces of 200 bytes at most, joined by `/`, 1000 bytes in all.

    What is cut ends in (or, for folders, is replaced by) a hash of the whole, so that cutting makes no two names one.
    An empty or unusable base name becomes `file`. Not unique by itself: see `unique`.
    """
    pieces = [clean_piece(folder) for folder in folders if folder not in {"", ".", ".."}]
    last = clean_piece(base) if base not in {"", ".", ".."} else "file"
    path = "/".join((*pieces, last))
    if len(pieces) <= MAX_FOLDERS and len(path.encode()) <= MAX_PATH_BYTES:
        return path
    return f"{pieces[0]}/{deep_name(folders)}/{last}"


def clean_piece(name: str) -> str:
    """One path piece from any text: never empty, 1 to 200 bytes of UTF-8, harmless on every system; NFC."""
    return _cached_clean(name) if len(name) <= MAX_PIECE_BYTES else _clean(name)


def _clean(name: str) -> str:
    if _PLAIN.fullmatch(name) and len(name) <= MAX_PIECE_BYTES and not _DEVICE.fullmatch(name):
        return name
    text = unicodedata.normalize("NFC", name)
    text = "".join(map(_clean_character, text))
    text = _PERCENT.sub("_", text)
    text = text.lstrip(" ") or "_"
    if text[0] in ".-~":
        text = "_" + text[1:]
    stripped = text.rstrip(". ")
    text = stripped + "_" * (len(text) > len(stripped))
    if _DEVICE.fullmatch(text):
        text = "_" + text
    text = unicodedata.normalize("NFC", text)
    return text if len(text.encode()) <= MAX_PIECE_BYTES else _cut(text, name)


_cached_clean = lru_cache(maxsize=4096)(_clean)


def name_key(name: str) -> str:
    """What two names share that some file system takes for one: letter case and composition apart."""
    if name.isascii():
        return name.casefold()
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())


class NameSet(Protocol):
    """Keys of names that are taken."""

    def add(self, key: str, /) -> None: ...
    def __contains__(self, key: object, /) -> bool: ...


class HashedNames:
    """Keys as hashes of 64 bits in a table, 16 to 32 bytes each: for as many names as a disk has files.

    Two keys that share a hash are taken for one: the later name gets a number that it did not need.
    """

    __slots__ = ("_count", "_slots")

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * _FEWEST_SLOTS))
        self._count = 0

    def add(self, key: str, /) -> None:
        slot, is_there = self._find(self._slots, _short_hash(key))
        if is_there:
            return
        self._slots[slot] = _short_hash(key)
        self._count += 1
        if 2 * self._count > len(self._slots):
            self._grow()

    def __contains__(self, key: object, /) -> bool:
        return isinstance(key, str) and self._find(self._slots, _short_hash(key))[1]

    @staticmethod
    def _find(slots: array[int], number: int) -> tuple[int, bool]:
        """The slot of a hash, or the free one for it."""
        mask = len(slots) - 1
        at = number & mask
        while (there := slots[at]) and there != number:
            at = at + 1 & mask
        return at, there == number

    def _grow(self) -> None:
        slots = array("Q", bytes(16 * len(self._slots)))
        for number in self._slots:
            if number:
                slots[self._find(slots, number)[0]] = number
        self._slots = slots


_FEWEST_SLOTS: Final = 1024


def _short_hash(key: str) -> int:
    return int.from_bytes(hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big") or 1


class UsedNames:
    """The relative paths in one folder of the store, by key: files, and the folders above them."""

    __slots__ = ("counts", "files", "folders")

    def __init__(self, files: NameSet | None = None) -> None:
        self.files: NameSet = set[str]() if files is None else files
        self.folders: set[str] = set()
        self.counts: dict[str, int] = {}

    def add(self, name: str) -> None:
        """Take a path as it is: one that stands there already."""
        key = name_key(name)
        self.files.add(key)
        cut = key.rfind("/")
        while cut > 0 and key[:cut] not in self.folders:
            self.folders.add(key[:cut])
            cut = key.rfind("/", 0, cut)

    def __contains__(self, name: str) -> bool:
        key = name_key(name)
        return key in self.files or key in self.folders


def make_unique(names: UsedNames, path: str) -> str:
    """`path`, or with `_2`, `_3` ... before its suffix where that is taken; takes the name given.

    Taken means the same but for case and composition, or a file where a folder is needed, or the other way round:
    then the folder is the one that is numbered.
    """
    *folders, base = path.split("/")
    above = ""
    for folder in folders:
        above = _find_free_name(names, above + folder, files_only=True) + "/"
    name = _find_free_name(names, above + base, files_only=False)
    names.add(name)
    return name


def _find_free_name(names: UsedNames, path: str, *, files_only: bool) -> str:
    key = name_key(path)
    if key not in names.files and (files_only or key not in names.folders):
        return path
    head, slash, base = path.rpartition("/")
    stem, suffix = (base, "") if files_only else _split_suffix(base)
    number = 2 if files_only else names.counts.get(key, 2)
    while True:
        name = f"{head}{slash}{stem}_{number}{suffix}"
        number += 1
        again = name_key(name)
        if again not in names.files and (files_only or again not in names.folders):
            if not files_only:
                names.counts[key] = number
            return name


def _clean_character(char: str) -> str:
    if char.isascii():
        return "_" if char in _FORBIDDEN or not " " <= char <= "~" else char
    if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}:
        return "_"
    plain = unicodedata.normalize("NFKC", char)
    if plain != char and (plain == "." or not _FORBIDDEN.isdisjoint(plain)):
        return "_"  # a fullwidth slash or dot, which some systems fold to the plain one
    return " " if plain == " " else char


def _cut(text: str, whole: str) -> str:
    stem, suffix = _split_suffix(text)
    if len(suffix.encode()) > _MAX_SUFFIX_BYTES:
        stem, suffix = text, ""
    tail = f"~{_digest(whole)[:12]}{suffix}"
    room = MAX_PIECE_BYTES - len(tail.encode())
    head = stem.encode()[:room].decode("utf-8", "ignore")
    return head + tail


def _split_suffix(base: str) -> tuple[str, str]:
    """Stem and suffix with its dot; `.nii.gz` and the like are one suffix."""
    stem, dot, suffix = base.rpartition(".")
    if not stem or not dot:
        return base, ""
    if suffix.lower() in _PACKED:
        inner, inner_dot, inner_suffix = stem.rpartition(".")
        if inner and inner_dot and len(inner_suffix) <= 8:
            return inner, f".{inner_suffix}.{suffix}"
    return stem, f".{suffix}"


def _hex(sha256: bytes | str) -> str:
    return sha256 if isinstance(sha256, str) else sha256.hex()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
