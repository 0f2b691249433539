"""How much the libraries write to the run's log.

The trainer itself reports by events and findings; what remains in the log are the lines of
diffusers, transformers and the like, which go to standard error.
"""

from __future__ import annotations

import logging

LIBRARIES = ("diffusers", "transformers", "huggingface_hub", "peft")
CHATTY = ("torchao", "bitsandbytes")  # they warn of every optional kernel that is not there


def set_log_level(name: str) -> None:
    """Least level of log lines: debug, info, warning or error."""
    level = getattr(logging, name.upper())
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    for logger in (None, *LIBRARIES):
        logging.getLogger(logger).setLevel(level)
    for logger in CHATTY:
        logging.getLogger(logger).setLevel(level if level < logging.WARNING else logging.ERROR)
