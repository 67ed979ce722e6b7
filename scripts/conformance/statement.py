"""The page: its parts in the order of PS3.2."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from scripts.conformance import networking, web_services
from scripts.conformance.markdown import heading, paragraph, table

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "dicom-conformance.md"


def page() -> str:
    """The whole page."""
    return "\n".join(_lines()).rstrip("\n") + "\n"


def _lines() -> Iterator[str]:
    yield from _overview()
    yield from networking.lines()
    yield from web_services.lines()
    yield from _character_sets()
    yield from _security()


def _overview() -> Iterator[str]:
    yield from heading("# DICOM conformance statement")
    yield from paragraph(
        "For who connects other DICOM systems to Scandock, in the order of PS3.2. The tables are written from "
        "the code by `python -m scripts.conformance`. How receivers are set up is in "
        "[receivers](receivers.md), how DICOMweb is used in [DICOMweb](dicomweb.md)."
    )
    yield from heading("## 1 Overview")
    yield from paragraph(
        "Scandock takes DICOM objects over the network, by DIMSE and by the web, and keeps them as they were sent, "
        "unless a project de-identifies. Objects are searched and read by the web: it does not query, retrieve, print "
        "or schedule by DIMSE."
    )
    yield from table(
        ("network service", "user (SCU)", "provider (SCP)"),
        (("Verification", "yes", "yes"), ("Storage", "no", "yes"), ("Storage Commitment Push Model", "no", "yes")),
    )
    yield from table(("web service", "user agent", "origin server"), web_services.SERVICES)
    yield from paragraph("Media interchange: none is written as DICOM media; archives of media are read by imports.")


def _character_sets() -> Iterator[str]:
    yield from heading("## 4 Character sets")
    yield from paragraph(
        "All of PS3.5 in objects, which are kept as they are. AE titles and comments are of ISO 646. Answers of web "
        "services are in UTF-8, and say `ISO_IR 192` in (0008,0005)."
    )


def _security() -> Iterator[str]:
    yield from heading("## 5 Security")
    yield from paragraph(
        "A receiver's port is plain or TLS: 1.2 and 1.3, with forward secrecy and AES-GCM or "
        "ChaCha20-Poly1305 (BCP 195). Client certificates are off, optional or required. Calling AE titles "
        "and addresses can be held to an allow list."
    )
    yield from paragraph(
        "Web services are answered over HTTP; TLS is that of the proxy in front ([operating](operating.md)). Each "
        "request is of an account, and gets what its rights by project allow; a project that it may not know of is "
        "answered as one that is not there. What is read and stored is in the audit trail."
    )
