"""debug.log_level: how much the libraries write."""

from __future__ import annotations

import logging

import pytest

from trainer.loop.logs import LIBRARIES, set_log_level


@pytest.fixture(autouse=True)
def _as_before():
    loggers = [logging.getLogger(name) for name in (None, *LIBRARIES)]
    levels = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@pytest.mark.parametrize(
    ("level", "shown"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)]
)
def test_lines_below_the_level_are_dropped(level: str, shown: int) -> None:
    """For every library alike, whatever level it had before."""
    logging.getLogger("diffusers").setLevel(logging.DEBUG)
    set_log_level(level)
    for name in LIBRARIES:
        logger = logging.getLogger(f"{name}.some_module")
        enabled = [logger.isEnabledFor(v) for v in (logging.DEBUG, 20, 30, 40)]
        assert sum(enabled) == shown
