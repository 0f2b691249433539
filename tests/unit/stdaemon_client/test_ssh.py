"""The SSH transport: command line, noise before the stream, failures, and few processes."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from stdaemon.client.errors import Unreachable
from stdaemon.client.transport.http import open_http
from stdaemon.client.transport.ssh import SshConnector
from tests.support import fake_ssh
from tests.support.unix_http import Handler, serve

FAKE = (sys.executable, fake_ssh.__file__)


def connector(remote: Path, **options: object) -> SshConnector:
    defaults = {
        "host": "box",
        "socket_path": str(remote / "s"),
        "ssh": FAKE,
        "connect_timeout_s": 20,
    }
    return SshConnector(**(defaults | options))  # type: ignore[arg-type]


def starts(remote: Path) -> list[str]:
    return (remote / "ssh.log").read_text().splitlines()


def echo(handler: Handler) -> None:
    handler.send(handler.path.encode() + handler.body)


def test_requests_share_one_ssh_process(remote: Path) -> None:
    """Keep-alive: ten requests one after another start one ssh."""
    with serve(remote / "s", echo), open_http(connector(remote), request_timeout_s=20) as http:
        for number in range(10):
            assert http.get(f"/{number}").content == f"/{number}".encode()
    assert len(starts(remote)) == 1


def test_no_more_than_three_processes_however_many_threads(remote: Path) -> None:
    """Twelve requests at once queue for three connections."""
    together = threading.Barrier(3, timeout=20)

    def slow(handler: Handler) -> None:
        together.wait()  # three requests really are in flight at the same time
        echo(handler)

    results: list[bytes] = []
    with serve(remote / "s", slow), open_http(connector(remote), request_timeout_s=30) as http:
        jobs = [
            threading.Thread(target=lambda n=n: results.append(http.get(f"/{n}").content))
            for n in range(12)
        ]
        for job in jobs:
            job.start()
        for job in jobs:
            job.join()
    assert sorted(results) == sorted(f"/{n}".encode() for n in range(12))
    assert len(starts(remote)) == 3


def test_text_of_the_login_shell_is_skipped_and_told_once(
    remote: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A banner before the preamble does not reach the protocol."""
    monkeypatch.setenv("FAKE_SSH_NOISE", "Welcome!\n" * 2000)
    told: list[str] = []
    place = connector(remote, warn=told.append)
    with serve(remote / "s", echo), open_http(place, request_timeout_s=20) as http:
        assert http.post("/", content=b"x" * 100_000).content == b"/" + b"x" * 100_000
    assert len(told) == 1
    assert "box" in told[0]


@pytest.mark.parametrize(
    ("code", "stderr", "finding", "fix"),
    [
        ("255", "ana@box: Permission denied (publickey).\n", "ENV103", "ssh box"),
        ("127", "sh: stune: command not found\n", "ENV104", "remote_cli"),
    ],
)
def test_failures_name_cause_and_remedy(
    remote: Path, monkeypatch: pytest.MonkeyPatch, code: str, stderr: str, finding: str, fix: str
) -> None:
    """What ssh or the remote shell said is quoted, with the way out."""
    monkeypatch.setenv("FAKE_SSH_EXIT", code)
    monkeypatch.setenv("FAKE_SSH_STDERR", stderr)
    with pytest.raises(Unreachable) as caught:
        connector(remote).connect()
    assert caught.value.finding.code == finding
    assert stderr.strip() in caught.value.finding.why
    assert fix in caught.value.finding.fix
    assert caught.value.exit_code == 3


def test_a_host_without_a_daemon_is_told_apart(remote: Path) -> None:
    """The remote end answers, but nobody listens there."""
    with pytest.raises(Unreachable) as caught:
        connector(remote).connect()
    assert caught.value.finding.code == "ENV105"
    assert "ssh box stune daemon start" in caught.value.finding.fix


def test_endless_noise_ends_in_an_error(remote: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than 64 KiB without a preamble is given up, and quoted."""
    monkeypatch.setenv("FAKE_SSH_NOISE", "spam " * 20_000)
    with serve(remote / "s", echo), pytest.raises(Unreachable) as caught:
        connector(remote).connect()
    assert "spam" in caught.value.finding.evidence["output"]


@pytest.mark.parametrize("part", [{"host": "-oProxyCommand=x"}, {"user": "-x"}])
def test_destinations_that_look_like_options_are_refused(part: dict[str, str]) -> None:
    """A host or user from a book or a link cannot become an option of ssh."""
    with pytest.raises(Unreachable):
        SshConnector(**({"host": "box"} | part)).command()


def test_the_command_line_leaves_the_users_configuration_in_charge() -> None:
    """Port, user, quoting of the socket path, and a home-relative program."""
    line = SshConnector(
        host="box", user="ana", port=2222, socket_path="/run/my dir/s", remote_cli="~/v/bin/stune"
    ).command()
    assert line[0] == "ssh"
    assert "-T" in line
    assert "BatchMode=yes" in line
    assert line[line.index("-p") + 1] == "2222"
    assert line[line.index("-l") + 1] == "ana"
    assert line[-3:] == ["--", "box", "~/v/bin/stune dial-stdio --socket '/run/my dir/s'"]


def test_a_missing_ssh_program_is_a_finding(remote: Path) -> None:
    """No traceback when there is no ssh."""
    with pytest.raises(Unreachable) as caught:
        connector(remote, ssh=("/nonexistent/ssh",)).connect()
    assert "OpenSSH" in caught.value.finding.fix


def test_closing_ends_the_process(remote: Path) -> None:
    """No ssh process outlives its connection."""
    with serve(remote / "s", echo):
        sock = connector(remote).connect()
        child = sock.child  # type: ignore[attr-defined]
        assert child.poll() is None
        sock.close()
        assert child.poll() is not None
