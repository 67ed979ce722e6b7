"""What is off with a form of a page."""

from __future__ import annotations

from scandock.access.principal import Hidden
from scandock.model.errors import CodedUsage, Usage, Worded
from scandock.services.session_errors import SessionUnknown


class VerbUnknown(CodedUsage):
    CODE = "verb_unknown"
    MEANING = "What is to be done was not said."
    SENTENCE = "What is to be done was not said."
    REMEDY = "Use one of the page's buttons."


class NothingNamed(Worded, Usage):
    CODE = "nothing_named"
    MEANING = "Something is to change, but no project, subject or label is named."
    REMEDY = "Write what is to change."


class UploadProjectMissing(CodedUsage):
    CODE = "upload_project_missing"
    MEANING = "The form of the upload page was to upload into a project, and names none."
    SENTENCE = "Nothing was uploaded."
    REMEDY = "Go back, and write the project's id or title."
    heading = "Name a project, or choose Upload without a project"


class TooManySessions(CodedUsage):
    CODE = "sessions_many"
    MEANING = "More sessions are chosen than are decided at once."
    SENTENCE = "At most {max_sessions} sessions are decided at once."
    REMEDY = "Choose fewer."

    def __init__(self, max_sessions: int) -> None:
        self._fill({"max_sessions": max_sessions})


class SubjectUnknown(Hidden):
    CODE = "subject_unknown"
    MEANING = "The project has no subject of that label."


class OhifMissing(CodedUsage):
    CODE = "ohif_missing"
    STATUS = 404
    MEANING = "The OHIF viewer is not installed on this server."
    SENTENCE = "The OHIF viewer is not installed on this server."
    REMEDY = "Ask an administrator of this server to install it: scandock admin ohif install."


class SessionHidden(Hidden):
    CODE = SessionUnknown.CODE
    MEANING = SessionUnknown.MEANING
