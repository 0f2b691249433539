"""The table of all verbs: where each lives and its one line of help.

The overview is printed from this table alone, so `stune --help` imports no verb. A test compares
the lines with the docstrings of the real functions.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """A verb: module below `sttui.cli`, help line, section; `group` holds verbs of its own."""

    module: str
    help: str
    section: str = ""
    group: bool = False


_START, _WATCH, _STEER = "Start jobs", "Watch jobs", "Steer jobs"
_CONFIG, _DATA, _HOST, _ABOUT = "Configuration", "Data", "Host and daemon", "About"
_FILES = "Adapter files"

SECTIONS = (_START, _WATCH, _STEER, _CONFIG, _DATA, _FILES, _HOST, _ABOUT)

VERBS: dict[str, Entry] = {
    "demo": Entry(
        "train", "Train a real adapter on the built-in demo model; needs no daemon.", _START
    ),
    "submit": Entry("submit", "Queue a job.", _START),
    "run": Entry("submit", "Queue a job and follow it until it ends.", _START),
    "train": Entry("train", "Train in the foreground, without a daemon.", _START),
    "rehearse": Entry(
        "rehearse", "Try everything a run does on a few samples of each bucket.", _START
    ),
    "jobs": Entry("jobs", "List jobs.", _WATCH),
    "show": Entry("jobs", "Show one job with its attempts and findings.", _WATCH),
    "logs": Entry("follow", "Print the log of a job.", _WATCH),
    "events": Entry("follow", "Print events of a job, or of the daemon.", _WATCH),
    "wait": Entry("wait", "Wait for jobs; the exit code tells how they ended.", _WATCH),
    "metrics": Entry("results", "Print the scalars of a job.", _WATCH),
    "samples": Entry("results", "List the pictures of a job.", _WATCH),
    "ckpt": Entry("ckpt", "Checkpoints of a job.", _WATCH, group=True),
    "stop": Entry("actions", "Stop jobs with a checkpoint; they can be resumed.", _STEER),
    "cancel": Entry("actions", "End jobs for good.", _STEER),
    "pause": Entry("actions", "Checkpoint jobs and free their devices until resumed.", _STEER),
    "resume": Entry("actions", "Continue paused, stopped or failed jobs.", _STEER),
    "rerun": Entry("actions", "Queue new jobs with the same configuration.", _STEER),
    "release": Entry("actions", "Let held jobs start.", _STEER),
    "checkpoint": Entry("actions", "Have running jobs write a checkpoint now.", _STEER),
    "lint": Entry("config", "Check a job file.", _CONFIG),
    "fix": Entry("config", "Apply the mechanical fixes of lint to a job file.", _CONFIG),
    "explain": Entry("config", "Explain a configuration key, or a finding code.", _CONFIG),
    "config": Entry(
        "config", "Effective values, their origin, and the schema.", _CONFIG, group=True
    ),
    "preset": Entry("preset", "Ready-made job files.", _CONFIG, group=True),
    "import": Entry("imports", "Turn a SimpleTuner configuration into a job file.", _CONFIG),
    "data": Entry("data", "Look at datasets before training.", _DATA, group=True),
    "lora": Entry("lora", "Inspect adapter files, convert and change them.", _FILES, group=True),
    "gpus": Entry("gpus", "Show GPUs, CPU, memory and disk of the host.", _HOST),
    "cache": Entry(
        "cache", "Look into the cache of encoded samples and clean it.", _HOST, group=True
    ),
    "daemon": Entry(
        "daemon", "Start, stop and inspect the daemon of this machine.", _HOST, group=True
    ),
    "doctor": Entry("doctor", "Check this installation.", _HOST),
    "info": Entry("about", "Print versions and paths.", _ABOUT),
    "spec": Entry("about", "Print all verbs, options and exit codes as JSON.", _ABOUT),
    "completion": Entry("about", "Print the completion script of a shell.", _ABOUT),
    "version": Entry("about", "Print the version.", _ABOUT),
    "dial-stdio": Entry("dial", "Connect standard input and output to the local daemon."),
}
