"""What identifies a person goes: DicomEdit 6 scripts and PS3.15 Annex E on header bytes, pixels untouched."""
