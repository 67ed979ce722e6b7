"""Our own schema of the types that are ever named in an answer (xnat-clients.md 2.6; xnat-behaviour.md 4.2, 4.3).

Clients make their classes from it. It is no copy of XNAT's: types, their derivation, and what is read of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Final

from scandock.rules.assessor_documents import NAMESPACES, ROOTS, namespace_of, root_of
from scandock.rules.field_types import FieldType, type_of_field
from scandock.rules.project_fields import PI_FIELDS
from scandock.rules.session_types import SESSION_OF_MODALITY, SESSION_OF_SCAN
from scandock.rules.sop_classes import LEAD, TYPE_OF_CLASS
from scandock.rules.subject_fields import DEMOGRAPHICS, INVESTIGATOR, OWN
from scandock.web.xnat.services.experiments import SCAN_ATTRIBUTES

SESSIONS: Final = tuple(
    sorted({*SESSION_OF_SCAN.values(), *SESSION_OF_MODALITY.values(), "petmr", "otherDicom", "xa3D"})
)
"""`mr` of `xnat:mrSessionData`, and so on."""
SCANS: Final = tuple(sorted({*TYPE_OF_CLASS.values(), *LEAD, "xc", "rt", "dxr", "voiceAudio"} - {"rg"}))
_XYZ: Final = ("x", "y", "z", "units", "num")
NESTED: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        **dict.fromkeys(("weight", "height", "dose"), ("units",)),
        **dict.fromkeys(("voxelRes", "fov", "matrix", "dimensions", "offset", "pixelSize", "resolution"), _XYZ),
        **dict.fromkeys(("RFilter", "ZFilter"), ("cutoff", "resolution", "code", "order")),
        "scanner": ("manufacturer", "model"),
        "tracer": ("name", "startTime"),
        "isotope": ("half-life",),
        "rescale": ("intercept", "slope"),
        "collimationWidth": ("single", "total"),
        "frame": ("starttime", "length", "units"),
    }
)
"""Elements with the fields below them that stand as attributes in documents: `<voxelRes x=".5" y=".5" z="1"/>`."""
NAMED: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {"addParam": ("addParam", "name"), "frames": ("frame", "number")}
)
"""Fields below which names stand, as `parameters/addParam/MultiEcho_TE1`, with the element that each is there, and the
attribute that has the name: `<addParam name="MultiEcho_TE1">5</addParam>`, `<frames><frame number="1" .../>`."""
PARAMETERS: Final = (
    "voxelRes", "orientation", "fov", "matrix", "tr", "te", "ti", "flip", "sequence", "imageType", "scanSequence",
    "seqVariant", "scanOptions", "acqType", "pixelBandwidth", "diffusion", "addParam", "inPlanePhaseEncoding",
)  # fmt: skip
"""A scan's parameters in their order in documents, before all others."""
ASSESSORS: Final = ("mrAssessorData", "petAssessorData", "qcAssessmentData", "qcManualAssessorData")
"""Types of image assessors that clients know by heart. There may be any others, of which no schema is known here."""
_READABLE: Final = re.compile(
    r"(?P<prefix>[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)*):[A-Za-z][A-Za-z0-9]*(?:[_.-][A-Za-z0-9]+)*", re.ASCII
)
"""Types that xnatpy reads: one of another name, or prefix, in a schema ends its connection."""
_OTHER_PREFIXES: Final = frozenset({"xs", "xsi", "xdat", "xnatpy"})
_NAMES_OF_CLIENTS: Final = frozenset(
    {"ABCMeta", "BytesIO", "Callable", "DataDirType", "False", "FileData", "FilterFunctions", "GzipFile",
     "HasDataDir", "IO", "JSONType", "Mappable", "MappedFunctionFailed", "MappingLevel", "MappingObjectStates", "None",
     "Optional", "Path", "RequestsFileLike", "SESSION", "SearchField", "SignalHandlerContext",
     "TarFile", "True", "Union", "User", "Users", "ZipFile"}
)  # fmt: skip
"""Names in the modules that xnatpy makes of the schemas: a class of such a name would take their place."""
_CLASSES_OF_CLIENTS: Final = ("XNAT", "Xnatpy")
"""What further such names begin with."""
_PREFIX: Final = "parameters/"
_XDAT: Final = "http://nrg.wustl.edu/security"
_KNOWN_PREFIXES: Final = {_XDAT: "xdat"} | {uri: prefix for prefix, uri in NAMESPACES.items()}
_PROJECT: Final = ("ID", "secondary_ID")
_SUBJECT: Final = ("ID", "project", "label", *OWN)
_SESSION: Final = ("ID", "project", "label", "visit_id", "UID", "modality")
_SCAN: Final = ("ID", "type", "UID")
_RESOURCE: Final = ("label", "file_count", "file_size", "URI", "format", "content")

_ELEMENTS: Final = {
    "xnat:projectData": "Project",
    "xnat:subjectData": "Subject",
    "xnat:resourceCatalog": "resourceCatalog",
}

_OPEN: Final = (
    '<xs:schema xmlns:{0}="{1}" xmlns:xs="http://www.w3.org/2001/XMLSchema"{2} targetNamespace="{1}"'
    ' elementFormDefault="qualified" attributeFormDefault="unqualified">'
)
"""On one line: clients look for the prefixes in it."""
_SESSION_FIELDS: Final = (
    "operator", "session_type", "study_id", "dcmAccessionNumber", "dcmPatientId", "dcmPatientName",
    "dcmPatientBirthDate", "dcmPatientWeight", "fieldStrength", "coil", "marker", "stabilization", "delay",
)  # fmt: skip
_SCAN_FIELDS: Final = (
    "image_session_ID", "note", "quality", "condition", "series_description", "documentation", "modality", "startTime",
    "start_date", "requestedProcedureDescription", "protocolName", "bodyPartExamined",
)  # fmt: skip


def element_of(kind: str) -> str:
    """The element that a document of a type has as its root: `MRSession` of `xnat:mrSessionData`."""
    known = _ELEMENTS.get(kind) or ROOTS.get(kind, "").removeprefix("xnat:")
    if known:
        return known
    name = kind.partition(":")[2].removesuffix("Data")
    for end in ("Session", "Scan"):
        if name.endswith(end):
            first = name.removesuffix(end)
            return f"{first.upper() if first.islower() else first[:1].upper() + first[1:]}{end}"
    return name[:1].upper() + name[1:]


def attributes_of(kind: str) -> tuple[str, ...]:
    """The fields of a type that stand as attributes in its documents; the others are elements."""
    if kind.endswith("SessionData"):
        return _SESSION
    if kind.endswith("ScanData"):
        return _SCAN
    return {"xnat:projectData": _PROJECT, "xnat:subjectData": _SUBJECT, "xnat:resourceCatalog": _RESOURCE}.get(kind, ())


def bases_of(kind: str) -> tuple[str, ...]:
    """The types above a type."""
    if kind.endswith("SessionData"):
        return ("xnat:imageSessionData", "xnat:subjectAssessorData", "xnat:experimentData")
    if kind.endswith("ScanData"):
        return ("xnat:imageScanData",)
    return ("xnat:resource", "xnat:abstractResource") if kind == "xnat:resourceCatalog" else ()


def schemas_with(assessors: Iterable[str]) -> dict[str, str]:
    """All schemas by their prefixes, which have these types of assessors besides our own.

    Nothing is known of a type but that it is an assessor's. One that would break a schema, or the classes that clients
    make of it, is left out.
    """
    ours = re.findall(r'<xs:complexType name="(\w+)"', xnat_xsd())
    classes = {_class_of(f"xnat:{name}") for name in ours} | _NAMES_OF_CLIENTS
    types: dict[str, list[str]] = {}
    for kind in assessors:
        found = _READABLE.fullmatch(kind)
        name = _class_of(kind)
        if (
            found
            and _is_own_prefix(found["prefix"])
            and not name.startswith(_CLASSES_OF_CLIENTS)
            and name not in classes
        ):
            classes.add(name)
            types.setdefault(found["prefix"], []).append(kind)
    made = {"xdat": xdat_xsd(), "xnat": xnat_xsd()}
    for prefix, kinds in types.items():
        opened = made.get(prefix) or _document(prefix, namespace_of(prefix, {}), [])
        made[prefix] = opened.replace("</xs:schema>", "\n".join([*_of_assessors(opened, kinds), "</xs:schema>"]))
    return dict(sorted(made.items()))


def _is_own_prefix(prefix: str) -> bool:
    """Whether a namespace is known by a prefix, and by no other one."""
    return prefix not in _OTHER_PREFIXES and _KNOWN_PREFIXES.get(namespace_of(prefix, {}), prefix) == prefix


def _class_of(kind: str) -> str:
    """What xnatpy calls its class of a type: `MrSessionData`, `FsFsData`."""
    first, *others = re.split(r"[^A-Za-z0-9]+", kind)
    parts = others if first.lower() == "xnat" else [first, *others]
    return "".join(one[:1].upper() + one[1:] for one in parts)


def _of_assessors(document: str, kinds: Sequence[str]) -> list[str]:
    """The types of one prefix, each with the root of its documents where no other one has it."""
    lines = []
    for kind in kinds:
        root = f'<xs:element name="{root_of(kind).partition(":")[2]}" '
        if root not in document:
            lines.append(f'{root}type="{kind}"/>')
            document += root
    return lines + [_type(kind.partition(":")[2], "imageAssessorData") for kind in kinds]


@cache
def xnat_xsd() -> str:
    """The schema of `xnat:` types."""
    names = ["projectData", "subjectData", *(f"{kind}SessionData" for kind in SESSIONS)]
    names += [*(f"{kind}ScanData" for kind in SCANS), *ASSESSORS]
    roots = [f'<xs:element name="{element_of(f"xnat:{name}")}" type="xnat:{name}"/>' for name in names]
    types = [*_bases(), *(_type(f"{kind}SessionData", "imageSessionData") for kind in SESSIONS)]
    types += [_type(f"{kind}ScanData", "imageScanData") for kind in SCANS]
    types += [_type(name, "imageAssessorData") for name in ASSESSORS]
    return _document("xnat", "http://nrg.wustl.edu/xnat", [*roots, *types])


@cache
def xdat_xsd() -> str:
    """The schema of `xdat:` types: none of them is ever named."""
    return _document("xdat", _XDAT, [])


def _document(prefix: str, namespace: str, parts: Sequence[str]) -> str:
    others = {} if prefix == "xdat" else {"xnat": NAMESPACES["xnat"], "xdat": _XDAT}
    declared = "".join(f' xmlns:{one}="{uri}"' for one, uri in others.items() if one != prefix)
    opened = _OPEN.format(prefix, namespace, declared)
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', opened, *parts, "</xs:schema>", ""]
    return "\n".join(lines)


def _bases() -> list[str]:
    return [
        _type(
            "projectData", None,
            [*_texts("name", "type", "description", "keywords"), _aliases(),
             _many("publications", "publication", "publicationResource"), _resources(),
             _element("studyProtocol", "xnat:abstractProtocol", many=True), _element("PI", "xnat:investigatorData"),
             _many("investigators", "investigator", "investigatorData"), _project_fields()],
            _PROJECT,
        ),
        _type("investigatorData", None, _texts(*dict.fromkeys([*INVESTIGATOR, *PI_FIELDS[:-1]])), PI_FIELDS[-1:]),
        _type("abstractProtocol", None, (), ("ID", "name", "data-type")),
        _type("abstractResource", None, _texts("note", "tags"), _RESOURCE[:3]),
        _type("resource", "abstractResource", (), _RESOURCE[3:]),
        _type("resourceCatalog", "resource"),
        _type("publicationResource", "resource"),
        _type(
            "experimentData", None,
            [_element("date", "xs:date"), _element("time", "xs:time"),
             *_texts("note", "acquisition_site", "investigator")],
            _SESSION[:4],
        ),
        _type("subjectAssessorData", "experimentData", [*_texts("subject_ID"), _element("age", "xs:float")]),
        _type("abstractDemographicData", None),
        _type(
            "demographicData", "abstractDemographicData",
            [_element(name, f"xs:{kind}") for name, kind in DEMOGRAPHICS.items() if "/" not in name],
        ),
        _type(
            "subjectData", None,
            [_element("investigator", "xnat:investigatorData"),
             _element("demographics", "xnat:abstractDemographicData"),
             _many("experiments", "experiment", "subjectAssessorData"), _resources()],
            _SUBJECT,
        ),
        _type("derivedData", "experimentData"),
        _type("imageAssessorData", "derivedData", _texts("imageSession_ID")),
        _type(
            "imageSessionData", "subjectAssessorData",
            [_many("scans", "scan", "imageScanData"), _resources(),
             _many("assessors", "assessor", "imageAssessorData"), _scanner(), *_texts(*_SESSION_FIELDS)],
            _SESSION[4:],
        ),
        _type(
            "imageScanData", None,
            [*_texts(*_SCAN_FIELDS), _scanner(), _element("frames", "xs:integer"), _parameters(),
             _element("file", "xnat:abstractResource", many=True)],
            _SCAN,
        ),
    ]  # fmt: skip


def _type(name: str, base: str | None, elements: Sequence[str] = (), attributes: Sequence[str] = ()) -> str:
    said = f"<xs:sequence>{''.join(elements)}</xs:sequence>" if elements else ""
    said += "".join(f'<xs:attribute name="{one}" type="xs:string"/>' for one in attributes)
    if base is not None:
        said = f'<xs:complexContent><xs:extension base="xnat:{base}">{said}</xs:extension></xs:complexContent>'
    return f'<xs:complexType name="{name}">{said}</xs:complexType>'


def _element(name: str, kind: str, *, many: bool = False) -> str:
    often = ' maxOccurs="unbounded"' if many else ""
    return f'<xs:element name="{name}" type="{kind}" minOccurs="0"{often}/>'


def _texts(*names: str) -> list[str]:
    return [_element(name, "xs:string") for name in names]


def _many(name: str, one: str, kind: str) -> str:
    """An element that holds any number of another."""
    below = _element(one, f"xnat:{kind}", many=True)
    inner = f"<xs:complexType><xs:sequence>{below}</xs:sequence></xs:complexType>"
    return f'<xs:element name="{name}" minOccurs="0">{inner}</xs:element>'


def _resources() -> str:
    return _many("resources", "resource", "abstractResource")


def _scanner() -> str:
    return f'<xs:element name="scanner" minOccurs="0">{_text_with("manufacturer", "model")}</xs:element>'


def parameter_order() -> tuple[str, ...]:
    """The elements below a scan's `parameters` in their order in documents."""
    known = [name.removeprefix(_PREFIX).partition("/")[0] for name in SCAN_ATTRIBUTES if name.startswith(_PREFIX)]
    return tuple(dict.fromkeys([*PARAMETERS, *known, "format", "frames"]))


def _parameters() -> str:
    """What headers, or people by `addParam`, say of how a scan was made."""
    below: dict[str, list[str]] = {name: [] for name in parameter_order()}
    for path in SCAN_ATTRIBUTES:
        first, _, rest = path.removeprefix(_PREFIX).partition("/")
        if path.startswith(_PREFIX) and rest:
            below[first].append(rest)
    elements = "".join(_parameter(name, rest) for name, rest in below.items())
    return f'<xs:element name="parameters" minOccurs="0">{_complex(elements)}</xs:element>'


def _parameter(name: str, below: Sequence[str]) -> str:
    """One of them, with what is below it as attributes or elements."""
    if name == "addParam":
        return f'<xs:element name="addParam" minOccurs="0" maxOccurs="unbounded">{_text_with("name")}</xs:element>'
    if name == "frames":
        typed = [("number", "xs:integer"), *((one, _number(f"frames/1/{one}")) for one in ("starttime", "length"))]
        frame = f"<xs:complexType>{_attributes([*typed, ('units', 'xs:string')])}</xs:complexType>"
        many = f'<xs:element name="frame" minOccurs="0" maxOccurs="unbounded">{frame}</xs:element>'
        return f'<xs:element name="frames" minOccurs="0">{_complex(many)}</xs:element>'
    if not below:
        return _element(name, _number(name))
    attributes = [(one, _number(f"{name}/{one}")) for one in below if one in NESTED.get(name, ())]
    elements = [_element(one, _number(f"{name}/{one}")) for one in below if one not in NESTED.get(name, ())]
    return (
        f'<xs:element name="{name}" minOccurs="0">{_complex("".join(elements), _attributes(attributes))}</xs:element>'
    )


def _number(parameter: str) -> str:
    """The type of a parameter's values."""
    kind = type_of_field(f"{_PREFIX}{parameter}")
    return f"xs:{kind.value}" if kind in (FieldType.INTEGER, FieldType.FLOAT) else "xs:string"


def _complex(elements: str, attributes: str = "") -> str:
    inner = f"<xs:sequence>{elements}</xs:sequence>" if elements else ""
    return f"<xs:complexType>{inner}{attributes}</xs:complexType>"


def _attributes(typed: Sequence[tuple[str, str]]) -> str:
    return "".join(f'<xs:attribute name="{name}" type="{kind}"/>' for name, kind in typed)


def _aliases() -> str:
    one = f'<xs:element name="alias" minOccurs="0" maxOccurs="unbounded">{_text_with("source", known_by="alias")}'
    return f'<xs:element name="aliases" minOccurs="0">{_complex(f"{one}</xs:element>")}</xs:element>'


def _project_fields() -> str:
    """Custom variables of a project: there are none here."""
    one = f'<xs:element name="field" minOccurs="0" maxOccurs="unbounded">{_text_with("name", known_by="name")}'
    return f'<xs:element name="fields" minOccurs="0">{_complex(f"{one}</xs:element>")}</xs:element>'


def _text_with(*names: str, known_by: str = "") -> str:
    """The type of an element that holds a text, and has attributes beside it.

    `known_by`: what tells one from the others, as XNAT notes it for its clients.
    """
    noted = f'<xdat:element displayIdentifiers="{known_by}"/>'
    noted = f"<xs:annotation><xs:appinfo>{noted}</xs:appinfo></xs:annotation>" if known_by else ""
    attributes = "".join(f'<xs:attribute name="{one}" type="xs:string"/>' for one in names)
    text = f'<xs:simpleContent><xs:extension base="xs:string">{attributes}</xs:extension></xs:simpleContent>'
    return f"<xs:complexType>{noted}{text}</xs:complexType>"
