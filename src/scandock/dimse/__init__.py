"""The accepting side of DICOM's network protocol: PDUs, negotiation, commands, an association's loop (PS3.7, PS3.8)."""
