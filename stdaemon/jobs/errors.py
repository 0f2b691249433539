"""Refusals of the job service; the API turns them into problems."""

from __future__ import annotations

from trainer.findings import Finding


class Refusal(Exception):
    """A request that is understood and not carried out."""

    def __init__(self, status: int, title: str, *findings: Finding) -> None:
        super().__init__(title)
        self.status = status
        self.title = title
        self.findings = list(findings)
