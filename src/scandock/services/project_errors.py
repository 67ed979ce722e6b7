"""What can't be done to a project, its members, its rules or its searches."""

from __future__ import annotations

from scandock.access.principal import Hidden
from scandock.model.errors import CodedUsage, Usage, Worded
from scandock.rules.errors import ProjectUnknown


class ProjectExists(CodedUsage):
    CODE = "project_exists"
    STATUS = 409
    MEANING = "There is a project of that id already."
    SENTENCE = "There is a project {project} already."
    REMEDY = "Choose another id, or use it."

    def __init__(self, project: str) -> None:
        self._fill({"project": project})


class ProjectBusy(CodedUsage):
    CODE = "project_busy"
    STATUS = 409
    MEANING = "A project is not deleted while something is uploaded to it, or changed in it."
    SENTENCE = "Something is being uploaded to this project, or changed in it."
    REMEDY = "Try again later."


class OwnFilesLeft(CodedUsage):
    CODE = "has_own_files"
    STATUS = 409
    MEANING = "A project or a subject with files of its own is deleted only where `removeFiles=true` is said."
    SENTENCE = "{holder} has {files} of its own beside its sessions."
    REMEDY = (
        "Delete its resources first, or say removeFiles=true: then they lie in the trash folder of the server for"
        " {days} days."
    )

    def __init__(self, holder: str, files: str, days: int) -> None:
        self._fill({"holder": holder, "files": files, "days": days})


class ProjectsTooMany(CodedUsage):
    CODE = "too_many_projects"
    STATUS = 409
    MEANING = (
        "An account that is no administrator's makes at most 500 projects (409): delete one that is not needed, or ask"
        " an administrator to make it."
    )
    SENTENCE = "You have made {count} projects, and an account makes at most {max_projects}."
    REMEDY = "Delete one that is not needed, or ask an administrator to make it."

    def __init__(self, count: int, max_projects: int) -> None:
        self._fill({"count": count, "max_projects": max_projects})


class AliasTaken(Worded, Usage):
    CODE = "alias_taken"
    STATUS = 409
    MEANING = (
        "The alias, or the id of a new project, is the id, the title, the secondary ID or an alias of another project,"
        " in any case. Or a project was `PUT` at the alias of one that is there."
    )


class LastOwner(CodedUsage):
    CODE = "last_owner"
    STATUS = 409
    MEANING = "The last owner of a project can't leave it or become less, unless a site administrator says so (409)."
    SENTENCE = "{account} is the last owner of {project}."
    REMEDY = "Make another member its owner first."

    def __init__(self, account: str, project: str) -> None:
        self._fill({"account": account, "project": project})


class RulesKindUnknown(CodedUsage):
    CODE = "rules_kind"
    STATUS = 404
    MEANING = "There are no rules of that kind: project, subject or session."
    SENTENCE = "There are no rules of kind {kind!r}."
    REMEDY = "Kinds are {kinds}."

    def __init__(self, kind: str, kinds: str) -> None:
        self._fill({"kind": kind, "kinds": kinds})


class FilterMissing(CodedUsage):
    CODE = "filter_missing"
    STATUS = 404
    MEANING = "No import filter was set that could be switched on or off."
    SENTENCE = "No import filter is set."
    REMEDY = "Set one first."


class ScriptMissing(CodedUsage):
    CODE = "script_missing"
    STATUS = 404
    MEANING = "No de-identification script was set that could be switched on or off."
    SENTENCE = "No script is set."
    REMEDY = "Set one first."


class PrivacyLaxer(CodedUsage):
    CODE = "privacy_laxer"
    STATUS = 409
    MEANING = "A project is to let more be known than its site does; it may only be stricter."
    SENTENCE = "The site is stricter than {project} would be in: {items}."
    REMEDY = "Leave these as the site has them, or choose something stricter."

    def __init__(self, project: str, items: str) -> None:
        self._fill({"project": project, "items": items})


class UploadProjectHidden(Hidden):
    CODE = ProjectUnknown.CODE

    @property
    def heading(self) -> str:
        """What heads its page: its own sentence."""
        sentence = self.message.removeprefix("There is ").removesuffix(".")
        return sentence[0].upper() + sentence[1:]


class TitleTaken(Worded, Usage):
    CODE = "title_taken"
    STATUS = 409
    MEANING = (
        "The title, or the secondary ID, is the id, the title, the secondary ID or an alias of another project, in any"
        " case."
    )
