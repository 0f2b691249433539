"""The typed client over a scripted server: answers, refusals, retries and versions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from stdaemon.client.api import Client
from stdaemon.client.errors import (
    Ambiguous,
    Faulty,
    Incompatible,
    Invalid,
    NotFound,
    Refused,
    Unreachable,
)
from stdaemon.client.transport.unix import UnixConnector
from stdaemon.wire.jobs import Job, JobPage, JobSubmit
from stdaemon.wire.version import Hello
from tests.support.unix_http import Handler, serve

HELLO = Hello(version="0.1.0", instance="i", hostname="h", user="u", started_at=0, time=0)
JOB = Job.model_validate({"id": "abcd1234", "number": 1, "name": "n", "state": "queued"})


def with_hello(script: Callable[[Handler], None]) -> Callable[[Handler], None]:
    def answer(handler: Handler) -> None:
        if handler.path == "/v1/hello":
            handler.send(HELLO.model_dump_json().encode())
        else:
            script(handler)

    return answer


def client(short_dir: Path, timeout_s: float = 10.0) -> Client:
    return Client(UnixConnector(short_dir / "s"), timeout_s=timeout_s)


def test_unknown_fields_of_a_newer_daemon_are_ignored(short_dir: Path) -> None:
    """A neighbouring minor version may say more."""
    page = JobPage(jobs=[JOB]).model_dump(mode="json") | {"new": 1}
    page["jobs"][0]["newer"] = [1]
    script = with_hello(lambda h: h.send(json.dumps(page).encode()))
    with serve(short_dir / "s", script), client(short_dir) as api:
        assert api.jobs(state=["queued", "held"], limit=3).jobs == [JOB]


def test_query_parameters_and_references_are_quoted(short_dir: Path) -> None:
    """None is left out, lists are joined, odd names cannot change the path."""
    seen: list[str] = []

    def script(handler: Handler) -> None:
        seen.append(handler.path)
        handler.send(b'{"jobs": []}', 404 if "/jobs/" in handler.path else 200)

    with serve(short_dir / "s", with_hello(script)), client(short_dir) as api:
        api.jobs(state=["a", "b"], q=None)
        with pytest.raises(NotFound):
            api.job("../x?y")
    assert seen == ["/v1/jobs?state=a%2Cb", "/v1/jobs/..%2Fx%3Fy"]


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [(404, NotFound, 2), (409, Refused, 4), (403, Refused, 4), (422, Invalid, 1), (500, Faulty, 3)],
)
def test_refusals_become_errors_with_exit_codes(
    short_dir: Path, status: int, kind: type[Exception], code: int
) -> None:
    """The problem's text is the message."""
    body = json.dumps({"title": "t", "status": status, "detail": "because"}).encode()
    with serve(short_dir / "s", with_hello(lambda h: h.send(body, status))):
        with client(short_dir) as api, pytest.raises(kind) as caught:
            api.job("x")
    assert caught.value.exit_code == code  # type: ignore[attr-defined]
    assert "because" in str(caught.value)


def test_findings_of_an_invalid_configuration_arrive_whole(short_dir: Path) -> None:
    """422 carries the daemon's findings."""
    item = {"code": "ENV112", "message": "bad", "where": "x.toml:3", "fix": "mend"}
    body = json.dumps({"title": "t", "status": 422, "findings": [item, item]}).encode()
    with serve(short_dir / "s", with_hello(lambda h: h.send(body, 422))):
        with client(short_dir) as api, pytest.raises(Invalid) as caught:
            api.submit(JobSubmit(text="x"))
    assert [f.where for f in caught.value.findings] == ["x.toml:3"] * 2


def test_an_ambiguous_reference_is_a_usage_mistake(short_dir: Path) -> None:
    """Exit code 2 with the candidates, although the status says conflict."""
    item = {"code": "ENV113", "message": "'k' means several jobs: k1, k2", "fix": "more characters"}
    body = json.dumps({"title": "t", "status": 409, "findings": [item]}).encode()
    with serve(short_dir / "s", with_hello(lambda h: h.send(body, 409))):
        with client(short_dir) as api, pytest.raises(Ambiguous) as caught:
            api.job("k")
    assert caught.value.exit_code == 2


def test_a_dropped_answer_is_asked_again_with_the_same_request_id(short_dir: Path) -> None:
    """The daemon did the work, the answer got lost: the repeated call names the same request."""
    keys: list[str] = []

    def script(handler: Handler) -> None:
        keys.append(json.loads(handler.body)["request_id"])
        if len(keys) == 1:
            handler.drop()
        else:
            handler.send(JOB.model_dump_json().encode())

    with serve(short_dir / "s", with_hello(script)), client(short_dir) as api:
        assert api.submit(JobSubmit(text="x")) == JOB
    assert len(keys) == 2
    assert keys[0] == keys[1]


def test_no_daemon_says_how_to_start_one(short_dir: Path) -> None:
    """A missing socket and a dead one are the same to the user."""
    with client(short_dir) as api, pytest.raises(Unreachable) as caught:
        api.jobs()
    assert caught.value.finding.code == "ENV101"
    assert "stune daemon start" in caught.value.finding.fix


def test_a_silent_daemon_is_given_up(short_dir: Path) -> None:
    """A time-out is a broken connection, not a hang."""
    import threading

    release = threading.Event()

    def script(handler: Handler) -> None:
        release.wait(20)
        handler.drop()

    with serve(short_dir / "s", with_hello(script)), client(short_dir, 0.3) as api:
        with pytest.raises(Unreachable) as caught:
            api.jobs()
        release.set()
    assert caught.value.finding.code == "ENV108"


def test_an_unreadable_answer_is_a_finding(short_dir: Path) -> None:
    """Something else listens on the socket."""
    with serve(short_dir / "s", with_hello(lambda h: h.send(b"<html>"))):
        with client(short_dir) as api, pytest.raises(Faulty) as caught:
            api.jobs()
    assert caught.value.finding.code == "ENV109"


@pytest.mark.parametrize(("api", "side"), [("2.0", "this client"), ("0.9", "the daemon")])
def test_versions_too_far_apart_are_refused(short_dir: Path, api: str, side: str) -> None:
    """Both versions and the side to update are named; nothing else is asked."""
    hello = HELLO.model_copy(update={"api": api}).model_dump_json().encode()
    with serve(short_dir / "s", lambda h: h.send(hello)):
        with client(short_dir) as daemon, pytest.raises(Incompatible) as caught:
            daemon.jobs()
    assert api in caught.value.finding.message
    assert side in caught.value.finding.fix


def test_one_connection_serves_many_calls(short_dir: Path) -> None:
    """Keep-alive, so that a remote host needs one ssh process."""
    script = with_hello(lambda h: h.send(b'{"jobs": []}'))
    with serve(short_dir / "s", script) as server, client(short_dir) as api:
        for _ in range(5):
            api.jobs()
        assert server.connections == 1
