"""GPU readings: cards that answer in part, drivers that fail, devices that others use."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from stdaemon.gpu.base import CPU_SLOT, NoGpu, open_source, usable
from stdaemon.gpu.nvml import Nvml, open_nvml
from stdaemon.gpu.sampler import HostSampler
from stdaemon.wire.hosts import Gpu, Process
from tests.support.daemon import until


class Error(Exception):
    """As the driver's binding raises it."""


class Driver:
    """A driver library with two cards; names in `broken` fail on the second."""

    NVMLError = Error
    NVML_TEMPERATURE_GPU = 0

    def __init__(self, *broken: str) -> None:
        self.broken = set(broken)

    def __getattr__(self, name: str) -> Any:
        answers = {
            "nvmlDeviceGetCount": lambda: 2,
            "nvmlDeviceGetHandleByIndex": lambda i: i,
            "nvmlDeviceGetUUID": lambda h: f"GPU-{h}".encode(),
            "nvmlDeviceGetName": lambda h: "Card",
            "nvmlDeviceGetMemoryInfo": lambda h: SimpleNamespace(used=1, total=10),
            "nvmlDeviceGetPowerUsage": lambda h: 250_000,
            "nvmlDeviceGetEnforcedPowerLimit": lambda h: 300_000,
            "nvmlDeviceGetUtilizationRates": lambda h: SimpleNamespace(gpu=50),
            "nvmlDeviceGetTemperature": lambda h, kind: 60,
            "nvmlDeviceGetComputeRunningProcesses": lambda h: [
                SimpleNamespace(pid=7, usedGpuMemory=5)
            ],
            "nvmlShutdown": lambda: None,
            "nvmlInit": lambda: None,
        }

        def call(*args: Any) -> Any:
            if name in self.broken and args[:1] != (0,):
                raise Error(name)
            return answers[name](*args)

        return call


def test_a_card_is_read_in_full() -> None:
    """Watts, bytes, text from bytes."""
    gpu = Nvml(Driver()).read()[1]
    assert (gpu.index, gpu.uuid, gpu.power, gpu.power_limit) == (1, "GPU-1", 250.0, 300.0)
    assert (gpu.mem_used, gpu.mem_total, gpu.util, gpu.temp) == (1, 10, 50, 60)
    assert [p.pid for p in gpu.processes] == [7]


@pytest.mark.parametrize(
    ("broken", "field"),
    [
        ("nvmlDeviceGetMemoryInfo", "mem_used"),
        ("nvmlDeviceGetPowerUsage", "power"),
        ("nvmlDeviceGetUtilizationRates", "util"),
        ("nvmlDeviceGetTemperature", "temp"),
    ],
)
def test_what_a_card_does_not_tell_is_unknown(broken: str, field: str) -> None:
    """Unknown is None, never zero, and costs no other value."""
    first, second = Nvml(Driver(broken)).read()
    assert getattr(first, field) is not None
    assert getattr(second, field) is None
    assert second.uuid == "GPU-1"


def test_a_lost_card_costs_no_other() -> None:
    """One has fallen off the bus: the rest is there; no driver at all: nothing."""
    assert [g.uuid for g in Nvml(Driver("nvmlDeviceGetHandleByIndex")).read()] == ["GPU-0"]
    assert Nvml(Driver("nvmlDeviceGetCount")).read() == []


def test_a_machine_without_a_driver_has_a_cpu_slot(monkeypatch) -> None:
    """A GPU machine whose driver fails has none: jobs for a GPU never land on its CPU."""
    monkeypatch.setitem(sys.modules, "pynvml", Driver("nvmlInit"))
    assert open_nvml() is None
    assert usable(open_source(), [], lambda pid: False) == {CPU_SLOT: None}
    monkeypatch.setitem(sys.modules, "pynvml", Driver())
    source = open_source()
    assert usable(source, [], lambda pid: False) == {}
    assert list(usable(source, source.read(), lambda pid: False)) == ["GPU-0", "GPU-1"]


@pytest.mark.parametrize(
    ("mem_used", "foreign", "free"),
    [(1 << 30, True, False), (None, True, False), (1 << 20, True, True), (1 << 30, False, True)],
)
def test_a_gpu_that_others_use_is_left_alone(mem_used, foreign: bool, free: bool) -> None:
    """A large or unmeasured program that is not ours blocks the device, and is named."""
    gpu = Gpu(index=3, uuid="GPU-3", name="x", processes=[Process(pid=9, mem_used=mem_used)])
    why = usable(NoGpu(), [gpu], lambda pid: foreign)["GPU-3"]
    assert (why is None) is free
    assert free or why == "GPU 3 is used by another program (9)"


class Moody:
    """A source that fails every second time."""

    slots = ()

    def __init__(self) -> None:
        self.calls = 0

    def read(self) -> list[Gpu]:
        self.calls += 1
        if self.calls % 2 == 0:
            raise RuntimeError("driver reset")
        return [Gpu(index=0, uuid="GPU-0", name="x", util=float(self.calls))]

    def close(self) -> None:
        return None


def test_sampling_outlives_a_failing_driver(tmp_path: Path) -> None:
    """An exception in one reading does not end all later ones."""
    source = Moody()
    sampler = HostSampler(source, tmp_path / "not" / "made", watched_s=0.01, idle_s=0.01)
    sampler.start()
    try:
        until(lambda: source.calls > 7, 10)
        assert len(sampler.history) >= 3
    finally:
        sampler.close()


def test_nobody_watching_is_sampled_rarely(tmp_path: Path) -> None:
    """The first look wakes the sampler at once; then it goes at the watched pace."""
    sampler = HostSampler(NoGpu(), tmp_path, watched_s=0.02, idle_s=60.0)
    sampler.start()
    try:
        assert len(sampler.history) == 1
        started = time.monotonic()
        sampler.touch()
        until(lambda: len(sampler.history) > 3, 10)
        assert time.monotonic() - started < 10
    finally:
        sampler.close()


def test_history_is_parallel_lists(tmp_path: Path) -> None:
    """A card that was not there yet is None, not missing."""
    sampler = HostSampler(Moody(), tmp_path, watched_s=1, idle_s=1)
    sampler.history[0] = sampler.history[0].model_copy(update={"gpus": []})
    sampler.source.read = lambda: [Gpu(index=0, uuid="GPU-0", name="x", util=5.0)]  # type: ignore
    sampler.sample()
    window = sampler.window(60)
    assert window.gpu_util == {"GPU-0": [None, 5.0]}
    assert len(window.ts) == len(window.cpu_percent) == len(window.ram_used) == 2
