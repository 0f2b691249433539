"""Host figures as text: GPUs, memory, load."""

from __future__ import annotations

from typing import Any

from sttui.format import values
from sttui.format.columns import Column, attr, column


def _memory(gpu: Any) -> str:
    return f"{values.size(gpu.mem_used)} / {values.size(gpu.mem_total)}"


def _power(gpu: Any) -> str:
    if gpu.power is None:
        return values.UNKNOWN
    limit = f" / {gpu.power_limit:.0f}" if gpu.power_limit else ""
    return f"{gpu.power:.0f}{limit} W"


GPU_COLUMNS = (
    column("index", right=True),
    column("name"),
    Column("util", attr("util"), lambda g: values.percent(g.util), right=True),
    Column("memory", attr("mem_used"), _memory, right=True),
    Column(
        "temp",
        attr("temp"),
        lambda g: values.UNKNOWN if g.temp is None else f"{g.temp:.0f}°C",
        right=True,
    ),
    Column("power", attr("power"), _power, right=True),
    column("job"),
    column("uuid", wide=True),
)


def host_line(host: Any) -> str:
    """`box  CPU 12% of 16  load 1.20  RAM 10 / 128 GiB  disk 300 GiB free`."""
    load = (
        " ".join(f"{x:.2f}" for x in host.load[:1])
        if isinstance(host.load, list | tuple)
        else values.number(host.load)
    )
    return "  ".join(
        (
            host.hostname,
            f"CPU {values.percent(host.cpu_percent)} of {host.cpu_count}",
            f"load {load}",
            f"RAM {values.size(host.ram_used)} / {values.size(host.ram_total)}",
            f"disk {values.size(host.disk_free)} free",
        )
    )
