"""The host: load, memory, GPUs, and which job holds what."""

from __future__ import annotations

from pydantic import Field

from stdaemon.wire.base import Message


class Process(Message):
    """A process that uses a GPU; `job` is set when it is ours."""

    pid: int
    mem_used: int | None = None
    job: str | None = None


class Gpu(Message):
    """One GPU; bytes, percent, °C, W; None where the device does not tell."""

    index: int
    uuid: str
    name: str
    util: float | None = None
    mem_used: int | None = None
    mem_total: int | None = None
    temp: float | None = None
    power: float | None = None
    power_limit: float | None = None
    job: str | None = None
    processes: list[Process] = Field(default_factory=list)


class Slot(Message):
    """One schedulable device and the job that holds it."""

    device: str
    job: str | None = None


class HostSnapshot(Message):
    ts: float
    hostname: str
    cpu_percent: float
    cpu_count: int
    load: list[float] = Field(default_factory=list)
    ram_used: int
    ram_total: int
    disk_free: int
    disk_total: int
    gpus: list[Gpu] = Field(default_factory=list)
    slots: list[Slot] = Field(default_factory=list)


class HostHistory(Message):
    """Parallel lists over time; `gpu_util` and `gpu_mem` by GPU uuid."""

    ts: list[float] = Field(default_factory=list)
    cpu_percent: list[float] = Field(default_factory=list)
    ram_used: list[int] = Field(default_factory=list)
    gpu_util: dict[str, list[float | None]] = Field(default_factory=dict)
    gpu_mem: dict[str, list[int | None]] = Field(default_factory=dict)
