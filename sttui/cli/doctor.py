"""The verb `doctor`: is this installation fit to work, and what is missing.

Packages are looked up by their metadata, never imported, so the check takes no time and works
where torch is broken. Every result is a finding.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from sttui.cli import narrate, output
from sttui.cli.failure import CliError
from sttui.cli.verb import group, verb
from sttui.format.findings import FINDING_COLUMNS, summary
from trainer.findings import Finding, at_or_above, finding
from trainer.runs.homes import cache_home, config_home, data_home, runtime_dir

app = group("Checks.")

TRAIN_PACKAGES = (
    "torch",
    "diffusers",
    "transformers",
    "peft",
    "accelerate",
    "safetensors",
    "numpy",
)
SHOWN = ("level", "code", "message", "where")
LOW_DISK_BYTES = 10 << 30


@verb(app)
def doctor() -> None:
    """Check this installation.

    Exit code 1 when something is wrong; notes and warnings alone are success.
    """
    findings = list(_checks())
    if output.for_people():
        output.table("doctor/1", findings, [c for c in FINDING_COLUMNS if c.name in SHOWN])
        narrate.report(at_or_above(findings, "warn"))
        narrate.say(summary(at_or_above(findings, "warn")))
    else:
        output.table("doctor/1", findings, FINDING_COLUMNS, id="code", findings=findings)
    if at_or_above(findings, "error"):
        raise CliError(narrate.FINDINGS)


def _checks() -> Iterator[Finding]:
    yield _python()
    yield from _packages()
    yield from _homes()
    yield _disk()
    yield _ssh()
    yield _gpu()
    yield _daemon()


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return finding("ENV120", f"Python {version}", level="info", where=sys.executable)


def _packages() -> Iterator[Finding]:
    from importlib.metadata import PackageNotFoundError, version

    found, missing = [], []
    for name in TRAIN_PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if found:
        yield finding("ENV121", ", ".join(found), level="info", where="packages")
    if missing:
        yield finding(
            "ENV121",
            f"not installed: {', '.join(missing)}",
            level="warn",
            where="packages",
            why="this installation can steer other hosts but cannot train here",
            fix="pip install 'simpletuner-terminal[train]'",
        )


def _homes() -> Iterator[Finding]:
    for path in (config_home(), data_home(), cache_home(), runtime_dir()):
        probe = next(p for p in (path, *path.parents) if p.exists())
        if not os.access(probe, os.W_OK | os.X_OK):
            fix = "mend its rights, or set STUNE_HOME to a folder of your own"
            yield finding("ENV125", "cannot write here", where=str(probe), fix=fix)
    folder = runtime_dir()
    if folder.exists() and folder.stat().st_mode & 0o077:
        yield finding(
            "ENV125",
            "other users can enter the folder of the daemon's socket",
            level="warn",
            where=str(folder),
            fix=f"chmod 700 {folder}",
        )


def _disk() -> Finding:
    from sttui.format.values import size

    home = data_home()
    probe = next(p for p in (home, *home.parents) if p.exists())
    free = shutil.disk_usage(probe).free
    low = free < LOW_DISK_BYTES
    return finding(
        "ENV124",
        f"{size(free)} free",
        level="warn" if low else "info",
        where=str(home),
        why="checkpoints and caches of one run can need several GiB" if low else "",
        fix="free space, or set STUNE_HOME to a larger disk" if low else "",
        free_bytes=free,
    )


def _ssh() -> Finding:
    if path := shutil.which("ssh"):
        return finding("ENV122", "ssh is installed", level="info", where=path)
    fix = "install an OpenSSH client if you want to use other hosts"
    return finding("ENV122", "there is no ssh program", level="warn", fix=fix)


def _gpu() -> Finding:
    for place in ("/proc/driver/nvidia/version", "/sys/module/amdgpu/version", "/dev/kfd"):
        if Path(place).exists():
            return finding("ENV123", "a GPU driver is loaded", level="info", where=place)
    if sys.platform == "darwin":
        return finding("ENV123", "Apple GPU through Metal", level="info")
    fix = "install the driver if this machine has a GPU"
    return finding("ENV123", "no GPU driver found; training runs on the CPU", level="info", fix=fix)


def _daemon() -> Finding:
    from stdaemon.client.errors import ClientError
    from sttui.cli.connect import client

    try:
        hello = client().hello()
    except ClientError as error:
        return error.finding.model_copy(update={"level": "info"})
    message = f"daemon {hello.version} answers, API {hello.api}"
    return finding("ENV126", message, level="info", where=hello.hostname)
