"""The codes of a receipt's lines and of an import as a whole: what each means and what to do (docs/codes.md).

Each line of a receipt carries one code beside its verdict. An entry's `message` may say more than the sentence here
(which element, which folder); it never says less. Codes are stable: pages, scripts and tests go by them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from scandock.model.verdicts import Verdict
from scandock.rules import archive_codes
from scandock.rules.archive_codes import ArchiveCode


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptCode:
    """`verdicts`: those that an entry with this code may have; empty for codes of whole imports only."""

    verdicts: frozenset[Verdict] = frozenset()
    sentence: str
    remedy: str = ""
    whole: bool = False
    """It may be the code of an import, or of an inner archive."""


def _of(*verdicts: Verdict, say: str, do: str = "") -> ReceiptCode:
    return ReceiptCode(verdicts=frozenset(verdicts), sentence=say, remedy=do)


_UNREAD: Final = (Verdict.UNPARSEABLE, Verdict.REFUSED)
"""With unparseable entries not ignored, they refuse the archive and are refused with it, their own codes kept."""
_SENDER_SENT_LESS: Final = "Export the image again and send it; nothing of it was stored."

ENTRIES: Final[dict[str, ReceiptCode]] = {
    # stored
    "stored": _of(Verdict.STORED, say="Stored as it came."),
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
    # no images
    "resource": _of(Verdict.RESOURCE, say="Kept as a resource: it is no image, or stands in a resource folder."),
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
    "ignored_link": _of(
        Verdict.IGNORED,
        say="Not made: a link, device or pipe. Archives are taken for their files alone.",
        do="Pack the archive again so that it holds the file itself (tar -h, zip without -y).",
    ),
    # not readable as images
    "not_dicom": _of(
        *_UNREAD,
        say="It is named like an image or lies in an image folder, but it is neither DICOM nor ECAT 7 by its content.",
        do="Take it out, or import with unparseable entries ignored.",
    ),
    "named_not_image": _of(
        *_UNREAD,
        say="Its name promises an image (.dcm, .ima, .v), its content is none.",
        do="Take it out, or import with unparseable entries ignored.",
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
        say="Another object with the same SOP Instance UID but other content came too, or is there already.",
        do="Compare them in the prearchive, and keep the old, the new or both.",
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


def _entry_of(code: ArchiveCode) -> ReceiptCode:
    verdicts = frozenset({Verdict.REFUSED}) if code.entry else frozenset()
    return ReceiptCode(verdicts=verdicts, sentence=code.sentence, remedy=code.remedy, whole=True)


CODES: Final[dict[str, ReceiptCode]] = ENTRIES | {
    name: _entry_of(code) for name, code in archive_codes.ARCHIVES.items()
}
"""All codes: those of single entries, then those of whole archives, some of which an entry may bear as well."""


def sentence(code: str) -> str:
    """The sentence of a code; KeyError for one that is not in the table."""
    return CODES[code].sentence
