"""GPU sources behind one interface; a value a device does not tell is None, never zero."""

from __future__ import annotations

from typing import Protocol

from stdaemon.wire.hosts import Gpu

CPU_SLOT = "cpu:0"


class GpuSource(Protocol):
    """Inventory and readings of one vendor."""

    def read(self) -> list[Gpu]: ...

    def close(self) -> None: ...


class NoGpu:
    """A machine without a GPU."""

    def read(self) -> list[Gpu]:
        return []

    def close(self) -> None:
        return None


def open_source() -> GpuSource:
    """NVIDIA through NVML when its driver is there, a fake one when the environment says so."""
    import os

    if path := os.environ.get("STUNE_FAKE_GPUS"):
        from stdaemon.gpu.fake import FakeGpus

        return FakeGpus(path)
    from stdaemon.gpu.nvml import open_nvml

    return open_nvml() or NoGpu()


def devices(gpus: list[Gpu]) -> list[str]:
    """Schedulable devices: GPU uuids, or one CPU slot where there is no GPU."""
    return [gpu.uuid for gpu in gpus] or [CPU_SLOT]
