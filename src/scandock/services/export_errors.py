"""What can't be exported, or not to there."""

from __future__ import annotations

from scandock.model.errors import CodedUsage


class ExportUnknown(CodedUsage):
    CODE = "export_unknown"
    MEANING = "`export` was given the name of neither an archived session nor a project."
    SENTENCE = "There is neither an archived session nor a project {name!r}."
    REMEDY = "Name a project's id, or a session by its id, its label or its address."

    def __init__(self, name: str) -> None:
        self._fill({"name": name})


class ExportAmbiguous(CodedUsage):
    CODE = "export_ambiguous"
    MEANING = "`export` was given a label that several sessions have, or a project and a session."
    SENTENCE = "Several things are called {name!r}: {which}."
    REMEDY = "Name the one that you want as it is named here."

    def __init__(self, name: str, which: str) -> None:
        self._fill({"name": name, "which": which})


class ExportWaits(CodedUsage):
    CODE = "export_waits"
    MEANING = "`export` was given a session that waits in the prearchive."
    SENTENCE = "The session {name!r} waits in the prearchive."
    REMEDY = "Archive it first."

    def __init__(self, name: str) -> None:
        self._fill({"name": name})


class ExportInData(CodedUsage):
    CODE = "export_in_data"
    MEANING = "The folder of --to and the data folder are one in the other: the archive is never written to by hand."
    SENTENCE = "{folder} and the data folder are one in the other."
    REMEDY = "Name a folder apart from it."

    def __init__(self, folder: str) -> None:
        self._fill({"folder": folder})
