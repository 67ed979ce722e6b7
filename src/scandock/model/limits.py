"""Limits on an upload, counted over all levels of nesting together and on real bytes."""

from __future__ import annotations

from typing import NamedTuple

MIB = 1024 * 1024
GIB = 1024 * MIB


class Limits(NamedTuple):
    """What one upload may hold; every value is a setting (SCANDOCK_MAX_...).

    The defaults pass a hospital's real archives (200,000 entries, 100 GB).
    """

    max_depth: int = 5
    """Archives within archives: the upload itself is level 1."""
    max_entries: int = 1_000_000
    """Entries of every kind (files, folders, links), over all levels."""
    max_entry_bytes: int = 50 * GIB
    """Unpacked bytes of one entry."""
    max_unpacked_bytes: int = 1024 * GIB
    """Unpacked bytes over all levels: an inner archive's own bytes count, and its content again."""
    max_ratio: int = 200
    """Unpacked bytes for each received byte, counted only beyond `ratio_from_bytes`."""
    ratio_from_bytes: int = 1_000_000_000
    max_dictionary_bytes: int = 64 * MIB
    """Window or dictionary that a lzma, xz or zstd stream may ask for."""
    max_directory_bytes: int = 256 * MIB
    """Central directory of one zip."""
    max_name_bytes: int = 65_535
    min_free_bytes: int = 256 * MIB
    """Space that an import leaves free on the store's file system."""
