"""What can't be done to a DICOM receiver or a peer."""

from __future__ import annotations

from scandock.model.errors import Coded, CodedUsage, Fault, Usage, Worded


class ReceiverInvalid(Worded, Usage):
    CODE = "receiver_invalid"
    MEANING = "That can't be set of a DICOM receiver; the sentence says what and why."


class ReceiverExists(CodedUsage):
    CODE = "receiver_exists"
    STATUS = 409
    MEANING = "There is a receiver of that AE title at that port already."
    SENTENCE = "There is a receiver {title} at port {port} already."
    REMEDY = "Choose another AE title or port, or change that receiver."

    def __init__(self, title: str, port: int) -> None:
        self._fill({"title": title, "port": port})


class ReceiverPortShared(CodedUsage):
    CODE = "receiver_port_shared"
    STATUS = 409
    MEANING = "Receivers that share a port have the same address, TLS and client certificates."
    SENTENCE = "{other} listens at port {port} too, with another address, TLS or client certificates."
    REMEDY = "Set them alike, or choose another port."

    def __init__(self, other: str, port: int) -> None:
        self._fill({"other": other, "port": port})


class ReceiversTooMany(CodedUsage):
    CODE = "receivers_many"
    STATUS = 409
    MEANING = "There are as many receivers, or peers, as there can be: remove one first."
    SENTENCE = "There are {count} already."
    REMEDY = "Remove one first."

    def __init__(self, count: int) -> None:
        self._fill({"count": count})


class PeerInvalid(Worded, Usage):
    CODE = "peer_invalid"
    MEANING = "That can't be set of a DICOM peer; the sentence says what and why."


class PeerExists(CodedUsage):
    CODE = "peer_exists"
    STATUS = 409
    MEANING = "There is a peer of that AE title already."
    SENTENCE = "There is a peer {title} already."
    REMEDY = "Choose another AE title, or change that peer."

    def __init__(self, title: str) -> None:
        self._fill({"title": title})


class StudyNotReceiving(CodedUsage):
    CODE = "study_not_receiving"
    STATUS = 409
    MEANING = "The study is not being received any more: it is imported, or was discarded."
    SENTENCE = "The study is not being received any more."
    REMEDY = "Look at its import under Activity."


class StudyHostSilent(CodedUsage):
    CODE = "study_host_silent"
    STATUS = 409
    MEANING = "The host that receives the study does not answer, so the study can't be closed now."
    SENTENCE = "The study is received by {host}, which does not answer."
    REMEDY = "Start the server there: the study goes on. Or discard it."

    def __init__(self, host: str) -> None:
        self._fill({"host": host})


class PeerCallFailed(Coded, Fault):
    """A DICOM peer was called, and did not do what it was called for."""

    CODE = "dicom_peer_failed"
    STATUS = 502
    MEANING = "A DICOM peer that was called can't be reached, rejects us, or does not answer."
    SENTENCE = "{title} at {host}, port {port} was called: {why}."
    REMEDY = "Check the peer's AE title, host and port, that it runs, and that it knows ours."

    def __init__(self, title: str, host: str, port: int, why: str) -> None:
        self._fill({"title": title, "host": host, "port": port, "why": why})
