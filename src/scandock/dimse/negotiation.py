"""What of an association's proposal is accepted: contexts, transfer syntaxes, roles, window (PS3.7 annex D, PS3.8)."""

from __future__ import annotations

from typing import Final, NamedTuple

from scandock import __version__
from scandock.dimse import uids
from scandock.dimse.pdu import Accepted, AssociateRequest, ContextResult, Role
from scandock.dimse.records import AcceptedContext, Admitted, ProposedContext, WireLimits

IMPLEMENTATION_VERSION: Final = f"SCANDOCK_{__version__}"[:16]

ACCEPTED: Final = 0
ABSTRACT_SYNTAX: Final = 3
"""Abstract syntax not supported."""
TRANSFER_SYNTAXES: Final = 4
"""Transfer syntaxes not supported."""


class Negotiated(NamedTuple):
    """What stands, by context id, and what is written of it."""

    contexts: dict[int, AcceptedContext]
    accepted: Accepted
    window: int
    """Operations that may be outstanding; 1 where the peer does not ask."""


def negotiate(request: AssociateRequest, admitted: Admitted, limits: WireLimits) -> Negotiated:
    """Decide about everything that a request proposes. Its contexts have different ids (`pdu.decode_associate`)."""
    results = [_answer(context, request, admitted) for context in request.contexts]
    contexts = {
        context.id: AcceptedContext(context.id, context.abstract_syntax, result.transfer_syntax)
        for context, result in zip(request.contexts, results, strict=True)
        if result.result == ACCEPTED
    }
    classes = {context.abstract_syntax for context in contexts.values()}
    window = 1
    if request.window is not None:
        window = min(request.window[0] or limits.window, limits.window)
    checked = request.identity is not None and request.identity.wants_response and admitted.identity_checked
    coerces = bytes((2, 0, 1, 0, int(admitted.changes_objects), 0))
    accepted = Accepted(
        application_context=uids.APPLICATION_CONTEXT,
        contexts=results,
        max_pdu=limits.max_pdu,
        implementation_class=uids.IMPLEMENTATION_CLASS,
        implementation_version=IMPLEMENTATION_VERSION,
        window=None if request.window is None else (window, 1),
        roles=[Role(role.uid, min(role.scu, 1), 0) for role in request.roles if role.uid in classes],
        extended=[(uid, coerces) for uid, _ in request.extended if uid in classes and _stores(uid, request)],
        identity_response=b"" if checked else None,
    )
    return Negotiated(contexts, accepted, window)


def _answer(context: ProposedContext, request: AssociateRequest, admitted: Admitted) -> ContextResult:
    offered = context.transfer_syntaxes
    if context.abstract_syntax == uids.VERIFICATION or (
        context.abstract_syntax == uids.COMMITMENT and admitted.commitment
    ):
        syntaxes = _PLAIN
    elif _stores(context.abstract_syntax, request):
        syntaxes = uids.TRANSFER_SYNTAXES
    else:
        return ContextResult(context.id, ABSTRACT_SYNTAX, uids.IMPLICIT)
    for syntax in offered:
        if syntax in syntaxes:
            return ContextResult(context.id, ACCEPTED, syntax)
    return ContextResult(context.id, TRANSFER_SYNTAXES, uids.IMPLICIT)  # which of a refused context means nothing


_PLAIN: Final = frozenset({uids.IMPLICIT, uids.ROOT + "1.2.1", uids.ROOT + "1.2.2"})
"""For what is no image: uncompressed."""


def _stores(uid: str, request: AssociateRequest) -> bool:
    """Whether a SOP class is one of storage, and the peer does not say that it is of another service."""
    return uids.is_storage(uid) and request.services.get(uid, uids.STORAGE_SERVICE) == uids.STORAGE_SERVICE
