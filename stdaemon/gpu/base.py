"""GPU sources behind one interface; a value a device does not tell is None, never zero."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from stdaemon.wire.hosts import Gpu

CPU_SLOT = "cpu:0"
FOREIGN_BYTES = 500 << 20


class GpuSource(Protocol):
    """Inventory and readings of one vendor."""

    slots: tuple[str, ...]
    """Devices that exist beside the GPUs: the CPU where there is no GPU driver."""

    def read(self) -> list[Gpu]: ...

    def close(self) -> None: ...


class NoGpu:
    """A machine without a GPU: its CPU is one device."""

    slots: tuple[str, ...] = (CPU_SLOT,)

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


def usable(
    source: GpuSource, gpus: list[Gpu], is_foreign: Callable[[int], bool]
) -> dict[str, str | None]:
    """Each schedulable device, with why it must not be used now (None: it may).

    A GPU on which a program works that the daemon did not start is left alone.
    """
    found: dict[str, str | None] = dict.fromkeys(source.slots)
    for gpu in gpus:
        found[gpu.uuid] = None
        for process in gpu.processes:
            large = process.mem_used is None or process.mem_used >= FOREIGN_BYTES
            if large and is_foreign(process.pid):
                found[gpu.uuid] = f"GPU {gpu.index} is used by another program ({process.pid})"
    return found
