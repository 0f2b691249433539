"""Jobs: what is submitted, what is shown, what can be done with them."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import Field

from stdaemon.wire.base import Message
from trainer.findings import Finding


class State(StrEnum):
    """Job states of server.md §2.2."""

    HELD = "held"
    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    LOST = "lost"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"
    TIMED_OUT = "timed_out"


TERMINAL = frozenset(
    {
        State.SUCCEEDED,
        State.FAILED,
        State.CANCELLED,
        State.REJECTED,
        State.EXPIRED,
        State.TIMED_OUT,
    }
)


class Action(StrEnum):
    """What can be done with a job."""

    STOP = "stop"
    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"
    RELEASE = "release"
    CHECKPOINT = "checkpoint"
    RERUN = "rerun"


class JobSubmit(Message):
    """A job file as text; relative paths in it mean relative to `base_dir`."""

    text: str = Field(max_length=1 << 20)
    format: str = Field(default="toml", pattern="^(toml|yaml|json)$")
    base_dir: str = Field(
        default="/", pattern="^/", description="absolute path on the daemon's host"
    )
    overrides: list[str] = Field(default_factory=list)
    name: str | None = Field(default=None, min_length=1, max_length=120)
    request_id: str | None = Field(default=None, max_length=200)
    hold: bool = False
    priority: int = Field(default=10, ge=0, le=50)


class ActionRequest(Message):
    """Arguments of stop, cancel, pause, resume, rerun, checkpoint and release."""

    request_id: str | None = Field(default=None, max_length=200)
    reason: str | None = Field(default=None, max_length=1000)


class Job(Message):
    """One job as lists show it; times in seconds since the epoch, unknown values None."""

    id: str
    number: int
    name: str
    state: State
    phase: str | None = None
    stop_intent: str | None = None
    reason: str | None = None
    family: str = ""
    mode: str = ""
    step: int | None = None
    total: int | None = None
    loss: float | None = None
    it_s: float | None = None
    eta_s: float | None = None
    devices: list[str] = Field(default_factory=list)
    attempt: int = 0
    created_at: float = 0.0
    started_at: float | None = None
    ended_at: float | None = None
    run_dir: str = ""
    tags: list[str] = Field(default_factory=list)
    user: str = ""
    priority: int = 10
    hold_reasons: list[str] = Field(default_factory=list)
    blocked_by: str | None = None


class Attempt(Message):
    """One start of the trainer for a job."""

    number: int
    devices: list[str] = Field(default_factory=list)
    pid: int | None = None
    started_at: float | None = None
    ended_at: float | None = None
    exit_code: int | None = None
    signal: int | None = None
    reason: str | None = None


class Transition(Message):
    """One change of state."""

    seq: int
    ts: float
    old: str | None = None
    new: str
    cause: str = ""
    actor: str = ""
    note: str | None = Field(default=None, description="the reason that the actor gave")


class JobDetail(Job):
    """A job with its history."""

    attempts: list[Attempt] = Field(default_factory=list)
    transitions: list[Transition] = Field(default_factory=list)
    findings: list[Finding] = Field(default_factory=list)


class JobPage(Message):
    jobs: list[Job]
    next_cursor: str | None = None
    counts: dict[str, int] = Field(default_factory=dict)


class JobConfigView(Message):
    """The job file as submitted, its effective form, and where each value came from."""

    text: str
    effective: dict[str, Any]
    origins: dict[str, str] = Field(default_factory=dict)
