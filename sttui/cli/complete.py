"""Shell completion: verbs and options from typer, live ids from the daemon.

Answers come within a fraction of a second: lists of jobs are cached for 5 seconds, a daemon that
is away is silence, and nothing here imports Textual or torch.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

CACHE_S = 5.0
DAEMON_TIMEOUT_S = 0.5
SELECTORS = (("@last", "the newest job"), ("@running", "all running jobs"))
SHELLS = ("bash", "zsh", "fish")

Completion = list[tuple[str, str]]


def answer(root: Any) -> int:
    """Answer the request that the shell put into the environment."""
    # Typer exports no way to answer with an own root command; a test guards these two names.
    from typer._completion_classes import completion_init
    from typer.completion import shell_complete

    completion_init()
    instruction = os.environ["_STUNE_COMPLETE"]
    try:
        return shell_complete(root, {}, "stune", "_STUNE_COMPLETE", instruction)
    except SystemExit as end:  # fish asks yes-or-no questions by exit status
        return int(end.code or 0)
    except Exception:  # a broken completion must never disturb the line being typed
        return 1


def script(shell: str) -> str:
    """The text that a shell evaluates to get completion."""
    from typer._completion_shared import get_completion_script

    if shell not in SHELLS:
        from sttui.cli.failure import usage

        raise usage(f"no completion for {shell!r}", fix=f"use one of {', '.join(SHELLS)}")
    body = get_completion_script(prog_name="stune", complete_var="_STUNE_COMPLETE", shell=shell)
    return f"{body}\n"


def jobs(incomplete: str) -> Completion:
    """Ids, names and selectors of the daemon's jobs."""
    found: Completion = list(SELECTORS) if incomplete.startswith("@") else []
    for job in _cached_jobs():
        about = f"{job['name']} · {job['state']}"
        found.append((job["id"], about))
        if job["name"]:
            found.append((job["name"], f"{job['id']} · {job['state']}"))
    return _starting(found, incomplete)


def presets(incomplete: str) -> Completion:
    from trainer.config.presets import preset_names

    return _starting([(name, "") for name in preset_names()], incomplete)


def hosts(incomplete: str) -> Completion:
    from stdaemon.client.errors import ClientError
    from stdaemon.client.hosts import read_hosts

    try:
        book = read_hosts()
    except ClientError:
        return []
    return _starting([(host.name, host.address) for host in book.values()], incomplete)


def config_keys(incomplete: str) -> Completion:
    from trainer.config.keys import all_keys

    return _starting([(path, key.doc) for path, key in all_keys().items()], incomplete)


def assignments(incomplete: str) -> Completion:
    """`KEY=` for --set."""
    if "=" in incomplete:
        return []
    from trainer.config.keys import leaf_keys

    return _starting([(f"{path}=", key.doc) for path, key in leaf_keys().items()], incomplete)


def _starting(pairs: Completion, incomplete: str) -> Completion:
    unique = dict(reversed(pairs))
    ordered = dict.fromkeys(value for value, _ in pairs)
    return [(value, unique[value]) for value in ordered if value.startswith(incomplete)]


def _cached_jobs() -> list[dict[str, str]]:
    """Newest jobs, from the cache while it is fresh."""
    from trainer.runs.homes import cache_home

    host = os.environ.get("STUNE_HOST", "")
    path = cache_home() / "complete" / f"jobs-{_safe(host)}.json"
    try:
        if time.time() - path.stat().st_mtime < CACHE_S:
            return json.loads(path.read_text())
    except (OSError, ValueError):
        pass
    found = _live_jobs(host)
    if found is None:
        return []
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{os.getpid()}")
        part.write_text(json.dumps(found))
        part.replace(path)
    except OSError:
        pass
    return found


def _safe(host: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in host) or "local"


def _live_jobs(host: str) -> list[dict[str, str]] | None:
    """Ask the local daemon, or a remote one, briefly; None when it does not answer."""
    from stdaemon.client.transport.unix import default_socket

    if not host and not Path(default_socket()).exists():
        return None
    from stdaemon.client.api import Client
    from stdaemon.client.errors import ClientError
    from stdaemon.client.hosts import choose_target

    try:
        with Client(choose_target(None, os.environ), timeout_s=DAEMON_TIMEOUT_S) as client:
            page = client.jobs(limit=50)
    except ClientError:
        return None
    return [{"id": job.id, "name": job.name, "state": str(job.state)} for job in page.jobs]
