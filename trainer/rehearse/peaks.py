"""Peak memory of a stretch of work: of the process, and of the GPU where there is one."""

from __future__ import annotations

import resource
import sys
from contextlib import suppress
from pathlib import Path

import torch

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
PEAK_ONLY = "5"  # forget the highest resident size, nothing else


def reset_peaks() -> None:
    """Begin a stretch. Where the system cannot forget a peak, that of the process stands."""
    with suppress(OSError):
        RESET.write_text(PEAK_ONLY)
    if torch.cuda.is_initialized():
        torch.cuda.reset_peak_memory_stats()


def host_peak() -> int:
    """Highest resident bytes since the stretch began."""
    with suppress(OSError):
        for line in STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10


def device_peak() -> int | None:
    """Highest bytes that torch had allocated on the GPU; None without one in use."""
    return torch.cuda.max_memory_allocated() if torch.cuda.is_initialized() else None
