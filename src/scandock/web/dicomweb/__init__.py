"""DICOMweb (PS3.18) on the same services as API and pages: QIDO-RS, WADO-RS and STOW-RS."""
