"""De-identification rules tried on a file in a process of its own, which is killed where it takes too long."""

from __future__ import annotations

import marshal
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from scandock.model.errors import Fault, Usage, Worded
from scandock.model.process import python_command
from scandock.store.durability import write_all
from scandock.viewing.decoder_pool import DecoderLost, DecoderPool, DecodersBusy

if TYPE_CHECKING:
    from scandock.rules.privacy import PrivacyRules

SECONDS: Final = 30.0
"""What one file may take, the start of the process included."""


class TrialsBusy(Worded, Fault):
    CODE = "trials_busy"
    MEANING = "Others try scripts just now; the server tries two files at once (503)."


class TrialFailed(Worded, Usage):
    CODE = "trial_failed"
    MEANING = "Trying a script on a file took too long, or ended the process that tried it."


class ScrubTrials:
    """At most two processes, started when somebody tries something and ended when nobody has for a while."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._pool = DecoderPool(python_command("scandock.workers.scrub_trial_process"), seconds=seconds)

    def try_rules(self, rules: PrivacyRules, variables: Mapping[str, str], file: bytes) -> dict[str, Any]:
        """What an import would make of a file by these rules. TrialsBusy, TrialFailed."""
        plain: Any = rules.to_plain()
        request: Any = {"verb": "try", "variables": dict(variables)}
        try:
            return self._pool.ask(request, lambda: _as_files(marshal.dumps(plain), file)).said
        except DecodersBusy:
            raise TrialsBusy("Others try scripts just now.", "Try it again in a moment.") from None
        except DecoderLost:
            raise TrialFailed(
                "Trying it took too long, or more memory than it is given.", "Try it on a smaller file."
            ) from None

    def close(self) -> None:
        """End the processes."""
        self._pool.close()


@contextmanager
def _as_files(*contents: bytes) -> Iterator[list[int]]:
    """Each as a file without a name, in memory."""
    fds: list[int] = []
    try:
        for content in contents:
            fds.append(os.memfd_create("scandock-trial"))
            write_all(fds[-1], content)
        yield fds
    finally:
        for fd in fds:
            os.close(fd)
