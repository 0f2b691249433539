"""The one way in which a sample says that it cannot be used."""

from __future__ import annotations

from trainer.errors import DataError
from trainer.findings import finding


class BadSample(Exception):
    """The sample cannot be used; `str()` says why.

    `lasting` is false when the place refused the sample: that may pass without the sample
    changing, so it must not be remembered.
    """

    def __init__(self, reason: str, *, lasting: bool = True) -> None:
        super().__init__(reason)
        self.lasting = lasting


def unreadable_now(error: BadSample) -> DataError:
    """The error for a sample that the scan could read and that is refused while encoding."""
    return DataError(
        finding(
            "DAT003",
            f"a sample that the scan could read is not readable any more: {error}",
            where="data.datasets",
            why="the source changed, or its file system failed, while it was encoded",
            fix="start the run again",
        )
    )
