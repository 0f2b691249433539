"""Host and GPU figures, sampled once per host whatever the number of clients.

A thread reads every second while somebody watches and every ten seconds otherwise; clients get
the latest reading and a history from memory.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections import deque
from pathlib import Path

import psutil

from stdaemon.gpu.base import GpuSource
from stdaemon.wire.hosts import HostHistory, HostSnapshot

log = logging.getLogger("stdaemon")
HISTORY = 7200
WATCHED_FOR_S = 15.0


class HostSampler:
    """Latest snapshot and history; `touch()` tells that somebody looks."""

    def __init__(self, source: GpuSource, disk: Path, *, watched_s: float, idle_s: float) -> None:
        self.source = source
        self._disk = disk
        self._watched_s, self._idle_s = watched_s, idle_s
        self._last_look = 0.0
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="host-sampler", daemon=True)
        self._trouble = ""
        self.history: deque[HostSnapshot] = deque(maxlen=HISTORY)
        psutil.cpu_percent()  # the first call only sets the starting point
        self.sample()

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)
        self.source.close()

    def touch(self) -> None:
        was_idle = time.monotonic() - self._last_look > WATCHED_FOR_S
        self._last_look = time.monotonic()
        if was_idle:
            self._wake.set()

    def latest(self) -> HostSnapshot:
        return self.history[-1]

    def sample(self) -> HostSnapshot:
        memory, disk = psutil.virtual_memory(), psutil.disk_usage(_existing(self._disk))
        snapshot = HostSnapshot(
            ts=round(time.time(), 3),
            hostname=socket.gethostname(),
            cpu_percent=psutil.cpu_percent(),
            cpu_count=psutil.cpu_count() or 1,
            load=[round(x, 2) for x in os.getloadavg()],
            ram_used=memory.total - memory.available,
            ram_total=memory.total,
            disk_free=disk.free,
            disk_total=disk.total,
            gpus=self.source.read(),
        )
        self.history.append(snapshot)
        return snapshot

    def _run(self) -> None:
        while not self._stop.is_set():
            watched = time.monotonic() - self._last_look < WATCHED_FOR_S
            self._wake.wait(self._watched_s if watched else self._idle_s)
            self._wake.clear()
            if not self._stop.is_set():
                self._sample_whatever_happens()

    def _sample_whatever_happens(self) -> None:
        """A driver that fails now may answer the next time: the thread outlives it."""
        try:
            self.sample()
            self._trouble = ""
        except Exception as error:
            if self._trouble != str(error):
                self._trouble = str(error)
                log.exception("the figures of the host cannot be read")

    def window(self, seconds: float) -> HostHistory:
        """The last `seconds` as parallel lists."""
        since = time.time() - seconds
        rows = [s for s in list(self.history) if s.ts >= since]
        uuids = {gpu.uuid for row in rows for gpu in row.gpus}
        by_row = [{gpu.uuid: gpu for gpu in row.gpus} for row in rows]
        return HostHistory(
            ts=[r.ts for r in rows],
            cpu_percent=[r.cpu_percent for r in rows],
            ram_used=[r.ram_used for r in rows],
            gpu_util={u: [g[u].util if u in g else None for g in by_row] for u in uuids},
            gpu_mem={u: [g[u].mem_used if u in g else None for g in by_row] for u in uuids},
        )


def _existing(path: Path) -> str:
    """The path or its nearest parent that is there."""
    return str(next(p for p in (path, *path.parents) if p.exists()))
