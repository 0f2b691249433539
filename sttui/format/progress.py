"""Events of a run as one line of text each, for plain progress and for `stune events`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sttui.format import values

PHASES = {
    "scan": "reading the dataset",
    "cache": "encoding",
    "train": "training",
    "validate": "making pictures",
    "save": "saving",
    "inputs": "opening the model",  # from here on: of a rehearsal
    "encode": "encoding",
    "load": "loading the model",
    "checkpoint": "saving",
    "reload": "loading what was saved",
    "export": "writing the adapter",
}


def event_line(event: Mapping[str, Any]) -> str | None:
    """Text of one run event; None for kinds that say nothing to a person."""
    write = _LINES.get(str(event.get("kind")))
    return write(event) if write else None


def _start(e: Mapping[str, Any]) -> str:
    resumed = e.get("resumed_step") or 0
    total = e.get("total_steps")
    steps = f"{total} steps" if total else "start"
    return f"{steps}, resumed at step {resumed}" if resumed else steps


def _phase(e: Mapping[str, Any]) -> str | None:
    return PHASES.get(str(e.get("phase"))) if e.get("state") == "begin" else None


def _cache(e: Mapping[str, Any]) -> str:
    what, _, dataset = str(e.get("store", "")).partition(":")
    if dataset:  # the index of a dataset; how many samples there are is known at the end
        return f"reading {dataset} {e.get('done')}"
    return f"encoding {what} {e.get('done')}/{e.get('total')}".replace("  ", " ")


def _look(e: Mapping[str, Any]) -> str:
    total = e.get("total")
    return f"{e.get('stage')} {e.get('done')}{f'/{total}' if total is not None else ''}"


def _progress(e: Mapping[str, Any]) -> str:
    step, total = e.get("step") or 0, e.get("total") or 0
    share = f" {100 * step / total:3.0f}%" if total else ""
    loss = e.get("loss_ema", e.get("loss"))
    parts = [
        f"step {step}/{total}{share}",
        f"loss {values.number(loss)}",
        f"lr {values.number(e.get('lr'), 3)}",
    ]
    if e.get("it_s"):
        parts.append(f"{values.number(e['it_s'], 3)} it/s")
    if e.get("eta_s") is not None:
        parts.append(f"eta {values.duration(e['eta_s'])}")
    return "  ".join(parts)


def _eval(e: Mapping[str, Any]) -> str:
    distance = e.get("style_distance")
    style = f", style distance {values.number(distance)}" if distance is not None else ""
    return f"held-out loss {values.number(e.get('loss'))}{style} at step {e.get('step')}"


def _checkpoint(e: Mapping[str, Any]) -> str:
    return f"checkpoint at step {e.get('step')} ({values.size(e.get('bytes'))})"


def _finding(e: Mapping[str, Any]) -> str:
    found = e.get("finding") or {}
    return f"{found.get('level', '')} {found.get('code', '')} {found.get('message', '')}".strip()


def _end(e: Mapping[str, Any]) -> str:
    reason = "" if e.get("status") == "succeeded" else f" ({e.get('reason')})"
    return f"{e.get('status')} at step {e.get('step')}{reason}"


_LINES = {
    "run.start": _start,
    "phase": _phase,
    "cache.progress": _cache,
    "data.progress": _look,
    "progress": _progress,
    "eval": _eval,
    "checkpoint.saved": _checkpoint,
    "checkpoint.quarantined": lambda e: f"checkpoint set aside: {e.get('reason')}",
    "checkpoint.pruned": lambda e: None,
    "sample.saved": lambda e: f"picture {e.get('path')}",
    "grid.saved": lambda e: f"grid {e.get('path')}",
    "adapter.saved": lambda e: f"adapter {e.get('path')} ({e.get('layout')})",
    "finding": _finding,
    "control.ack": lambda e: f"{e.get('command')}: {e.get('result')}",
    "run.end": _end,
}
