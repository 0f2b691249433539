"""The host book and the choice of a target: which daemon a command talks to.

Precedence: `--host`, then `STUNE_HOST`, then the default host of `hosts.toml` in the
configuration home, then the socket of this machine. A target is a name of the book, `user@box`,
`ssh://[user@]host[:port][/socket/path]` or `unix:///path`.

    [hosts.box]
    address = "ssh://ana@box.example"
    default = true
    remote_cli = "~/venv/bin/stune"
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from stdaemon.client.errors import NotFound
from stdaemon.client.transport.ssh import SshConnector
from stdaemon.client.transport.unix import UnixConnector, default_socket
from trainer.findings import finding
from trainer.runs.homes import config_home

ENTRY_KEYS = ("address", "default", "remote_cli")

Target = UnixConnector | SshConnector


@dataclass(frozen=True, slots=True)
class Host:
    """One entry of the book."""

    name: str
    address: str
    default: bool = False
    remote_cli: str = "stune"


def hosts_file() -> Path:
    return config_home() / "hosts.toml"


def read_hosts(path: Path | None = None) -> dict[str, Host]:
    """Entries by name; a missing file is an empty book."""
    path = path or hosts_file()
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _bad_book(path, str(error)) from None
    entries = data.get("hosts", {})
    if not isinstance(entries, dict):
        raise _bad_book(path, "write each host as a table [hosts.NAME]")
    return {name: _entry(path, name, entry) for name, entry in entries.items()}


def _entry(path: Path, name: str, entry: object) -> Host:
    if not isinstance(entry, dict) or not isinstance(entry.get("address"), str):
        raise _bad_book(path, f"host {name!r} has no address")
    for key in entry:
        if key not in ENTRY_KEYS:
            near = difflib.get_close_matches(key, ENTRY_KEYS, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise _bad_book(path, f"host {name!r} has an unknown key {key!r}{hint}")
    return Host(
        name=name,
        address=entry["address"],
        default=entry.get("default", False) is True,
        remote_cli=str(entry.get("remote_cli", "stune")),
    )


def _bad_book(path: Path, why: str) -> NotFound:
    return NotFound(
        finding("ENV106", f"cannot use the host book: {why}", where=str(path), fix="mend the file")
    )


def choose_target(
    wanted: str | None,
    env: Mapping[str, str],
    *,
    interactive: bool = False,
    warn: Callable[[str], None] = lambda text: None,
) -> Target:
    """The connector for `--host` text, or for the best default."""
    text = wanted or env.get("STUNE_HOST") or ""
    book = read_hosts()
    if not text:
        default = next((h for h in book.values() if h.default), None)
        if default is None:
            return UnixConnector(default_socket())
        text = default.name
    host = book.get(text)
    address = host.address if host else text
    remote_cli = host.remote_cli if host else "stune"
    return _connector(address, book, remote_cli=remote_cli, interactive=interactive, warn=warn)


def _connector(
    address: str,
    book: Mapping[str, Host],
    *,
    remote_cli: str,
    interactive: bool,
    warn: Callable[[str], None],
) -> Target:
    if address.startswith("unix://"):
        return UnixConnector(Path(address.removeprefix("unix://")))
    if "://" not in address and "@" in address:
        address = f"ssh://{address}"
    if address.startswith("ssh://"):
        parts = urlsplit(address)
        try:
            port = parts.port
        except ValueError:
            raise _unknown(address, book) from None
        # urlsplit lowers the host name; ~/.ssh/config aliases may have capitals.
        host = parts.netloc.rpartition("@")[2]
        host = host.rpartition(":")[0] if port is not None else host
        if host:
            return SshConnector(
                host=host.strip("[]"),
                user=parts.username or "",
                port=port,
                socket_path=parts.path if parts.path != "/" else "",
                remote_cli=remote_cli,
                interactive=interactive,
                warn=warn,
            )
    raise _unknown(address, book)


def _unknown(address: str, book: Mapping[str, Host]) -> NotFound:
    near = difflib.get_close_matches(address, book, n=3, cutoff=0.5)
    fix = (
        f"did you mean {', '.join(near)}?"
        if near
        else "use a name of hosts.toml, user@host, ssh://host or unix:///path"
    )
    return NotFound(
        finding("ENV106", f"unknown host {address!r}", where=str(hosts_file()), fix=fix)
    )
