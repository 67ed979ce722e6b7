"""Why an object is not de-identified. No sentence quotes a value of a header: rules, lines, tags and counts alone."""

from __future__ import annotations

from scandock.model.errors import BadInput, Worded


class ScrubError(Worded, BadInput):
    """An object fails, and nothing of it is written. Raised as one of the classes below, each with its code."""

    REMEDY = "Nothing of it was written."


class ObjectUnreadable(ScrubError):
    """Neither the walker nor pydicom comes to the end of the object."""

    CODE = "deid_unreadable"
    MEANING = "The object can't be read to its end, so nobody can say what is in it."


class ValueUnfit(ScrubError):
    """A value can't be written where it shall stand: too long, of another kind, or not in the character set."""

    CODE = "deid_value"
    MEANING = "A value does not fit where a rule puts it: too long, no number, or not in the object's character set."


class OutcomeUnexpected(ScrubError):
    """What was written does not read as what was meant."""

    CODE = "deid_outcome"
    MEANING = "The new header does not read as what it was meant to be."
