"""Content items of reports and acquisition contexts (option clean-structured): which go, which stay, and what they say.

By table E.3.4-1 for the concepts that it names. The value of any other item is judged by its element, as everywhere:
texts keep the words that name nobody, names go, dates follow the options for dates, references have their UIDs
replaced; numbers and codes stay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scandock.deidentification.profile.dummies import REMOVED, code_item, dummy_item, dummy_value
from scandock.deidentification.profile.table import ContentItemRow, content_item_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from scandock.deidentification.data_set import DataSet

CONTENT: Final = 0x0040A730
_CONCEPT: Final = 0x0040A043
_CODE_VALUE: Final = 0x00080100
_SCHEME: Final = 0x00080102
_VALUE_TYPE: Final = 0x0040A040
_TEXT: Final = 0x0040A160
_CODE: Final = 0x0040A168
_MEASURED: Final = 0x0040A300
_NUMBER: Final = 0x0040A30A


def clean_content(data_set: DataSet, tag: int, options: frozenset[str], apply: Callable[[DataSet], None]) -> None:
    """Clean the items of a sequence of content items; `apply` is the profile for all that is in an item."""
    items = data_set.items(tag)
    if items is None:
        data_set.remove(tag)
        return
    kept = [item for item in items if _clean_item(item, options, apply)]
    if len(kept) == len(items):
        return
    if not kept and tag == CONTENT:
        kept = [dummy_item(data_set, tag, b"")]
    data_set.set_items(tag, kept)


def _clean_item(item: DataSet, options: frozenset[str], apply: Callable[[DataSet], None]) -> bool:
    """Clean an item; False where it is to go."""
    row = _row(item)
    letters = {letter for option, letter in row.options.items() if option in options} if row is not None else set()
    if row is not None and not letters and row.basic == "X":
        return False
    text = item.value(_TEXT) if "K" in letters and _TEXT in item and item.is_decodable(_TEXT) else None
    apply(item)
    if text is not None:
        item.set_value(_TEXT, "UT", text)
    elif row is not None and not letters:
        _hide(item)
    return True


def _row(item: DataSet) -> ContentItemRow | None:
    concepts = item.items(_CONCEPT) if _CONCEPT in item else None
    if not concepts:
        return None
    code, scheme = concepts[0].text(_CODE_VALUE) or "", concepts[0].text(_SCHEME) or ""
    return content_item_rows().get((code, scheme, item.text(_VALUE_TYPE) or ""))


def _hide(item: DataSet) -> None:
    """Put something that says nothing in the place of a text, number or code; other values their elements hide."""
    if _TEXT in item:
        item.set_value(_TEXT, "UT", REMOVED)
    if _CODE in item:
        item.set_items(_CODE, [code_item(item)])
    for measured in item.items(_MEASURED) or () if _MEASURED in item else ():
        if _NUMBER in measured:
            measured.set_value(_NUMBER, "DS", dummy_value("DS"))
