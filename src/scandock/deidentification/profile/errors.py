"""What is wrong with a profile that somebody asks for, or with an object under it."""

from __future__ import annotations

from scandock.model.errors import Usage, Worded


class ProfileInvalid(Worded, Usage):
    """The profile that is asked for does not exist."""

    CODE = "profile_invalid"
    MEANING = "The profile that is asked for does not exist, or has options that exclude each other."
    REMEDY = "Write `basic`, and behind it the options that are needed, each after a comma."
