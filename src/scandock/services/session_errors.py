"""What can't be asked of a session, a subject, a scan or an image."""

from __future__ import annotations

from scandock.model.errors import Coded, CodedUsage, Fault, Usage, Worded
from scandock.store.errors import TreeMissing


class SessionUnknown(CodedUsage):
    CODE = "session_unknown"
    STATUS = 404
    MEANING = "The project has no archived session of that label."
    SENTENCE = "{uuid} is no session's id."
    REMEDY = "GET /api/v1/damage and scandock check tell the ids."

    def __init__(self, uuid: str) -> None:
        self._fill({"uuid": uuid})


class ScanUnknown(Worded, Usage):
    CODE = "scan_unknown"
    STATUS = 404
    MEANING = "The session has no such scan."


class ImageUnknown(CodedUsage):
    CODE = "image_unknown"
    STATUS = 404
    MEANING = "The scan has no such image."
    SENTENCE = "The scan has {count} images; there is no image {number}."

    def __init__(self, count: int, number: int) -> None:
        self._fill({"count": count, "number": number})


class SessionsMissing(Worded, Usage):
    CODE = "nothing_there"
    STATUS = 404
    MEANING = "The project has no archived session."


class LabelTaken(Worded, Usage):
    CODE = "label_taken"
    STATUS = 409
    MEANING = "A session, an assessor or a subject of that label stands there already."


class SessionNotBuilt(CodedUsage):
    CODE = "session_not_built"
    STATUS = 409
    MEANING = "XNAT's dialect: the session could not be built of the single objects that were sent for it."
    SENTENCE = "The session could not be built: {message}"
    REMEDY = "The import {uuid} says why, and its receipt names each object."

    def __init__(self, uuid: str, message: str) -> None:
        self._fill({"uuid": uuid, "message": message})


class SessionLeft(Coded, Fault):
    CODE = "session_left"
    MEANING = "Single objects of the session are kept by a host that is away or does not hand them to their import."
    SENTENCE = "Objects of the session are kept in the upload {uuid}, and its host does not hand them to their import."
    REMEDY = "Start the host again that received them, or cancel the upload: its objects are lost then."

    def __init__(self, uuid: str) -> None:
        self._fill({"uuid": uuid})


class SessionMoves(CodedUsage):
    CODE = "session_moves"
    STATUS = 409
    MEANING = "An import moves or archives the session already, or waits to: look at that one."
    SENTENCE = "An import moves or archives this session already: {uuid}."
    REMEDY = "Wait for its end, or cancel it."

    def __init__(self, uuid: str) -> None:
        self._fill({"uuid": uuid})


class SessionNotMoved(CodedUsage):
    CODE = "session_not_moved"
    STATUS = 409
    MEANING = "An import was to move or archive the session and could not: it has stayed where it was."
    SENTENCE = "The session was not moved. {why}"
    REMEDY = "A warning of the session says the same: mend that, then ask again."

    def __init__(self, why: str) -> None:
        self._fill({"why": why})


class RulesDiffer(CodedUsage):
    CODE = "rules_differ"
    STATUS = 409
    MEANING = "The session was stored by other privacy rules than its project has now: archive it first, then decide."
    SENTENCE = "The session was stored by other privacy rules than project {project} has now."
    REMEDY = "Archive it with append or delete: its files are de-identified then. Decide what is still held after that."

    def __init__(self, project: str) -> None:
        self._fill({"project": project})


class AccountMissing(CodedUsage):
    CODE = "account_missing"
    STATUS = 409
    MEANING = "Only an account can have an import take a session, and none is logged in here."
    SENTENCE = "An import is to take this session, and no account asks for it."
    REMEDY = "Log in, and ask there."


class LabelMissing(CodedUsage):
    CODE = "label_missing"
    MEANING = "A session is to be renamed, but no label or subject was named."
    SENTENCE = "It is to be renamed, but no label or subject is named."
    REMEDY = "Name one."


class ChangedMeanwhile(Worded, Usage):
    CODE = "changed_meanwhile"
    STATUS = 412
    MEANING = "It was changed since you read it (`If-Match`): read it again, then decide."


class FieldUnknown(Worded, Usage):
    CODE = "field_unknown"
    MEANING = "That can't be changed; what can is named."


class HeldUndecided(Worded, Usage):
    CODE = "held_undecided"
    STATUS = 409
    MEANING = "The session waits for a decision: resolve it before it is archived."


class NotHeld(Worded, Usage):
    CODE = "not_held"
    STATUS = 409
    MEANING = "The session is not held: there is nothing to decide."


class ChoiceUnknown(Worded, Usage):
    CODE = "choice_unknown"
    MEANING = "That decides nothing of what the session is held for; the right choices are named."


class ProjectUnassigned(Worded, Usage):
    CODE = "project_unassigned"
    STATUS = 409
    MEANING = "What belongs to no project can't be archived: move it to one first."


class StudyElsewhere(CodedUsage):
    CODE = "study_elsewhere"
    STATUS = 409
    SENTENCE = "The study is archived in this project already, under another label."
    REMEDY = "Archive it without a label, so that it joins that session."


class SessionFolderMissing(CodedUsage):
    CODE = TreeMissing.CODE
    MEANING = TreeMissing.MEANING
    SENTENCE = "The folder of this session is not in the store."
    REMEDY = "Run `scandock check`."


class TypeOther(CodedUsage):
    CODE = "type_other"
    STATUS = 409
    MEANING = "A scan, or an assessor, that is there is of another type than the request says; it keeps its type."
    SENTENCE = "The scan {scan_id} is of type {own_type}, not {other}."
    REMEDY = "Specified xsiType differs from existing xsiType: leave xsiType out, or delete the scan first."

    def __init__(self, scan_id: str, own_type: str, other: str) -> None:
        self._fill({"scan_id": scan_id, "own_type": own_type, "other": other})


class AssessorTypeOther(CodedUsage):
    CODE = TypeOther.CODE
    STATUS = TypeOther.STATUS
    MEANING = TypeOther.MEANING
    SENTENCE = "The assessor {label} is of type {own}, not {other}."
    REMEDY = "Leave xsiType out, or delete the assessor first."

    def __init__(self, label: str, own: str, other: str) -> None:
        self._fill({"label": label, "own": own, "other": other})


class ScanIdInvalid(CodedUsage):
    CODE = "scan_id_invalid"
    MEANING = "That can't be the id of a scan."
    SENTENCE = "{scan_id!r} can't be the id of a scan."
    REMEDY = "An id is 1 to 128 letters, digits, _, - and dots, the first no dot; ALL means every scan."

    def __init__(self, scan_id: str) -> None:
        self._fill({"scan_id": scan_id})


# -- what an import would be held for ----------------------------------------------------------------------------------


class TypeDiffers(Worded, Usage):
    CODE = "type_differs"
    STATUS = 409


class PatientMismatch(Worded, Usage):
    CODE = "patient_mismatch"
    STATUS = 409


class SubjectDiffers(Worded, Usage):
    CODE = "subject_differs"


class SessionExists(Worded, Usage):
    CODE = "session_exists"
    STATUS = 409


class ObjectsClash(Worded, Usage):
    CODE = "sop_clash"
    STATUS = 409
