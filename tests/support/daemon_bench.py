"""A daemon's core on the bench: real store and engine, fake trainers, the test's own clock."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stdaemon.jobs.actions import perform
from stdaemon.jobs.engine import Engine
from stdaemon.jobs.submit import submit
from stdaemon.settings import Settings
from stdaemon.store import jobs as store
from stdaemon.store.attempts import attempts
from stdaemon.store.db import Database
from stdaemon.store.events import events_after
from stdaemon.store.leases import leased
from stdaemon.wire.jobs import Action, ActionRequest, JobSubmit
from tests.support.daemon import JOB
from tests.support.fake_executor import FakeExecutor, Trainer


class Bench:
    """One daemon; `restart()` is a crash and a new start over the same files."""

    def __init__(self, folder: Path, *, devices: int = 1, **settings: Any) -> None:
        self.folder = folder
        self.settings = Settings(runs_dir=folder / "runs", **settings)
        self.devices: dict[str, str | None] = dict.fromkeys(f"gpu{i}" for i in range(devices))
        self.now = 1_000_000.0
        self.world = FakeExecutor()
        self.world.now = lambda: self.now
        self.restart()

    def restart(self) -> None:
        if hasattr(self, "db"):
            self.db.close()
        self.db = Database(f"sqlite:///{self.folder / 'daemon.db'}")
        self.db.open()
        self.engine = Engine(
            self.db, self.settings, self.world, lambda: self.devices, clock=lambda: self.now
        )

    def close(self) -> None:
        self.db.close()

    def submit(self, **fields: Any) -> str:
        request = JobSubmit(text=JOB.format(steps=5), **fields)
        return submit(self.db, self.settings, request, user="ana")[0].id

    def act(self, job: str, action: Action, **fields: Any) -> Any:
        request = ActionRequest(**fields)
        return perform(self.db, self.settings, job, action, request, user="ana")

    def turn(self, *, after: float = 0.0) -> None:
        """Let time pass, then let the engine look once."""
        self.now += after
        self.engine.turn()

    def row(self, job: str) -> Any:
        with self.db.read() as reader:
            return store.by_id(reader, job)

    def state(self, job: str) -> str:
        return self.row(job).state

    def attempts(self, job: str) -> list[Any]:
        with self.db.read() as reader:
            return attempts(reader, job)

    def events(self, job: str | None = None) -> list[Any]:
        with self.db.read() as reader:
            return events_after(reader, 0, job=job, limit=100_000)

    def leases(self) -> dict[str, str]:
        with self.db.read() as reader:
            return leased(reader, self.engine.host)

    def trainer(self, job: str) -> Trainer:
        return self.world.of(self.row(job).run_dir)

    def running(self, **fields: Any) -> tuple[str, Trainer]:
        """A job whose trainer has reported."""
        job = self.submit(**fields)
        self.turn()
        trainer = self.trainer(job)
        self.world.report(trainer)
        self.turn()
        assert self.state(job) == "running"
        return job, trainer
