"""GPUs from a JSON file, read anew each time: for tests and for trying the interface."""

from __future__ import annotations

from pathlib import Path

from pydantic import TypeAdapter

from stdaemon.wire.hosts import Gpu


class FakeGpus:
    slots: tuple[str, ...] = ()

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def read(self) -> list[Gpu]:
        return TypeAdapter(list[Gpu]).validate_json(self.path.read_bytes())

    def close(self) -> None:
        return None
