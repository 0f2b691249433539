"""A job's whole life through the command line, with a scripted trainer under a real daemon."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import scripted_trainer
from tests.support.cli import Home, cli_home, until

TRAINER = f"{sys.executable} {scripted_trainer.__file__}"
JOB = """
preset = "demo/pretrain"
[job]
name = "{name}"
[train]
steps = {steps}
[schedule]
warmup = 0
"""


@pytest.fixture
def home() -> Iterator[Home]:
    with cli_home(STUNE_DAEMON_TRAINER_COMMAND=TRAINER, STUNE_DAEMON_TICK_S="0.05") as found:
        found.env["SCRIPTED_HOLD"] = str(found.path / "go")
        yield found


def go(home: Home) -> None:
    """Let held trainers pass their half time."""
    (home.path / "go").touch()


def submit(home: Home, name: str, steps: int = 6) -> str:
    done = home.stune("submit", "-", "-o", "id", stdin=JOB.format(name=name, steps=steps))
    assert done.code == 0, done.err
    return done.out.strip()


def test_submit_follow_wait_look(home: Home) -> None:
    """Submit → logs -f → wait → metrics, events, show; the log arrives whole and ends by itself."""
    id = submit(home, "style", steps=40)
    assert home.stune("wait", id, "--for", "step>=20", "--timeout", "60s").code == 0
    follower = home.popen("logs", "-f", "style")
    go(home)
    text, _ = follower.communicate(timeout=60)
    assert follower.returncode == 0
    steps = [line for line in text.decode().splitlines() if line.startswith("step ")]
    assert steps == [f"step {n} of 40" for n in range(1, 41)]
    done = home.stune("wait", "style")
    assert done.code == 0
    assert f"{id} style: succeeded" in done.err
    assert home.stune("logs", id).out.encode() == text
    assert home.stune("logs", id, "--tail", "1").out == "step 40 of 40\n"
    assert home.stune("logs", "-f", id, "--tail", "1").out == "step 40 of 40\n"
    rows = home.stune("metrics", id, "--series", "loss", "--json").data
    assert [row["step"] for row in rows] == list(range(1, 41))
    lines = home.stune("events", id, "-f", "--json").out.splitlines()
    seqs = [json.loads(line)["seq"] for line in lines]
    assert seqs == list(range(1, len(seqs) + 1))
    later = home.stune("events", id, "--since", "3", "--json").out.splitlines()
    assert later == lines[3:]
    shown = home.stune("show", id, "--json").data
    assert (shown["state"], shown["step"], len(shown["attempts"])) == ("succeeded", 40, 1)
    states = [
        json.loads(line)["data"]["new"]
        for line in home.stune("events", "--json").out.splitlines()
        if json.loads(line)["kind"] == "job.state"
    ]
    assert states[-1] == "succeeded"
    assert "running" in states


def test_the_log_survives_a_daemon_that_restarts(home: Home) -> None:
    """The daemon is killed while `logs -f` runs; a new one continues without gap or repetition."""
    id = submit(home, "restart", steps=40)
    home.stune("wait", id, "--for", "step>=5")
    follower = home.popen("logs", "-f", id, bufsize=0)
    assert follower.stdout
    first = follower.stdout.readline()  # it is connected and reading
    pid = daemon_pid(home)
    os.kill(pid, signal.SIGKILL)
    until(lambda: not Path(f"/proc/{pid}").exists() or zombie(pid))
    assert home.stune("daemon", "start").code == 0
    go(home)
    text, err = follower.communicate(timeout=90)
    assert follower.returncode == 0, err
    lines = (first + text).decode().splitlines()
    steps = [line for line in lines if line.startswith("step ")]
    assert steps == [f"step {n} of 40" for n in range(1, 41)]
    assert b"retry in" in err
    assert home.stune("wait", id).code == 0


def daemon_pid(home: Home) -> int:
    """The process that serves the home's socket."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes().split(b"\0")
            env = (entry / "environ").read_bytes()
        except OSError:
            continue
        if line[1:3] == [b"-m", b"stdaemon"] and f"STUNE_HOME={home.path}\0".encode() in env:
            return int(entry.name)
    raise AssertionError("no daemon runs")


def zombie(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def test_run_follows_and_ends_as_the_job_does(home: Home) -> None:
    """Progress on stderr, one record on stdout, exit code 0; failure is 6 with the finding."""
    go(home)
    done = home.stune("run", "-", "--json", stdin=JOB.format(name="r", steps=4))
    assert done.code == 0
    assert done.data["state"] == "succeeded"
    assert "held-out loss 0.25" in done.err
    with cli_home(STUNE_DAEMON_TRAINER_COMMAND=TRAINER, SCRIPTED_EXIT="77") as other:
        failed = other.stune("run", "-", stdin=JOB.format(name="f", steps=4))
        assert failed.code == 6
        assert "RUN007" in failed.err
        assert other.stune("submit", "-", "--wait", stdin=JOB.format(name="f", steps=4)).code == 6


def test_ctrl_c_in_run_detaches(home: Home) -> None:
    """The follower ends with 5 and names the way back; the job goes on."""
    path = home.path / "job.toml"
    path.write_text(JOB.format(name="detach", steps=6))
    child = home.popen("run", str(path), "-o", "id")
    until(lambda: "detach" in home.stune("jobs", "--state", "running").out)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    id = out.decode().strip()
    assert child.returncode == 5
    assert f"stune logs -f {id}" in err.decode()
    assert home.stune("show", id, "--json").data["state"] == "running"
    go(home)
    assert home.stune("wait", id).code == 0


def test_stop_resume_and_rerun(home: Home) -> None:
    """A stop keeps the step, resume goes on from it, rerun is another job."""
    id = submit(home, "again")
    home.stune("wait", id, "--for", "step>=3")
    assert home.stune("pause", id).code == 0
    assert home.stune("wait", id, "--for", "paused", "--timeout", "60s").code == 0
    go(home)
    assert home.stune("resume", id).code == 0
    assert home.stune("wait", id).code == 0
    assert home.stune("show", id, "--json").data["attempt"] == 2
    again = home.stune("rerun", id, "-o", "id").out.strip()
    assert again != id
    assert home.stune("wait", again).code == 0
    assert home.stune("jobs", "--where", "name=again", "-o", "id").out.split() == [again, id]


def test_stopped_jobs_end_with_exit_code_5(home: Home) -> None:
    """Stop and cancel of a running job; stopping again is success."""
    id = submit(home, "stopped")
    home.stune("wait", id, "--for", "step>=3")
    for _ in range(2):
        assert home.stune("stop", "@running" if _ == 0 else id).code == 0
    assert home.stune("wait", id, "--timeout", "60s").code == 5
