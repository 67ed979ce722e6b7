"""What is off with a request before anything is asked, whatever it asks."""

from __future__ import annotations

from scandock.model.errors import CodedUsage, Fault, Usage, Worded


class NotFound(Worded, Usage):
    CODE = "not_found"
    STATUS = 404
    MEANING = "There is nothing of that name, or you may not know of it."


class WorkerHost(CodedUsage):
    CODE = "worker_host"
    STATUS = 404
    MEANING = "The host has the role worker: it imports, and answers whether it is ready alone."
    SENTENCE = "This host has the role worker: it imports, and takes no requests."
    REMEDY = "Use the address of a host with the role web or all."


class MethodNotAllowed(Worded, Usage):
    CODE = "method_not_allowed"
    STATUS = 405
    MEANING = "The address is right, the method is not."


class HeadTooLong(Worded, Usage):
    CODE = "head_too_long"
    STATUS = 431
    MEANING = "The address, or the headers with it, are longer than the server reads."


class AddressTooLong(HeadTooLong):
    STATUS = 414


class HeadLate(CodedUsage):
    CODE = "head_late"
    STATUS = 408
    MEANING = "The headers were not complete in time."
    SENTENCE = "The request's head was not complete within {seconds:.0f} seconds."
    REMEDY = "Send it again."

    def __init__(self, seconds: float) -> None:
        self._fill({"seconds": seconds})


class RequestUnreadable(CodedUsage):
    CODE = "request_unreadable"
    MEANING = "What came is no HTTP/1.1 request."
    SENTENCE = "What came is no HTTP/1.1 request."
    REMEDY = "Check the address, the client, and any proxy between them and here; then send it again."


class ServerFull(CodedUsage):
    CODE = "server_full"
    STATUS = 503
    MEANING = "The server has as many connections as it may, and all are at work."
    SENTENCE = "The server has as many connections as it may."
    REMEDY = "Try again in a moment."


class BodyTooLarge(Worded, Usage):
    CODE = "body_too_large"
    STATUS = 413
    MEANING = (
        "The body of a request that is no upload has, or says that it will have, more bytes than it may have; or a"
        " mapping, however it is sent."
    )


class BodyTooSlow(CodedUsage):
    CODE = "body_too_slow"
    STATUS = 408
    MEANING = "The body of a request that is no upload did not come in time."
    SENTENCE = "The body did not end in time: {received:,} bytes came."
    REMEDY = "Send it within {seconds:.0f} seconds, and a second more for each {rate:,} bytes."

    def __init__(self, received: int, seconds: float, rate: int) -> None:
        self._fill({"received": received, "seconds": seconds, "rate": rate})


class ServerStopping(Worded, Fault):
    CODE = "server_stopping"
    MEANING = "The server is being stopped; what came of a resumable upload was kept."
