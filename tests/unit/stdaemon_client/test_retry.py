"""The waiting times between attempts."""

from __future__ import annotations

from stdaemon.client.retry import Backoff


def test_delays_double_up_to_the_cap_and_start_anew_after_a_success() -> None:
    """0.5, 1, 2, 4, 8, then 15 for good."""
    slept: list[float] = []
    backoff = Backoff(sleep=slept.append, uniform=lambda low, high: 1.0)
    for _ in range(8):
        backoff.wait()
    assert slept == [0.5, 1, 2, 4, 8, 15, 15, 15]
    backoff.reset()
    assert backoff.wait() == 0.5


def test_jitter_is_twenty_percent_either_way() -> None:
    """The bounds that the random number is drawn from."""
    low = Backoff(sleep=lambda s: None, uniform=lambda a, b: a)
    high = Backoff(sleep=lambda s: None, uniform=lambda a, b: b)
    assert low.wait() == 0.4
    assert high.wait() == 0.6
