"""Job states: their mark, colour and meaning, the same in both front ends."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StateLook:
    """A mark (with an ASCII twin) and a colour name."""

    mark: str
    ascii: str
    style: str


LOOKS = {
    "held": StateLook("◌", "h", "dim"),
    "queued": StateLook("○", "q", ""),
    "starting": StateLook("◔", "s", "blue"),
    "running": StateLook("●", "R", "green"),
    "paused": StateLook("‖", "p", "yellow"),
    "stopping": StateLook("◐", "-", "yellow"),
    "lost": StateLook("?", "?", "red"),
    "succeeded": StateLook("✓", "+", "green"),
    "failed": StateLook("✗", "x", "red"),
    "cancelled": StateLook("□", "c", "dim"),
    "rejected": StateLook("✗", "x", "red"),
    "expired": StateLook("✗", "x", "yellow"),
    "timed_out": StateLook("✗", "x", "yellow"),
}

TERMINAL = frozenset({"succeeded", "failed", "cancelled", "rejected", "expired", "timed_out"})
ACTIVE = frozenset({"starting", "running", "stopping"})
STATES = tuple(LOOKS)

_UNKNOWN = StateLook("·", ".", "dim")


def look(state: str) -> StateLook:
    return LOOKS.get(state, _UNKNOWN)


def is_terminal(state: str) -> bool:
    """Whether nothing more will happen to a job in this state."""
    return state in TERMINAL
