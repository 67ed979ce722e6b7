"""Made-up and damaged PDUs: whatever a peer sends, the loop ends, says how, and keeps nothing that was no object.

20,000 PDUs in every run, the same ones; `make fuzz` sends a million (FUZZED_PDUS), with a seed of its own that it says.
"""

from __future__ import annotations

import contextlib
import os
import random
import resource
import socket
import struct
import threading

import pytest
from pynetdicom.pdu import A_RELEASE_RQ
from pynetdicom.pdu_primitives import AsynchronousOperationsWindowNegotiation

from scandock.dimse.association import serve_association
from scandock.dimse.connection import Connection, WholeMessage
from scandock.dimse.records import Answer, CommitmentAnswer, CommitmentRequest, CommitmentResult, Deadlines, WireLimits
from tests.acceptors import Keeper
from tests.dimse_peer import MR, USUAL, action_rq, associate_rq, dataset, echo_rq, store_rq
from tests.unit.dimse.test_association import ABORTS, BAD_REQUESTS, action

PDUS = int(os.environ.get("FUZZED_PDUS", "20000"))
LIMITS = WireLimits(pdu=64 * 1024, command=4096, object=100_000, memory=2000, action=5000)
DEADLINES = Deadlines(handshake=5, request=5, silence=5, between=5, close=5, report=0)
SIZES = (0, 1, 2, 3, 4, 5, 6, 7, 255, 256, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF)


def window() -> AsynchronousOperationsWindowNegotiation:
    item = AsynchronousOperationsWindowNegotiation()
    item.maximum_number_operations_invoked, item.maximum_number_operations_performed = 4, 1
    return item


REQUESTS = [associate_rq(), associate_rq(USUAL, window()), associate_rq(USUAL * 20)]
MESSAGES = [
    echo_rq(),
    store_rq(dataset()),
    store_rq(dataset(), max_pdu=100),
    store_rq(dataset(pixels=5000), max_pdu=3000),
    action_rq(action((MR, "1.2.3"), (MR, "1.2.4"))),
    store_rq(dataset("1.2.4"), instance="1.2.4"),
]
BAD = [
    A_RELEASE_RQ().encode(),
    b"\7\0\0\0\0\4\0\0\0\0",
    *(sent for sent, _ in ABORTS.values()),
    *(sent for sent, _ in BAD_REQUESTS.values()),
]


def split(stream: bytes) -> list[bytes]:
    pdus = []
    while len(stream) >= 6:
        end = 6 + int.from_bytes(stream[2:6], "big")
        pdus.append(stream[:end])
        stream = stream[end:]
    return [*pdus, stream] if stream else pdus


def damage(rng: random.Random, pdu: bytes) -> bytes:
    """A PDU with some bytes changed, cut, doubled, or with another length in it; its own length mostly set right."""
    data = bytearray(pdu)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(6)
        if kind == 0 and at < len(data):
            data[at] = rng.randrange(256)
        elif kind == 1:
            del data[at : at + rng.randrange(1, 20)]
        elif kind == 2:
            data[at:at] = data[max(0, at - rng.randrange(1, 40)) : at]
        elif kind == 3 and at + 4 <= len(data):
            struct.pack_into(rng.choice((">I", "<I")), data, at, rng.choice(SIZES))
        elif kind == 4 and at + 2 <= len(data):
            struct.pack_into(rng.choice((">H", "<H")), data, at, rng.choice(SIZES) & 0xFFFF)
        else:
            data[at:at] = rng.randbytes(rng.randrange(1, 9))
    if len(data) >= 6 and rng.random() < 0.8:
        struct.pack_into(">I", data, 2, len(data) - 6)
    return bytes(data)


def made_up(rng: random.Random, count: int) -> list[bytes]:
    """The PDUs of one association, mostly begun as one is."""
    request = rng.choice(REQUESTS)
    if rng.random() < 0.3:
        request = damage(rng, request)
    pdus = [request]
    while len(pdus) < count:
        message = split(rng.choice(BAD if rng.random() < 0.05 else MESSAGES))
        pdus += (damage(rng, pdu) if rng.random() < 0.08 else pdu for pdu in message)
    return pdus[:count]


def decide(request: CommitmentRequest) -> CommitmentAnswer:
    return CommitmentAnswer(Answer(), CommitmentResult(request.transaction, request.references, ()))


def send_and_close(sock: socket.socket, stream: bytes) -> None:
    with contextlib.suppress(OSError):
        sock.sendall(stream)
        sock.shutdown(socket.SHUT_WR)


def drain(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while sock.recv(65536):
            pass


def serve(stream: bytes) -> Keeper:
    """What one association leaves that sends so, and does not read before its end."""
    keeper = Keeper(decide=decide)
    ours, theirs = socket.socketpair()
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    with theirs:
        send_and_close(theirs, stream[: 1 << 19])
        serve_association(ours, keeper, deadlines=DEADLINES, limits=LIMITS)
        drain(theirs)
    return keeper


def test_objects_are_taken_at_once_as_they_are_pdu_by_pdu() -> None:
    """Objects that stand whole in the buffer are taken in a shorter way, which may make no difference."""
    rng = random.Random(20)
    taken: list[WholeMessage] = []
    take = Connection.take

    def take_and_count(wire: Connection, message: WholeMessage) -> None:
        taken.append(message)
        take(wire, message)

    for _ in range(400):
        stream = b"".join(made_up(rng, rng.randrange(2, 16)))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Connection, "take", take_and_count)
            shorter = serve(stream)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Connection, "read_message", lambda *_: None)
            longer = serve(stream)
        assert shorter.objects == longer.objects
        assert shorter.ends == longer.ends
        assert shorter.refusals == longer.refusals
        assert [one.references for one in shorter.commitments] == [one.references for one in longer.commitments]
    assert len(taken) > 200


@pytest.mark.long
def test_whatever_comes_ends_in_words() -> None:
    seed = random.SystemRandom().randrange(1 << 32) if "FUZZED_PDUS" in os.environ else 18
    print(f"seed {seed}")
    rng = random.Random(seed)
    sent = reached = 0
    endings: dict[str, int] = {}
    memory = 0
    while sent < PDUS:
        pdus = made_up(rng, rng.randrange(2, 16))
        sent += len(pdus)
        keeper = serve(b"".join(pdus))
        assert not keeper.faults, seed
        assert len(keeper.ends) == 1, (seed, keeper.ends)
        assert all(file.closed == 1 for file in keeper.larges), seed
        assert "fault" not in keeper.ends[0], seed
        assert len(keeper.requests) == len(keeper.associations), seed
        reached += len(keeper.objects) + len(keeper.commitments)
        end = keeper.ends[0].partition(" of ")[0]
        endings[end] = endings.get(end, 0) + 1
        if sent > PDUS // 4 and not memory:
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 30_000
    assert reached > sent / 20  # else it was noise that never got anywhere
    assert endings["released"] > 0
    assert len(endings) > 15, endings
    assert threading.active_count() < 50
