"""Errors of the trainer process, each with its exit code.

    TrainerError
    ├── ConfigError          64   the configuration is invalid
    ├── DataError            65   the data is invalid
    ├── InternalError        70   a defect of ours
    ├── Preempted            75   stopped on request, a resumable checkpoint was written
    ├── OutOfMemory          76   memory exhausted
    ├── NumericFailure       77   NaN or infinity in training
    ├── PreflightRefused     78   refused before the start
    ├── IdentityMismatch      4   a checkpoint of another run
    ├── NotResumable          6   no usable checkpoint
    └── Interrupted         130   second interrupt, stopped at once

Codes follow beyond.md §1.2. Every error carries a finding, so that no front end ever needs to
show a traceback.
"""

from __future__ import annotations

from trainer.findings import Finding


class TrainerError(Exception):
    """Base of all expected failures; `str()` is one readable sentence."""

    exit_code = 70

    def __init__(self, finding: Finding, *more: Finding) -> None:
        super().__init__(str(finding))
        self.finding = finding
        self.findings = (finding, *more)


class ConfigError(TrainerError):
    exit_code = 64


class DataError(TrainerError):
    exit_code = 65


class InternalError(TrainerError):
    exit_code = 70


class Preempted(TrainerError):
    exit_code = 75


class OutOfMemory(TrainerError):
    exit_code = 76


class NumericFailure(TrainerError):
    exit_code = 77


class PreflightRefused(TrainerError):
    exit_code = 78


class IdentityMismatch(TrainerError):
    exit_code = 4


class NotResumable(TrainerError):
    exit_code = 6


class Interrupted(TrainerError):
    exit_code = 130
