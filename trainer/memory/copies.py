"""Copies from host to device beside the computation, and the waits that keep them apart."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor


class Copies(Protocol):
    """`begin` starts a copy once all that was computed so far is done; `finish` awaits it."""

    def begin(self, buffer: Tensor, host: Tensor) -> Any: ...

    def finish(self, copy: Any) -> None: ...


class PlainCopies:
    """At once, where there is no stream to copy on."""

    def begin(self, buffer: Tensor, host: Tensor) -> Any:
        buffer.copy_(host)

    def finish(self, copy: Any) -> None:
        pass


class CudaCopies:
    """On a stream of their own; the host waits for nothing."""

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.Stream(device)

    def begin(self, buffer: Tensor, host: Tensor) -> Any:
        self._stream.wait_stream(torch.cuda.current_stream(buffer.device))
        with torch.cuda.stream(self._stream):
            buffer.copy_(host, non_blocking=True)
            return self._stream.record_event()

    def finish(self, copy: Any) -> None:
        torch.cuda.current_stream().wait_event(copy)


def copies_for(device: torch.device) -> Copies:
    return CudaCopies(device) if device.type == "cuda" else PlainCopies()
