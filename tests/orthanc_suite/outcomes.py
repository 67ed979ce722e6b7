"""What comes of each test of the suite: it passes, or differs for a reason, or is not run for a reason."""

from __future__ import annotations

from typing import Final, NamedTuple


class Difference(NamedTuple):
    """Why Scandock answers otherwise, by intention, and how what failed begins."""

    reason: str
    messages: tuple[str, ...]


_REMOTE: Final = "Orthanc as a client of other servers: Scandock is none (tests/orthanc.py has Orthanc as ours)."
_URI: Final = "WADO-URI, which Scandock does not have."
OUT: Final = {
    "test_server_get": _REMOTE,
    "test_server_stow": _REMOTE,
    "test_server_retrieve": _REMOTE,
    "test_add_server": _REMOTE,
    "test_wado_dicom": _URI,
    "test_wado_image": _URI,
    "test_compare_wado_uri_and_rs": _URI,
}
"""Tests that are not run."""

PASSES: Final = (
    "test_stow_like_dcm4chee", "test_bitbucket_issue_53", "test_bitbucket_issue_111", "test_bitbucket_issue_112",
    "test_bitbucket_issue_113", "test_bitbucket_issue_96", "test_bugzilla_219", "test_bitbucket_issue_143",
    "test_bitbucket_issue_56", "test_full_mode_cache", "test_issue_216", "test_multiframe_rgb48_raw",
    "test_multiframe_rgb48_rle",
)  # fmt: skip

_CHARSET_OF_ANSWER: Final = Difference(
    "An answer to a request to store has no text, and so no (0008,0005).",
    ("AssertionError: 3 != 2", "AssertionError: False is not true", "KeyError: '00080005'"),
)
_XML: Final = Difference("Metadata are answered as JSON alone, not as XML.", ("Exception: Not a multipart message",))
_SYNTAX: Final = "AvailableTransferSyntaxUID (0008,3002), which PS3.18 allows, is told with metadata."

DIFFERS: Final = {
    "test_stow": (
        _CHARSET_OF_ANSWER,
        Difference(
            "Parts of an answer have no Content-Length, which RFC 2046 has not: their boundary ends them.",
            ("AssertionError: 1 != 0", "IndexError: list index out of range"),
        ),
    ),
    "test_wado_hierarchy": (
        Difference(_SYNTAX, ("AssertionError: dict_[",)),
        Difference(
            "DS are numbers, as PS3.18 F.2.3 allows; (0008,0005) is that of the answer, ISO_IR 192.",
            ("TypeError: unsupported operand type(s) for -: 'str' and ",),
        ),
    ),
    "test_wado_pixel_data": (
        Difference(
            "Bulk data of encapsulated pixels are frames, not fragments with their offset table.",
            ("AssertionError: 2 != 1", "AssertionError: 4 != ", "IndexError: list index out of range"),
        ),
    ),
    "test_wado_hierarchy_bulk": (
        Difference("Addresses have tags in upper case, as keys of the JSON model.", ("AssertionError: 'http",)),
    ),
    "test_qido_fields": (
        Difference(
            "Attributes of instances, and others than those of the conformance statement, are neither matched nor "
            "included in studies and series.",
            (
                "AssertionError: False is not true",
                "AssertionError: 0 != 1",
                "KeyError: '00280010'",
                "KeyError: '00081140'",
            ),
        ),
    ),
    "test_stow_errors": (
        Difference(
            "Where no part is an object with its three UIDs, the answer is a problem (400), not of (0008,1198); a "
            "sequence that is empty is left out.",
            (
                "AssertionError: 3 != ",
                "AssertionError: 2 != ",
                "AssertionError: False is not true",
                "KeyError: '000",
            ),
        ),
        Difference(
            "An object of another study than the address has its own reason, A900.", ("AssertionError: 272 !=",)
        ),
        Difference(
            "An object without a SOP class is stored: its three UIDs are what it needs.",
            ("AssertionError: 400 != 200", "AssertionError: True is not false"),
        ),
    ),
    "test_allowed_methods": (
        Difference("HEAD is allowed wherever GET is.", ("AssertionError: 'GET,POST' != 'GET, HEAD, POST'",)),
    ),
    "test_encodings_qido": (
        Difference(
            "Groups of a name that it does not have are left out, not told as empty.",
            ("AssertionError: 3 != 2", "KeyError: 'Phonetic'"),
        ),
    ),
    "test_encodings_wado_metadata": (
        Difference(
            "(0008,0005) is that of the answer, whose texts are in UTF-8: ISO_IR 192 (PS3.18 F.2).",
            ("AssertionError: 'ISO", "AssertionError: 'GB", "AssertionError: 2 != 1", "IndexError: list index"),
        ),
    ),
    "test_rendered": (
        Difference("The picture of an object is its frame in the middle, not the first.", ("AssertionError: ",)),
    ),
    "test_qido_parent_attributes": (
        Difference(
            "Below a study or series in the address, what is theirs is left out; without it in the address, it is "
            "told, also where the query names them (PS3.18 10.6.3.3).",
            ("KeyError: '00100010'", "KeyError: '00080060'", "AssertionError: True is not false"),
        ),
    ),
    "test_bitbucket_issue_164": (
        Difference(
            "Decoded frames are as metadata state, in YBR_FULL_422, which an odd number of columns can't be (406).",
            ("Exception: Not a multipart message",),
        ),
    ),
    "test_bitbucket_issue_168": (
        Difference(
            "Private attributes are neither matched nor included in searches: ignored, with a Warning.",
            (
                "KeyError: '00091001'",
                "KeyError: '00090010'",
                "AssertionError: False is not true",
                "AssertionError: 0 != 1",
            ),
        ),
    ),
    "test_rendered_studies_series": (
        Difference("The picture of a series is the image in the middle, not the first.", ("AssertionError: ",)),
    ),
    "test_multiple_mime_accept_wado_rs": (_XML,),
    "test_frames_transcoding": (
        Difference("Parts have no Content-Location.", ("KeyError: 'Content-Location'",)),
        Difference(
            "Decoded frames are as metadata state, in YBR_FULL_422; Orthanc's are converted to RGB.",
            (
                "AssertionError: 921600 != 614400",
                "ValueError: not enough image data",
                "AssertionError: 'dfdc79f5070926bbb8ac079ee91f5b91'",
            ),
        ),
        Difference(
            "The byte that pads a frame to an even length is no part of it.",
            ("AssertionError: '75c84823eddb560d127b1d24c9406f30' != '31454dcf54604e26905f86e166ad68a7'",),
        ),
        Difference(
            "Frames are told as they are stored or in Explicit VR Little Endian, and not compressed otherwise (406).",
            ("Exception: Not a multipart message",),
        ),
    ),
    "test_wado_transcoding": (
        Difference(
            "Objects are told as they are stored or in Explicit VR Little Endian, and not compressed otherwise (406).",
            ("Exception: Not a multipart message",),
        ),
    ),
    "test_issue_195": (
        Difference(f"{_SYNTAX} So is (0008,0005).", ("AssertionError: 5 != 7",)),
        Difference(
            "Values of up to 1 kB are inline, not at an address; parts have no Content-Length.",
            ("KeyError: 'BulkDataURI'", "AssertionError: False is not true"),
        ),
    ),
    "test_multiframe_windowing": (
        Difference(
            "The suite's own formula of LINEAR_EXACT lacks the half that PS3.3 C.11.2.1.3.2 adds.",
            ("AssertionError: 127", "AssertionError: 128"),
        ),
    ),
    "test_forwarded_headers": (
        Difference(
            "Where the site is reached is said by SCANDOCK_PUBLIC_URL, or the Host that was asked, not by headers that "
            "any client can send.",
            ("AssertionError: 'https://my-domain/dicom-web' not found",),
        ),
    ),
    "test_accept_negotiation": (
        _XML,
        Difference("What can't be accepted is answered with 406 (PS3.18 8.7.5), not 400.", ("AssertionError: 406 !=",)),
        Difference(
            "The transfer syntax of an object is told with its part wherever all parts share it.",
            ("AssertionError: 'application/dicom' != 'application/dicom; transfer-syntax=",),
        ),
        Difference("A tag with a comma is no address of bulk data.", ("AssertionError: 404 != 400",)),
    ),
    "test_od_of_ol_array": (
        Difference(
            "OD, OF and OL of up to 1 kB are inline, as octets.",
            ("AssertionError: False is not true", "KeyError: 'BulkDataURI'"),
        ),
    ),
}
"""Tests of which some statements fail; all others of theirs hold. A message has to be of one of its differences."""

OBJECTS: Final = {
    "test_wado_pixel_data": "Issue29.dcm",
    "test_rendered": "Multiframe.dcm",
    "test_multiframe_rgb48_raw": "US-multiframe-RGB48-RAW.dcm",
    "test_multiframe_rgb48_rle": "US-multiframe-RGB48-RLE.dcm",
}
"""Objects of more than 4 MiB, which mirrors leave out; what is said of these tests was seen with made objects alike."""
