"""A bucket of an S3-compatible server: whole objects put, ranges read, keys deleted.

Nothing but the marker and the probe is ever overwritten. Keys of its own hold a random part, so that no two writers
ever have one, and a put whose answer was lost may be sent again. obstore's calls are synchronous and let go of the
interpreter's lock; a process that has used one must not fork.
"""

from __future__ import annotations

import os
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from scandock.store.errors import StoreFailed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_TRIES: Final = 4
_RETRY_TIME: Final = timedelta(seconds=30)
_CLIENT: Final[Any] = {"connect_timeout": "2s", "read_timeout": "10s", "timeout": "10min", "allow_http": True}
"""Time-outs of one request: a dead link is told after seconds, and a large body may take long."""
DELETED_AT_ONCE: Final = 1000
_PART_BYTES: Final = 16 * 1024 * 1024
_PARTS_AT_ONCE: Final = 4
_NO_BUCKET: Final = "NoSuchBucket"
_CAUSES: Final = (
    ("RequestTimeTooSkewed", "the clocks of this machine and of the store differ", "Set the clock of this machine."),
    (_NO_BUCKET, "there is no bucket {name}", "Make it by the store's own means, or correct SCANDOCK_STORE."),
    ("InvalidAccessKeyId", "the store doesn't know the access key", "Correct AWS_ACCESS_KEY_ID."),
    ("SignatureDoesNotMatch", "the secret key isn't that of the access key", "Correct AWS_SECRET_ACCESS_KEY."),
    (
        "AccessDenied",
        "the access key may not do that",
        "Let the key of AWS_ACCESS_KEY_ID read, write, list and delete in {name}, or look whether that bucket exists.",
    ),
    (
        "169.254.169.254",
        "no access key is set, and this machine has no role",
        "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
    ),
    ("dns error", "the host of {endpoint} isn't known", "Correct SCANDOCK_S3_ENDPOINT."),
    ("Connection refused", "nothing listens at {endpoint}", "Start the store, or correct SCANDOCK_S3_ENDPOINT."),
    ("InvalidContentType", "{endpoint} speaks no TLS", "Begin SCANDOCK_S3_ENDPOINT with http://."),
)
"""By what a reason is known, the code of S3 or words of obstore; what is said of it, and what to do."""
_S3_ERROR: Final = re.compile(r"<Code>([^<]{1,100})</Code>(?:\s*<Message>([^<]{1,200})</Message>)?")


class Bucket:
    """One bucket, or what is below a prefix in it; for many threads. It goes to other processes without its secrets.

    Keys of access are those of the environment (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, roles of the machine).
    """

    __slots__ = ("_store", "endpoint", "name", "prefix", "region")

    def __init__(self, name: str, prefix: str = "", *, endpoint: str | None = None, region: str = "us-east-1") -> None:
        self.name = name
        self.prefix = prefix.strip("/")
        self.endpoint = endpoint
        self.region = region
        self._store: Any = None  # obstore's: opened at the first call, so that readers may load this

    def __reduce__(self) -> tuple[Any, ...]:
        return (_reopen, (self.name, self.prefix, self.endpoint, self.region))

    @property
    def url(self) -> str:
        """What people know it by: `s3://BUCKET/PREFIX`."""
        return f"s3://{self.name}/{self.prefix}".rstrip("/")

    def put(self, key: str, data: bytes | memoryview) -> None:
        """Store an object in one request, its sha256 proven by the server. Fault `store_failed`."""
        try:
            self.open().put(key, data, use_multipart=False)
        except Exception as error:
            raise self.fault("writing", key, error) from error

    def create(self, key: str, data: bytes) -> bool:
        """Store an object unless there is one, by a conditional request; False where there is. Fault `store_failed`.

        For the marker alone: not every server knows the condition, and one's own object may be what is there, where an
        answer was lost.
        """
        from obstore.exceptions import AlreadyExistsError

        try:
            self.open().put(key, data, mode="create", use_multipart=False)
        except AlreadyExistsError:
            return False
        except Exception as error:
            raise self.fault("writing", key, error) from error
        return True

    def open_writer(self, key: str) -> ObjectWriter:
        """A large object that comes piece by piece: parts of 16 MiB, some of them under way at once."""
        return ObjectWriter(self, key)

    def get(self, key: str) -> bytes:
        """All of a small object. FileNotFoundError; Fault `store_failed`."""
        try:
            return bytes(self.open().get(key).bytes())
        except Exception as error:
            if _is_missing(error):
                raise
            raise self.fault("reading", key, error) from error

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """A range of an object that has it. FileNotFoundError; Fault `store_failed`."""
        if not length:
            return b""
        try:
            data = bytes(self.open().get_range(key, start=offset, length=length))
        except Exception as error:
            if _is_missing(error):
                raise
            raise self.fault("reading", key, error) from error
        if len(data) != length:
            raise self.fault("reading", key, f"{len(data)} of {length} bytes came")
        return data

    def size(self, key: str) -> int | None:
        """Bytes of an object, None where there is none. Fault `store_failed`."""
        try:
            return int(self.open().head(key)["size"])
        except FileNotFoundError:
            return None
        except Exception as error:
            raise self.fault("reading", key, error) from error

    def delete(self, keys: Iterable[str]) -> int:
        """Delete objects, a thousand a request; those that are gone are fine. How many keys. Fault `store_failed`."""
        waiting = list(keys)
        for at in range(0, len(waiting), DELETED_AT_ONCE):
            try:
                self.open().delete(waiting[at : at + DELETED_AT_ONCE])
            except Exception as error:
                if not _is_missing(error):
                    raise self.fault("deleting", waiting[at], error) from error
        return len(waiting)

    def list(self, prefix: str) -> Iterator[str]:
        """Keys below a prefix that ends where a path does. Never asked for what is visible. Fault `store_failed`."""
        try:
            for batch in self.open().list(prefix):
                for listed in batch:
                    yield listed["path"]
        except Exception as error:
            raise self.fault("listing", prefix, error) from error

    def open(self) -> Any:  # noqa: ANN401  obstore is imported at the first call
        """Obstore's store."""
        if self._store is None:
            from obstore.store import S3Store

            config: Any = {"bucket": self.name, "region": self.region, "checksum_algorithm": "SHA256"}
            for word in ("access_key_id", "secret_access_key", "session_token"):
                value = os.environ.get(f"AWS_{word.upper()}")
                if value:
                    config[word] = value
            if self.endpoint is not None:
                config["endpoint"] = self.endpoint
            self._store = S3Store(
                prefix=self.prefix or None,
                config=config,
                client_options=_CLIENT,
                retry_config={"max_retries": _TRIES, "retry_timeout": _RETRY_TIME},
            )
        return self._store

    def fault(self, doing: str, key: str, why: object) -> StoreFailed:
        text = str(why)
        names = {"name": self.name, "endpoint": self.endpoint or "the endpoint"}
        for word, cause, advice in _CAUSES:
            if word in text:
                reason, remedy = cause.format(**names), advice.format(**names)
                break
        else:
            said = _S3_ERROR.search(text)
            reason = ": ".join(filter(None, said.groups())) if said else text.partition("\n")[0][:300]
            remedy = "Look at the object store's log."
        return StoreFailed(f"The object store failed at {doing} {key}: {reason.rstrip('. ')}.", remedy)


class ObjectWriter:
    """One object while it comes; there is none before `close`, and none where it is left without.

    Parts that were sent until then stay in the bucket: obstore's writer can't abort, and its `with` would finish. They
    are in no list of objects, and go by a rule of the bucket (docs/scaling.md).
    """

    __slots__ = ("_bucket", "_file", "key")

    def __init__(self, bucket: Bucket, key: str) -> None:
        from obstore import open_writer

        self.key = key
        self._bucket = bucket
        self._file: Any = open_writer(bucket.open(), key, buffer_size=_PART_BYTES, max_concurrency=_PARTS_AT_ONCE)

    def write(self, data: bytes | memoryview) -> None:
        """Append all of `data`. Fault `store_failed`."""
        try:
            self._file.write(data)
        except Exception as error:
            raise self._bucket.fault("writing", self.key, error) from error

    def close(self) -> None:
        """Finish it: it is in the store when this returns. Fault `store_failed`."""
        try:
            self._file.close()
        except Exception as error:
            raise self._bucket.fault("writing", self.key, error) from error


def _is_missing(error: Exception) -> bool:
    """Whether the object is not there; where the whole bucket is not, that is a fault."""
    return isinstance(error, FileNotFoundError) and _NO_BUCKET not in str(error)


def _reopen(name: str, prefix: str, endpoint: str | None, region: str) -> Bucket:
    return Bucket(name, prefix, endpoint=endpoint, region=region)
