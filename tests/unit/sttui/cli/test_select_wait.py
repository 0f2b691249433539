"""Which jobs are meant, and how long is waited for them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from stdaemon.client.errors import Faulty
from stdaemon.wire.jobs import JobDetail
from sttui.cli import wait
from sttui.cli.failure import CliError
from sttui.cli.select import parse_where, select_ids, select_one
from trainer.findings import finding


def job(id: str, state: str = "running", **more: Any) -> JobDetail:
    base = {"id": id, "number": 1, "name": f"job-{id}", "state": state, "step": 0, "total": 10}
    return JobDetail.model_validate(base | more)


@dataclass
class Daemon:
    """A client whose jobs change with every look."""

    lives: dict[str, list[JobDetail | Exception]]
    looks: int = 0
    metric: list[float] = field(default_factory=list)

    def job(self, ref: str) -> JobDetail:
        self.looks += 1
        life = self.lives[ref]
        now = life.pop(0) if len(life) > 1 else life[0]
        if isinstance(now, Exception):
            raise now
        return now

    def jobs(self, limit: int) -> Any:
        return SimpleNamespace(jobs=list(self.all_jobs())[:limit])

    def all_jobs(self, state: Any = None) -> Iterator[JobDetail]:
        for life in self.lives.values():
            found = life[0]
            assert isinstance(found, JobDetail)
            if state is None or found.state in state:
                yield found

    def metrics(self, ref: str, series: list[str]) -> Any:
        return SimpleNamespace(series={series[0]: SimpleNamespace(values=self.metric)})


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time passes only when something sleeps."""
    now = [0.0]
    clock = SimpleNamespace(
        monotonic=lambda: now[0], sleep=lambda s: now.__setitem__(0, now[0] + s)
    )
    monkeypatch.setattr(wait, "time", clock)


def waited(daemon: Any, ids: list[str], test: str | None = None, **options: Any) -> list[int]:
    condition = wait.parse_condition(test)
    limit, any_ = options.get("limit"), options.get("any", False)
    return wait._wait(daemon, ids, condition, any_, limit)[1]


def test_selectors_filters_and_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """@last, @running, --where and ids from standard input; each job once."""
    daemon: Any = Daemon({"a": [job("a")], "b": [job("b", "failed")], "c": [job("c", "stopping")]})
    assert select_ids(daemon, ["@last"]) == ["a"]
    assert select_ids(daemon, ["@running", "a"]) == ["a", "c"]
    assert select_ids(daemon, [], where="state=failed and name~JOB-B") == ["b"]
    monkeypatch.setattr("sys.stdin", io.StringIO("c a\nc\n"))
    assert select_ids(daemon, ["a"], ids_from="-") == ["a", "c"]
    with pytest.raises(CliError):
        select_ids(daemon, [])
    with pytest.raises(CliError):
        select_ids(daemon, ["@newest"])


def test_one_job_must_be_one() -> None:
    """Several candidates are listed, exit code 2."""
    daemon: Any = Daemon({"a": [job("a")], "b": [job("b")]})
    with pytest.raises(CliError, match="matches 2 jobs") as caught:
        select_one(daemon, "@running")
    assert caught.value.exit_code == 2
    assert "a, b" in caught.value.findings[0].fix


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("state=running", True),
        ("state!=running", False),
        ("step>=5 and loss<0.5", True),
        ("step>5", False),
        ("tags=x", True),
        ("tags!=x", False),
        ("eta_s<10", False),
    ],
)
def test_conditions_of_where(text: str, expected: bool) -> None:
    """Texts, numbers, lists; an unknown value fulfils no comparison."""
    one = job("a", step=5, loss=0.25, tags=["x", "y"])
    assert parse_where(text)(one) is expected


@pytest.mark.parametrize(
    ("text", "said"), [("stat=x", "did you mean state"), ("nonsense", "write")]
)
def test_bad_conditions_of_where(text: str, said: str) -> None:
    """The nearest field, or the form."""
    with pytest.raises(CliError) as caught:
        parse_where(text)
    assert said in caught.value.findings[0].fix


@pytest.mark.parametrize(
    ("end", "code"), [("succeeded", 0), ("cancelled", 5), ("failed", 6), ("rejected", 4)]
)
def test_the_end_of_a_job_is_the_exit_code(end: str, code: int) -> None:
    """Waiting without a condition."""
    daemon = Daemon({"a": [job("a", "queued"), job("a"), job("a", end)]})
    assert waited(daemon, ["a"]) == [code]


@pytest.mark.parametrize("test", ["running", "step>=4", "loss<0.5", "grad<1"])
def test_a_condition_that_is_already_true_returns_at_once(test: str) -> None:
    """One look is enough."""
    daemon = Daemon({"a": [job("a", step=4, loss=0.4)]}, metric=[3.0, 0.5])
    assert waited(daemon, ["a"], test) == [0]
    assert daemon.looks == 1


def test_a_condition_that_can_no_longer_come_true_ends_the_wait() -> None:
    """Success without the condition is 1, failure is 6."""
    fine = Daemon({"a": [job("a"), job("a", "succeeded", step=3)]})
    assert waited(fine, ["a"], "step>=4") == [1]
    broken = Daemon({"a": [job("a"), job("a", "failed", step=3)]})
    assert waited(broken, ["a"], "step>=4") == [6]


def test_all_or_any() -> None:
    """Any returns with the first that fulfils it, all waits for the last."""

    def lives() -> Daemon:
        return Daemon({"a": [job("a")], "b": [job("b", "succeeded")]})

    assert waited(lives(), ["a", "b"], any=True) == [0]
    with pytest.raises(CliError):
        waited(lives(), ["a", "b"], limit=5)


def test_timeout_is_exit_code_1_with_the_reason() -> None:
    """The finding says timeout and names what still runs."""
    with pytest.raises(CliError, match="timeout") as caught:
        waited(Daemon({"a": [job("a")]}), ["a"], limit=7200)
    assert caught.value.exit_code == 1
    assert caught.value.findings[0].evidence["reason"] == "timeout"


def test_a_daemon_that_restarts_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed look is repeated; each state is told once."""
    away = Faulty(finding("ENV109", "restarting"))
    monkeypatch.setattr("sttui.cli.wait.patient", _impatient)
    told: list[str] = []
    monkeypatch.setattr("sttui.cli.narrate.say", lambda text, style="": told.append(text))
    daemon = Daemon({"a": [job("a"), away, away, job("a"), job("a", "succeeded")]})
    assert waited(daemon, ["a"]) == [0]
    assert told == ["a job-a: running", "a job-a: succeeded"]


def _impatient() -> Any:
    from stdaemon.client.retry import Backoff
    from stdaemon.client.stream import Resume

    return Resume(backoff=Backoff(sleep=lambda s: None))


@pytest.mark.parametrize("text", ["step", "lost-in-space", "step==3", ""])
def test_conditions_that_cannot_be_read(text: str) -> None:
    """Usage error with the forms that exist."""
    parse: Callable[[str], Any] = wait.parse_condition
    with pytest.raises(CliError) as caught:
        parse(text)
    assert caught.value.exit_code == 2
