"""Why a session is held, and what an import warns of: one table of codes, sentences and remedies.

A notice names labels, which may identify a person: treat messages as identifying (rules.md, "Which session" 9).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Literal, NamedTuple

from scandock.model.dataclass import dataclass

_MAX_CHARACTERS: Final = 80
_MAX_NAMES: Final = 3
"""Labels that a sentence names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A reason to hold a session, or a warning: a stable code, one sentence, and what to do about it."""

    code: str
    message: str
    remedy: str = ""


class NoticeCode(NamedTuple):
    """How a code reads: `sentence` and `remedy` are templates, filled by `notice`."""

    kind: Literal["held", "warning"]
    section: str
    sentence: str
    remedy: str


CODES: Final[dict[str, NoticeCode]] = {
    "study_elsewhere": NoticeCode(
        "held",
        "Which session 5",
        "The study is already in project {project} as session {other}; the request names it {label}.",
        "Choose in the prearchive how it joins session {other}.",
    ),
    "label_many_studies": NoticeCode(
        "held",
        "Which session 6",
        "Label {label} was requested for several studies of project {project}.",
        "Give each study a label of its own, by a mapping or in the prearchive.",
    ),
    "subject_many_patients": NoticeCode(
        "held",
        "Which session 6",
        "Subject {subject} was requested for {count} patients with different PatientIDs.",
        "Give each patient a subject of its own, by a mapping or in the prearchive.",
    ),
    "patient_mismatch": NoticeCode(
        "held",
        "Which session 7",
        "Session {label} has images of different patients: PatientID {ids}.",
        "Find out whose images these are; send each patient's by themselves.",
    ),
    "subject_differs": NoticeCode(
        "held",
        "Which session 5",
        "Session {label} belongs to subject {other}; the request names subject {subject}.",
        "Import it again without a subject, or move session {label} first.",
    ),
    "session_exists": NoticeCode(
        "held",
        "Again 3",
        "Session {label} is archived in project {project} already, and this import was to leave it as it is.",
        "Choose in the prearchive what happens to it.",
    ),
    "type_differs": NoticeCode(
        "held",
        "The type of a session",
        "The type of session {label} was set to {other}; what came is of type {type}.",
        "Import it with overwrite (delete), or choose in the prearchive: its scans join and the type stays, or it gets"
        " another label.",
    ),
    "sop_clash": NoticeCode(
        "held",
        "Again 2",
        "Some images of session {label} came in different versions ({count}).",
        "Choose in the prearchive which to keep: the old, the new or both.",
    ),
    "identified": NoticeCode(
        "held",
        "Which session 9",
        "Project {project} takes de-identified sessions; {count} of {objects} objects of session {label} are not marked"
        " as de-identified (PatientIdentityRemoved YES).",
        "De-identify the session and import it again, or have an owner of the project archive it.",
    ),
    "identified_warning": NoticeCode(
        "warning",
        "Which session 9",
        "{count} of {objects} objects of session {label} are not marked as de-identified (PatientIdentityRemoved YES).",
        "De-identify them before they are shared.",
    ),
    "label_suffixed": NoticeCode(
        "warning",
        "Which session 6",
        "Label {label} has more than one study in project {project}; this one is called {now}.",
        "Rename it, or give each study a label by a mapping.",
    ),
    "label_changed": NoticeCode(
        "warning",
        "Which session 2",
        "{what} label {asked} became {label}, as a label has 1 to 64 letters, digits, _ and -.",
        "Rename it where another label is right.",
    ),
    "label_own_id": NoticeCode(
        "warning",
        "Which session 2",
        "{what} label {label} has the form of this server's own ids; this one is called {now}.",
        "Rename it, or give it a label by a mapping.",
    ),
    "label_from_hash": NoticeCode(
        "warning",
        "Which session 1",
        "Nothing names the session (no PatientID, folder or comment); it is called {label} after its UID.",
        "Rename it, or name it by a mapping.",
    ),
    "names_not_kept": NoticeCode(
        "warning",
        "Which file",
        "Files of session {label} were to keep the archive's names, but the project hides these: they have others.",
        "Ask an owner of the project where the names are needed.",
    ),
    "label_kept": NoticeCode(
        "warning",
        "Which session 5",
        "The study is already in project {project} as session {label}; what came as {other} belongs to it.",
        "Rename session {label} where {other} is the right name.",
    ),
    "label_petmr": NoticeCode(
        "warning",
        "PET/MR",
        "Project {project} keeps PET/MR sessions as PET: {other} is called {label}.",
        "Change the project's setting for PET/MR, or rename the session, where {other} is the right name.",
    ),
    "label_side": NoticeCode(
        "warning",
        "PET/MR",
        "Project {project} separates PET and MR of a study: this side of {other} is called {label}.",
        "Change the project's setting for PET/MR, or rename the session, where {other} is the right name.",
    ),
    "subjects_told_apart": NoticeCode(
        "warning",
        "Which session 7",
        "Subject {subject} would take several patients; this one is called {now}.",
        "Where they are one patient, move their sessions to one subject.",
    ),
    "subject_other_patient": NoticeCode(
        "warning",
        "Which session 7",
        "Subject {subject} now has more than one PatientID.",
        "Check that they are one patient; if not, move the sessions of the others to subjects of their own.",
    ),
    "patient_absent": NoticeCode(
        "warning",
        "Which session 7",
        "{count} of {objects} objects of session {label} have no PatientID; the others have {ids}.",
        "Check that they are of the same patient.",
    ),
    "dates_disagree": NoticeCode(
        "warning",
        "Which scan",
        "The images of the session have {count} study {what}: {values}. The session shows the earliest.",
        "Check that all images are of one visit.",
    ),
    "folders_disagree": NoticeCode(
        "warning",
        "Which session 1",
        "The images of one study are in {count} session folders of the archive; they are one session, {label}.",
        "Check that all of these folders are of one visit.",
    ),
    "study_twice": NoticeCode(
        "warning",
        "Which session 5",
        "The study is also in project {project} as session {other}; {label} is a session of its own.",
        "Delete one of them where they are meant to be one.",
    ),
    "session_in_prearchive_left": NoticeCode(
        "warning",
        "Again 4",
        "A session of the same study waits in the prearchive as {other}; it was left alone.",
        "Look in the prearchive whether it is still needed.",
    ),
    "conflict_settled": NoticeCode(
        "warning",
        "Again 4",
        "A session of the same study was left in conflict in the prearchive as {other}; this import brought all of it,"
        " and it went to the trash.",
        "Nothing is to be done; it can be restored from the trash.",
    ),
    "project_from_header": NoticeCode(
        "warning",
        "Which session 8",
        "The project {project} was taken from the header ({source}).",
        "Name the project at the import where that is wrong.",
    ),
    "project_unassigned": NoticeCode(
        "warning",
        "Which session 8",
        "No project was named or found; the session is in Unassigned.",
        "Move it to a project, or import it again naming one.",
    ),
    "mapping_unused": NoticeCode(
        "warning",
        "Which session 4",
        "{rows} of the mapping matched nothing in this upload.",
        "Check the study UID, patient ID or folder there.",
    ),
    "mapping_columns": NoticeCode(
        "warning",
        "Which session 4",
        "The mapping has columns that are not known, and were not used: {columns}.",
        "Known are study_uid, patient_id, folder, project, subject, session, leave_out.",
    ),
    "healed": NoticeCode(
        "warning",
        "Again 6",
        "Files of session {label} were damaged or gone from the store ({count}); they were stored again.",
        "Look at the disk or the bucket, and who can write to it.",
    ),
    "session_damaged": NoticeCode(
        "warning",
        "Again 6",
        "Files of session {label} are damaged or gone from the store ({count}, {file} the first); this import does not"
        " bring them.",
        "Import an archive that has these files; `scandock check` names all.",
    ),
    "restored_damaged": NoticeCode(
        "warning",
        "Again 6",
        "Session {label} is back from the trash with files that are damaged or gone ({count}, {file} the first).",
        "Import the archive that they came from again. All its files are verified again first.",
    ),
    "session_filtered": NoticeCode(
        "warning",
        "Import filters",
        "Import filters left out {count} of this study.",
        "The receipt names each, and the line of the filter.",
    ),
    "not_moved": NoticeCode(
        "warning",
        "De-identification",
        "{why} So it has stayed where it is.",
        "Mend that, then move it again.",
    ),
    "rules_changed": NoticeCode(
        "warning",
        "De-identification",
        "Session {label} holds objects of this archive that were stored before the rules were what they are now; they"
        " stay as they are.",
        "Delete the session and import the archive again to apply the rules as they are now.",
    ),
    "deid_planned": NoticeCode(
        "warning",
        "De-identification",
        "An import into project {project} de-identifies session {label}; what is shown here is read from the"
        " originals.",
        "Import it to see what it says then.",
    ),
    "ecat_script": NoticeCode(
        "warning",
        "De-identification",
        "It is an ECAT file: scripts act on its patient's name, id and birth date, study description, institution and"
        " operator alone.",
        "Use the profile to clean all of its header.",
    ),
    "ecat_cut": NoticeCode(
        "warning",
        "De-identification",
        "What was given for {fields} is longer than the field of an ECAT file; it was cut, so that two can become one.",
        "Use shorter labels, or let a script give shorter texts.",
    ),
    "ecat_text": NoticeCode(
        "warning",
        "De-identification",
        "A header of the ECAT file had a text where numbers are; these became zeros.",
        "Look at what needs these numbers, as bed positions or calibration.",
    ),
    "patient_many_subjects": NoticeCode(
        "warning",
        "Which session 7",
        "PatientID {patient} has more than one subject in project {project}: {subject} here, and {others}.",
        "Where they are one person, move their sessions to one subject.",
    ),
    "waiting_elsewhere": NoticeCode(
        "warning",
        "Which session 5",
        "The study of session {label} is already in the prearchive under another label, {others}.",
        "Compare both there: one of them can be deleted, where it is not needed.",
    ),
    "values_disagree": NoticeCode(
        "warning",
        "Which scan",
        "The objects of the session have different values of {names}; the session shows none of them.",
        "Check that all objects are of one visit. Each scan, and each file's header, shows its own value.",
    ),
    "ecat_elsewhere": NoticeCode(
        "warning",
        "ECAT",
        "Session {label} shares {files} with {others} in project {project}.",
        "Compare them: where they are one session, one of them is not needed.",
    ),
    "ecat_apart": NoticeCode(
        "warning",
        "ECAT",
        "The ECAT files under folder {folder} are a session of their own: {count} DICOM studies share that folder.",
        "Merge them by hand where they belong together.",
    ),
    "deid_residue": NoticeCode(
        "warning",
        "De-identification",
        "Values that identify the original's patient or study are still in {tags}.",
        "Write a script that removes or replaces these elements.",
    ),
    "deid_pixels_longer": NoticeCode(
        "warning",
        "De-identification",
        "The pixel data are longer than the header makes them. The bytes behind the last frame were passed on, unseen.",
        "Look at what stands there, or leave the object out.",
    ),
    "burned_in": NoticeCode(
        "warning",
        "De-identification",
        "The pixels could show the patient's name or other texts: {reason}.",
        "Look at the images, and fill such areas with alterPixels in a script.",
    ),
}

UPLOAD_WARNINGS: Final[dict[str, str]] = {
    "receipt_anew": "The receipt was lost with what the import had staged, as in a copy of the data folder: this one is"
    " from the catalog and has only the files that were stored.",
    "archive_note": "Something about the archive was odd, and harmless: the message says what.",
    "inner_empty": "An inner archive is empty.",
    "right_lost": "What a receiver took waits in the prearchive: its account may not upload to its project any more, or"
    " that is gone.",
    "inner_no_images": "An inner archive holds no image and does not lie beside images: nothing of it is kept.",
    "dicomdir_missing": "A DICOMDIR lists files that the archive lacks: the export, or its copy, is perhaps not whole.",
    "patients_dropped": "PatientIDs are dropped, so patients were compared within this upload alone.",
    "filtered": "Import filters left out images; the message counts them by filter and line, the receipt names each.",
    "unparseable_ignored": "Entries that should be images can't be read and were left out; the receipt names each.",
}
"""Warnings about an upload as a whole, and what each means. Their messages are made where they are found."""

FACT_WARNINGS: Final = frozenset({"dates_disagree", "values_disagree"})
"""Warnings that are found anew whenever a session is described, in all that is in it then."""

SESSION_WARNINGS: Final = FACT_WARNINGS | {"session_damaged"}
"""Warnings that an import finds anew in all that is in the session then."""


def make_notice(code: str, **names: object) -> Notice:
    """The notice of `code`, its sentences filled with `names` (KeyError for an unknown code or a missing name)."""
    entry = CODES[code]
    values = {name: value if isinstance(value, PrintableText) else printable(value) for name, value in names.items()}
    return Notice(code=code, message=entry.sentence.format(**values), remedy=entry.remedy.format(**values))


def printable(value: object) -> str:
    """A value from a header or a request as it may stand in a sentence: printable, at most 80 characters."""
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(value))
    return text if len(text) <= _MAX_CHARACTERS else text[: _MAX_CHARACTERS - 1] + "…"


class PrintableText(str):
    """Part of a sentence that is fit to show as it is, however long."""

    __slots__ = ()


def list_names(labels: Iterable[str]) -> PrintableText:
    """Some labels as a sentence names them: in their order, the first ones where there are many."""
    ordered = sorted(labels)
    more = [f"{len(ordered) - _MAX_NAMES} more"] if len(ordered) > _MAX_NAMES else []
    return join_words([*map(printable, ordered[:_MAX_NAMES]), *more])


def join_words(words: Sequence[str]) -> PrintableText:
    """`a`, `a and b`, `a, b and c`."""
    return PrintableText(f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words))
