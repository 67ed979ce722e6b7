"""Tests of the original's suite that none of ours sends, and why."""

from __future__ import annotations

from typing import Final

NO_FILES: Final = "An assessor has no files of its own."
NO_RECONSTRUCTIONS: Final = "There are no reconstructions."
NO_DATA: Final = "Its archive is not in the suite's repository."
OLD: Final = "Of older releases of the original; the suite itself leaves it out for 1.8.10."

_SHARING: Final = "Nothing is shared between projects."

CLASSES: Final = (
    "TestImport", "TestArchive", "TestDirectArchive", "TestImportCompartmentalization", "TestPrearchiveMgmt",
    "TestFileUpload", "TestFileFiltering", "TestProjectURIs", "TestScans", "TestRename", "TestDeletionAccuracy",
    "TestProjectResources", "TestSubjectResources", "TestExptAssessmentResources", "TestSubjAssessmentResources",
    "TestContextlessExperiments", "TestXmlOddities", "TestUserAccess", "TestDicomModalityAssignment",
    "TestDicomDataExtraction", "TestProjectValidation",
)  # fmt: skip
"""The classes about imports, files, experiments, modalities and names of projects: all their tests are listed."""

OUT: Final = {
    "TestArchive.testWebQCGeneration": OLD,
    "TestDirectArchive.testDirectArchiveError": "A text of 300 letters is no error: it is kept.",
    "TestDirectArchive.testDirectArchiveProjectFilter": "What is archived directly never waits in a list of its own.",
    "TestPrearchiveMgmt.testArchiveEmptySessionAfterProjectAnonRejection": "There are no scripts that anonymize.",
    "TestFileUpload.testReconstructionUpload": NO_RECONSTRUCTIONS,
    "TestFileUpload.testReconUpload": NO_RECONSTRUCTIONS,
    "TestFileUpload.testManQCUpload": NO_FILES,
    "TestRename.testExptWAssessRename": _SHARING,
    "TestExptAssessmentResources.testExptAssessmentXmlCrud": _SHARING,
    "TestDicomModalityAssignment.testModalityExtractionXa3dLegacy": OLD,
    "TestDicomModalityAssignment.testModalityExtractionMrSopClassMissingModalityLegacy": OLD,
    "TestDicomDataExtraction.testCTDicomExtraction": NO_DATA,
    "TestDicomDataExtraction.testEnhancedMRDiffusionExtraction": NO_DATA,
    "TestDicomDataExtraction.testOPTDicomExtraction": NO_DATA,
}

_PIPELINES: Final = "There are no pipelines."
_THEIRS: Final = "It asserts counts, sizes and dates of a server of theirs."

_UNKNOWN_FIELD: Final = "A criterion of an unknown field is refused: no rows would be taken for an answer."

OUT_OF_PYXNAT: Final = {
    "custom_variables_test::test_04_add_custom_variables": "There are no custom variables.",
    "interfaces_test::test_version": "It asserts the release of a server of theirs.",
    "project_manager_test::test_project_manager": "A guest is not told of what is protected.",
    "resources_test::test_05_reconstruction_create": NO_RECONSTRUCTIONS,
    "resources_test::test_provenance": NO_RECONSTRUCTIONS,
    "resources_test::test_16_project_configuration": "No folder stands between a project and its sessions (`arc001`).",
    "search_test::test_inspect_resources": "It looks for assessors of a server of theirs.",
    "search_test::test_get_search": _UNKNOWN_FIELD,
    "search_test::test_search": _UNKNOWN_FIELD,
    "test_resource_functions::test_ashs_volumes": "It reads results of a program on a server of theirs.",
    **{
        f"pipelines_test::test_pipeline{name}": _PIPELINES
        for name in ("_info", "_run", "_status", "s_aliases", "s_info")
    },
    **{f"repr_test::test_info_{name}": _THEIRS for name in ("experiment", "project", "resource", "scan", "subject")},
    **{
        f"resources_test::test_{name}": _SHARING
        for name in ("22_share_subject", "23_unshare_subject", "24_share_experiment", "25_unshare_experiment")
    },
}
"""The same of pyxnat's own tests: those that do not pass."""
