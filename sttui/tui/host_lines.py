"""The host as lines of text: one meter each for CPU, memory and disk, one line per GPU.

Pure. All bars start and end in the same columns and have their number beside them; what a device
does not tell is an en dash, and what does not fit is left out from the right, never cut in half.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stdaemon.wire.hosts import Gpu, HostSnapshot
from sttui.format import values
from sttui.tui.spans import Line
from sttui.tui.state.store import HostState
from sttui.tui.widgets.bars import bar, level, sparkline
from sttui.tui.widgets.virtual_table import fit

LABEL = 6
WORDS = (
    "NVIDIA ",
    "GeForce ",
    "Quadro ",
    "Tesla ",
    "AMD ",
    "Radeon ",
    " Generation",
    " Laptop GPU",
)


@dataclass(frozen=True, slots=True)
class Shape:
    """Widths that follow from the width of the screen; 0 leaves a column out."""

    name: int
    bar: int
    spark: int
    power: bool


def shape_for(width: int) -> Shape:
    if width < 96:
        return Shape(name=0, bar=8, spark=0, power=False)
    if width < 140:
        return Shape(name=12, bar=10, spark=0, power=True)
    return Shape(name=18, bar=12, spark=min(40, width - 116), power=True)


def host_lines(state: HostState, width: int, *, ascii: bool = False) -> list[Line]:
    """All lines of the block; the caller cuts what is too high."""
    host = state.host
    if host is None:
        return []
    lines = [_cpu(host, state, width, ascii), _ram(host, state, width, ascii)]
    lines.append(_disk(host, width, ascii))
    shape = shape_for(width)
    for gpu in host.gpus:
        lines.append(_gpu(gpu, state, shape, width, ascii))
    if not host.gpus:
        held = next((state.jobs.get(s.job) for s in host.slots if s.job), None)
        use = f"the CPU is used by {held.name}" if held else "jobs run on the CPU"
        lines.append([(f"{'GPU':<{LABEL}}", "bold"), (f"none found; {use}", "dim")])
    return lines


def _meter(label: str, share: float | None, size: int, ascii: bool) -> Line:
    """Label, bar and percentage."""
    full, empty = bar(share, size, ascii=ascii)
    number = values.percent(None if share is None else 100 * share)
    return [
        (f"{label:<{LABEL}}", "bold"),
        (full, level(share)),
        (empty, "dim"),
        (f"{number:>5}  ", ""),
    ]


def _with_history(line: Line, series: Sequence[float | None], width: int, ascii: bool) -> Line:
    """The past of the value in the room that is left."""
    used = sum(len(text) for text, _ in line)
    room = min(60, width - used - 2)
    if room < 10 or len(series) < 2:
        return line
    return [*line, ("  ", ""), (sparkline(series, room, 100.0, ascii=ascii), "blue")]


def _bar_size(width: int) -> int:
    return 20 if width >= 140 else 16 if width >= 96 else 12


def _cpu(host: HostSnapshot, state: HostState, width: int, ascii: bool) -> Line:
    load = f"load {host.load[0]:.1f}" if host.load else ""
    text = f"{host.cpu_count} cores, {load}".rstrip(", ")
    line = _meter("CPU", host.cpu_percent / 100, _bar_size(width), ascii)
    return _with_history([*line, (f"{text:<22}", "dim")], _past(state, "cpu"), width, ascii)


def _ram(host: HostSnapshot, state: HostState, width: int, ascii: bool) -> Line:
    share = host.ram_used / host.ram_total if host.ram_total else None
    text = f"{values.size(host.ram_used)} of {values.size(host.ram_total)}"
    line = _meter("RAM", share, _bar_size(width), ascii)
    return _with_history([*line, (f"{text:<22}", "dim")], _past(state, "ram"), width, ascii)


def _disk(host: HostSnapshot, width: int, ascii: bool) -> Line:
    share = 1 - host.disk_free / host.disk_total if host.disk_total else None
    text = f"{values.size(host.disk_free)} free of {values.size(host.disk_total)}"
    return [*_meter("Disk", share, _bar_size(width), ascii), (text, "dim")]


def _past(state: HostState, name: str) -> list[float | None]:
    return list(state.series.get(name, ()))


def _gpu(gpu: Gpu, state: HostState, shape: Shape, width: int, ascii: bool) -> Line:
    util = None if gpu.util is None else gpu.util / 100
    line: Line = [(f"{f'GPU {gpu.index}':<{LABEL}}", "bold")]
    if shape.name:
        line.append((f"{fit(short_name(gpu.name), shape.name)}  ", ""))
    line += _meter("", util, shape.bar, ascii)[1:]
    memory = gpu.mem_used / gpu.mem_total if gpu.mem_used is not None and gpu.mem_total else None
    full, empty = bar(memory, shape.bar, ascii=ascii)
    line += [(full, "cyan"), (empty, "dim"), (f" {_memory(gpu):>13}  ", "")]
    heat = f"{values.UNKNOWN}" if gpu.temp is None else f"{gpu.temp:.0f}°C"
    line.append((f"{heat:>5}  ", "red" if (gpu.temp or 0) >= 85 else "dim"))
    if shape.power:
        line.append((f"{_power(gpu):>11}  ", "dim"))
    if shape.spark >= 10:
        past = _past(state, f"util {gpu.uuid}")
        line += [(sparkline(past, shape.spark, 100.0, ascii=ascii), "blue"), ("  ", "")]
    used = sum(len(text) for text, _ in line)
    text, name = _holder(gpu, state)
    return [*line, (fit(text, max(0, width - used)).rstrip(), name)]


def _memory(gpu: Gpu) -> str:
    """`36.0/48.0 GiB`, both in the unit of the total."""
    if gpu.mem_total is None:
        return values.size(gpu.mem_used)
    used = values.UNKNOWN if gpu.mem_used is None else f"{gpu.mem_used / 2**30:.1f}"
    return f"{used}/{gpu.mem_total / 2**30:.1f} GiB"


def _power(gpu: Gpu) -> str:
    used = values.UNKNOWN if gpu.power is None else f"{gpu.power:.0f}"
    return f"{used}/{gpu.power_limit:.0f} W" if gpu.power_limit else f"{used} W"


def _holder(gpu: Gpu, state: HostState) -> tuple[str, str]:
    """Who uses the device: a job of ours, somebody else, nobody."""
    if gpu.job:
        job = state.jobs.get(gpu.job)
        return (job.name if job else gpu.job), "green"
    foreign = [p for p in gpu.processes if p.job is None]
    return ("used by others", "yellow") if foreign else ("free", "dim")


def short_name(name: str) -> str:
    """`RTX 6000 Ada` of `NVIDIA RTX 6000 Ada Generation`."""
    for word in WORDS:
        name = name.replace(word, "")
    return name.strip()
