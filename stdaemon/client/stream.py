"""Streams that survive a dropped connection: logs by byte offset, events by sequence number.

Each generator keeps the position of the last thing it handed out and asks for what follows, so
nothing is lost or repeated however often the connection breaks or the daemon restarts. It ends
when the job has ended and everything was delivered, or when the daemon stayed away too long.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stdaemon.client.errors import ClientError, Faulty, Unreachable
from stdaemon.client.retry import Backoff
from stdaemon.wire.events import Event
from stdaemon.wire.jobs import TERMINAL
from stdaemon.wire.logs import LogChunk

if TYPE_CHECKING:
    from stdaemon.client.api import Client


@dataclass(slots=True)
class Resume:
    """How a stream behaves while the daemon is away."""

    backoff: Backoff = field(default_factory=Backoff)
    give_up_s: float | None = None
    on_drop: Callable[[ClientError, float], None] = lambda error, delay: None
    monotonic: Callable[[], float] = time.monotonic
    _since: float | None = field(default=None, init=False)

    def dropped(self, error: ClientError) -> None:
        """Wait before the next attempt; raises the error when the time is used up."""
        now = self.monotonic()
        self._since = now if self._since is None else self._since
        if self.give_up_s is not None and now - self._since > self.give_up_s:
            raise error
        delay = self.backoff.delay_s()
        self.on_drop(error, delay)
        self.backoff.sleep(delay)

    def alive(self) -> None:
        self._since = None
        self.backoff.reset()


@dataclass(frozen=True, slots=True)
class Frame:
    """One server-sent event."""

    event: str
    data: str
    id: str | None


def frames(lines: Iterable[str]) -> Iterator[Frame]:
    """Server-sent events from text lines; comments (keep-alives) are dropped."""
    event, data, last_id = "message", [], None
    for line in lines:
        if not line:
            if data:
                yield Frame(event, "\n".join(data), last_id)
            event, data = "message", []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            event = value
        elif name == "data":
            data.append(value)
        elif name == "id":
            last_id = value


def _open(client: Client, path: str, params: dict[str, Any], last: int | None) -> Iterator[Frame]:
    last_id = str(last) if last else None
    with client.open_stream(path, params, last_event_id=last_id) as answer:
        yield from frames(answer.iter_lines())


def follow_log(
    client: Client, ref: str, *, offset: int = 0, resume: Resume | None = None
) -> Iterator[LogChunk]:
    """Log text from `offset` on, until the job has ended and all of it was delivered."""
    resume = resume or Resume()
    path = f"/v1/jobs/{ref}/logs/stream"
    while True:
        try:
            for frame in _open(client, path, {"offset": offset}, None):
                resume.alive()
                chunk = LogChunk.model_validate_json(frame.data)
                offset = chunk.next_offset
                yield chunk
                if chunk.done:
                    return
        except (Unreachable, Faulty) as error:
            resume.dropped(error)
        else:
            resume.dropped(_ended_early(client))


def follow_job_events(
    client: Client, ref: str, *, after: int = 0, resume: Resume | None = None
) -> Iterator[dict[str, Any]]:
    """Run events after a sequence number, until the job has ended and all were delivered."""
    resume = resume or Resume()
    path = f"/v1/jobs/{ref}/events/stream"
    while True:
        try:
            for frame in _open(client, path, {"after": after}, after):
                resume.alive()
                record = json.loads(frame.data)
                if record.get("seq", 0) > after:
                    after = record["seq"]
                    yield record
            if client.job(ref).state in TERMINAL:
                yield from client.job_events(ref, after=after).events
                return
        except (Unreachable, Faulty) as error:
            resume.dropped(error)
        else:
            resume.dropped(_ended_early(client))


def follow_events(
    client: Client, *, after: int = 0, resume: Resume | None = None
) -> Iterator[Event]:
    """Events of the daemon after a sequence number, without end."""
    resume = resume or Resume()
    while True:
        try:
            for frame in _open(client, "/v1/events/stream", {"after": after}, after):
                resume.alive()
                event = Event.model_validate_json(frame.data)
                if event.seq is not None:
                    after = max(after, event.seq)
                yield event
        except (Unreachable, Faulty) as error:
            resume.dropped(error)
        else:
            resume.dropped(_ended_early(client))


def _ended_early(client: Client) -> Unreachable:
    from stdaemon.client.problems import broken

    return broken(client.address, "the stream ended")
