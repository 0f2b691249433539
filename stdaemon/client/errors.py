"""What can go wrong between a client and a daemon, each with the exit code of the command line.

    ClientError
    ├── Unreachable    3   no daemon or host answers; trying again may help
    ├── Refused        4   the daemon understood and said no
    │   └── Incompatible   versions too far apart
    ├── NotFound       2   no such job, preset or file
    ├── Ambiguous      2   a reference means several jobs
    ├── Invalid        1   the request has findings (an invalid configuration)
    └── Faulty         3   the daemon failed inside, or answered something unreadable

Every error carries findings, so that no front end ever shows a traceback for them.
"""

from __future__ import annotations

from collections.abc import Sequence

from trainer.findings import Finding


class ClientError(Exception):
    """Base of all expected failures; `str()` is one readable sentence."""

    exit_code = 3

    def __init__(self, *findings: Finding) -> None:
        assert findings, "a client error carries at least one finding"
        super().__init__(str(findings[0]))
        self.findings: Sequence[Finding] = findings

    @property
    def finding(self) -> Finding:
        return self.findings[0]


class Unreachable(ClientError):
    exit_code = 3


class Refused(ClientError):
    exit_code = 4


class Incompatible(Refused):
    pass


class NotFound(ClientError):
    exit_code = 2


class Ambiguous(ClientError):
    exit_code = 2


class Invalid(ClientError):
    exit_code = 1


class Faulty(ClientError):
    exit_code = 3
