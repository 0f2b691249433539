"""Scalars of a run, thinned out for drawing."""

from __future__ import annotations

from pydantic import Field

from stdaemon.wire.base import Message


class Series(Message):
    steps: list[int] = Field(default_factory=list)
    values: list[float | None] = Field(default_factory=list)


class MetricSeries(Message):
    series: dict[str, Series]
