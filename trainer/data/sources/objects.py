"""A bucket of an S3-compatible store: keys under a prefix in order, and bytes of an object.

Credentials come from the environment or a named profile and are held by boto3 alone. Every wait
has an end: a request is tried again with growing pauses, and when the store stays silent several
times in a row it is taken to be gone, instead of every sample waiting for it in turn.
"""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, NamedTuple, TypeVar

from trainer.cache.keys import KEY_BYTES
from trainer.data.sources.base import Stamp
from trainer.data.sources.extras import missing_extra
from trainer.data.sources.order import sorted_on_disk
from trainer.data.sources.refusal import REACH, Refusal, refusal
from trainer.errors import DataError
from trainer.findings import finding

CONNECTIONS = 32
PIECE = 256 << 10
SLOWEST = 16 << 10  # bytes a second below which a transfer is given up
SILENT = 3  # failures in a row after which the store is taken to be gone
GONE_S = 60.0  # for so long
DIRECTORY_BUCKET = "--x-s3"  # the buckets whose names end so list their keys in no order

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a bucket is; the names of a service, never a secret."""

    bucket: str
    endpoint: str | None = None
    region: str | None = None
    profile: str | None = None

    def url(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long is waited, and how often a request is tried."""

    connect_s: float = 10.0
    read_s: float = 30.0
    tries: int = 4
    pause_s: float = 0.5  # before the second try; doubles each time


class Object(NamedTuple):
    """One object as it was listed."""

    key: str
    size: int
    modified_ns: int
    etag: str

    @property
    def stamp(self) -> Stamp:
        number = int.from_bytes(blake2b(self.etag.encode(), digest_size=8).digest(), "big")
        return (self.size, self.modified_ns, number >> 1)

    @property
    def digest(self) -> bytes | None:
        """Names the bytes without reading them: stores derive the ETag from them."""
        if not self.etag:
            return None
        named = f"etag {self.size} {self.etag}".encode()
        return blake2b(named, digest_size=KEY_BYTES).digest()


class Bucket:
    """Reads one bucket; from several threads at once."""

    def __init__(self, place: Place, patience: Patience = Patience()) -> None:
        self.place = place
        self._patience = patience
        self._lock = threading.Lock()
        self._made: Any = None
        self._silent = 0
        self._silent_since = 0.0

    def objects(self, prefix: str) -> Iterator[Object]:
        """Objects whose key begins with `prefix`, in the order of their keys; DataError."""
        if self.place.bucket.endswith(DIRECTORY_BUCKET):
            yield from (Object(*row) for row in sorted_on_disk(self._listed(prefix)))
            return
        last = ""
        for found in self._listed(prefix):
            if found.key <= last:
                raise self._error(
                    prefix, Refusal("DAT024", f"{found.key!r} is listed after {last!r}", _ORDER)
                )
            last = found.key
            yield found

    def read(self, key: str, etag: str, start: int, stop: int) -> bytes:
        """Bytes `start` to `stop` of the object as it was listed; OSError when it is another one
        now, or cannot be had."""
        asked = {"Range": f"bytes={start}-{stop - 1}"} | ({"IfMatch": etag} if etag else {})
        return self._get(key, asked)

    def whole(self, key: str) -> bytes:
        """All bytes of an object; errors as in `read`."""
        return self._get(key, {})

    def demand(self) -> None:
        """DataError when the store answered none of the last requests. To be called before one:
        within a decoder, the error would be taken for one of the picture."""
        if self._silent < SILENT:
            return
        if time.monotonic() - self._silent_since > GONE_S:
            self._silent = 0  # whoever tries again later gets new patience
            return
        raise self._error("", Refusal("DAT020", f"{SILENT} requests without answer", REACH))

    def close(self) -> None:
        with self._lock:
            if self._made is not None:
                self._made.close()
            self._made = None

    def _listed(self, prefix: str) -> Iterator[Object]:
        asked: dict[str, Any] = {"Bucket": self.place.bucket, "Prefix": prefix}
        while True:
            try:
                page = self._patiently(lambda: self._client().list_objects_v2(**asked))
            except _Refused as error:
                raise self._error(prefix, error.refusal) from error
            for entry in page.get("Contents", ()):
                when = int(entry["LastModified"].timestamp() * 1000) * 1_000_000
                yield Object(entry["Key"], entry["Size"], when, entry.get("ETag", ""))
            if not page.get("IsTruncated"):
                return
            asked["ContinuationToken"] = page["NextContinuationToken"]

    def _get(self, key: str, asked: dict[str, str]) -> bytes:
        def read() -> bytes:
            answer = self._client().get_object(Bucket=self.place.bucket, Key=key, **asked)
            length = answer["ContentLength"]
            until = time.monotonic() + self._patience.read_s + length / SLOWEST
            with answer["Body"] as body:
                data = b"".join(_in_time(body, until))
            if len(data) != length:
                raise ConnectionAbortedError
            return data

        try:
            return self._patiently(read)
        except _Refused as error:
            raise OSError(errno.EIO, f"{self.place.url(key)}: {error.refusal.cause}") from error

    def _patiently(self, request: Callable[[], Answer]) -> Answer:
        """The answer of a request, or _Refused after the last try."""
        for attempt in range(self._patience.tries):
            try:
                answer = request()
            except DataError:
                raise
            except Exception as error:  # boto3, urllib3 and the socket each have their own
                told = refusal(error)
                if told.again and attempt + 1 < self._patience.tries:
                    time.sleep(self._patience.pause_s * 2**attempt)
                    continue
                self._silent = self._silent + 1 if told.silent else 0
                self._silent_since = time.monotonic()
                raise _Refused(told) from error
            self._silent = 0
            return answer
        raise AssertionError("at least one try is made")

    def _client(self) -> Any:
        with self._lock:  # making one is not safe from two threads; using one is
            if self._made is None:
                self._made = _client(self.place, self._patience)
            return self._made

    def _error(self, key: str, told: Refusal) -> DataError:
        place = self.place
        service = f" at {place.endpoint}" if place.endpoint else ""
        return DataError(
            finding(
                told.code,
                f"bucket {place.bucket}{service}: {told.cause}",
                where=place.url(key),
                fix=told.fix,
            )
        )


def _in_time(body: Any, until: float) -> Iterator[bytes]:
    """The body in pieces; TimeoutError when it trickles, which no socket timeout notices."""
    while piece := body.read(PIECE):
        yield piece
        if time.monotonic() > until:
            raise TimeoutError


class _Refused(Exception):
    def __init__(self, told: Refusal) -> None:
        super().__init__(told.cause)
        self.refusal = told


_ORDER = "copy the data to a store that lists its keys in order, as S3 does"


def _client(place: Place, patience: Patience) -> Any:
    try:
        import boto3
        from botocore.config import Config
    except ImportError as error:
        raise missing_extra("boto3", "s3", "S3-compatible stores") from error
    session = boto3.Session(profile_name=place.profile, region_name=place.region)
    config = Config(
        connect_timeout=patience.connect_s,
        read_timeout=patience.read_s,
        max_pool_connections=CONNECTIONS,
        retries={"total_max_attempts": 1},  # repeated here, the reading of the body included
        user_agent_extra="simpletuner-terminal",
    )
    region = session.region_name or "us-east-1"  # services that have none accept it
    return session.client("s3", endpoint_url=place.endpoint, region_name=region, config=config)
