"""A daemon that may die at any moment, trainers that may too, and books that stay right (B05)."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stdaemon.client.errors import Invalid, NotFound, Refused
from stdaemon.client.stream import follow_events, follow_job_events, follow_log
from stdaemon.wire.jobs import JobSubmit
from tests.support.daemon import Daemon, running_daemon, until
from trainer.runs.files import read_json, write_json
from trainer.runs.heartbeat import same_process, start_ticks


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with running_daemon() as found:
        yield found


def starts(job_run: str) -> int:
    """How often a trainer really started for a job."""
    lines = (Path(job_run) / "events.jsonl").read_text().splitlines()
    return sum(json.loads(line)["kind"] == "run.start" for line in lines)


def check_sequences(job_run: str) -> None:
    """Run events without a gap, and no two attempts at the same time."""
    events = [json.loads(x) for x in (Path(job_run) / "events.jsonl").read_text().splitlines()]
    assert [e["seq"] for e in events] == list(range(1, len(events) + 1))
    times = []
    for folder in (Path(job_run) / "attempts").iterdir():
        if (end := read_json(folder / "exit.json")) is not None:
            times.append((end["started"], end["ended"]))
    times.sort()
    assert all(a[1] <= b[0] + 0.05 for a, b in itertools.pairwise(times))


def workload(daemon: Daemon, jobs: int, kills: int, seed: int) -> None:
    """Submit, kill the daemon at random moments, restart; every job must end well, once."""
    rng = random.Random(seed)
    made = [daemon.submit(rng.randrange(5, 25), name=f"j{i}").id for i in range(jobs)]
    for _ in range(kills):
        moment = rng.uniform(0.0, 0.7)
        done = subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({moment})"])
        done.wait()
        daemon.kill()
        daemon.start()
    for job in made:
        after = daemon.wait_for(job, "succeeded", "failed", timeout=120)
        assert str(after.state) == "succeeded", daemon.client.job(job)
        assert starts(after.run_dir) == after.attempt == 1
        check_sequences(after.run_dir)
    events = daemon.client.events(limit=10_000).events
    assert [e["seq"] for e in events] == list(range(1, len(events) + 1))
    per_job = {job: [e["data"]["new"] for e in events if e["job"] == job] for job in made}
    expected = ["queued", "starting", "running", "succeeded"]
    assert all(states == expected for states in per_job.values()), per_job


def test_daemon_killed_at_random_moments(daemon):
    """Eight SIGKILLs over six jobs: all succeed, none ran twice, no gap in any sequence."""
    workload(daemon, jobs=6, kills=8, seed=1)


@pytest.mark.slow
def test_daemon_killed_fifty_times(daemon):
    """The full form: fifty kills in a workload of twenty jobs."""
    workload(daemon, jobs=20, kills=50, seed=2)


def test_killed_trainer_is_noticed_and_continues():
    """SIGKILL of the trainer: noticed within five seconds, retried, finished."""
    with running_daemon(SCRIPTED_STEP_S="0.05") as daemon:
        job = daemon.submit(60)
        daemon.wait_for(job.id, "running")
        os.kill(daemon.trainer_pid(job), signal.SIGKILL)
        until(lambda: daemon.client.job(job.id).attempts[0].ended_at is not None, 5)
        after = daemon.wait_for(job.id, "succeeded")
        assert after.attempt == 2
        first = daemon.client.job(job.id).attempts[0]
        assert (first.signal, first.reason) == (9, "killed_signal")


def test_trainer_that_ended_while_the_daemon_was_down(daemon):
    """The exit record is applied by the next daemon."""
    job = daemon.submit(15)
    daemon.wait_for(job.id, "running")
    pid = daemon.trainer_pid(job)
    daemon.kill()
    until(lambda: start_ticks(pid) is None, 30)
    daemon.start()
    assert daemon.wait_for(job.id, "succeeded").attempt == 1


def test_trainer_and_launcher_killed_while_the_daemon_was_down():
    """Nobody is left to tell: the next daemon books a lost attempt and starts another."""
    with running_daemon(SCRIPTED_STEP_S="0.05") as daemon:
        job = daemon.submit(80)
        daemon.wait_for(job.id, "running")
        daemon.trainer_pid(job)
        record = read_json(Path(job.run_dir) / "attempts" / "1" / "pid.json")
        daemon.kill()
        for who in ("launcher", "trainer"):
            os.kill(record[who]["pid"], signal.SIGKILL)
        daemon.start()
        assert daemon.wait_for(job.id, "succeeded").attempt == 2


def test_stopping_job_does_not_stay_stopping():
    """Stop asked, both daemon and trainer killed: after the restart the job is cancelled."""
    with running_daemon(SCRIPTED_STEP_S="5", STUNE_DAEMON_STOP_GRACE_S="60") as slow:
        job = slow.submit(50)
        slow.wait_for(job.id, "running")
        pid = slow.trainer_pid(job)
        slow.client.act(job.id, "cancel")
        slow.kill()
        os.kill(pid, signal.SIGKILL)
        slow.start()
        after = slow.wait_for(job.id, "cancelled", timeout=5)
        assert after.reason == "user_cancel"


def test_unrelated_process_with_the_recorded_id_survives():
    """A recycled process id is never signalled."""
    with running_daemon(SCRIPTED_STEP_S="0.2", STUNE_DAEMON_STOP_GRACE_S="0") as daemon:
        job = daemon.submit(500)
        daemon.wait_for(job.id, "running")
        pid = daemon.trainer_pid(job)
        daemon.kill()
        path = Path(job.run_dir) / "attempts" / "1" / "pid.json"
        record = read_json(path)
        for who in ("trainer", "launcher"):
            os.kill(record[who]["pid"], signal.SIGKILL)
        (Path(job.run_dir) / "attempts" / "1" / "exit.json").unlink(missing_ok=True)
        bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        for who in ("trainer", "launcher"):
            record[who]["pid"] = bystander.pid
        write_json(path, record)
        assert not same_process(record["trainer"])
        daemon.start()
        daemon.client.act(job.id, "cancel")
        daemon.wait_for(job.id, "cancelled", timeout=15)
        assert bystander.poll() is None
        bystander.kill()
        bystander.wait()
        assert start_ticks(pid) is None


def test_frozen_trainer_is_ended_within_the_ladder():
    """A stopped process answers nothing: TERM, then KILL, within the limits."""
    with running_daemon(SCRIPTED_STEP_S="0.05") as quick:
        job = quick.submit(5000)
        quick.wait_for(job.id, "running")
        pid = quick.trainer_pid(job)
        os.kill(pid, signal.SIGSTOP)
        quick.client.act(job.id, "stop")
        after = quick.wait_for(job.id, "cancelled", timeout=8)
        assert after.reason == "user_stop"
        assert start_ticks(pid) is None


def test_pause_and_resume():
    """Paused means: stopped on a checkpoint, device free for others; resume goes on from there."""
    with running_daemon(SCRIPTED_STEP_S="0.05") as daemon:
        job = daemon.submit(60)
        daemon.wait_for(job.id, "running")
        until(lambda: (daemon.client.job(job.id).step or 0) >= 3, 20)
        daemon.client.act(job.id, "pause")
        paused = daemon.wait_for(job.id, "paused")
        assert paused.devices == []
        other = daemon.submit(3)
        daemon.wait_for(other.id, "succeeded")
        daemon.client.act(job.id, "resume")
        after = daemon.wait_for(job.id, "succeeded")
        assert (after.attempt, after.step) == (2, 60)


def test_actions_are_idempotent_and_refusals_say_why(daemon):
    """The same request id has one effect; impossible actions are 409 with a finding."""
    job = daemon.submit(5, hold=True)
    first = daemon.client.act(job.id, "release", request_id="once")
    again = daemon.client.act(job.id, "release", request_id="once")
    assert first.id == again.id
    daemon.wait_for(job.id, "succeeded")
    assert str(daemon.client.act(job.id, "stop").state) == "succeeded"
    with pytest.raises(Refused) as refused:
        daemon.client.act(job.id, "pause")
    assert refused.value.finding.code == "RUN103"
    copy = daemon.client.act(job.id, "rerun", request_id="again")
    assert copy.id == daemon.client.act(job.id, "rerun", request_id="again").id != job.id
    daemon.wait_for(copy.id, "succeeded")


def test_one_device_one_job():
    """Two jobs on one slot: the second waits with the reason, then runs."""
    with running_daemon(SCRIPTED_STEP_S="0.03") as daemon:
        first, second = daemon.submit(30), daemon.submit(5)
        daemon.wait_for(first.id, "running")
        until(lambda: bool(daemon.client.job(second.id).blocked_by), 10)
        assert "busy" in str(daemon.client.job(second.id).blocked_by)
        slots = daemon.client.host().slots
        assert [s.job for s in slots] == [first.id]
        daemon.wait_for(second.id, "succeeded")


def test_two_gpus_run_two_jobs(tmp_path):
    """With two (fake) GPUs two jobs run at once, each seeing its own device only."""
    gpus = [{"index": i, "uuid": f"GPU-{i}", "name": "Fake"} for i in range(2)]
    path = tmp_path / "gpus.json"
    path.write_text(json.dumps(gpus))
    with running_daemon(SCRIPTED_STEP_S="0.05", STUNE_FAKE_GPUS=str(path)) as daemon:
        jobs = [daemon.submit(60), daemon.submit(60)]
        running = [daemon.wait_for(j.id, "running") for j in jobs]
        assert sorted(d for j in running for d in j.devices) == ["GPU-0", "GPU-1"]
        for job in running:
            environ = Path(f"/proc/{daemon.trainer_pid(job)}/environ").read_bytes()
            assert f"CUDA_VISIBLE_DEVICES={job.devices[0]}\0".encode() in environ
            daemon.client.act(job.id, "cancel")


def test_failures_are_not_retried_when_retrying_is_useless():
    """A numeric failure is final and keeps its finding."""
    with running_daemon(SCRIPTED_EXIT="77") as daemon:
        job = daemon.submit(8)
        after = daemon.wait_for(job.id, "failed")
        assert (after.reason, after.attempt) == ("nan_loss", 1)
        assert daemon.client.job(job.id).findings[-1].code == "RUN007"


def test_streams_resume_without_gap():
    """Log, run events and daemon events follow over a killed daemon: all of it, once."""
    with running_daemon(SCRIPTED_STEP_S="0.03") as slow:
        job = slow.submit(80)
        slow.wait_for(job.id, "running")
        text, events = "", []
        log = follow_log(slow.client, job.id)
        while text.count("\n") < 20:
            text += next(log).text
        slow.kill()
        slow.start()
        text += "".join(chunk.text for chunk in log)
        events = list(follow_job_events(slow.client, job.id))
        assert [line for line in text.splitlines() if line.startswith("step ")] == [
            f"step {n} of 80" for n in range(1, 81)
        ]
        assert [e["seq"] for e in events] == list(range(1, len(events) + 1))
        seen = []
        for event in follow_events(slow.client):
            if event.kind == "job.state":
                seen.append(event.data["new"])
                if seen[-1] == "succeeded":
                    break
        assert seen == ["queued", "starting", "running", "succeeded"]


def test_files_stay_inside_the_run(daemon):
    """No path leads out of the run directory."""
    job = daemon.submit(3)
    daemon.wait_for(job.id, "succeeded")
    assert daemon.client.file(job.id, "effective.json").startswith(b"{")
    for path in ("../../daemon.db", "/etc/passwd", "attempts/../../../daemon.db", "x" * 5000):
        with pytest.raises(NotFound):
            daemon.client.file(job.id, path)


def test_pixels_need_no_image_library(daemon):
    """Pictures come as RGB bytes of the asked size."""
    from PIL import Image

    job = daemon.submit(3)
    daemon.wait_for(job.id, "succeeded")
    Image.new("RGB", (40, 20), (255, 0, 0)).save(Path(job.run_dir) / "samples" / "a.png")
    width, height, rgb = daemon.client.pixels(job.id, "samples/a.png", width=10, height=10)
    assert (width, height) == (10, 5)
    assert rgb == bytes((255, 0, 0)) * 50


def test_bad_requests_get_problems(daemon):
    """Invalid jobs, unknown jobs, ambiguous references: findings, never a server error."""
    with pytest.raises(Invalid) as invalid:
        daemon.client.submit(JobSubmit(text="[model]\nfamily = 'flux'\nfoo = 1\n"))
    codes = {f.code for f in invalid.value.findings}
    assert {"CFG004", "CFG040", "CFG080"} <= codes
    with pytest.raises(NotFound):
        daemon.client.job("nobody")
    with pytest.raises(Invalid):
        daemon.client.submit(JobSubmit(text="= broken"))


def test_second_daemon_is_refused(daemon):
    """One daemon per home; the second leaves the first alone."""
    second = subprocess.run(
        [sys.executable, "-m", "stdaemon"], env=daemon.env, capture_output=True, timeout=60
    )
    assert second.returncode == 3
    assert b"RUN105" in second.stderr
    assert daemon.client.hello().product == "simpletuner-terminal"


def test_socket_is_private(daemon):
    """Only the owner may open the socket or its folder."""
    socket = daemon.home / "run" / "api.sock"
    assert socket.stat().st_mode & 0o777 == 0o600
    assert socket.parent.stat().st_mode & 0o777 == 0o700


def test_idle_daemon_rests():
    """A running job does not keep the daemon busy: its own reading must not wake it."""
    import psutil

    with running_daemon(SCRIPTED_STEP_S="1", STUNE_DAEMON_TICK_S="0.25") as calm:
        job = calm.submit(500)
        calm.wait_for(job.id, "running")
        assert calm.process is not None
        process = psutil.Process(calm.process.pid)
        before = sum(process.cpu_times()[:2])
        subprocess.run([sys.executable, "-c", "import time; time.sleep(4)"], check=True)
        assert sum(process.cpu_times()[:2]) - before < 1.6
