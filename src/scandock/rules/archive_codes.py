"""Why an archive, or an inner one, was not taken: codes, sentences, remedies (docs/codes.md, "Archives")."""

from __future__ import annotations

from typing import Final, NamedTuple


class ArchiveCode(NamedTuple):
    """`entry` says that a line of the receipt may bear the code too: the entry that caused it, verdict `refused`."""

    sentence: str
    remedy: str
    entry: bool = False


_AGAIN: Final = "Make the archive again and upload it whole."
_RAISE: Final = "Send it in parts, or have the limit raised where the data are real"

ARCHIVES: Final[dict[str, ArchiveCode]] = {
    # what was sent
    "empty_archive": ArchiveCode("The archive is empty.", "Check what was packed, then upload again.", entry=True),
    "not_an_archive": ArchiveCode(
        "It is no archive of a kind that is taken, nor an image.",
        "Pack the session as a .zip or .tar.gz; perhaps a web page was saved in place of the archive.",
        entry=True,
    ),
    "unsupported_archive": ArchiveCode(
        "It is an archive of a kind that is not taken (RAR, 7z, ISO ...).",
        "Unpack it and pack the files as a .zip or .tar.gz.",
        entry=True,
    ),
    "damaged": ArchiveCode("The archive, or an entry in it, is damaged.", _AGAIN, entry=True),
    "truncated": ArchiveCode(
        "The archive ends too early: it was not copied or uploaded whole.", "Upload it again, whole.", entry=True
    ),
    "unreadable": ArchiveCode(
        "A file or folder of it can't be read from the disk.", "Look at its permissions and at the disk.", entry=True
    ),
    "encrypted": ArchiveCode(
        "The archive, or an entry in it, is encrypted.", "Make the archive again without a password.", entry=True
    ),
    "unknown_method": ArchiveCode(
        "An entry is compressed by a method that can't be read.",
        "Make the archive again with the ordinary compression (deflate).",
        entry=True,
    ),
    "split_archive": ArchiveCode(
        "It is one part of a split archive.", "Join the parts to one archive (zip -s 0) and upload that.", entry=True
    ),
    "overlapping_entries": ArchiveCode(
        "Entries of the archive share the same bytes, as only archives made to do harm have them.", _AGAIN, entry=True
    ),
    "dictionary_too_large": ArchiveCode(
        "Unpacking would take more memory than is allowed (dictionary of lzma, xz or zstd).",
        "Pack it with the ordinary settings of the tool.",
        entry=True,
    ),
    "sparse": ArchiveCode(
        "A sparse file in the archive claims more bytes than the archive holds.",
        "Pack the files without sparse handling (tar without -S).",
        entry=True,
    ),
    "too_deep": ArchiveCode(
        "Archives lie within archives, deeper than is followed.",
        "Unpack the outer ones, then upload what is inside.",
        entry=True,
    ),
    # limits over the whole upload
    "too_many_entries": ArchiveCode(
        "The upload holds more entries than are allowed.", f"{_RAISE} (SCANDOCK_MAX_ENTRIES)."
    ),
    "too_many_bytes": ArchiveCode(
        "The upload unpacks to more bytes than are allowed.", f"{_RAISE} (SCANDOCK_MAX_UNPACKED_BYTES)."
    ),
    "ratio": ArchiveCode(
        "The upload unpacks to far more than its own size, as no images do.", f"{_RAISE} (SCANDOCK_MAX_RATIO)."
    ),
    "entry_too_large": ArchiveCode(
        "An entry unpacks to more bytes than one entry may.", f"{_RAISE} (SCANDOCK_MAX_ENTRY_BYTES).", entry=True
    ),
    # what was in it
    "no_images": ArchiveCode(
        "No image files found: neither DICOM nor ECAT 7.", "Upload an archive that holds DICOM objects or ECAT 7 files."
    ),
    "all_left_out": ArchiveCode(
        "The mapping leaves out every study of the archive.", "Import it with a mapping that takes some of them."
    ),
    "unparseable_entries": ArchiveCode(
        "Entries can't be read as images, and the import was asked not to ignore that.",
        "Take them out, or import with unparseable entries ignored.",
    ),
    "project_unknown": ArchiveCode(
        "The project does not exist, or you may not upload to it.", "Name one that exists, or have it created first."
    ),
    # the machine, or a person
    "disk_full": ArchiveCode(
        "The disk has not enough space for the unpacked files.",
        "Free space or ask whoever runs the server; then try again.",
    ),
    "out_of_memory": ArchiveCode(
        "The machine ran out of memory.", "Try again; with fewer workers if it happens again."
    ),
    "reader_failed": ArchiveCode("A reader process ended with a fault of the machine.", "Try again."),
    "read_failed": ArchiveCode("The archive could not be read from its disk.", "Check that disk, then try again."),
    "store_failed": ArchiveCode("The store could not be written.", "Check its disk and rights, then try again."),
    "sync_failed": ArchiveCode(
        "The disk did not confirm what was written: nothing was taken.", "Check that disk, then try again."
    ),
    "catalog": ArchiveCode(
        "The catalog could not be read or written.", "Look at the disk and the database, then try again."
    ),
    "catalog_damaged": ArchiveCode(
        "The catalog's file is damaged.", "Stop the server and put the catalog back from a backup."
    ),
    "interrupted": ArchiveCode(
        "The import was ended before it was done: nothing was taken.", "Import the archive again."
    ),
    "cancelled": ArchiveCode(
        "The import was cancelled: nothing was taken.", "Import the archive again if it was a mistake."
    ),
    "internal": ArchiveCode(
        "A fault in the program ended the import: nothing was taken.",
        "Report it, with the log, to whoever runs the server.",
    ),
}
"""Codes of whole imports and of inner archives; what concerns an inner archive costs that one alone."""
