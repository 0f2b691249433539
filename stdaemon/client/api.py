"""The typed client: one method per endpoint, for command line and interface alike.

A client is made from a connector (see `hosts.choose_target`), connects at its first call and may
be shared by threads; an asynchronous program calls it through `asyncio.to_thread`. Every failure
is a `ClientError` with findings. Mutating calls carry a request id, so that a repeated one has no
second effect.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from pydantic import BaseModel
from pydantic_core import from_json

from stdaemon.client import problems
from stdaemon.client.version import check_version
from stdaemon.wire.checkpoints import Checkpoint
from stdaemon.wire.events import EventPage
from stdaemon.wire.hosts import HostHistory, HostSnapshot
from stdaemon.wire.jobs import ActionRequest, Job, JobConfigView, JobDetail, JobPage, JobSubmit
from stdaemon.wire.logs import LogChunk
from stdaemon.wire.metrics import MetricSeries
from stdaemon.wire.presets import PresetInfo, PresetText
from stdaemon.wire.samples import Sample
from stdaemon.wire.version import Hello

if TYPE_CHECKING:
    import httpx

    from stdaemon.client.transport.http import Connector

T = TypeVar("T", bound=BaseModel)
P = TypeVar("P")

ACTIONS = ("stop", "cancel", "pause", "resume", "rerun", "checkpoint", "release")
REQUEST_TIMEOUT_S = 10.0
STREAM_TIMEOUT_S = 45.0


class Client:
    """Calls of one daemon."""

    def __init__(self, connector: Connector, *, timeout_s: float = REQUEST_TIMEOUT_S) -> None:
        self.connector = connector
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._http: httpx.Client | None = None
        self._hello: Hello | None = None

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def address(self) -> str:
        return self.connector.address

    def close(self) -> None:
        with self._lock:
            if self._http is not None:
                self._http.close()
                self._http = None

    # --- daemon and host ------------------------------------------------------------------

    def hello(self) -> Hello:
        """Who answers; refuses a daemon whose version is too far away."""
        hello = self._get(Hello, "/v1/hello")
        check_version(hello.api)
        self._hello = hello
        return hello

    def host(self) -> HostSnapshot:
        return self._get(HostSnapshot, "/v1/host")

    def host_history(self, seconds: float = 600) -> HostHistory:
        return self._get(HostHistory, "/v1/host/history", seconds=seconds)

    def shutdown(self) -> None:
        """Stop the daemon; jobs go on."""
        self._send("POST", "/v1/shutdown")

    # --- jobs -----------------------------------------------------------------------------

    def jobs(
        self,
        *,
        state: str | Sequence[str] | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        q: str | None = None,
    ) -> JobPage:
        states = state if state is None or isinstance(state, str) else ",".join(state)
        return self._get(JobPage, "/v1/jobs", state=states, limit=limit, cursor=cursor, q=q)

    def all_jobs(self, *, state: str | Sequence[str] | None = None) -> Iterator[Job]:
        """Every job, page by page, newest first."""
        cursor: str | None = None
        while True:
            page = self.jobs(state=state, limit=500, cursor=cursor)
            yield from page.jobs
            cursor = page.next_cursor
            if not cursor:
                return

    def job(self, ref: str) -> JobDetail:
        return self._get(JobDetail, _job(ref))

    def submit(self, job: JobSubmit) -> Job:
        """Queue a job; the same request id again returns the same job."""
        key = job.request_id or uuid.uuid4().hex
        body = job.model_copy(update={"request_id": key})
        return self._post(Job, "/v1/jobs", body, headers={"Idempotency-Key": key})

    def act(
        self, ref: str, action: str, *, reason: str | None = None, request_id: str | None = None
    ) -> Job:
        """One of ACTIONS; `rerun` returns the new job."""
        assert action in ACTIONS, f"unknown action {action}"
        body = ActionRequest(request_id=request_id or uuid.uuid4().hex, reason=reason)
        return self._post(Job, f"{_job(ref)}/{action}", body)

    def job_config(self, ref: str) -> JobConfigView:
        return self._get(JobConfigView, f"{_job(ref)}/config")

    def logs(
        self,
        ref: str,
        *,
        offset: int | None = None,
        limit: int | None = None,
        tail: int | None = None,
    ) -> LogChunk:
        return self._get(LogChunk, f"{_job(ref)}/logs", offset=offset, limit=limit, tail=tail)

    def job_events(self, ref: str, *, after: int = 0, limit: int | None = None) -> EventPage:
        return self._get(EventPage, f"{_job(ref)}/events", after=after, limit=limit)

    def events(self, *, after: int = 0, limit: int | None = None) -> EventPage:
        return self._get(EventPage, "/v1/events", after=after, limit=limit)

    def metrics(
        self, ref: str, *, series: Sequence[str] | None = None, points: int | None = None
    ) -> MetricSeries:
        names = ",".join(series) if series else None
        return self._get(MetricSeries, f"{_job(ref)}/metrics", series=names, points=points)

    def samples(self, ref: str) -> list[Sample]:
        return self._get_list(Sample, f"{_job(ref)}/samples")

    def checkpoints(self, ref: str) -> list[Checkpoint]:
        return self._get_list(Checkpoint, f"{_job(ref)}/checkpoints")

    def file(self, ref: str, path: str) -> bytes:
        """Bytes of a file inside the run directory."""
        return self._send("GET", f"{_job(ref)}/files/{quote(path)}").content

    def pixels(self, ref: str, path: str, *, width: int, height: int) -> tuple[int, int, bytes]:
        """Width, height and RGB bytes of a picture scaled to fit; needs no image library."""
        params = {"width": width, "height": height}
        answer = self._send("GET", f"{_job(ref)}/pixels/{quote(path)}", params=params)
        return int(answer.headers["x-width"]), int(answer.headers["x-height"]), answer.content

    # --- presets --------------------------------------------------------------------------

    def presets(self) -> list[PresetInfo]:
        return self._get_list(PresetInfo, "/v1/presets")

    def preset(self, name: str) -> PresetText:
        return self._get(PresetText, f"/v1/presets/{quote(name)}")

    # --- requests -------------------------------------------------------------------------

    @contextmanager
    def open_stream(
        self, path: str, params: Mapping[str, Any], *, last_event_id: str | None = None
    ) -> Iterator[httpx.Response]:
        """A server-sent event stream; see `stdaemon.client.stream` for resumable ones."""
        import httpx

        headers = {"Accept": "text/event-stream"}
        if last_event_id is not None:
            headers["Last-Event-ID"] = last_event_id
        timeout = httpx.Timeout(
            self._timeout_s, read=STREAM_TIMEOUT_S, connect=self.connector.connect_timeout_s
        )
        client = self._ready()
        with problems.translated(self.address):
            with client.stream(
                "GET", path, params=_given(params), headers=headers, timeout=timeout
            ) as answer:
                if answer.status_code >= 400:
                    answer.read()
                problems.raise_for(answer, self.address)
                yield answer

    def _get(self, model: type[T], path: str, **params: Any) -> T:
        return self._parsed(model.model_validate_json, self._send("GET", path, params=params))

    def _get_list(self, model: type[T], path: str, **params: Any) -> list[T]:
        def parse(content: bytes) -> list[T]:
            return [model.model_validate(item) for item in from_json(content)]

        return self._parsed(parse, self._send("GET", path, params=params))

    def _post(
        self, model: type[T], path: str, body: BaseModel, headers: Mapping[str, str] | None = None
    ) -> T:
        content = body.model_dump_json(exclude_none=True).encode()
        answer = self._send("POST", path, content=content, headers=headers)
        return self._parsed(model.model_validate_json, answer)

    def _parsed(self, parse: Callable[[bytes], P], answer: httpx.Response) -> P:
        try:
            return parse(answer.content)
        except (ValueError, TypeError) as error:  # pydantic's errors are ValueErrors
            raise problems.unreadable(self.address, str(error)) from None

    def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """One request; repeated once when an idle connection turned out to be closed.

        That is safe for every call: reads change nothing and mutations carry a request id.
        """
        import httpx

        client = self._ready() if path != "/v1/hello" else self._connected()
        all_headers = {"Content-Type": "application/json"} if content is not None else {}
        all_headers |= dict(headers or {})

        def once() -> httpx.Response:
            return client.request(
                method, path, params=_given(params), content=content, headers=all_headers
            )

        with problems.translated(self.address):
            try:
                answer = once()
            except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
                answer = once()
        problems.raise_for(answer, self.address)
        return answer

    def _connected(self) -> httpx.Client:
        with self._lock:
            if self._http is None:
                from stdaemon.client.transport.http import open_http

                self._http = open_http(self.connector, request_timeout_s=self._timeout_s)
            return self._http

    def _ready(self) -> httpx.Client:
        """The connection, after the versions were compared once."""
        client = self._connected()
        if self._hello is None:
            self.hello()
        return client


def _job(ref: str) -> str:
    return f"/v1/jobs/{quote(ref, safe='')}"


def _given(params: Mapping[str, Any] | None) -> dict[str, Any]:
    return {key: value for key, value in (params or {}).items() if value is not None}
