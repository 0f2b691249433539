"""The daemon's pure rules: transitions, outcomes, scheduling, log ranges, thinning."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stdaemon.jobs.outcomes import Exit, decide
from stdaemon.jobs.states import ACTIVE, TRANSITIONS, allowed
from stdaemon.sched.plan import Candidate, Snapshot, plan
from stdaemon.watch.logs import read_log, tail_offset
from stdaemon.watch.metrics import thin
from stdaemon.wire.jobs import TERMINAL, State


def test_terminal_states_are_immutable():
    """Nothing leaves a terminal state, and every other state has a way out."""
    for state in State:
        assert bool(TRANSITIONS[state]) is (state not in TERMINAL)
    assert not allowed(State.HELD, State.STARTING)
    assert not allowed(State.QUEUED, State.RUNNING)


@pytest.mark.parametrize(
    ("end", "intent", "failures", "expected"),
    [
        (Exit(0, None, "done"), None, 0, (State.SUCCEEDED, "done", False)),
        (Exit(0, None, "done"), "cancel", 0, (State.SUCCEEDED, "done", False)),
        (Exit(75, None, "preempt"), None, 0, (State.QUEUED, "preempted", False)),
        (Exit(75, None, "pause"), "pause", 0, (State.PAUSED, "user_pause", False)),
        (Exit(75, None, "cancel"), "cancel", 0, (State.CANCELLED, "user_cancel", False)),
        (Exit(75, None, "stop"), "stop", 0, (State.CANCELLED, "user_stop", False)),
        (Exit(None, 9, "killed_signal"), None, 0, (State.QUEUED, "killed_signal", True)),
        (Exit(None, 9, "killed_signal"), None, 2, (State.FAILED, "killed_signal", True)),
        (Exit(None, 9, "killed_signal"), "cancel", 0, (State.CANCELLED, "user_cancel", False)),
        (Exit(None, None, "node_lost"), None, 2, (State.QUEUED, "node_lost", False)),
        (Exit(64, None, None), None, 0, (State.FAILED, "config_invalid", True)),
        (Exit(65, None, None), None, 0, (State.FAILED, "dataset_error", True)),
        (Exit(76, None, None), None, 0, (State.FAILED, "oom_gpu", True)),
        (Exit(77, None, None), None, 0, (State.FAILED, "nan_loss", True)),
        (Exit(70, None, "disk_full"), None, 0, (State.FAILED, "disk_full", True)),
        (Exit(70, None, None), "pause", 0, (State.FAILED, "unknown", True)),
    ],
)
def test_outcomes(end, intent, failures, expected):
    """Each end of an attempt has one meaning."""
    outcome = decide(end, stop_intent=intent, failures=failures, max_attempts=3)
    assert (outcome.state, outcome.reason, outcome.counts) == expected


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 3), st.floats(0, 10)), max_size=12),
    st.integers(0, 4),
)
def test_plan_never_gives_a_device_twice(jobs, num_free):
    """Whatever is queued: no device twice, no job twice, order by priority then age."""
    devices = [f"gpu{i}" for i in range(4)]
    candidates = [Candidate(f"j{i}", i, p, t, d or 1) for i, (p, d, t) in enumerate(jobs)]
    leased = devices[num_free:]
    decisions = plan(Snapshot(candidates, dict.fromkeys(devices), leased, now=5.0))
    given_out = [d for decision in decisions for d in decision.devices]
    assert len(given_out) == len(set(given_out)) <= num_free
    assert sorted(d.job for d in decisions) == sorted(c.id for c in candidates)
    assert all(bool(d.devices) != bool(d.blocked_by) for d in decisions)
    by_id = {c.id: c for c in candidates}
    ready = [by_id[d.job] for d in decisions if d.devices and by_id[d.job].num_devices == 1]
    assert ready == sorted(ready, key=lambda c: (-c.priority, c.number))


def test_plan_is_quick():
    """A thousand queued jobs are planned in well under 200 ms (checked at twice that)."""
    import time

    candidates = [Candidate(f"j{i}", i, i % 5, 0.0) for i in range(1000)]
    started = time.perf_counter()
    plan(Snapshot(candidates, {"a": None, "b": None}, ["a"], 1.0))
    assert time.perf_counter() - started < 0.4


@given(st.lists(st.text("aé€\t ", max_size=12), max_size=30), st.integers(1, 40))
def test_log_ranges_join_to_the_whole(tmp_path_factory, lines, limit):
    """Reading by any chunk size gives the text once, never a torn character."""
    path = tmp_path_factory.mktemp("log") / "log"
    data = "".join(f"{line}\n" for line in lines).encode()
    path.write_bytes(data)
    longest = max((len(f"{line}\n".encode()) for line in lines), default=1)
    limit = max(limit, longest)
    offset, text = 0, ""
    for _ in range(len(data) + 2):
        chunk = read_log(path, offset=offset, limit=limit, ended=True)
        text += chunk.text
        offset = chunk.next_offset
        if chunk.done:
            break
    assert text.encode() == data


def test_an_unfinished_line_waits(tmp_path):
    """A line without its newline is held back until the job has ended."""
    path = tmp_path / "log"
    path.write_bytes(b"whole\nhalf")
    chunk = read_log(path, offset=0, limit=1000, ended=False)
    assert (chunk.text, chunk.next_offset, chunk.done) == ("whole\n", 6, False)
    assert read_log(path, offset=6, limit=1000, ended=True).text == "half"


@given(st.integers(0, 60), st.integers(0, 70))
def test_tail_begins_at_a_line(tmp_path_factory, total, wanted):
    """The last N lines, or all when there are fewer."""
    path = tmp_path_factory.mktemp("log") / "log"
    path.write_text("".join(f"line {i}\n" for i in range(total)))
    rest = path.read_text()[tail_offset(path, wanted) :].splitlines()
    assert rest == [f"line {i}" for i in range(total)][max(0, total - wanted) :]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300), st.integers(2, 50))
def test_thinning_keeps_extremes(values, points):
    """Few points, in order, and the highest and lowest value are among them."""
    steps = list(range(len(values)))
    out = thin(steps, values, points)
    assert len(out.steps) <= max(points, 2) + 1
    assert out.steps == sorted(set(out.steps))
    assert min(out.values) == min(values)  # type: ignore[type-var]
    assert max(out.values) == max(values)  # type: ignore[type-var]


def test_active_states_are_those_with_a_process():
    """A lease may be held exactly in these states."""
    assert {State.STARTING, State.RUNNING, State.STOPPING, State.LOST} == ACTIVE
