"""The finding for a library that a kind of source needs and this installation lacks."""

from __future__ import annotations

from trainer.errors import DataError
from trainer.findings import finding


def missing_extra(package: str, extra: str, what: str) -> DataError:
    """`extra` of this distribution brings `package`."""
    return DataError(
        finding(
            "RUN013",
            f"{what} need the package {package}, which is not installed",
            fix=f"pip install 'simpletuner-terminal[{extra}]'",
        )
    )
