"""Who may talk to the daemon, and where its socket lies."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from stdaemon.api.peer import OwnerSocket, listen, peer_uid, private_folder
from stdaemon.client.errors import Unreachable
from stdaemon.client.transport.unix import UnixConnector
from trainer.errors import ConfigError
from trainer.runs.homes import runtime_dir

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
STRANGER = 12345


@pytest.fixture
def listener(tmp_path: Path):
    made = listen(tmp_path / "api.sock")
    made.listen()
    yield made
    made.close()


def test_the_owner_is_let_in(listener: OwnerSocket, tmp_path: Path) -> None:
    """And the system says that it is the owner."""
    client = UnixConnector(tmp_path / "api.sock").connect()
    connection, _ = listener.accept()
    assert peer_uid(connection) == os.getuid()
    connection.close()
    client.close()


def test_others_are_turned_away_unread(listener: OwnerSocket, tmp_path: Path, monkeypatch) -> None:
    """The connection is closed, and the server's loop sees an aborted one."""
    monkeypatch.setattr(OwnerSocket, "owners", frozenset({STRANGER}))
    client = UnixConnector(tmp_path / "api.sock").connect()
    client.sendall(b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises(ConnectionAbortedError):
        listener.accept()
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    client.close()


def test_the_socket_is_for_the_owner_alone(listener: OwnerSocket, tmp_path: Path) -> None:
    """Mode 0600 from its first moment, and an old socket is replaced."""
    assert (tmp_path / "api.sock").stat().st_mode & 0o777 == 0o600
    listen(tmp_path / "api.sock").close()


def test_the_folder_is_made_private(tmp_path: Path) -> None:
    """Also when it was there with a wider mode."""
    folder = tmp_path / "run"
    folder.mkdir(mode=0o755)
    private_folder(folder)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_link_in_its_place_is_refused(tmp_path: Path) -> None:
    """It could lead into anybody's folder."""
    (tmp_path / "real").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "real")
    with pytest.raises(ConfigError) as refused:
        private_folder(tmp_path / "run")
    assert refused.value.finding.code == "RUN112"


@needs_root
def test_a_folder_of_another_user_is_refused_by_both_sides(tmp_path: Path) -> None:
    """The daemon does not serve from it, and the client sends nothing into it."""
    folder = tmp_path / "run"
    folder.mkdir()
    os.chown(folder, STRANGER, STRANGER)
    with pytest.raises(ConfigError):
        private_folder(folder)
    with pytest.raises(Unreachable) as refused:
        UnixConnector(folder / "api.sock").connect()
    assert refused.value.finding.code == "ENV102"


def test_a_long_home_has_a_short_socket(tmp_path: Path, monkeypatch) -> None:
    """Unix socket paths are limited; two homes never share the stand-in."""
    found = []
    for name in ("a", "b"):
        monkeypatch.setenv("STUNE_HOME", str(tmp_path / (name * 120)))
        path = runtime_dir() / "api.sock"
        assert len(os.fsencode(path)) < 104
        found.append(path)
        private_folder(path.parent)
        with listen(path) as listener:
            listener.listen()
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))
        path.unlink()
        path.parent.rmdir()
    assert found[0] != found[1]
