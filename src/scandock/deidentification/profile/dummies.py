"""Values that stand in the place of others, by value representation, and items that keep a sequence valid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scandock.deidentification.dictionary import UNKNOWN

if TYPE_CHECKING:
    from scandock.deidentification.data_set import DataSet

REMOVED: Final = b"REMOVED"
TEXTS: Final = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
_VALUES: Final = {
    **dict.fromkeys(TEXTS, REMOVED),
    "AS": b"000Y",
    "DA": b"19000101",
    "TM": b"000000",
    "DT": b"19000101000000",
    "DS": b"0",
    "UI": b"2.25.0",
    "IS": b"0",
    **dict.fromkeys(("US", "SS", "OB", "OW", UNKNOWN), bytes(2)),
    **dict.fromkeys(("UL", "SL", "FL", "AT", "OL", "OF"), bytes(4)),
    **dict.fromkeys(("UV", "SV", "FD", "OV", "OD"), bytes(8)),
}
_MPPS_CLASS: Final = b"1.2.840.10008.3.1.2.3.3"
_CODE: Final = ((0x00080100, "SH", REMOVED), (0x00080102, "SH", b"99REMOVED"), (0x00080104, "LO", REMOVED))
_COMMENT: Final = ((0x00080100, "SH", b"121106"), (0x00080102, "SH", b"DCM"), (0x00080104, "LO", b"Comment"))

_Elements = tuple[tuple[int, str, bytes], ...]


def dummy_value(vr: str) -> bytes:
    """The value that stands for another one of a VR."""
    return _VALUES[vr]


def is_dummy(text: str) -> bool:
    """Whether a text is what the profile, and others before it, write in the place of a value."""
    return text.strip(" \0").upper() in _TEXTS_OF_DUMMIES


_TEXTS_OF_DUMMIES: Final = frozenset(
    (
        *(value.decode() for value in _VALUES.values() if value.strip(b"\0")),
        *("99REMOVED", "ANON", "ANONYMIZED", "ANONYMOUS", "ANONYMISED", "DEIDENTIFIED", "UNKNOWN", "NONE", "OTHER"),
    )
)


def code_item(data_set: DataSet) -> DataSet:
    """A coded concept that says nothing."""
    return _item(data_set, _CODE)


def dummy_item(data_set: DataSet, tag: int, uid: bytes) -> DataSet:
    """The item that stands for all of the sequence `tag` of a data set; `uid` is for what it refers to, if it does.

    Empty, but where an item that has to be there has to hold something.
    """
    match tag:
        case 0x0040A730:  # ContentSequence
            item = _item(data_set, ((0x0040A010, "CS", b"CONTAINS"), (0x0040A040, "CS", b"TEXT")))
            item.set_items(0x0040A043, [_item(item, _COMMENT)])
            item.set_value(0x0040A160, "UT", REMOVED)
        case 0x0040A073:  # VerifyingObserverSequence
            item = _item(data_set, ((0x0040A027, "LO", REMOVED), (0x0040A030, "DT", dummy_value("DT"))))
            item.set_value(0x0040A075, "PN", REMOVED)
            item.set_items(0x0040A088, [])
        case 0x00081111:  # ReferencedPerformedProcedureStepSequence
            item = _item(data_set, ((0x00081150, "UI", _MPPS_CLASS), (0x00081155, "UI", uid)))
        case 0x00080082 | 0x00401101:  # InstitutionCodeSequence, PersonIdentificationCodeSequence
            item = code_item(data_set)
        case 0x00081072:  # OperatorIdentificationSequence
            item = _item(data_set, ((0x00080080, "LO", REMOVED),))
            item.set_items(0x00401101, [code_item(item)])
        case 0x00340001:  # FlowIdentifierSequence
            item = _item(data_set, ((0x00340002, "OB", dummy_value("OB")),))
        case 0x00700001:  # GraphicAnnotationSequence
            item = _item(data_set, ((0x00700002, "CS", REMOVED),))
            item.set_items(0x00700009, [_item(item, _POINT)])
        case 0x0040B020:  # WaveformAnnotationSequence
            item = _item(data_set, ((0x00700006, "ST", REMOVED), (0x0040A0B0, "US", bytes(4))))
        case _:
            item = data_set.new_item()
    return item


_POINT: Final = (
    (0x00700005, "CS", b"PIXEL"),
    (0x00700020, "US", b"\2\0"),
    (0x00700021, "US", b"\1\0"),
    (0x00700022, "FL", bytes(8)),
    (0x00700023, "CS", b"POINT"),
)


def _item(data_set: DataSet, elements: _Elements) -> DataSet:
    item = data_set.new_item()
    for tag, vr, value in elements:
        item.set_value(tag, vr, value[::-1] if vr == "US" and item.big and len(value) == 2 else value)
    return item
