"""Wake the engine when a run directory changes (watchdog); without it the tick alone is enough.

Two folders of each live run are watched, not the tree: logs, checkpoints and pictures change
often and tell the engine nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import ObservedWatch

from stdaemon.store.jobs import JobRow
from trainer.runs.layout import RunDir

log = logging.getLogger("stdaemon")
NAMES = frozenset({"events.jsonl", "exit.json", "pid.json", "heartbeat.json"})
CHANGES = frozenset({"created", "modified", "moved"})  # our own reading opens and closes files


class _Handler(FileSystemEventHandler):
    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.event_type not in CHANGES:
            return
        paths = (event.src_path, getattr(event, "dest_path", ""))
        if any(Path(str(p)).name in NAMES for p in paths if p):
            self._wake()


class ChangeWatch:
    """Watches exactly the live attempts it is told of; failing to watch is not an error."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._handler = _Handler(wake)
        self._observer = Observer()
        self._watches: dict[str, ObservedWatch | None] = {}
        self._observer.start()

    def keep(self, rows: Iterable[JobRow]) -> None:
        """Watch the folders of these jobs and no others."""
        wanted = set()
        for row in rows:
            run = RunDir(Path(row.run_dir))
            wanted |= {str(run.path), str(run.attempt(row.attempt))}
        for folder in self._watches.keys() - wanted:
            if (watch := self._watches.pop(folder)) is not None:
                self._unwatch(watch)
        for folder in wanted - self._watches.keys():
            if Path(folder).is_dir():  # the launcher makes that of a new attempt
                self._watches[folder] = self._watch(folder)

    def _watch(self, folder: str) -> ObservedWatch | None:
        """None when it cannot be watched: said once, then the tick has to do."""
        try:
            return self._observer.schedule(self._handler, folder)
        except OSError as error:  # out of inotify watches, vanished folder
            log.warning("cannot watch %s (%s): polling instead", folder, error)
            return None

    def _unwatch(self, watch: ObservedWatch) -> None:
        try:
            self._observer.unschedule(watch)
        except (KeyError, OSError) as error:  # its folder is gone, and the watch with it
            log.debug("unwatch %s: %s", watch.path, error)

    def close(self) -> None:
        self._observer.stop()
        self._observer.join(timeout=5)
