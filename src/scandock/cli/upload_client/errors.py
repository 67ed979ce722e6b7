"""What ends an upload by the command line, beside what the server says."""

from __future__ import annotations

from scandock.model.errors import Coded, CodedUsage, Fault, Usage, Worded


class ServerUrlInvalid(Worded, Usage):
    CODE = "url_invalid"
    MEANING = "That is no address of a server, or has a password in it."


class LoginMissing(Worded, Usage):
    CODE = "login_missing"
    MEANING = "It is not said who uploads, or nobody can be asked for the password."


class LoginWrong(CodedUsage):
    CODE = "login_wrong"
    MEANING = "The server knows no account of that name and password, or the token has ended."
    SENTENCE = "{url} knows no account of that name and password, or the token has ended."
    REMEDY = "Check --user, SCANDOCK_PASSWORD or SCANDOCK_TOKEN."

    def __init__(self, url: str) -> None:
        self._fill({"url": url})


class LoginEnded(Coded, Fault):
    """The same, once an upload has begun."""

    CODE = LoginWrong.CODE
    MEANING = LoginWrong.MEANING
    SENTENCE = LoginWrong.SENTENCE
    REMEDY = LoginWrong.REMEDY

    def __init__(self, url: str) -> None:
        self._fill({"url": url})


class NotScandock(Worded, Usage):
    CODE = "not_scandock"
    MEANING = "What answers at the address is no Scandock server."


class ServerUnreachable(Coded, Fault):
    CODE = "server_unreachable"
    MEANING = "Nothing answers at the address. Once it has answered, it is waited for instead."
    SENTENCE = "{url} does not answer: {reason}."
    REMEDY = "Check the address, and whether the server runs; what was sent before is kept there."

    def __init__(self, url: str, reason: str) -> None:
        self._fill({"url": url, "reason": reason})


class CertificateUntrusted(CodedUsage):
    CODE = "certificate_untrusted"
    MEANING = "The server's certificate is not to be trusted by the system's certificates."
    SENTENCE = "The certificate of {host} is not to be trusted: {reason}."
    REMEDY = "Check the address. A site's own authority goes into the system's certificates."

    def __init__(self, host: str, reason: str) -> None:
        self._fill({"host": host, "reason": reason})


class ProjectHidden(Worded, Usage):
    CODE = "project_hidden"
    MEANING = "The project does not exist, or you may not know of it."


class UploadForbidden(Worded, Usage):
    CODE = "upload_forbidden"
    MEANING = "You may not upload to the project, or the token may not upload."


class ArchiveChanged(Coded, Fault):
    CODE = "archive_changed"
    MEANING = "The archive was changed while it was uploaded: the parts would not fit together."
    SENTENCE = "{path!r} was changed while it was uploaded."
    REMEDY = "Upload it again once it is still."

    def __init__(self, path: str) -> None:
        self._fill({"path": path})


class UploadGone(Coded, Fault):
    CODE = "upload_gone"
    MEANING = "The upload was removed from the server again and again."
    SENTENCE = "The upload was removed from the server again and again."
    REMEDY = "Ask who runs it."


class UploadStuck(Coded, Fault):
    CODE = "upload_stuck"
    MEANING = "The server takes no more bytes of the upload."
    SENTENCE = "The server takes no more bytes of the upload."
    REMEDY = "Try again, or ask who runs it."


class ServerFailed(Worded, Fault):
    CODE = "server_failed"
    MEANING = "The server answered with something unforeseen."
