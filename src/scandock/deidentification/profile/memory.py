"""What became of elements, remembered by their bytes: the headers of a series are alike in nearly all of them.

What a profile makes of an element follows from its bytes, its items among them, and from a few facts about the data set
that it stands in (`_Place`); of those that look at other elements beside them nothing is remembered. Of a sequence
everything below it is remembered with it, as it is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scandock.deidentification.profile.element_actions import STAYS

if TYPE_CHECKING:
    from scandock.deidentification.data_set import DataSet
    from scandock.deidentification.profile.element_actions import Outcome

LONGEST: Final = 2_048
"""Bytes of an element that is remembered."""
_MOST: Final = 2 * 1024 * 1024
"""Bytes of what is remembered, before all of it is forgotten."""
_ENTRY, _TABLE = 300, 2_000
"""Bytes that an entry takes beside those of its element, and a place without any."""


_Place = tuple[bool, bool, int, bool, int, bytes]
"""What beside an element's own bytes says what becomes of it.

Explicit VR or not, the byte order, the level, whether it stands beside a code, days, the character set in force.
"""


class Memory:
    """Outcomes of elements by their bytes, for each kind of place; bounded, and forgotten as a whole."""

    __slots__ = ("_left", "_places")

    def __init__(self) -> None:
        self._places: dict[_Place, dict[bytes, Outcome]] = {}
        self._left = _MOST

    def of(self, data_set: DataSet, days: int, *, in_code: bool) -> dict[bytes, Outcome]:
        """What is remembered for the elements of a data set."""
        charsets = data_set.character_set
        place = data_set.explicit, data_set.big, data_set.level, in_code, days, charsets
        outcomes = self._places.get(place)
        if outcomes is None:
            self._spend(_TABLE + len(charsets))
            outcomes = self._places[place] = {}
        return outcomes

    def remember(
        self, outcomes: dict[bytes, Outcome], element: bytes, data_set: DataSet, tag: int, outcome: Outcome
    ) -> None:
        """Remember in `outcomes` what became of an element of a data set."""
        size = _ENTRY + len(element)
        if outcome is not None and outcome is not STAYS:
            outcome = data_set.as_written(tag, outcome)
            if outcome is None:
                return
            size += 2 * len(outcome[1] or b"")
        self._spend(size)
        outcomes[element] = outcome

    def _spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            for outcomes in self._places.values():
                outcomes.clear()
            self._places.clear()
            self._left = _MOST
