"""A process that has torch loaded and forks a trainer per request: runs cost what they compute.

Requests are JSON lines `{"argv", "env", "log"}` on stdin; each answer is `{"status"}`, the exit
code, negative for the signal that killed the run. Tests use `TrainServer`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def serve() -> None:
    import torch

    torch.set_num_threads(1)
    import diffusers
    import peft
    import safetensors.torch
    import transformers

    import trainer.loop.train  # noqa: F401

    assert diffusers.FluxPipeline
    assert peft.LoraConfig
    assert transformers.T5EncoderModel
    assert safetensors.torch.save_file
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _run(request)
        _, status = os.waitpid(pid, 0)
        print(json.dumps({"status": os.waitstatus_to_exitcode(status)}), flush=True)


def _run(request: dict[str, Any]) -> None:
    """In the child: become a trainer process."""
    code = 99
    try:
        log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.setsid()
        os.environ.update(request["env"])
        from trainer import faults
        from trainer.__main__ import main

        faults._spec = os.environ.get("STUNE_FAULT", "")
        code = main(request["argv"])
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


class TrainServer:
    """Client side; one run at a time."""

    def __init__(self) -> None:
        env = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.train_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=env,
            cwd=Path(__file__).resolve().parents[2],
        )
        assert self._answer()["ready"]

    def run(self, config: Path, run_dir: Path, *args: str, **env: str) -> int:
        """Train to the end of the process; returns its exit code."""
        argv = ["train", str(config), "--run-dir", str(run_dir), *args]
        run_dir.parent.mkdir(parents=True, exist_ok=True)
        request = {"argv": argv, "env": env, "log": str(run_dir) + ".log"}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._answer()["status"]

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the train server died"
        return json.loads(line)

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=120)  # a busy machine takes its time


if __name__ == "__main__":
    serve()
