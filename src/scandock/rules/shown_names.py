"""What may be shown of the names of an archive, its folders and its entries: one level for all of an import.

Pure. Receipts, messages, rows and names on disk all get such names here; the entries themselves are told apart by their
ordinals, which are in every one of them.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from dataclasses import field
from functools import lru_cache
from hashlib import sha256
from typing import Final

from scandock.model.dataclass import dataclass
from scandock.rules.layout import split_path
from scandock.rules.loose_files import split_levels
from scandock.rules.privacy_policy import Level

_WIDTH: Final = 4
"""Bytes of an ordinal for each level of nesting."""
_SUFFIX: Final = re.compile(r"(\.[A-Za-z0-9]{1,8})?(\.[A-Za-z0-9]{1,8})\Z")
_SEPARATORS: Final = re.compile(r"([/\\!]+)")
_NUMBER: Final = re.compile(r"#[0-9]+")
_HASHED: Final = re.compile(r"f-[0-9a-f]{8}")
_PACKED: Final = frozenset({".gz", ".bz2", ".xz", ".zst"})
SUFFIXES: Final = _PACKED | {
    *(".dcm", ".dicom", ".dic", ".ima", ".v", ".zip", ".tar", ".tgz", ".tbz2", ".txz", ".7z", ".rar", ".iso"),
    *(".nii", ".hdr", ".img", ".nrrd", ".mha", ".mhd", ".mgz", ".mnc", ".par", ".rec", ".ptd", ".bf", ".l", ".i"),
    *(".txt", ".csv", ".tsv", ".json", ".xml", ".yaml", ".yml", ".ini", ".cfg", ".log", ".md", ".htm", ".html"),
    *(".pdf", ".doc", ".docx", ".xls", ".xlsx", ".ppt", ".pptx", ".rtf", ".odt"),
    *(".jpg", ".jpeg", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".svg", ".avi", ".mp4", ".mpg", ".mov"),
    *(".bval", ".bvec", ".bvals", ".bvecs", ".mat", ".npy", ".h5", ".edf", ".puls", ".resp", ".ecg", ".ext", ".physio"),
    *(".bak", ".tmp", ".db", ".dat", ".bin", ".raw", ".exe", ".dll", ".sh", ".bat", ".py", ".m"),
}
"""Suffixes that name a kind of file and nobody; any other is left out, as it may be a part of a UID or of a name."""


@dataclass(frozen=True, kw_only=True)
class ShownNames:
    """The level of an import, and how it shows names by it."""

    level: Level = "keep"
    key: bytes = field(default=b"", repr=False)
    """The site's, by which names are hashed."""
    number: int = 1
    """Which of its command's archives it is, from 1."""
    hides_bytes: bool = False
    """Whether the sha256 of what came may not be told, by which whoever has a file can tell whose it is."""
    hides_archive: bool = True
    """Whether the level is that of the archive's name, too; else that one is shown as it is."""

    @property
    def keeps(self) -> bool:
        """Whether names are shown as they are."""
        return self.level == "keep"

    @property
    def keeps_archive(self) -> bool:
        """Whether the archive's name is shown as it is."""
        return self.keeps or not self.hides_archive

    @property
    def hides_anything(self) -> bool:
        """Whether less may be known of what came than everything."""
        return self.level != "keep" or self.hides_bytes

    def archive(self, name: str) -> str:
        """What the archive is called."""
        if self.keeps_archive:
            return name
        return f"#{self.number}" if self.level == "drop" else self.hashed(split_path(name.rstrip("/\\"))[1] or name)

    def path(self, ordinal: bytes, path: str) -> str:
        """What an entry is called whose path, through nested archives, is `path`."""
        if self.level == "keep":
            return path
        if self.level == "hash":
            return self.hashed(path)
        levels = len(ordinal) // _WIDTH
        spot = split_levels(path, levels)
        names = (*spot.outer, spot.path)[-levels:] if levels else ()
        names = ("",) * (levels - len(names)) + names
        shown = [f"#{_index(ordinal, at)}" for at in range(levels)]
        return "!".join(shown) + (clean_suffix(names[-1]) if names else "")

    def message_name(self, name: str) -> str:
        """What a message calls an entry of which no more is known than a name."""
        if self.level == "keep":
            return name
        return self.hashed(name) if self.level == "hash" else f"#{clean_suffix(name)}"

    def hashed(self, path: str) -> str:
        """A path with each of its names hashed, suffixes kept."""
        pieces = _SEPARATORS.split(path)
        return "".join(piece if at % 2 else _hash_piece(self.key, piece) for at, piece in enumerate(pieces))

    def file_path(self, ordinal: bytes, folders: Sequence[str], base: str) -> tuple[Sequence[str], str]:
        """Folders and base name under which a file is stored that has these in the archive."""
        if self.level == "keep":
            return folders, base
        if self.level == "hash":
            return [_hash_piece(self.key, folder) for folder in folders], _hash_piece(self.key, base)
        numbers = "-".join(str(_index(ordinal, at)) for at in range(len(ordinal) // _WIDTH))
        return (), f"{numbers}{clean_suffix(base)}"

    def folder(self, name: str) -> str:
        """What stands for a folder where a label is made of its name; "" where that may not be known."""
        if self.level == "keep" or not name:
            return name
        return _hash_piece(self.key, name) if self.level == "hash" else ""

    def origin(self, digest: bytes) -> bytes:
        """What is told in place of the sha256 of an entry that has no origin as an image."""
        return hmac.digest(self.key, b"origin\0" + digest, sha256)[:16]

    def to_plain(self) -> tuple[object, ...]:
        """These values as the wire to a reader carries them."""
        return (self.level, self.key, self.number, self.hides_bytes, self.hides_archive)

    @classmethod
    def from_plain(cls, values: tuple[object, ...]) -> ShownNames:
        """The names of `to_plain`."""
        level, key, number, hides_bytes, hides_archive = values
        return cls(
            level=level,  # type: ignore[arg-type]
            key=key,  # type: ignore[arg-type]
            number=number,  # type: ignore[arg-type]
            hides_bytes=hides_bytes,  # type: ignore[arg-type]
            hides_archive=hides_archive,  # type: ignore[arg-type]
        )


ALL_SHOWN: Final = ShownNames()


def is_hidden(archive: str, level: Level = "hash") -> bool:
    """Whether what a server calls an archive is what it says of a name that may not be known.

    `level`: of names now; where they are dropped a hashed one, of a policy that was looser, says too much.
    """
    return _NUMBER.fullmatch(archive) is not None or (level != "drop" and _is_hashed(archive))


def is_dropped(path: str) -> bool:
    """Whether a receipt calls an entry by its number alone."""
    return _NUMBER.fullmatch(path.removesuffix(clean_suffix(path)).rpartition("!")[2]) is not None


def _is_hashed(name: str) -> bool:
    return _HASHED.fullmatch(name.removesuffix(clean_suffix(name))) is not None


def clean_suffix(name: str) -> str:
    """The suffix of a name in lower case, where it is one that names a kind of file; of packed files both."""
    found = _SUFFIX.search(split_path(name)[1])
    if found is None or found[2].lower() not in SUFFIXES:
        return ""
    inner, last = (found[1] or "").lower(), found[2].lower()
    return inner + last if last in _PACKED and inner in SUFFIXES else last


def _index(ordinal: bytes, at: int) -> int:
    """The number of an entry, from 1, within its archive at level `at`."""
    return int.from_bytes(ordinal[at * _WIDTH : (at + 1) * _WIDTH], "big") + 1


@lru_cache(maxsize=4096)
def _hash_piece(key: bytes, piece: str) -> str:
    if piece in {"", ".", ".."} or _is_hashed(piece):  # what is hashed is not hashed again
        return piece
    digest = hmac.digest(key, b"name\0" + piece.encode("utf-8", "surrogatepass"), sha256)[:4]
    return f"f-{digest.hex()}{clean_suffix(piece)}"
