"""Which daemon a command talks to."""

from __future__ import annotations

from pathlib import Path

import pytest

from stdaemon.client.errors import NotFound
from stdaemon.client.hosts import choose_target, hosts_file
from stdaemon.client.transport.ssh import SshConnector
from stdaemon.client.transport.unix import UnixConnector


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STUNE_HOME", str(tmp_path))
    return tmp_path


def book(text: str) -> None:
    hosts_file().parent.mkdir(parents=True, exist_ok=True)
    hosts_file().write_text(text)


def test_precedence_of_option_environment_default_and_local_socket(home: Path) -> None:
    """--host beats STUNE_HOST beats the default host beats the local socket."""
    assert choose_target(None, {}) == UnixConnector(home / "run" / "api.sock")
    book('[hosts.a]\naddress = "ssh://a.example"\ndefault = true\n[hosts.b]\naddress = "ana@b"\n')
    assert choose_target(None, {}).address == "ssh://a.example"
    assert choose_target(None, {"STUNE_HOST": "b"}).address == "ssh://ana@b"
    target = choose_target("unix:///run/x.sock", {"STUNE_HOST": "b"})
    assert target.address == "unix:///run/x.sock"


@pytest.mark.parametrize(
    ("text", "host", "user", "port", "path"),
    [
        ("ana@box", "box", "ana", None, ""),
        ("ssh://Box", "Box", "", None, ""),
        ("ssh://ana@box:2222/run/s.sock", "box", "ana", 2222, "/run/s.sock"),
        ("ssh://ana@[::1]:22", "::1", "ana", 22, ""),
    ],
)
def test_addresses(text: str, host: str, user: str, port: int | None, path: str) -> None:
    """Every form of an ssh address, capitals of a host alias kept."""
    target = choose_target(text, {})
    assert isinstance(target, SshConnector)
    assert (target.host, target.user, target.port, target.socket_path) == (host, user, port, path)


def test_entry_carries_the_remote_program() -> None:
    """`remote_cli` of the book reaches the command line."""
    book('[hosts.a]\naddress = "ssh://a"\nremote_cli = "/opt/bin/stune"\n')
    target = choose_target("a", {})
    assert isinstance(target, SshConnector)
    assert target.remote_command() == "/opt/bin/stune dial-stdio"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[hosts.a]\n", "no address"),
        ('[hosts.a]\naddress = "ssh://a"\nremote_cil = "x"\n', "did you mean remote_cli"),
        ("[hosts\n", "cannot use the host book"),
    ],
)
def test_a_bad_book_is_a_finding(text: str, said: str) -> None:
    """The file, the mistake and the nearest right word."""
    book(text)
    with pytest.raises(NotFound) as caught:
        choose_target("a", {})
    assert said in caught.value.finding.message
    assert caught.value.finding.where == str(hosts_file())


def test_unknown_name_suggests_the_nearest() -> None:
    """A typo in a host name."""
    book('[hosts.workstation]\naddress = "ssh://w"\n')
    with pytest.raises(NotFound) as caught:
        choose_target("workstaton", {})
    assert caught.value.finding.fix == "did you mean workstation?"
    assert caught.value.exit_code == 2
