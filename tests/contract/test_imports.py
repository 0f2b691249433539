"""Import borders, seen from running programs: what each entry point really loads.

The static contracts of import-linter stand in pyproject.toml; here a fresh interpreter runs each
entry point and reports its modules, since an import inside a function is only visible then.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"torch", "numpy", "PIL", "diffusers", "transformers", "peft", "accelerate", "safetensors"}
SERVER = {"fastapi", "starlette", "uvicorn", "sqlalchemy", "alembic", "watchdog", "psutil"}
CLIENT = {"httpx", "httpcore", "textual"}

REPORT = """
import atexit, json, os, sys
atexit.register(lambda: open(os.environ["MODULES_TO"], "w").write(json.dumps(sorted(sys.modules))))
"""


def loaded(code: str, tmp_path: Path, *argv: str, **env: str) -> set[str]:
    """Names of the modules that running `code` leaves loaded."""
    report = tmp_path / "modules.json"
    environment = os.environ | {
        "MODULES_TO": str(report),
        "STUNE_HOME": str(tmp_path / "home"),
        "PYTHONPATH": str(ROOT),
        **env,
    }
    line = [sys.executable, "-c", REPORT + code, *argv]
    subprocess.run(line, env=environment, capture_output=True, timeout=60, cwd=tmp_path)
    return set(json.loads(report.read_text()))


def roots(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


RUN_CLI = "from sttui.__main__ import main; sys.exit(main())"


@pytest.mark.parametrize(
    ("argv", "also_forbidden"),
    [
        (["--help"], CLIENT | {"pydantic", "rich", "yaml"}),
        (["version"], CLIENT),
        (["stop", "--help"], {"textual"}),
        (["jobs"], {"textual"}),
        (["explain", "optimizer.lr"], {"textual"}),
        (["preset", "ls"], {"textual"}),
        (["doctor"], {"textual"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_verbs_stay_light(tmp_path: Path, argv: list[str], also_forbidden: set[str]) -> None:
    """No verb loads a training or server library; help and version load almost nothing."""
    found = loaded(RUN_CLI, tmp_path, *argv)
    assert "sttui.cli.main" in found
    assert len(found) <= 400 or argv != ["--help"]
    assert roots(found) & (HEAVY | SERVER | also_forbidden) == set()


def test_completion_stays_light(tmp_path: Path) -> None:
    """Completing a verb name does not load the client."""
    env = {"_STUNE_COMPLETE": "complete_bash", "COMP_WORDS": "stune su", "COMP_CWORD": "1"}
    found = loaded(RUN_CLI, tmp_path, **env)
    assert roots(found) & (HEAVY | SERVER | CLIENT) == set()


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("stdaemon.client.api", HEAVY | SERVER | CLIENT),
        ("stdaemon.client.transport.http", HEAVY | SERVER | {"textual"}),
        ("trainer.config.resolve", HEAVY | SERVER | CLIENT | {"stdaemon", "sttui", "typer"}),
        ("trainer.config.lint", HEAVY | SERVER | CLIENT | {"stdaemon", "sttui", "typer"}),
        (
            "trainer.runs.events",
            HEAVY | SERVER | CLIENT | {"stdaemon", "sttui", "typer", "pydantic"},
        ),
        ("trainer.catalog", HEAVY | SERVER | CLIENT | {"stdaemon", "sttui", "typer"}),
        ("trainer.__main__", HEAVY | SERVER | CLIENT | {"stdaemon", "sttui", "typer"}),
        ("stdaemon.wire.jobs", HEAVY | SERVER | CLIENT | {"sttui", "typer"}),
        (
            "stdaemon.app",
            {"torch", "diffusers", "transformers", "peft", "sttui", "textual", "typer"},
        ),
        ("sttui.tui.app", HEAVY | SERVER | {"typer"}),
    ],
)
def test_importing_a_module_keeps_its_border(
    tmp_path: Path, module: str, forbidden: set[str]
) -> None:
    """What a bare import of the module pulls in."""
    assert importlib.util.find_spec(module) is not None, f"{module} does not exist"
    found = loaded(f"import {module}", tmp_path)
    assert module in found
    assert roots(found) & forbidden == set()


def test_every_module_of_the_command_line_is_importable_without_the_server(tmp_path: Path) -> None:
    """All verbs at once, as `stune spec` loads them."""
    found = loaded(RUN_CLI, tmp_path, "spec")
    assert {f"sttui.cli.{p.stem}" for p in (ROOT / "sttui" / "cli").glob("[a-z]*.py")} - found <= {
        f"sttui.cli.{lazy}" for lazy in ("connect", "foreground", "reference", "select", "values")
    }
    assert roots(found) & (HEAVY | SERVER | CLIENT) == set()


def test_static_contracts_hold() -> None:
    """import-linter finds no import across a border."""
    program = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    assert program is not None, "import-linter belongs to the dev extra"
    done = subprocess.run(
        [program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout[-4000:]
