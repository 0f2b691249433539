"""Wake the engine when a run directory changes (watchdog); without it the tick alone is enough."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import ObservedWatch

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
    """Watches exactly the folders it is told to; failing to watch is not an error."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._handler = _Handler(wake)
        self._observer = Observer()
        self._watches: dict[str, ObservedWatch] = {}
        self._observer.start()

    def keep(self, folders: Iterable[str]) -> None:
        """Watch these folders and no others."""
        wanted = set(folders)
        for folder in self._watches.keys() - wanted:
            self._observer.unschedule(self._watches.pop(folder))
        for folder in wanted - self._watches.keys():
            try:
                self._watches[folder] = self._observer.schedule(
                    self._handler, folder, recursive=True
                )
            except OSError as error:  # out of inotify watches, vanished folder
                log.warning("cannot watch %s (%s): polling instead", folder, error)

    def close(self) -> None:
        self._observer.stop()
        self._observer.join(timeout=5)
