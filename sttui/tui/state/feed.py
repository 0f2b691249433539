"""One feed per host: a thread that keeps the state up to date and never blocks the interface.

Snapshot first, then the event stream from where the snapshot was taken. A dropped stream is
retried with back-off; what was known stays, marked offline. A refusal is final until the user
asks again. Changes wait in a queue, in order; the interface applies them ten times a second.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

from stdaemon.client.api import Client
from stdaemon.client.errors import ClientError, Incompatible, NotFound, Refused
from stdaemon.client.problems import unreadable
from stdaemon.client.retry import Backoff
from stdaemon.client.stream import Resume, follow_events
from stdaemon.wire.events import Event
from sttui.tui.state import reduce
from sttui.tui.state.store import HISTORY, Connection, HostState

PAGE = 200
PAST_EVENTS = 40
LOGIN_WORDS = ("permission denied", "host key verification failed", "authentication failed")

Change = Callable[[HostState], None]


class Feed:
    """`drain(state)` applies what has arrived; everything else happens in the thread."""

    def __init__(self, client: Client, *, backoff: Backoff | None = None) -> None:
        self.client = client
        self._backoff = backoff or Backoff()
        self._changes: queue.SimpleQueue[Change] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._retry = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._retry.set()
        self.client.close()

    def retry_now(self) -> None:
        self._backoff.reset()
        self._retry.set()

    def drain(self, state: HostState) -> None:
        """Apply the waiting changes; bounded, so that a flood cannot hold up the keyboard."""
        for _ in range(self._changes.qsize()):
            self._changes.get_nowait()(state)

    def _tell(self, change: Callable[..., None], *args: object, **named: object) -> None:
        def apply(state: HostState) -> None:
            change(state, *args, **named)

        self._changes.put(apply)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                after = self._snapshot()
                self._backoff.reset()
                self._follow(after)
            except ClientError as error:
                self._lost(error)
            except ValueError as error:  # an event that this version cannot read
                self._lost(unreadable(self.client.address, str(error)))

    def _snapshot(self) -> int:
        client = self.client
        hello = client.hello()
        last = client.events(after=2**62).last
        past = client.events(after=max(0, last - PAST_EVENTS)).events
        host = client.host()
        history = client.host_history(HISTORY)
        page = client.jobs(limit=PAGE)
        self._tell(reduce.connected, hello, page.jobs, host=host, history=history, events=past)
        while page.next_cursor and not self._stop.is_set():
            page = client.jobs(limit=PAGE, cursor=page.next_cursor)
            self._tell(reduce.more_jobs, page.jobs)
        return last

    def _follow(self, after: int) -> None:
        """Until the stream breaks; the outer loop then takes a new snapshot."""
        for event in follow_events(self.client, after=after, resume=Resume(give_up_s=-1.0)):
            if self._stop.is_set():
                return
            if event.kind == "job.state" and event.job is not None:
                self._fetch(event)
            self._tell(reduce.told, event)

    def _fetch(self, event: Event) -> None:
        try:
            self._tell(reduce.job_changed, self.client.job(event.job or ""))
        except NotFound:
            return

    def _lost(self, error: ClientError) -> None:
        if self._stop.is_set():
            return
        connection = kind_of(error)
        final = connection in ("needs login", "refused", "incompatible")
        delay = None if final else self._backoff.delay_s()
        retry_at = None if delay is None else time.time() + delay
        found = error.finding
        self._tell(reduce.disconnected, connection, found.message, found.fix, retry_at)
        self._retry.wait(delay)
        self._retry.clear()


def kind_of(error: ClientError) -> Connection:
    """The state of the connection that an error means."""
    if isinstance(error, Incompatible):
        return "incompatible"
    if isinstance(error, Refused):
        return "refused"
    said = f"{error.finding.message} {error.finding.why}".lower()
    if any(words in said for words in LOGIN_WORDS):
        return "needs login"
    return "offline"
