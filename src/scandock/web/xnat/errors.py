"""What is off with a request of XNAT's dialect that no other door has."""

from __future__ import annotations

from scandock.model.errors import CodedUsage, Usage, Worded


class HandlerUnknown(Worded, Usage):
    CODE = "handler_unknown"
    STATUS = 404
    MEANING = "XNAT's dialect: there is no importer of that name here."


class DestinationInvalid(Worded, Usage):
    CODE = "dest_invalid"
    MEANING = "XNAT's dialect: the destination is no address of the archive or the prearchive."


class DumpImpossible(CodedUsage):
    CODE = "dump_impossible"
    MEANING = "XNAT's dialect: the header of the object can't be read."
    SENTENCE = "The header can't be read: {why}"
    REMEDY = "Download the file."

    def __init__(self, why: str) -> None:
        self._fill({"why": why})


class OverwriteInvalid(CodedUsage):
    CODE = "overwrite_invalid"
    MEANING = "XNAT's dialect: overwrite is none of none, append, delete and override."
    SENTENCE = "Overwrite flag was not set to a valid option. ('append' or 'delete')"
    REMEDY = "Or 'none': then an archived session is left alone."


class InboxOff(CodedUsage):
    CODE = "inbox_off"
    STATUS = 403
    MEANING = "XNAT's dialect: no folder of the server may be imported here (`SCANDOCK_INBOX_FOLDERS` names none)."
    SENTENCE = "Folders of the server can't be imported here."
    REMEDY = "An administrator of this server names those that can be imported."


class SubjectMissing(CodedUsage):
    CODE = "subject_missing"
    MEANING = "A session is to be made, and no subject is named."
    SENTENCE = "A session is of a subject, and none is named."
    REMEDY = "Name it in the address: /data/projects/{{project}}/subjects/{{subject}}/experiments/{{label}}."


class ProjectOther(CodedUsage):
    CODE = "project_other"
    STATUS = 409
    MEANING = "An archived session keeps its project."
    SENTENCE = "An archived session keeps its project."
    REMEDY = "Leave `project` out."


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


class SearchNameTaken(CodedUsage):
    CODE = "search_taken"
    STATUS = 409
    MEANING = "The name of a saved search is the name of another account's."
    SENTENCE = "{name!r} is the name of another account's search."
    REMEDY = "Choose another name."

    def __init__(self, name: str) -> None:
        self._fill({"name": name})


class SearchesTooMany(CodedUsage):
    CODE = "too_many_searches"
    STATUS = 409
    MEANING = "An account keeps at most 200 saved searches (409): delete one first."
    SENTENCE = "You have {limit} saved searches, as many as one account may."
    REMEDY = "Delete one first."

    def __init__(self, limit: int) -> None:
        self._fill({"limit": limit})
