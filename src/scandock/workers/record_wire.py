"""Records as plain values and back, for a `Wire` between processes of ours: frozen ones of a fixed list, and no others.

Whoever a peer has taken over can send nothing but data, and makes no object that is not one of these.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, Final

from scandock.dimse.records import Answer, CommitmentAnswer, CommitmentRequest, CommitmentResult
from scandock.model.incoming_upload import IncomingUpload
from scandock.model.receivers import ClientCertificates, Closing, Receiver
from scandock.model.reception import AssociationOutcome, CloseReason, StudyWish
from scandock.model.verdicts import ImportState
from scandock.services.received_records import (
    AssociationLine,
    LeftStudy,
    ReceiverListening,
    StudyProgress,
    StudySender,
)

_RECORDS: Final[dict[str, type[Any]]] = {
    record.__name__: record
    for record in (
        Answer, AssociationLine, CommitmentAnswer, CommitmentRequest, CommitmentResult, IncomingUpload, LeftStudy,
        Receiver, ReceiverListening, StudyProgress, StudySender,
    )
}  # fmt: skip
_ENUMS: Final[dict[str, type[Enum]]] = {
    kind.__name__: kind
    for kind in (
        AssociationOutcome, ClientCertificates, CloseReason, Closing, ImportState, StudyWish,
    )
}  # fmt: skip
_PLAIN: Final = frozenset({type(None), bool, int, float, str, bytes})


def to_plain(value: Any) -> Any:  # noqa: ANN401  whatever a call has
    """What `marshal` carries of a value. Raises TypeError where it is none of those that go over a wire."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind in (list, tuple):
        return kind.__name__, [to_plain(one) for one in value]
    if kind is dict:
        return "dict", [(to_plain(key), to_plain(one)) for key, one in value.items()]
    if isinstance(value, Enum) and kind.__name__ in _ENUMS:
        return kind.__name__, value.value
    if is_dataclass(value) and kind.__name__ in _RECORDS:
        return kind.__name__, {one.name: to_plain(getattr(value, one.name)) for one in fields(value)}
    raise TypeError(f"{kind.__name__} does not go over a wire")


def from_plain(plain: Any) -> Any:  # noqa: ANN401  whatever a call has
    """The value. Raises what its type does, or KeyError, where it is none."""
    if type(plain) in _PLAIN:
        return plain
    name, content = plain
    if name == "list":
        return [from_plain(one) for one in content]
    if name == "tuple":
        return tuple(from_plain(one) for one in content)
    if name == "dict":
        return {from_plain(key): from_plain(one) for key, one in content}
    if name in _ENUMS:
        return _ENUMS[name](content)
    return _RECORDS[name](**{key: from_plain(one) for key, one in content.items()})
