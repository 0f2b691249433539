"""NVIDIA GPUs through NVML. Each reading is guarded: old cards and MIG lack some of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from stdaemon.wire.hosts import Gpu, Process

T = TypeVar("T")


class Nvml:
    """Open handle on the driver library."""

    slots: tuple[str, ...] = ()

    def __init__(self, library: Any) -> None:
        self._nvml = library

    def read(self) -> list[Gpu]:
        """Every device that answers; one that has fallen off the bus is left out."""
        count = self._maybe(self._nvml.nvmlDeviceGetCount) or 0
        found = [self._maybe(partial(self._device, index)) for index in range(count)]
        return [gpu for gpu in found if gpu is not None]

    def _device(self, index: int) -> Gpu:
        nvml = self._nvml
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        memory = self._maybe(lambda: nvml.nvmlDeviceGetMemoryInfo(handle))
        power = self._maybe(lambda: nvml.nvmlDeviceGetPowerUsage(handle))
        limit = self._maybe(lambda: nvml.nvmlDeviceGetEnforcedPowerLimit(handle))
        kind = nvml.NVML_TEMPERATURE_GPU
        return Gpu(
            index=index,
            uuid=_text(nvml.nvmlDeviceGetUUID(handle)),
            name=_text(nvml.nvmlDeviceGetName(handle)),
            util=self._maybe(lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu),
            mem_used=memory.used if memory else None,
            mem_total=memory.total if memory else None,
            temp=self._maybe(lambda: nvml.nvmlDeviceGetTemperature(handle, kind)),
            power=None if power is None else power / 1000,
            power_limit=None if limit is None else limit / 1000,
            processes=self._processes(handle),
        )

    def _processes(self, handle: Any) -> list[Process]:
        found = self._maybe(lambda: self._nvml.nvmlDeviceGetComputeRunningProcesses(handle))
        return [Process(pid=p.pid, mem_used=p.usedGpuMemory) for p in found or []]

    def _maybe(self, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except self._nvml.NVMLError:
            return None

    def close(self) -> None:
        self._maybe(self._nvml.nvmlShutdown)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def open_nvml() -> Nvml | None:
    """The driver, or None where there is none."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    return Nvml(pynvml)
