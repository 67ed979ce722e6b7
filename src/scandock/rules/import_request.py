"""What is asked of one import: the one list of its fields, from every door to the rules.

Doors check what people send by the words of their own protocol; the command line makes one without loading pydantic.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self, get_args, get_type_hints

from scandock.model.dataclass import dataclass
from scandock.model.import_types import Destination, Overwrite, Resources

if TYPE_CHECKING:
    from scandock.rules.mapping import MappingRow


class RequestSource(Enum):
    """Who may name a field, where not only a door's own code does."""

    SENDER = "sender"
    """Whoever sends an archive, by the field's name: in a query, in a form and in tus's metadata alike."""
    COMMAND = "command"
    """The command line, which reads DATA itself; what an upload's row says of it counts for nothing."""


@dataclass(frozen=True, kw_only=True)
class ImportRequest:
    """The request beside the archive's bytes (design: fixed surface; rules.md: "Defaults").

    `None` means "not named": the project's policy, the setting or the rules decide. ValueError for a word that is none
    of its field's.
    """

    _WORDS: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "destination": get_args(Destination),
        "overwrite": get_args(Overwrite),
        "resources": get_args(Resources),
    }
    """Fields that take but a few words."""
    _given: ClassVar[frozenset[str]] = frozenset()
    """Of one that is made: the names of the fields that it was made with."""

    project: Annotated[str | None, RequestSource.SENDER] = None
    """Id of the project; one that does not exist is an error unless `create_project`."""
    create_project: Annotated[bool, RequestSource.COMMAND] = False
    """Make the project where it is missing; does nothing where it exists."""
    subject: Annotated[str | None, RequestSource.SENDER] = None
    """Requested label of the subject."""
    session: Annotated[str | None, RequestSource.SENDER] = None
    """Requested label of the session."""
    mapping_path: Annotated[str | None, RequestSource.COMMAND] = None
    """CSV or JSON file with rows of study_uid | patient_id | folder, project, subject, session."""
    mapping: tuple[MappingRow, ...] = ()
    """The rows of the mapping, once it is read; kept as its text, beside the request."""
    destination: Annotated[Destination | None, RequestSource.SENDER] = None
    overwrite: Annotated[Overwrite | None, RequestSource.SENDER] = None
    """What a session that is already archived gets (rules.md, "Again"); not named is not the same as `append` there."""
    ignore_unparsable: Annotated[bool, RequestSource.SENDER] = True
    """Off: any unparseable entry refuses the whole archive, naming them all."""
    resources: Annotated[Resources, RequestSource.SENDER] = "keep"
    workers: Annotated[int | None, RequestSource.COMMAND] = None
    """Reader processes; `None`: the setting, else the cores, at most 4."""
    dialect: bool = False
    """Came by XNAT's dialect (rules.md, "Which session" 1 and 5)."""
    prevent_anon: bool = False
    """The sender says that it has run the scripts (the dialect's `prevent_anon`): heeded of who may say so alone."""
    keep_names: bool = False
    """Objects keep the archive's own base names where these are safe and free: the dialect's `rename=false`."""
    ignores_by_name: bool = False
    """That unparseable entries be ignored was asked for by name: then they are no error of the dialect's answer."""
    direct: bool = False
    """The dialect's direct archive: a session that waits in the prearchive instead is no error of its answer."""
    quarantine: bool = False
    """What is archived of it is in quarantine until somebody activates it (xnat-behaviour.md 1.4)."""
    one_patient: bool = False
    """Whoever sent it named subject and session by hand: several PatientIDs in a study are one patient's."""
    settles: bool = False
    """Whoever sent it may archive: what it brings of a session that was left in conflict is decided by it."""
    timestamp: str = ""
    """The prearchive's timestamp that what comes is to stand under, where it goes there."""
    unnamed: tuple[str, ...] = ()
    """Of a session that moves, which of subject and session nobody has named: it had them."""
    former_timestamp: str = ""
    """That of a session that moves: it keeps it as it gets no other session's, and where that is free."""
    folder: str = ""
    """What its folder there is called by whoever sent it, where that is not its label."""
    said: Mapping[str, str] = field(default_factory=dict)
    """Attributes that are said of every session of the upload (xnat-behaviour.md 1.4: VISIT, SUBTYPE, paths)."""
    receiver_rules: Mapping[str, str] = field(default_factory=dict)
    """Routing rules, by kind, of the receiver that it came by: they are asked before the site's."""
    receipt: Annotated[bool, RequestSource.COMMAND] = False
    """The caller will ask for the receipt's lines; an inspection, which stores nothing, keeps them only then."""

    def __new__(cls, **given: object) -> Self:
        """Keep which fields were named: a default that was is no default that was not."""
        made = super().__new__(cls)
        object.__setattr__(made, "_given", frozenset(given))
        return made

    def __post_init__(self) -> None:
        for name, words in self._WORDS.items():
            value = getattr(self, name)
            if value is not None and value not in words:
                raise ValueError(f"{name} is none of {', '.join(words)}: {value!r}")

    @classmethod
    def fields_of(cls, source: RequestSource) -> tuple[str, ...]:
        """The names of the fields that only `source` may name, in their order."""
        return tuple(name for name, kind in _kinds().items() if source in getattr(kind, "__metadata__", ()))

    @classmethod
    def choices(cls, name: str) -> tuple[str, ...]:
        """The values that a field takes, of one that takes but a few words; else none."""
        return cls._WORDS.get(name, ())

    @classmethod
    def is_flag(cls, name: str) -> bool:
        """Whether a field is true or false."""
        return bool in (kind := _kinds()[name], *get_args(kind)[:1])

    @property
    def named(self) -> Mapping[str, object]:
        """The fields that were named, each with its value; without the rows of the mapping."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__ if name in self._given}
        return {name: value for name, value in values.items() if value is not None and name != "mapping"}

    def to_json(self) -> str:
        """The text that an upload's row keeps of it."""
        return json.dumps(self.named)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The request of an upload's row, of any version: what this one does not know is passed over."""
        stored: Mapping[str, Any] = json.loads(text or "{}")
        known_names = cls.__dataclass_fields__.keys() - {*cls.fields_of(RequestSource.COMMAND), "mapping"}
        values: dict[str, Any] = {name: value for name, value in stored.items() if name in known_names}
        for name, value in values.items():
            if isinstance(value, list):
                values[name] = tuple(value)
        return cls(**{name: value for name, value in values.items() if value is not None})

    def with_fields(self, **changes: Any) -> Self:  # noqa: ANN401
        """The same request with some fields named otherwise."""
        return type(self)(**{**{name: getattr(self, name) for name in self._given}, **changes})


@cache
def _kinds() -> Mapping[str, Any]:
    """The types of the fields of a request, with who may name each."""
    from scandock.rules.mapping import MappingRow

    return get_type_hints(ImportRequest, localns={"MappingRow": MappingRow}, include_extras=True)
