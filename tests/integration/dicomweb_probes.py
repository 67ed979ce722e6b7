"""What every route of DICOMweb is asked with: a route that is not here fails `test_dicomweb_permissions`.

Each path, below a base, is asked at the base of a project and at that of all that may be read. `{study}`, `{series}`
and `{instance}` are those of the session that it is about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from scandock.rules.permissions import Action


@dataclass(frozen=True, kw_only=True)
class DicomwebProbe:
    """One request, and who is let through."""

    action: Action = Action.SESSION_READ
    """What it asks for in the project; where it waits there, `PREARCHIVE_READ` in its place."""
    good: tuple[int, ...] = (200,)
    """Statuses once it is allowed."""
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    stores: bool = False
    """It stores: at the base of all, whoever may upload at all may send what the headers route."""
    search: bool = False
    """It lists: at the base of all that may be read everybody is answered, with what they may see."""


_OBJECTS: Final = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}
_STORE: Final = DicomwebProbe(
    action=Action.UPLOAD, good=(415,), headers={"Content-Type": "text/plain"}, content=b"no object", stores=True
)
_KNOWN: Final = DicomwebProbe(headers={"If-None-Match": "*"}, good=(304,))
"""Of what is decoded: whoever may read it is told that they have it already."""
_STUDY: Final = "/studies/{study}"
_SERIES: Final = f"{_STUDY}/series/{{series}}"
_INSTANCE: Final = f"{_SERIES}/instances/{{instance}}"

PROBES: Final[dict[tuple[str, str], DicomwebProbe]] = {
    ("GET", _STUDY): DicomwebProbe(headers=_OBJECTS),
    ("GET", _SERIES): DicomwebProbe(headers=_OBJECTS),
    ("GET", _INSTANCE): DicomwebProbe(headers=_OBJECTS),
    ("POST", "/studies"): _STORE,
    ("POST", _STUDY): _STORE,
    ("GET", "/studies"): DicomwebProbe(search=True),
    ("GET", "/series"): DicomwebProbe(search=True, params={"StudyInstanceUID": "{study}"}),
    ("GET", "/instances"): DicomwebProbe(search=True, params={"SOPInstanceUID": "{instance}"}),
    ("GET", f"{_STUDY}/series"): DicomwebProbe(search=True),
    ("GET", f"{_STUDY}/instances"): DicomwebProbe(search=True),
    ("GET", f"{_SERIES}/instances"): DicomwebProbe(search=True),
    **{("GET", f"{of}/metadata"): _KNOWN for of in (_STUDY, _SERIES, _INSTANCE)},
    **{
        ("GET", f"{of}/{verb}"): _KNOWN
        for of in (_STUDY, _SERIES, _INSTANCE, f"{_INSTANCE}/frames/{{frame}}")
        for verb in ("rendered", "thumbnail")
    },
    ("GET", f"{_INSTANCE}/frames/{{frames}}"): _KNOWN,
    ("GET", f"{_INSTANCE}/pixeldata"): _KNOWN,
    ("GET", f"{_INSTANCE}/bulkdata/{{element:path}}"): _KNOWN,
}
