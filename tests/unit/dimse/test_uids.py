"""What counts as storage, and which transfer syntaxes are kept, against the dictionaries of pydicom and of PS3.6."""

from __future__ import annotations

from pydicom._uid_dict import UID_dictionary

from scandock.dimse import uids

NO_NETWORK_STORAGE = {"1.2.840.10008.1.3.10", "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.2"}
"""A DICOMDIR; storage commitment."""
ELSEWHERE = {
    *(f"1.2.840.10008.1.2.4.{number}" for number in (94, 95, 204, 205)),
    *(f"1.2.840.10008.1.2.7.{number}" for number in (1, 2, 3)),
    *("1.2.840.10008.1.2.6.1", "1.2.840.10008.1.2.6.2", "1.2.840.10008.1.20"),
}
"""Pixels by JPIP or SMPTE ST 2110; wrapped in MIME or XML; Papyrus."""
NEWER = {f"1.2.840.10008.1.2.{number}" for number in ("4.110", "4.111", "4.112", "8.1")}
"""JPEG XL and deflated frames, which pydicom's dictionary does not have yet."""


def test_each_uid_of_the_standard_is_storage_or_is_not() -> None:
    for uid, (name, kind, *_) in UID_dictionary.items():
        is_nameless = not name and uid.startswith("1.2.840.10008.5.1.4.1.1.")  # retired before it had one
        storage = kind == "SOP Class" and ("Storage" in name or is_nameless) and uid not in NO_NETWORK_STORAGE
        assert uids.is_storage(uid) == storage, (uid, name, kind)


def test_unknown_and_private_classes_are_storage_and_what_is_no_uid_is_not() -> None:
    for uid in (
        "1.2.840.10008.5.1.4.1.1.9999",
        "1.2.840.10008.5.1.4.34.99",
        "1.2.840.113619.4.26",
        "1.3.12.2.1107.5.9.1",
    ):
        assert uids.is_storage(uid), uid
    for uid in ("", "1.2.", "1..2", "1.2.x", "1." + "2" * 64, "1.2.840.10008.1.2.4.999"):
        assert not uids.is_storage(uid), uid


def test_every_transfer_syntax_of_the_standard_is_kept_but_those_without_their_own_pixels_or_header() -> None:
    standard = {uid for uid, entry in UID_dictionary.items() if entry[1] == "Transfer Syntax"}
    assert standard - uids.TRANSFER_SYNTAXES == ELSEWHERE & standard
    assert uids.TRANSFER_SYNTAXES - standard == NEWER - standard
