"""A client without a daemon: canned answers, recorded calls, events pushed by the test."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from stdaemon.client.errors import ClientError, Invalid, NotFound, Unreachable
from stdaemon.wire.checkpoints import Checkpoint
from stdaemon.wire.events import Event, EventPage
from stdaemon.wire.hosts import Gpu, HostHistory, HostSnapshot
from stdaemon.wire.jobs import Job, JobConfigView, JobDetail, JobPage, JobSubmit, State
from stdaemon.wire.logs import LogChunk
from stdaemon.wire.metrics import MetricSeries, Series
from stdaemon.wire.presets import PresetInfo, PresetText
from stdaemon.wire.samples import Sample
from stdaemon.wire.version import Hello
from trainer.findings import finding

GIB = 1 << 30
NOW = 1_790_000_000.0


def make_job(number: int, state: str = "running", **more: Any) -> Job:
    """A job whose fields follow from its number."""
    fields: dict[str, Any] = {
        "id": f"job{number:05d}",
        "number": number,
        "name": f"portrait-{number}",
        "state": State(state),
        "family": "flux",
        "mode": "adapter",
        "created_at": time.time() - 60,
    }
    if state == "running":
        fields |= {
            "phase": "train",
            "step": 120,
            "total": 400,
            "loss": 0.1234,
            "it_s": 3.1,
            "eta_s": 90.0,
            "devices": ["GPU-a"],
            "started_at": time.time() - 40,
        }
    return Job.model_validate(fields | more)


def make_host(num_gpus: int = 1, ts: float = NOW) -> HostSnapshot:
    gpus = [
        Gpu(
            index=i,
            uuid=f"GPU-{'abcdefgh'[i]}",
            name="NVIDIA RTX 6000 Ada Generation",
            util=97.0,
            mem_used=36 * GIB,
            mem_total=48 * GIB,
            temp=71.0,
            power=287.0,
            power_limit=300.0,
        )
        for i in range(num_gpus)
    ]
    return HostSnapshot(
        ts=ts,
        hostname="box",
        cpu_percent=35.0,
        cpu_count=16,
        load=[1.5, 1.2, 1.0],
        ram_used=10 * GIB,
        ram_total=64 * GIB,
        disk_free=300 * GIB,
        disk_total=1000 * GIB,
        gpus=gpus,
    )


class _Stream:
    """What `open_stream` yields: lines until the connection is broken."""

    def __init__(self, frames: queue.Queue[Event | None]) -> None:
        self._frames = frames

    def iter_lines(self) -> Iterator[str]:
        while (event := self._frames.get()) is not None:
            yield from (f"id: {event.seq or ''}", f"data: {event.model_dump_json()}", "")


class FakeClient:
    """Set its attributes, then hand it to the interface in place of a `Client`."""

    address = "unix:///nowhere/api.sock"

    def __init__(self, *jobs: Job, num_gpus: int = 1) -> None:
        self.table = {job.id: job for job in jobs}
        self.host_now = make_host(num_gpus)
        self.past: list[Event] = []
        self.log = "first line\nsecond line\n"
        self.log_done = False
        self.series = {"loss": Series(steps=[1, 2, 3, 4], values=[1.0, 0.7, 0.5, 0.4])}
        self.pictures: list[Sample] = []
        self.saved: list[Checkpoint] = []
        self.preset_list = [
            PresetInfo(name="demo/style", title="Demo", mode="adapter", needs_data=False),
            PresetInfo(name="flux/lora", title="Flux", mode="adapter", vram_gb=24),
        ]
        self.calls: list[tuple[str, Any]] = []
        self.broken: ClientError | None = None
        self.refusal: ClientError | None = None
        self.hellos = 0
        self._frames: queue.Queue[Event | None] = queue.Queue()
        self._lock = threading.Lock()

    # --- what a test does ------------------------------------------------------------------

    def push(self, kind: str, job: str | None = None, seq: int | None = None, **data: Any) -> None:
        """Tell an event to whoever streams."""
        self._frames.put(Event(seq=seq, ts=time.time(), kind=kind, job=job, data=data))

    def change(self, job_id: str, state: str, **more: Any) -> None:
        """A job changes its state, and the daemon tells."""
        self.table[job_id] = self.table[job_id].model_copy(update={"state": State(state)} | more)
        self.push("job.state", job_id, seq=len(self.calls) + 100, new=state, cause="test")

    def drop(self, error: ClientError | None = None) -> None:
        """The connection breaks and stays broken until `mend`."""
        self.broken = error or Unreachable(finding("ENV101", "no daemon is running", fix="start"))
        self._frames.put(None)

    def mend(self) -> None:
        self.broken = None

    # --- what the interface calls ----------------------------------------------------------

    def close(self) -> None:
        self._frames.put(None)

    def _may(self) -> None:
        if self.broken is not None:
            raise self.broken

    def hello(self) -> Hello:
        self.hellos += 1
        self._may()
        return Hello(
            version="1", instance="i", hostname="box", user="ana", started_at=NOW, time=time.time()
        )

    def events(self, *, after: int = 0, limit: int | None = None) -> EventPage:
        self._may()
        found = [e.model_dump() for e in self.past if (e.seq or 0) > after]
        return EventPage(events=found, last=max((e.seq or 0 for e in self.past), default=0))

    def host(self) -> HostSnapshot:
        self._may()
        return self.host_now

    def host_history(self, seconds: float = 600) -> HostHistory:
        return HostHistory(ts=[1, 2], cpu_percent=[10.0, 20.0], ram_used=[GIB, 2 * GIB])

    def jobs(self, *, limit: int = 100, cursor: str | None = None, **filters: object) -> JobPage:
        self._may()
        newest = sorted(self.table.values(), key=lambda j: -j.number)
        start = int(cursor or 0)
        more = str(start + limit) if start + limit < len(newest) else None
        return JobPage(jobs=newest[start : start + limit], next_cursor=more)

    def job(self, ref: str) -> JobDetail:
        self._may()
        if ref not in self.table:
            raise NotFound(finding("ENV111", f"no job {ref}"))
        return JobDetail.model_validate(self.table[ref].model_dump())

    def job_events(self, ref: str, *, after: int = 0, limit: int | None = None) -> EventPage:
        return EventPage(events=[], last=0)

    def job_config(self, ref: str) -> JobConfigView:
        return JobConfigView(
            text="",
            effective={"train": {"steps": 400}, "data": {"datasets": [{"id": "a"}]}},
            origins={"train.steps": "preset /srv/presets/flux/lora.toml"},
        )

    def logs(self, ref: str, *, offset: int = 0, limit: int = 1 << 20, tail: int = 0) -> LogChunk:
        self._may()
        raw = self.log.encode()
        if tail:
            lines = self.log.splitlines(keepends=True)[-tail:]
            offset = len(raw) - len("".join(lines).encode())
        part = raw[offset : offset + limit]
        end = offset + len(part)
        done = self.log_done and end == len(raw)
        return LogChunk(
            offset=offset, next_offset=end, size=len(raw), text=part.decode(), done=done
        )

    def metrics(self, ref: str, *, series: Any = None, points: int | None = None) -> MetricSeries:
        self._may()
        return MetricSeries(series=self.series)

    def samples(self, ref: str) -> list[Sample]:
        return self.pictures

    def pixels(self, ref: str, path: str, *, width: int, height: int) -> tuple[int, int, bytes]:
        self._record("pixels", (path, width, height))
        side = min(width, height)
        return side, side, bytes([200, 40, 40]) * side * side

    def checkpoints(self, ref: str) -> list[Checkpoint]:
        return self.saved

    def presets(self) -> list[PresetInfo]:
        self._may()
        return self.preset_list

    def preset(self, name: str) -> PresetText:
        return PresetText(name=name, text=f'# {name}\n[job]\nname = "x"\n')

    def submit(self, job: JobSubmit) -> Job:
        self._record("submit", job)
        if self.refusal is not None:
            raise self.refusal
        made = make_job(len(self.table) + 1, "queued", name=job.name or "unnamed")
        self.table[made.id] = made
        return made

    def act(self, ref: str, action: str) -> Job:
        self._record(action, ref)
        self.table[ref] = self.table[ref].model_copy(update={"state": State.STOPPING})
        return self.table[ref]

    def _record(self, name: str, value: Any) -> None:
        with self._lock:
            self.calls.append((name, value))
        if name != "pixels":
            self._may()

    def called(self, *names: str) -> list[tuple[str, Any]]:
        """The mutating calls so far, or those with these names."""
        return [c for c in self.calls if (c[0] in names if names else c[0] != "pixels")]

    @contextmanager
    def open_stream(
        self, path: str, params: Any, *, last_event_id: str | None = None
    ) -> Iterator[_Stream]:
        self._may()
        yield _Stream(self._frames)


def refused(message: str) -> Invalid:
    return Invalid(finding("CFG001", message, fix="write another"))
