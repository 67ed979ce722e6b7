"""Tests of the original's suite that none of ours sends, and why."""

from __future__ import annotations

from typing import Final

NO_ASSESSORS: Final = "There are no assessors."
NO_RECONSTRUCTIONS: Final = "There are no reconstructions."
NO_DATA: Final = "Its archive is not in the suite's repository."
OLD: Final = "Of older releases of the original; the suite itself leaves it out for 1.8.10."

CLASSES: Final = (
    "TestImport", "TestArchive", "TestDirectArchive", "TestImportCompartmentalization", "TestPrearchiveMgmt",
    "TestFileUpload", "TestFileFiltering", "TestProjectURIs", "TestScans", "TestRename", "TestDeletionAccuracy",
    "TestProjectResources", "TestSubjectResources", "TestExptAssessmentResources", "TestSubjAssessmentResources",
    "TestContextlessExperiments", "TestXmlOddities", "TestUserAccess", "TestDicomModalityAssignment",
    "TestDicomDataExtraction",
)  # fmt: skip
"""The classes about imports, files, experiments and modalities: all their tests are listed."""

OUT: Final = {
    "TestArchive.testWebQCGeneration": OLD,
    "TestDirectArchive.testDirectArchiveError": "A text of 300 letters is no error: it is kept.",
    "TestDirectArchive.testDirectArchiveProjectFilter": "What is archived directly never waits in a list of its own.",
    "TestPrearchiveMgmt.testArchiveEmptySessionAfterProjectAnonRejection": "There are no scripts that anonymize.",
    "TestFileUpload.testReconstructionUpload": NO_RECONSTRUCTIONS,
    "TestFileUpload.testReconUpload": NO_RECONSTRUCTIONS,
    "TestFileUpload.testManQCUpload": NO_ASSESSORS,
    "TestRename.testExptWAssessRename": NO_ASSESSORS,
    "TestDeletionAccuracy.testDeleteEmptySessionAssessor": NO_ASSESSORS,
    "TestExptAssessmentResources.testExptAssessmentXmlCrud": NO_ASSESSORS,
    "TestContextlessExperiments.testContextlessExptDelete": NO_ASSESSORS,
    **{
        f"TestXmlOddities.testXmlTimestamp{name}": NO_ASSESSORS
        for name in ("SpaceCreate", "TCreate", "TZCreate", "SpaceEdit", "TEdit", "TZEdit")
    },
    "TestDicomModalityAssignment.testModalityExtractionXa3dLegacy": OLD,
    "TestDicomModalityAssignment.testModalityExtractionMrSopClassMissingModalityLegacy": OLD,
    "TestDicomDataExtraction.testCTDicomExtraction": NO_DATA,
    "TestDicomDataExtraction.testEnhancedMRDiffusionExtraction": NO_DATA,
    "TestDicomDataExtraction.testOPTDicomExtraction": NO_DATA,
}
