"""Value representations by the dictionary (PS3.6), for what is written without one."""

from __future__ import annotations

from functools import lru_cache

UNKNOWN = "UN"


@lru_cache(maxsize=65_536)
def dictionary_vr(tag: int) -> str:
    """The VR that the standard gives an element, alternatives as `US or SS`; `UN` where it has none.

    Private elements are `UN` but for their creators (LO); group lengths are UL.
    """
    from pydicom.datadict import dictionary_VR

    if tag & 0xFFFF == 0:
        return "UL"
    if tag & 0x10000:
        return "LO" if 0x10 <= tag & 0xFFFF <= 0xFF else UNKNOWN
    try:
        vr = str(dictionary_VR(tag))
    except KeyError:
        return UNKNOWN
    return vr if vr != "NONE" else UNKNOWN  # of delimiters
