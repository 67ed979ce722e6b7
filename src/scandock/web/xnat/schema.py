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
ATTRIBUTE_FIELDS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
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
KEYED_ELEMENTS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
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


def root_element(kind: str) -> str:
    """The element that a document of a type has as its root: `MRSession` of `xnat:mrSessionData`."""
    element = _ELEMENTS.get(kind) or ROOTS.get(kind, "").removeprefix("xnat:")
    if element:
        return element
    name = kind.partition(":")[2].removesuffix("Data")
    for suffix in ("Session", "Scan"):
        if name.endswith(suffix):
            prefix = name.removesuffix(suffix)
            return f"{prefix.upper() if prefix.islower() else prefix[:1].upper() + prefix[1:]}{suffix}"
    return name[:1].upper() + name[1:]


def document_attributes(kind: str) -> tuple[str, ...]:
    """The fields of a type that stand as attributes in its documents; the others are elements."""
    if kind.endswith("SessionData"):
        return _SESSION
    if kind.endswith("ScanData"):
        return _SCAN
    return {"xnat:projectData": _PROJECT, "xnat:subjectData": _SUBJECT, "xnat:resourceCatalog": _RESOURCE}.get(kind, ())


def base_types(kind: str) -> tuple[str, ...]:
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
    return lines + [_type_definition(kind.partition(":")[2], "imageAssessorData") for kind in kinds]


@cache
def xnat_xsd() -> str:
    """The schema of `xnat:` types."""
    names = ["projectData", "subjectData", *(f"{kind}SessionData" for kind in SESSIONS)]
    names += [*(f"{kind}ScanData" for kind in SCANS), *ASSESSORS]
    roots = [f'<xs:element name="{root_element(f"xnat:{name}")}" type="xnat:{name}"/>' for name in names]
    types = [*_base_definitions(), *(_type_definition(f"{kind}SessionData", "imageSessionData") for kind in SESSIONS)]
    types += [_type_definition(f"{kind}ScanData", "imageScanData") for kind in SCANS]
    types += [_type_definition(name, "imageAssessorData") for name in ASSESSORS]
    return _document("xnat", "http://nrg.wustl.edu/xnat", [*roots, *types])


@cache
def xdat_xsd() -> str:
    """The schema of `xdat:` types: none of them is ever named."""
    return _document("xdat", _XDAT, [])


def _document(prefix: str, namespace: str, parts: Sequence[str]) -> str:
    others = {} if prefix == "xdat" else {"xnat": NAMESPACES["xnat"], "xdat": _XDAT}
    declared = "".join(f' xmlns:{one}="{uri}"' for one, uri in others.items() if one != prefix)
    opening = _OPEN.format(prefix, namespace, declared)
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', opening, *parts, "</xs:schema>", ""]
    return "\n".join(lines)


def _base_definitions() -> list[str]:
    return [
        _type_definition(
            "projectData",
            None,
            [
                *_text_elements("name", "type", "description", "keywords"),
                _aliases(),
                _list_element("publications", "publication", "publicationResource"),
                _resources(),
                _element("studyProtocol", "xnat:abstractProtocol", many=True),
                _element("PI", "xnat:investigatorData"),
                _list_element("investigators", "investigator", "investigatorData"),
                _project_fields(),
            ],
            _PROJECT,
        ),
        _type_definition(
            "investigatorData", None, _text_elements(*dict.fromkeys([*INVESTIGATOR, *PI_FIELDS[:-1]])), PI_FIELDS[-1:]
        ),
        _type_definition("abstractProtocol", None, (), ("ID", "name", "data-type")),
        _type_definition("abstractResource", None, _text_elements("note", "tags"), _RESOURCE[:3]),
        _type_definition("resource", "abstractResource", (), _RESOURCE[3:]),
        _type_definition("resourceCatalog", "resource"),
        _type_definition("publicationResource", "resource"),
        _type_definition(
            "experimentData",
            None,
            [
                _element("date", "xs:date"),
                _element("time", "xs:time"),
                *_text_elements("note", "acquisition_site", "investigator"),
            ],
            _SESSION[:4],
        ),
        _type_definition(
            "subjectAssessorData", "experimentData", [*_text_elements("subject_ID"), _element("age", "xs:float")]
        ),
        _type_definition("abstractDemographicData", None),
        _type_definition(
            "demographicData",
            "abstractDemographicData",
            [_element(name, f"xs:{kind}") for name, kind in DEMOGRAPHICS.items() if "/" not in name],
        ),
        _type_definition(
            "subjectData",
            None,
            [
                _element("investigator", "xnat:investigatorData"),
                _element("demographics", "xnat:abstractDemographicData"),
                _list_element("experiments", "experiment", "subjectAssessorData"),
                _resources(),
            ],
            _SUBJECT,
        ),
        _type_definition("derivedData", "experimentData"),
        _type_definition("imageAssessorData", "derivedData", _text_elements("imageSession_ID")),
        _type_definition(
            "imageSessionData",
            "subjectAssessorData",
            [
                _list_element("scans", "scan", "imageScanData"),
                _resources(),
                _list_element("assessors", "assessor", "imageAssessorData"),
                _scanner(),
                *_text_elements(*_SESSION_FIELDS),
            ],
            _SESSION[4:],
        ),
        _type_definition(
            "imageScanData",
            None,
            [
                *_text_elements(*_SCAN_FIELDS),
                _scanner(),
                _element("frames", "xs:integer"),
                _parameters(),
                _element("file", "xnat:abstractResource", many=True),
            ],
            _SCAN,
        ),
    ]


def _type_definition(name: str, base: str | None, elements: Sequence[str] = (), attributes: Sequence[str] = ()) -> str:
    content = f"<xs:sequence>{''.join(elements)}</xs:sequence>" if elements else ""
    content += "".join(f'<xs:attribute name="{attribute}" type="xs:string"/>' for attribute in attributes)
    if base is not None:
        content = f'<xs:complexContent><xs:extension base="xnat:{base}">{content}</xs:extension></xs:complexContent>'
    return f'<xs:complexType name="{name}">{content}</xs:complexType>'


def _element(name: str, kind: str, *, many: bool = False) -> str:
    max_occurs = ' maxOccurs="unbounded"' if many else ""
    return f'<xs:element name="{name}" type="{kind}" minOccurs="0"{max_occurs}/>'


def _text_elements(*names: str) -> list[str]:
    return [_element(name, "xs:string") for name in names]


def _list_element(name: str, child: str, kind: str) -> str:
    """An element that holds any number of another."""
    child_element = _element(child, f"xnat:{kind}", many=True)
    inner = f"<xs:complexType><xs:sequence>{child_element}</xs:sequence></xs:complexType>"
    return f'<xs:element name="{name}" minOccurs="0">{inner}</xs:element>'


def _resources() -> str:
    return _list_element("resources", "resource", "abstractResource")


def _scanner() -> str:
    return f'<xs:element name="scanner" minOccurs="0">{_text_type("manufacturer", "model")}</xs:element>'


def parameter_order() -> tuple[str, ...]:
    """The elements below a scan's `parameters` in their order in documents."""
    parameter_names = [
        name.removeprefix(_PREFIX).partition("/")[0] for name in SCAN_ATTRIBUTES if name.startswith(_PREFIX)
    ]
    return tuple(dict.fromkeys([*PARAMETERS, *parameter_names, "format", "frames"]))


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
        return f'<xs:element name="addParam" minOccurs="0" maxOccurs="unbounded">{_text_type("name")}</xs:element>'
    if name == "frames":
        attributes_of_frame = [
            ("number", "xs:integer"),
            *((child, _parameter_type(f"frames/1/{child}")) for child in ("starttime", "length")),
        ]
        frame = f"<xs:complexType>{_attributes([*attributes_of_frame, ('units', 'xs:string')])}</xs:complexType>"
        frame_element = f'<xs:element name="frame" minOccurs="0" maxOccurs="unbounded">{frame}</xs:element>'
        return f'<xs:element name="frames" minOccurs="0">{_complex(frame_element)}</xs:element>'
    if not below:
        return _element(name, _parameter_type(name))
    attributes = [
        (child, _parameter_type(f"{name}/{child}")) for child in below if child in ATTRIBUTE_FIELDS.get(name, ())
    ]
    elements = [
        _element(child, _parameter_type(f"{name}/{child}"))
        for child in below
        if child not in ATTRIBUTE_FIELDS.get(name, ())
    ]
    return (
        f'<xs:element name="{name}" minOccurs="0">{_complex("".join(elements), _attributes(attributes))}</xs:element>'
    )


def _parameter_type(parameter: str) -> str:
    """The type of a parameter's values."""
    kind = type_of_field(f"{_PREFIX}{parameter}")
    return f"xs:{kind.value}" if kind in (FieldType.INTEGER, FieldType.FLOAT) else "xs:string"


def _complex(elements: str, attributes: str = "") -> str:
    inner = f"<xs:sequence>{elements}</xs:sequence>" if elements else ""
    return f"<xs:complexType>{inner}{attributes}</xs:complexType>"


def _attributes(typed: Sequence[tuple[str, str]]) -> str:
    return "".join(f'<xs:attribute name="{name}" type="{kind}"/>' for name, kind in typed)


def _aliases() -> str:
    alias_element = (
        f'<xs:element name="alias" minOccurs="0" maxOccurs="unbounded">{_text_type("source", identifier="alias")}'
    )
    return f'<xs:element name="aliases" minOccurs="0">{_complex(f"{alias_element}</xs:element>")}</xs:element>'


def _project_fields() -> str:
    """Custom variables of a project: there are none here."""
    field_element = (
        f'<xs:element name="field" minOccurs="0" maxOccurs="unbounded">{_text_type("name", identifier="name")}'
    )
    return f'<xs:element name="fields" minOccurs="0">{_complex(f"{field_element}</xs:element>")}</xs:element>'


def _text_type(*names: str, identifier: str = "") -> str:
    """The type of an element that holds a text, and has attributes beside it.

    `identifier`: what tells one from the others, as XNAT notes it for its clients.
    """
    annotation = f'<xdat:element displayIdentifiers="{identifier}"/>'
    annotation = f"<xs:annotation><xs:appinfo>{annotation}</xs:appinfo></xs:annotation>" if identifier else ""
    attributes = "".join(f'<xs:attribute name="{attribute}" type="xs:string"/>' for attribute in names)
    text = f'<xs:simpleContent><xs:extension base="xs:string">{attributes}</xs:extension></xs:simpleContent>'
    return f"<xs:complexType>{annotation}{text}</xs:complexType>"
