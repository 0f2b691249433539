"""What the end of an attempt means: exit code, signal and reason to a next state.

Exit codes are those of the trainer process (beyond.md §1.2), reasons the enum of server.md §2.2.
"""

from __future__ import annotations

from dataclasses import dataclass

from stdaemon.wire.jobs import State

REASONS: dict[int, str] = {
    4: "identity_mismatch",
    6: "not_resumable",
    64: "config_invalid",
    65: "dataset_error",
    75: "preempted",
    76: "oom_gpu",
    77: "nan_loss",
    78: "preflight_refused",
}
RETRYABLE = frozenset({"killed_signal", "node_lost", "launcher_error", "preempted", "gpu_fault"})
UNCOUNTED = frozenset({"preempted", "node_lost", "drain"})

AFTER_STOP = {
    "cancel": State.CANCELLED,
    "stop": State.CANCELLED,
    "pause": State.PAUSED,
    "preempt": State.QUEUED,
    "requeue": State.QUEUED,
    "drain": State.QUEUED,
    "timeout": State.TIMED_OUT,
}


@dataclass(frozen=True, slots=True)
class Exit:
    """How a trainer ended; all None when nobody saw it."""

    code: int | None
    signal: int | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The next state, why, and whether the attempt counts against the limit."""

    state: State
    reason: str
    counts: bool


def reason_of(end: Exit) -> str:
    """Machine-readable reason of a failed or interrupted attempt."""
    if end.signal is not None or (end.code is None and end.reason is None):
        return end.reason or "killed_signal"
    if end.reason and end.code not in REASONS:
        return end.reason
    return REASONS.get(end.code or 0, end.reason or "unknown")


def decide(end: Exit, *, stop_intent: str | None, failures: int, max_attempts: int) -> Outcome:
    """Next state of a job whose attempt ended; `failures` counts earlier counted ends."""
    if end.code == 0 and end.signal is None:
        return Outcome(State.SUCCEEDED, "done", counts=False)
    reason = reason_of(end)
    if stop_intent is not None and (end.code == 75 or end.signal is not None or end.code is None):
        cause = f"user_{stop_intent}" if stop_intent in ("cancel", "stop", "pause") else stop_intent
        return Outcome(AFTER_STOP[stop_intent], cause, counts=False)
    if reason not in RETRYABLE:
        return Outcome(State.FAILED, reason, counts=True)
    counts = reason not in UNCOUNTED
    if counts and failures + 1 >= max_attempts:
        return Outcome(State.FAILED, reason, counts=True)
    return Outcome(State.QUEUED, reason, counts=counts)
