"""One feed per host: a thread that keeps the state up to date and never blocks the interface.

Snapshot first, then the event stream from where the snapshot was taken. A dropped stream is
retried with back-off; what was known stays, marked offline.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from stdaemon.client.api import Client
from stdaemon.client.errors import ClientError, Unreachable
from stdaemon.client.retry import Backoff
from stdaemon.client.stream import Resume, follow_events
from sttui.tui.state import reduce
from sttui.tui.state.store import HostState

MAX_JOBS = 500


class Feed:
    """`apply` runs a change on the interface's own thread, in order."""

    def __init__(
        self, client: Client, state: HostState, apply: Callable[[Callable[[], None]], None]
    ) -> None:
        self.client = client
        self.state = state
        self._apply = apply
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
        self._retry.set()

    def _run(self) -> None:
        backoff = Backoff()
        while not self._stop.is_set():
            try:
                after = self._snapshot()
                backoff.reset()
                self._follow(after)
            except ClientError as error:
                if self._stop.is_set():
                    return
                self._offline(error)
                self._retry.wait(backoff.delay_s())
                self._retry.clear()

    def _snapshot(self) -> int:
        client = self.client
        hello = client.hello()
        after = client.events(after=2**62).last
        jobs = client.jobs(limit=MAX_JOBS).jobs
        host = client.host()
        self._apply(lambda: reduce.connected(self.state, hello, jobs, host))
        return after

    def _follow(self, after: int) -> None:
        """Until the stream breaks; the outer loop then takes a new snapshot."""
        for event in follow_events(self.client, after=after, resume=Resume(give_up_s=-1.0)):
            if self._stop.is_set():
                return
            if event.kind == "job.state" and event.job is not None:
                job = self.client.job(event.job)
                self._apply(lambda job=job: reduce.job_changed(self.state, job))
            self._apply(lambda event=event: reduce.told(self.state, event) and None)

    def _offline(self, error: ClientError) -> None:
        finding = error.finding
        kind = "offline" if isinstance(error, Unreachable) else "refused"
        self._apply(lambda: reduce.disconnected(self.state, kind, finding.message, finding.fix))
