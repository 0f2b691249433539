"""The run directory in use by one trainer process: events, heartbeat, phase, position."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from trainer.findings import Finding
from trainer.loop.control import Control
from trainer.runs.events import EventWriter
from trainer.runs.heartbeat import Heartbeat
from trainer.runs.layout import RunDir
from trainer.runs.metrics import MetricsWriter


class Session:
    """Writes what the outside sees of the run."""

    def __init__(self, run: RunDir, *, name: str, attempt: int) -> None:
        self.run = run
        self.attempt = attempt
        self.events = EventWriter(run.events, name)
        self.metrics = MetricsWriter(run.metrics)
        self.control = Control(run, self.events)
        self.step = 0
        self.total = 0
        self._heartbeat = Heartbeat(run.heartbeat, attempt=attempt)
        self._phase = "starting"

    def beat(self, *, force: bool = False) -> None:
        self._heartbeat.beat(
            phase=self._phase,
            step=self.step,
            total=self.total,
            saving=self._phase == "save",
            force=force,
        )

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Within the block the run is in phase `name`; phases nest."""
        outer, self._phase = self._phase, name
        self.events.emit("phase", phase=name, state="begin", step=self.step)
        self.beat(force=True)
        try:
            yield
        finally:
            self.events.emit("phase", phase=name, state="end", step=self.step)
            self._phase = outer
            self.beat(force=True)

    def report(self, problem: Finding) -> None:
        self.events.emit("finding", finding=problem.model_dump())

    def stop_requested(self) -> bool:
        self.beat()
        return self.control.stop_requested()

    def close(self) -> None:
        self.events.close()
        self.metrics.close()
