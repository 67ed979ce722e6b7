"""What may be known of an upload as long as nobody knows which projects it goes to."""

from __future__ import annotations

from dataclasses import field
from typing import Final

from scandock.model.dataclass import dataclass
from scandock.rules.privacy_policy import KEEP_ALL, Policy


@dataclass(frozen=True, kw_only=True)
class UploadPrivacy:
    """What may be known of it, and by which key what takes the place of a name is made."""

    policy: Policy = KEEP_ALL
    key: bytes = field(default=b"", repr=False)
    """The site's."""

    def study_uid(self, uid: str) -> str:
        """How a study is told of: by its UID, or by the one that would take the place of that."""
        if self.policy.study_uid == "keep":
            return uid
        from scandock.rules.keyed_values import keyed_uid  # a command's readers begin before it is loaded

        return keyed_uid(self.key, uid)


UNLIMITED: Final = UploadPrivacy()
