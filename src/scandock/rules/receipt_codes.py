"""The codes of a receipt's lines and of an import as a whole: what each means and what to do (docs/codes.md).

Each line of a receipt carries one code beside its verdict. An entry's `message` may say more than the sentence here
(which element, which folder); it never says less. Codes are stable: pages, scripts and tests go by them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NotRequired, TypedDict

from scandock.model.dataclass import dataclass
from scandock.model.verdicts import Verdict

RECEIPT_COLUMNS: Final = ("archive", "path", "bytes", "sha256", "verdict", "code", "message", "stored_as")


def receipt_columns(line: Mapping[str, object]) -> tuple[str, ...]:
    """The columns of a receipt as a table, told by its first line: one more where origins are told."""
    return (*RECEIPT_COLUMNS, "origin") if "origin" in line else RECEIPT_COLUMNS


class ReceiptLine(TypedDict):
    """A line of a receipt: what became of one entry."""

    archive: str
    path: str
    bytes: int
    sha256: str | None
    verdict: str
    code: str
    message: str
    stored_as: str | None
    """Its path under DATA; None where it has none."""
    origin: NotRequired[str | None]
    """In receipts in which a sha256 may not be told: a keyed hash that stands for the entry in its place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptCode:
    """`verdicts`: those that an entry with this code may have; empty for codes of whole imports only."""

    verdicts: frozenset[Verdict] = frozenset()
    sentence: str
    remedy: str = ""
    whole: bool = False
    """It may be the code of an import, or of an inner archive."""
    setting: str = ""
    """The setting of a limit, which administrators find in docs/codes.md."""


def _whole(sentence: str, remedy: str, *, entry: bool = False, setting: str = "") -> ReceiptCode:
    """Of a whole archive; `entry`: a line of the receipt may bear it too, that of the entry which caused it."""
    verdicts = frozenset({Verdict.REFUSED}) if entry else frozenset()
    return ReceiptCode(verdicts=verdicts, sentence=sentence, remedy=remedy, whole=True, setting=setting)


def _of(*verdicts: Verdict, say: str, do: str = "") -> ReceiptCode:
    return ReceiptCode(verdicts=frozenset(verdicts), sentence=say, remedy=do)


_UNREAD: Final = (Verdict.UNPARSEABLE, Verdict.REFUSED)
"""With unparseable entries not ignored, they refuse the archive and are refused with it, their own codes kept."""
_SENDER_SENT_LESS: Final = "Export the image again and send it; nothing of it was stored."

ENTRIES: Final[dict[str, ReceiptCode]] = {
    # stored
    "stored": _of(Verdict.STORED, say="Stored as it came."),
    "stored_deid": _of(Verdict.STORED, say="Stored de-identified, as the site or the project asks for."),
    "stored_pixels_cut": _of(
        Verdict.STORED,
        say="Stored as it is: its header is whole, its pixel data end before their stated length.",
        do="Export the image again where it can't be shown.",
    ),
    "stored_unpacked": _of(Verdict.STORED, say="Stored unpacked: it was a compressed image."),
    "stored_no_preamble": _of(
        Verdict.STORED, say="Stored as it is: it lacks the DICOM preamble, but all three UIDs are there."
    ),
    "stored_odd_name": _of(
        Verdict.STORED,
        say="Stored under a name of the server's own: its UID or its name in the archive can't be a file name.",
    ),
    "stored_odd_header": _of(
        Verdict.STORED,
        say="Stored as it is: its header can't be read to the end, but what identifies it is there.",
    ),
    "ecat_cut": _of(
        Verdict.STORED,
        say="Stored as it is: its main header is whole, but the file ends early or its frames can't be listed.",
        do="Copy the file again from where it came.",
    ),
    "healed": _of(
        Verdict.STORED,
        Verdict.RESOURCE,
        say="Stored again: the session holds this file, but it was damaged or gone from the store.",
    ),
    # there already
    "same_bytes": _of(Verdict.DUPLICATE, say="The archive holds the same file once more; it is stored once."),
    "same_dataset": _of(
        Verdict.DUPLICATE,
        say="The archive holds the same object with another preamble or file meta header; it is stored once.",
    ),
    "already_there": _of(Verdict.DUPLICATE, say="The session holds this object already; nothing was changed."),
    "same_origin": _of(
        Verdict.DUPLICATE,
        say="The session holds what this object became when it was de-identified; nothing was changed.",
    ),
    # no images
    "resource": _of(Verdict.RESOURCE, say="Kept as a resource: it is no image, or is in a resource folder."),
    "junk_name": _of(
        Verdict.JUNK, say="Left out: what file systems, discs and download tools add to images (known by its name)."
    ),
    "dicomdir": _of(Verdict.JUNK, say="Left out: a DICOMDIR is a disc's table of contents, no image."),
    "ignored_no_one_study": _of(
        Verdict.IGNORED,
        say="Not stored: no image, and its folders hold none or several studies, so it can't be told whose it is.",
        do="Put it into a folder with the images of its session, or upload it to the session as a resource.",
    ),
    "ignored_resources_off": _of(
        Verdict.IGNORED,
        say="Not stored: no image, and this import was asked to ignore resources.",
        do="Import again with resources kept.",
    ),
    "ignored_session_refused": _of(
        Verdict.IGNORED, say="Not stored: the session that it belongs to could not be taken."
    ),
    "left_out": _of(
        Verdict.IGNORED,
        say="Not stored: the mapping leaves its study out.",
        do="Import again with a mapping that takes it.",
    ),
    "ignored_filtered": _of(Verdict.IGNORED, say="Not stored: import filters leave out the images that it belongs to."),
    "filter_site": _of(
        Verdict.FILTERED,
        say="Not stored: the site's import filter leaves it out.",
        do="If it should be stored, ask an administrator of this server to change the filter, then import again.",
    ),
    "filter_project": _of(
        Verdict.FILTERED,
        say="Not stored: the import filter of its project leaves it out.",
        do="If it should be stored, ask an owner of the project to change the filter, then import again.",
    ),
    "ignored_link": _of(
        Verdict.IGNORED,
        say="Not made: a link, device or pipe. Archives are taken for their files alone.",
        do="Pack the archive again so that it holds the file itself (tar -h, zip without -y).",
    ),
    # not readable as images
    "not_dicom": _of(
        *_UNREAD,
        say="It is named like an image or lies in an image folder, but it is neither DICOM nor ECAT 7 by its content.",
        do="Take it out, or import again with unreadable files ignored.",
    ),
    "named_not_image": _of(
        *_UNREAD,
        say="Its name promises an image (.dcm, .ima, .v), its content is none.",
        do="Take it out, or import again with unreadable files ignored.",
    ),
    "empty_entry": _of(
        *_UNREAD,
        say="It is named like an image or lies in an image folder, but is empty.",
        do=_SENDER_SENT_LESS,
    ),
    "header_damaged": _of(*_UNREAD, say="Its DICOM header is damaged.", do=_SENDER_SENT_LESS),
    "header_truncated": _of(*_UNREAD, say="It ends inside its DICOM header.", do=_SENDER_SENT_LESS),
    "no_study_uid": _of(
        *_UNREAD,
        say="It has no Study Instance UID: it can't be told to which session it belongs.",
        do="Export it from a system that writes UIDs.",
    ),
    "no_series_uid": _of(
        *_UNREAD,
        say="It has no Series Instance UID: it can't be told to which scan it belongs.",
        do="Export it from a system that writes UIDs.",
    ),
    "no_sop_uid": _of(
        *_UNREAD,
        say="It has no SOP Instance UID: it can't be told from other images.",
        do="Export it from a system that writes UIDs.",
    ),
    "ecat_truncated": _of(
        *_UNREAD,
        say="The ECAT file ends inside its main header.",
        do="Copy the file again from where it came.",
    ),
    "not_ecat7": _of(
        *_UNREAD,
        say="It is an ECAT file of another version than 7.",
        do="Convert it to ECAT 7 or DICOM with the scanner's software.",
    ),
    "not_ecat": _of(
        *_UNREAD,
        say="It begins like an ECAT 7 file (MATRIX7), but has no main header of one.",
        do="Copy the file again from where it came.",
    ),
    "foreign_format": _of(
        *_UNREAD,
        Verdict.RESOURCE,
        Verdict.IGNORED,
        say="It is of a format that is known but not taken as an image (PAR/REC, old .ima, ISO, RAR, 7z).",
        do="Export the images as DICOM; open a disc image or other archive and pack what is in it as a zip.",
    ),
    "reader_died": _of(
        *_UNREAD,
        say="Reading it ended the reader process twice; it was left out so that the rest could be taken.",
        do="Send the file to whoever runs this server: no file should do that.",
    ),
    # for a person to decide
    "sop_clash": _of(
        Verdict.CONFLICT,
        say="Another version of this image (same SOP Instance UID, other content) was received or is stored already.",
        do="Compare them in the prearchive, and keep the old, the new or both.",
    ),
    # by the rules of the site or the project
    "script_reject": _of(
        Verdict.FILTERED,
        say="Left out: a script of the site or the project rejects it.",
        do="Ask whoever keeps the script where it should have been taken.",
    ),
    "ignored_rejected": _of(
        Verdict.IGNORED, say="Not stored: a script of the site or the project rejects every image of its session."
    ),
    "deid_resource": _of(
        Verdict.IGNORED,
        say="Not stored: it is no image, so it can't be de-identified.",
        do="Upload it to the session as a resource once nothing in it identifies the patient.",
    ),
    # refused with others
    "archive_refused": _of(
        Verdict.REFUSED,
        say="Nothing of this archive was taken: the import's own code says why.",
        do="Put right what the import names and send the archive again.",
    ),
    "inner_refused": _of(
        Verdict.REFUSED,
        say="Nothing of the inner archive in which it lies was taken.",
        do="Send that inner archive again, made anew; the others were taken.",
    ),
    "session_refused": _of(
        Verdict.REFUSED,
        say="The session that it belongs to could not be taken: the session's own code says why.",
        do="Put right what the session names and send it again.",
    ),
    "not_placed": _of(
        Verdict.REFUSED,
        say="Not stored: the session that it belongs to could not be placed, and was given up.",
        do="Import the archive again; what was stored of it is not stored twice.",
    ),
}
"""Codes of single entries."""


_AGAIN: Final = "Make the archive again and upload it whole."
_RAISE: Final = "Upload it in parts. If the data is real, ask an administrator of this server to raise the limit."

ARCHIVES: Final[dict[str, ReceiptCode]] = {
    # what was sent
    "empty_archive": _whole("The archive is empty.", "Check what was packed, then upload again.", entry=True),
    "not_an_archive": _whole(
        "It is no archive of a kind that is taken, nor an image.",
        "Pack the session as a .zip or .tar.gz; perhaps a web page was saved in place of the archive.",
        entry=True,
    ),
    "unsupported_archive": _whole(
        "It is an archive of a kind that is not taken (RAR, 7z, ISO ...).",
        "Unpack it and pack the files as a .zip or .tar.gz.",
        entry=True,
    ),
    "damaged": _whole("The archive, or an entry in it, is damaged.", _AGAIN, entry=True),
    "truncated": _whole(
        "The archive ends too early: it was not copied or uploaded whole.", "Upload it again, whole.", entry=True
    ),
    "unreadable": _whole(
        "A file or folder of it can't be read from the disk.", "Look at its permissions and at the disk.", entry=True
    ),
    "encrypted": _whole(
        "The archive, or an entry in it, is encrypted.", "Make the archive again without a password.", entry=True
    ),
    "unknown_method": _whole(
        "An entry is compressed by a method that can't be read.",
        "Make the archive again with the ordinary compression (deflate).",
        entry=True,
    ),
    "split_archive": _whole(
        "It is one part of a split archive.", "Join the parts to one archive (zip -s 0) and upload that.", entry=True
    ),
    "overlapping_entries": _whole(
        "Entries of the archive share the same bytes, as only archives made to do harm have them.", _AGAIN, entry=True
    ),
    "dictionary_too_large": _whole(
        "Unpacking would take more memory than is allowed (dictionary of lzma, xz or zstd).",
        "Pack it with the ordinary settings of the tool.",
        entry=True,
        setting="SCANDOCK_MAX_DICTIONARY_BYTES",
    ),
    "sparse": _whole(
        "A sparse file in the archive claims more bytes than the archive holds.",
        "Pack the files without sparse handling (tar without -S).",
        entry=True,
    ),
    "too_deep": _whole(
        "Archives lie within archives, deeper than is followed.",
        "Unpack the outer ones, then upload what is inside.",
        entry=True,
        setting="SCANDOCK_MAX_DEPTH",
    ),
    # limits over the whole upload
    "too_many_entries": _whole(
        "The upload holds more entries than are allowed.", _RAISE, setting="SCANDOCK_MAX_ENTRIES"
    ),
    "too_many_bytes": _whole(
        "The upload unpacks to more bytes than are allowed.", _RAISE, setting="SCANDOCK_MAX_UNPACKED_BYTES"
    ),
    "ratio": _whole(
        "The upload unpacks to far more than its own size, as no images do.", _RAISE, setting="SCANDOCK_MAX_RATIO"
    ),
    "entry_too_large": _whole(
        "An entry unpacks to more bytes than one entry may.", _RAISE, entry=True, setting="SCANDOCK_MAX_ENTRY_BYTES"
    ),
    # what was in it
    "no_images": _whole(
        "No image files found: neither DICOM nor ECAT 7.", "Upload an archive that holds DICOM objects or ECAT 7 files."
    ),
    "all_left_out": _whole(
        "The mapping leaves out every study of the archive.", "Import it with a mapping that takes some of them."
    ),
    "all_filtered": _whole(
        "Import filters or scripts leave out every image.",
        "Look at the receipt, which names the line of the filter, or says that a script rejects it. Ask an owner of the"
        " project (of the site's filter or script an administrator) to change it.",
    ),
    "deid_failed": _whole(
        "It could not be de-identified as the site or the project asks for, so nothing of its session was stored.",
        "Correct the rules, or leave these objects out, then import the archive again.",
        entry=True,
    ),
    "unparseable_entries": _whole(
        "Files can't be read as images, and the import was asked not to ignore that.",
        "Take them out, or import again with unreadable files ignored.",
    ),
    "project_unknown": _whole(
        "The project does not exist, or you may not upload to it.", "Name one that exists, or have it created first."
    ),
    # the machine, or a person
    "disk_full": _whole(
        "The disk has not enough space for the unpacked files.",
        "Free space or ask whoever runs the server; then try again.",
    ),
    "out_of_memory": _whole("The machine ran out of memory.", "Try again; with fewer workers if it happens again."),
    "reader_failed": _whole("A reader process ended with a fault of the machine.", "Try again."),
    "read_failed": _whole("The archive could not be read from its disk.", "Check that disk, then try again."),
    "store_failed": _whole("The store could not be written.", "Check its disk and rights, then try again."),
    "sync_failed": _whole(
        "The disk did not confirm what was written: nothing was taken.", "Check that disk, then try again."
    ),
    "catalog": _whole(
        "The catalog could not be read or written.", "Look at the disk and the database, then try again."
    ),
    "catalog_damaged": _whole(
        "The catalog's file is damaged.", "Stop the server and put the catalog back from a backup."
    ),
    "catalog_older": _whole(
        "A server of an older version is at work on the catalog, and this one would change its tables.",
        "Use the version that the server runs; or stop the server and start the new one.",
    ),
    "interrupted": _whole("The import was ended before it was done: nothing was taken.", "Import the archive again."),
    "staging_lost": _whole(
        "What the import had staged is gone, as in a copy of the data folder: what came whole is shown, the rest is"
        " given up; incomplete files are in the trash folder.",
        "Import the archive again. One whose bytes are in the store is tried again by itself.",
    ),
    "released": _whole(
        "An administrator released the import: what it had not placed is given up.",
        "Mend what the message of `admin import list --stuck` named, then have it tried again where the message says"
        " that its archive is kept, else import the archive again.",
    ),
    "cancelled": _whole(
        "The import was cancelled: nothing was taken.", "Import the archive again if it was a mistake."
    ),
    "internal": _whole(
        "A fault in the program ended the import: nothing was taken.",
        "Report it, with the log, to whoever runs the server.",
    ),
}
"""Why an archive, or an inner one, was not taken: what concerns an inner archive costs that one alone."""

CODES: Final[dict[str, ReceiptCode]] = ENTRIES | ARCHIVES
"""All codes: those of single entries, then those of whole archives, some of which an entry may bear as well."""


def sentence(code: str) -> str:
    """The sentence of a code; KeyError for one that is not in the table."""
    return CODES[code].sentence
