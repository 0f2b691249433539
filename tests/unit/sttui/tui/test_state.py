"""State of the client: events in order, one feed that reconnects, questions the screens ask."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from stdaemon.client.errors import Incompatible, NotFound, Refused, Unreachable
from stdaemon.client.retry import Backoff
from stdaemon.wire.events import Event
from sttui.tui.state import reduce, select
from sttui.tui.state.feed import Feed, kind_of
from sttui.tui.state.store import HostState
from tests.support.fake_client import FakeClient, make_host, make_job
from trainer.findings import finding


class Watched:
    """A feed and its state, drained by the test."""

    def __init__(self, client: FakeClient) -> None:
        self.state = HostState()
        self.feed = Feed(client, backoff=Backoff(uniform=lambda low, high: 0.01))  # type: ignore[arg-type]
        self.feed.start()

    def until(self, condition: Callable[[HostState], object]) -> None:
        deadline = time.monotonic() + 20
        while not condition(self.state):
            assert time.monotonic() < deadline, self.state
            self.feed.drain(self.state)
            time.sleep(0.002)


@pytest.fixture
def client() -> FakeClient:
    return FakeClient(make_job(1), make_job(2, "queued"))


def test_snapshot_then_events_in_order(client: FakeClient) -> None:
    """Past events and curves come with the snapshot; later events change it."""
    client.past = [Event(seq=1, ts=5.0, kind="job.state", job="job00001", data={"new": "running"})]
    watched = Watched(client)
    watched.until(lambda s: s.online)
    assert [e.new for e in watched.state.events] == ["running"]
    assert list(watched.state.series["cpu"]) == [10.0, 20.0, 35.0]
    client.push("job.progress", "job00001", step=121, loss=0.5)
    watched.until(lambda s: s.jobs["job00001"].step == 121)
    client.change("job00002", "running", phase="scan")
    watched.until(lambda s: str(s.jobs["job00002"].state) == "running")
    watched.until(lambda s: s.events[-1].new == "running" and len(s.events) == 2)
    client.push("host.metrics", **make_host(2, ts=9.0).model_dump())
    watched.until(lambda s: s.host is not None and len(s.host.gpus) == 2)
    watched.feed.close()


def test_a_new_job_is_fetched_and_a_gone_one_is_survived(client: FakeClient) -> None:
    """An event about an unknown job brings it in; one that cannot be found breaks nothing."""
    watched = Watched(client)
    watched.until(lambda s: s.online)
    client.push("job.state", "nojob", seq=4, new="queued", cause="x")
    client.table["job00003"] = make_job(3, "queued")
    client.push("job.state", "job00003", seq=5, new="queued", cause="submitted")
    watched.until(lambda s: "job00003" in s.jobs)
    assert watched.state.online
    watched.feed.close()


def test_a_drop_keeps_the_data_and_comes_back_by_itself(client: FakeClient) -> None:
    """Offline with a reason and a time to retry; then a new snapshot, not a replay."""
    watched = Watched(client)
    watched.until(lambda s: s.online)
    client.drop()
    watched.until(lambda s: s.connection == "offline" and s.fix == "start")
    state = watched.state
    assert state.problem == "no daemon is running"
    assert set(state.jobs) == {"job00001", "job00002"}
    assert state.retry_at is not None
    del client.table["job00002"]
    client.mend()
    watched.until(lambda s: s.online)
    assert set(watched.state.jobs) == {"job00001"}
    watched.feed.close()


@pytest.mark.parametrize(
    ("error", "connection"),
    [
        (Incompatible(finding("ENV107", "versions")), "incompatible"),
        (Refused(finding("ENV110", "no access")), "refused"),
        (
            Unreachable(finding("ENV103", "ssh", why="Permission denied (publickey).")),
            "needs login",
        ),
    ],
)
def test_a_refusal_waits_for_the_user(error: Refused, connection: str, client: FakeClient) -> None:
    """Nothing is tried again until the user asks; then it is tried at once."""
    client.broken = error
    watched = Watched(client)
    watched.until(lambda s: s.connection == connection)
    assert watched.state.retry_at is None
    assert "ctrl+r" in select.connection_text(watched.state, time.time())
    tried = client.hellos
    time.sleep(0.1)
    assert client.hellos == tried
    client.mend()
    watched.feed.retry_now()
    watched.until(lambda s: s.online)
    watched.feed.close()


def test_ten_thousand_jobs_come_page_by_page() -> None:
    """The first page is shown before the rest has arrived; all arrive."""
    client = FakeClient(*(make_job(n, "succeeded") for n in range(1, 1001)))
    watched = Watched(client)
    watched.until(lambda s: s.online)
    assert len(watched.state.jobs) >= 200
    watched.until(lambda s: len(s.jobs) == 1000)
    watched.feed.close()


def test_an_unreadable_event_does_not_end_the_feed(client: FakeClient) -> None:
    """A malformed snapshot of the host breaks nothing for good."""
    watched = Watched(client)
    watched.until(lambda s: s.online)
    client.push("job.progress", "unknown", step=3)
    client.push("something.new", None, x=1)
    client.change("job00001", "succeeded")
    watched.until(lambda s: str(s.jobs["job00001"].state) == "succeeded")
    watched.feed.close()


def state_with(*jobs: tuple[int, str], **more: object) -> HostState:
    state = HostState(connection="online")
    state.jobs = {job.id: job for number, name in jobs for job in (make_job(number, name),)}
    return state


def test_order_is_live_first_then_newest() -> None:
    """Running, queued, ended; the cached order follows changes of state."""
    state = state_with((1, "succeeded"), (2, "running"), (3, "queued"), (4, "running"))
    assert [j.number for j in select.ordered(state)] == [4, 2, 3, 1]
    reduce.told(state, Event(ts=1, kind="job.progress", job="job00004", data={"step": 9}))
    assert [j.number for j in select.ordered(state)] == [4, 2, 3, 1]
    reduce.job_changed(state, make_job(4, "failed"))
    assert [j.number for j in select.ordered(state)] == [2, 3, 4, 1]
    assert select.counters(state)[:2] == ["1 running", "1 queued"]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("", [4, 3, 2, 1]),
        ("portrait-3", [3]),
        ("state:running", [4]),
        ("!state:running", [3, 2, 1]),
        ("FAMILY:flux state:failed", [1]),
        ("nothing:here", []),
        ("!", [4, 3, 2, 1]),
    ],
)
def test_free_filter(text: str, numbers: list[int]) -> None:
    """Words, fields and inversion; a field that does not exist is a word."""
    state = state_with((1, "failed"), (2, "succeeded"), (3, "queued"), (4, "running"))
    jobs = sorted(state.jobs.values(), key=lambda j: -j.number)
    assert [j.number for j in select.matching(jobs, text)] == numbers


def test_connection_text_counts_down_and_up() -> None:
    """How long offline, when the next try is, and when an online daemon has gone quiet."""
    state = HostState()
    assert select.connection_text(state, 0.0) == "connecting …"
    state.connection, state.since, state.retry_at = "offline", 100.0, 111.0
    assert select.connection_text(state, 107.0) == "offline 0:07, retry in 4 s"
    assert select.connection_text(state, 3800.0) == "offline 1:01:40, retry in 0 s"
    state.connection, state.heard_at = "online", 100.0
    assert select.connection_text(state, 102.0) == ""
    assert select.connection_text(state, 130.0) == "no news for 0:30"


def test_devices_are_named_as_people_count_them() -> None:
    """GPU numbers where the host is known, plain names otherwise."""
    state = state_with((1, "running"))
    job = state.jobs["job00001"]
    assert select.devices(state, job) == "GPU-a"
    state.host = make_host(2)
    both = job.model_copy(update={"devices": ["GPU-b", "GPU-a"]})
    assert select.devices(state, both) == "GPU 0,1"
    cpu = job.model_copy(update={"devices": ["cpu:0"]})
    assert select.devices(state, cpu) == "cpu"


def test_other_failures_are_offline() -> None:
    """A fault or an unknown thing is tried again like a dead line."""
    assert kind_of(NotFound(finding("ENV111", "x"))) == "offline"
