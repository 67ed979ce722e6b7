"""The profile that a site asks for: the basic one of PS3.15 Annex E, and which of its ten options with it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from scandock.deidentification.profile.errors import ProfileInvalid
from scandock.deidentification.profile.table import SafePrivate, safe_private
from scandock.model.dataclass import dataclass

BASIC: Final = "basic"
FULL_DATES: Final = "retain-full-dates"
MODIFIED_DATES: Final = "modified-dates"
RETAIN_UIDS: Final = "retain-uids"


class Method(NamedTuple):
    """A code of CID 7050, by which an object says what was done to it."""

    code: str
    meaning: str


BASIC_METHOD: Final = Method("113100", "Basic Application Confidentiality Profile")
PIXELS_METHOD: Final = Method("113101", "Clean Pixel Data Option")
OPTIONS: Final[dict[str, Method]] = {
    RETAIN_UIDS: Method("113110", "Retain UIDs Option"),
    "retain-device": Method("113109", "Retain Device Identity Option"),
    "retain-institution": Method("113112", "Retain Institution Identity Option"),
    "retain-patient": Method("113108", "Retain Patient Characteristics Option"),
    FULL_DATES: Method("113106", "Retain Longitudinal Temporal Information Full Dates Option"),
    MODIFIED_DATES: Method("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    "clean-descriptors": Method("113105", "Clean Descriptors Option"),
    "clean-structured": Method("113104", "Clean Structured Content Option"),
    "clean-graphics": Method("113103", "Clean Graphics Option"),
    "safe-private": Method("113111", "Retain Safe Private Option"),
}
"""Options by the names that the command line has for them."""


@dataclass(frozen=True, slots=True)
class Profile:
    """The basic profile with some of its options.

    `safe_private` is what the option safe-private keeps.
    """

    options: frozenset[str] = frozenset()
    safe_private: frozenset[SafePrivate] = frozenset()

    @property
    def methods(self) -> list[Method]:
        """The codes that an object bears: of the basic profile, and of each option."""
        return [BASIC_METHOD, *(method for option, method in OPTIONS.items() if option in self.options)]


def parse_profile(text: str, private: Iterable[SafePrivate] | None = None) -> Profile:
    """The profile of a list such as `basic,retain-uids`; ProfileInvalid where it is none.

    `private` are the elements that safe-private keeps, by default those of the standard's list.
    """
    names = [name.strip() for name in text.split(",")]
    if names[0] != BASIC:
        raise ProfileInvalid(f"A profile begins with {BASIC}.")
    for name in names[1:]:
        if name not in OPTIONS:
            raise ProfileInvalid(f"{name!r} is no option of the profile.")
    options = frozenset(names[1:])
    if {FULL_DATES, MODIFIED_DATES} <= options:
        raise ProfileInvalid(f"{FULL_DATES} and {MODIFIED_DATES} exclude each other.")
    if "safe-private" not in options:
        private = ()
    return Profile(options, safe_private() if private is None else frozenset(private))
