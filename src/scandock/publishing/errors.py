"""Why a session can't be placed or changed now, and what becomes of an import that was lost."""

from __future__ import annotations

from scandock.model.errors import Coded, CodedUsage, Fault, Usage, Worded
from scandock.queue.retry import EXHAUSTED


class SessionBusy(Worded, Usage):
    CODE = "session_busy"
    STATUS = 409
    MEANING = "An import, or another change, is placing this session: try again in a moment."


class MovedSessionChanged(CodedUsage):
    CODE = "moved_session_changed"
    STATUS = 409
    MEANING = "The session that was to move was changed, moved, archived or deleted before its turn came."
    SENTENCE = "The session was changed, moved or deleted before its turn came: it was not moved."
    REMEDY = "Look at it, then ask again."


class BaseChanged(Worded, Fault):
    CODE = "base_changed"
    MEANING = "The session was changed while the import was being placed: import again."


class FolderUnknown(Coded, Fault):
    CODE = "name_taken"
    quotes = True
    MEANING = "A folder that the catalog does not know stands where a session is to go: move it out of the data folder."
    SENTENCE = "A folder stands at {name} that the catalog does not know."
    REMEDY = "Move it out of the data folder, then run the same command again."

    def __init__(self, name: str) -> None:
        self._fill({"name": name})


class WorkerLost(Coded, Fault):
    CODE = "worker_lost"
    MEANING = "The worker of the import was lost; it is tried again at once."
    SENTENCE = "The worker of this import was lost."
    REMEDY = "It is tried again by itself."


class RecoveryFailed(Worded, Fault):
    CODE = "recovery_failed"
    quotes = True
    MEANING = "What a dead import left could not be dealt with; the message says why, and the next command tries again."
    REMEDY = "Please report it."


class ImportNotStuck(CodedUsage):
    CODE = "import_not_stuck"
    MEANING = "The import is none that can't be finished: `admin import list --stuck` shows those."
    SENTENCE = "Import {uuid} is none that can't be finished."
    REMEDY = "scandock admin import list --stuck shows those; others are cancelled or deleted on their page."

    def __init__(self, uuid: str) -> None:
        self._fill({"uuid": uuid})


class AttemptsExhausted(Worded, Fault):
    CODE = EXHAUSTED
    MEANING = (
        "The import was begun three times, and each time it was lost. Its bytes are kept: have it tried again once the"
        " server is well."
    )


class StagingLost(Worded, Fault):
    CODE = "staging_lost"


class ImportReleased(Worded, Fault):
    CODE = "released"
