"""What may be wrong with a package of the OHIF viewer."""

from __future__ import annotations

from scandock.model.errors import CodedUsage

_REMEDY = "Get one by `npm pack @ohif/app@3.12`, and install that file as it is."


class OhifPackageUnfit(CodedUsage):
    """Base of the errors about a file that is no package of the viewer, or of no version that is known."""

    CODE = "ohif_package"
    ANSWERED = False
    MEANING = "The file is no npm package of @ohif/app in a version that is known to work (3.12, 3.13)."
    REMEDY = _REMEDY


class NotAPackage(OhifPackageUnfit):
    SENTENCE = "The file is no compressed tar, as npm packages are."


class NotTheViewer(OhifPackageUnfit):
    SENTENCE = "The package is {name}, and not @ohif/app."

    def __init__(self, name: str) -> None:
        self._fill({"name": name})


class VersionUnknown(OhifPackageUnfit):
    SENTENCE = "The package is version {version} of the viewer; {versions} are known to work."

    def __init__(self, version: str, versions: str) -> None:
        self._fill({"version": version, "versions": versions})


class PackageOddlyBuilt(OhifPackageUnfit):
    SENTENCE = "The package is not built as the viewer's are: {why}."

    def __init__(self, why: str) -> None:
        self._fill({"why": why})


class PackageFileMissing(OhifPackageUnfit):
    SENTENCE = "There is no file {path}."

    def __init__(self, path: str) -> None:
        self._fill({"path": path})
