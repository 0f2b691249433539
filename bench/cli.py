"""Cold start of the command line: wall time and imported modules of typical calls.

Each line is the median of ten fresh interpreters against a daemon of its own with 50 jobs (they
are held, so nothing trains). Budgets are those of docs: help and version 250 ms, jobs 600 ms,
completion 300 ms. The bare interpreter and a bare `import typer` are measured beside them.

    python bench/cli.py [--repeat 10]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STUNE = [sys.executable, "-m", "sttui"]
COUNT = (
    "import atexit,sys;atexit.register(lambda: sys.stderr.write(f'MODULES {len(sys.modules)}'));"
)
JOB = 'preset = "demo/pretrain"\n'
NUM_JOBS = 50

CASES: list[tuple[str, list[str], dict[str, str], float | None]] = [
    ("python", ["-c", "pass"], {}, None),
    ("import typer", ["-c", "import typer"], {}, None),
    ("stune --help", ["--help"], {}, 250),
    ("stune version", ["version"], {}, 250),
    ("stune jobs", ["jobs"], {}, 600),
    ("stune jobs --json", ["jobs", "--json"], {}, 600),
    ("stune explain optimizer.lr", ["explain", "optimizer.lr"], {}, None),
    ("complete a verb", [], {"COMP_WORDS": "stune su", "COMP_CWORD": "1"}, 300),
    ("complete a job id", [], {"COMP_WORDS": "stune show ", "COMP_CWORD": "2"}, 300),
]


def command(args: list[str]) -> list[str]:
    return [sys.executable, *args] if args[:1] == ["-c"] else [*STUNE, *args]


def milliseconds(args: list[str], env: dict[str, str]) -> float:
    start = time.perf_counter()
    subprocess.run(command(args), env=env, stdin=subprocess.DEVNULL, capture_output=True)
    return 1000 * (time.perf_counter() - start)


def modules(args: list[str], env: dict[str, str]) -> int:
    """Modules loaded at the end of the same call."""
    body = args[1] if args[:1] == ["-c"] else "from sttui.__main__ import main; sys.exit(main())"
    rest = [] if args[:1] == ["-c"] else args
    line = [sys.executable, "-c", COUNT + body, *rest]
    done = subprocess.run(line, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return int(done.stderr.rpartition("MODULES ")[2])


def fill(env: dict[str, str]) -> None:
    for number in range(NUM_JOBS):
        line = [*STUNE, "submit", "-", "--hold", "--name", f"job-{number:03d}"]
        subprocess.run(line, env=env, input=JOB.encode(), check=True, capture_output=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--repeat", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="bench-cli-") as home:
        env = os.environ | {"STUNE_HOME": home, "PYTHONPATH": str(ROOT)}
        fill(env)
        try:
            for name, args, extra, budget in CASES:
                own = env | extra | ({"_STUNE_COMPLETE": "complete_bash"} if extra else {})
                times = [milliseconds(args, own) for _ in range(options.repeat)]
                count = modules(args, own)
                rows.append((name, statistics.median(times), min(times), count, budget))
        finally:
            subprocess.run([*STUNE, "daemon", "stop"], env=env, capture_output=True)
    if options.json:
        sys.stdout.write(json.dumps(rows) + "\n")
        return 0
    sys.stdout.write(f"{'call':<28}{'median':>9}{'best':>9}{'modules':>9}{'budget':>9}\n")
    for name, median, best, count, budget in rows:
        limit = f"{budget:.0f} ms" if budget else ""
        sys.stdout.write(f"{name:<28}{median:>6.0f} ms{best:>6.0f} ms{count:>9}{limit:>9}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
