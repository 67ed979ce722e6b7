"""What is off with a folder of the server that is to be imported."""

from __future__ import annotations

from scandock.model.errors import CodedUsage, Usage, Worded


class InboxUnknown(Worded, Usage):
    CODE = "inbox_unknown"
    STATUS = 404
    MEANING = "XNAT's dialect: the folder is not there, not allowed, reached by a link, or can't be read."


class InboxChanged(CodedUsage):
    CODE = "inbox_changed"
    STATUS = 409
    MEANING = "XNAT's dialect: a file of the folder was changed while it was read."
    SENTENCE = "A file of the folder was changed while it was read."
    REMEDY = "Ask again once all of it is there."


class InboxEmpty(CodedUsage):
    CODE = "empty_archive"
    SENTENCE = "The folder holds no files."
    REMEDY = "Name the folder that holds the session."
