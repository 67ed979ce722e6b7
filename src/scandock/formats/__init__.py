"""Bytes to facts: archive walkers with limits, DICOM header scan, ECAT 7."""
