"""What can't be a name, a mapping or a rule: codes, statuses, sentences, remedies."""

from __future__ import annotations

from scandock.model.errors import CodedUsage, Usage, Worded


class ProjectUnknown(Worded, Usage):
    CODE = "project_unknown"
    STATUS = 404


class ProjectIdInvalid(CodedUsage):
    CODE = "project_id_invalid"
    MEANING = "That can't be the id of a project: 1 to 64 letters, digits, _ and -."
    SENTENCE = "{project!r} can't be a project id."
    REMEDY = "An id is 1 to 64 letters, digits, _ and -."

    def __init__(self, project: str) -> None:
        self._fill({"project": project})


class ProjectIdReserved(Worded, Usage):
    CODE = "project_id_reserved"
    MEANING = "That id is reserved: `Unassigned` keeps what belongs to no project."


class LabelUnusable(Worded, Usage):
    CODE = "label_unusable"
    MEANING = "A label that was named leaves no letter or digit."


class TypeUnknown(Worded, Usage):
    CODE = "type_unknown"
    MEANING = "The `xsiType` is no type of an imaging session, of a scan, or of an assessor."


class PatternUnknown(CodedUsage):
    CODE = "pattern_unknown"
    MEANING = "A pattern of labels has other names in braces than `{label}`, `{subject}`, `{date}` and `{n}`."
    SENTENCE = "{pattern!r} can't be filled in."
    REMEDY = "In braces may stand {names}."

    def __init__(self, pattern: str, names: str) -> None:
        self._fill({"pattern": pattern, "names": names})


class MappingUnreadable(Worded, Usage):
    CODE = "mapping_unreadable"
    MEANING = "The mapping can't be read; the message names row and column."


class MappingTooLong(Worded, Usage):
    CODE = "mapping_too_long"
    STATUS = 413
    MEANING = "The mapping has more than 200,000 rows (413)."


class RulesUnreadable(CodedUsage):
    CODE = "rules_unreadable"
    MEANING = "A line of the rules can't be read; nothing was changed."
    SENTENCE = "Line {line} of the rules {what}."
    REMEDY = "Correct that line; nothing was changed."

    def __init__(self, line: int, what: str) -> None:
        self._fill({"line": line, "what": what})


class FilterUnreadable(Worded, Usage):
    CODE = "filter_unreadable"
    MEANING = "An import filter can't be read; the message names the lines. Nothing was changed."
    REMEDY = "Correct that; nothing was changed."
