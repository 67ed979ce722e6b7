"""Tests of the original's suite that none of ours sends, and why."""

from __future__ import annotations

from typing import Final

NO_NETWORK: Final = "DICOM's network protocol (C-STORE) is not served."
NO_ASSESSORS: Final = "There are no assessors."
NO_RECONSTRUCTIONS: Final = "There are no reconstructions."
NO_DATA: Final = "Its archive is not in the suite's repository."
OLD: Final = "Of older releases of the original; the suite itself leaves it out for 1.8.10."
NO_RECEIVERS: Final = "There are no receivers of DICOM's network protocol to set up."

CLASSES: Final = (
    "TestImport", "TestArchive", "TestDirectArchive", "TestImportCompartmentalization", "TestPrearchiveMgmt",
    "TestFileUpload", "TestFileFiltering", "TestProjectURIs", "TestScans", "TestRename", "TestDeletionAccuracy",
    "TestProjectResources", "TestSubjectResources", "TestExptAssessmentResources", "TestSubjAssessmentResources",
    "TestContextlessExperiments", "TestXmlOddities", "TestUserAccess", "TestDicomModalityAssignment",
    "TestDicomDataExtraction",
)  # fmt: skip
"""The classes about imports, files, experiments and modalities: all their tests are listed."""

OUT: Final = {
    "TestImport.simpleAutoarchiveMerge": NO_NETWORK,
    "TestArchive.testWebQCGeneration": OLD,
    "TestDirectArchive.testDirectArchiveCStore": NO_NETWORK,
    "TestDirectArchive.testDirectArchiveConflict": NO_NETWORK,
    "TestDirectArchive.testDirectArchiveError": NO_NETWORK,
    "TestDirectArchive.testDirectArchiveProjectFilter": NO_NETWORK,
    "TestImportCompartmentalization.testDicomZipPerReceiverRoutingLeak": NO_RECEIVERS,
    "TestImportCompartmentalization.testSessionImporterPerReceiverRoutingLeak": NO_RECEIVERS,
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
    "TestDicomDataExtraction.testMRDicomExtraction": NO_DATA,
    "TestDicomDataExtraction.testEnhancedMRDiffusionExtraction": NO_DATA,
    "TestDicomDataExtraction.testCTDicomExtraction": NO_DATA,
    "TestDicomDataExtraction.testOPTDicomExtraction": NO_DATA,
}
