"""The state machine of a job: one table (server.md §2.2).

`succeeded` is also reachable from `stopping`: a job may finish by itself while it is being
stopped, and then it is done.
"""

from __future__ import annotations

from stdaemon.wire.jobs import TERMINAL, State

S = State

TRANSITIONS: dict[State | None, frozenset[State]] = {
    None: frozenset({S.HELD, S.QUEUED, S.REJECTED}),
    S.HELD: frozenset({S.QUEUED, S.CANCELLED, S.EXPIRED}),
    S.QUEUED: frozenset({S.STARTING, S.HELD, S.CANCELLED}),
    S.STARTING: frozenset({S.RUNNING, S.QUEUED, S.STOPPING, S.FAILED, S.LOST}),
    S.RUNNING: frozenset({S.STOPPING, S.SUCCEEDED, S.FAILED, S.LOST, S.QUEUED}),
    S.PAUSED: frozenset({S.QUEUED, S.CANCELLED}),
    S.STOPPING: frozenset({S.CANCELLED, S.QUEUED, S.PAUSED, S.TIMED_OUT, S.FAILED, S.SUCCEEDED}),
    S.LOST: frozenset({S.RUNNING, S.QUEUED, S.FAILED}),
    **{state: frozenset() for state in TERMINAL},
}

ACTIVE = frozenset({S.STARTING, S.RUNNING, S.STOPPING, S.LOST})
"""States in which a trainer process may exist and devices are leased."""


def allowed(old: State | None, new: State) -> bool:
    return new in TRANSITIONS[old]
