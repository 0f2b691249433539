"""The one way in which a sample says that it cannot be used."""

from __future__ import annotations


class BadSample(Exception):
    """The sample cannot be used; `str()` says why.

    `lasting` is false when the place refused the sample: that may pass without the sample
    changing, so it must not be remembered.
    """

    def __init__(self, reason: str, *, lasting: bool = True) -> None:
        super().__init__(reason)
        self.lasting = lasting
