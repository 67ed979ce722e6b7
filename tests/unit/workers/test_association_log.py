"""What of associations is to be written down: each change once, and again where that failed."""

from __future__ import annotations

import pytest

from scandock.dimse.records import Admitted, Answer, Association, AssociationRequest, Peer, Status, Traffic
from scandock.model.reception import AssociationOutcome
from scandock.services.received_records import AssociationLine
from scandock.workers.receiver_acceptor import AssociationLog, Refused
from scandock.workers.receiver_figures import ReceiverFigures

PEER = Peer("127.0.0.1", 1)
FULL = Answer(Status.OUT_OF_RESOURCES, "The disk is full")


class Opened:
    """A log with one association that is open."""

    def __init__(self) -> None:
        self.log = AssociationLog(ReceiverFigures())
        self.traffic = Traffic()
        request = AssociationRequest(PEER, "SCANDOCK", "CT1", (), 16_384)
        self.association = Association(request, Admitted(), {}, self.traffic)
        line = self.log.new_line(104, request, PEER, AssociationOutcome.OPEN, number=self.association.number)
        self.log.begin(self.association, line)

    def refuse(self) -> None:
        self.log.note_failure(self.association, Refused.OBJECT, FULL, "1.2")

    def changes(self) -> list[tuple[str, int, int, int, str]]:
        return [_facts(line) for line in self.log.take_changes()]


def _facts(line: AssociationLine) -> tuple[str, int, int, int, str]:
    return line.outcome.value, line.objects, line.bytes, line.failures, line.message


@pytest.fixture
def opened() -> Opened:
    return Opened()


def test_an_open_association_is_written_where_anything_of_it_changed(opened: Opened) -> None:
    assert opened.changes() == [("open", 0, 0, 0, "")]
    assert opened.changes() == []
    opened.traffic.bytes_received = 100
    assert opened.changes() == [("open", 0, 100, 0, "")]
    opened.association.objects = 1  # answered after its last byte was counted
    assert opened.changes() == [("open", 1, 100, 0, "")]
    opened.refuse()
    assert opened.changes() == [("open", 1, 100, 1, "Object 1.2 was refused with A700: The disk is full.")]
    opened.refuse()
    assert [line[3] for line in opened.changes()] == [2]
    assert opened.changes() == []


def test_what_could_not_be_written_is_written_as_it_is_by_then(opened: Opened) -> None:
    lines = opened.log.take_changes()
    opened.log.give_back(lines)
    opened.refuse()
    opened.log.take_changes()
    opened.log.give_back(lines)  # what was taken before the refusal
    assert [line[3] for line in opened.changes()] == [1]
    assert opened.changes() == []
    opened.refuse()
    lines = opened.log.take_changes()
    opened.log.end(opened.association, AssociationOutcome.RELEASED)
    opened.log.give_back(lines)
    assert [(line[0], line[3]) for line in opened.changes()] == [("released", 2)]
    assert opened.changes() == []
