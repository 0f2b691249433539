"""Calls to the daemon: each in a thread of its own, its result back on the interface's thread.

A screen that is gone by then hears nothing; a failure that nobody takes becomes a toast.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from textual.screen import Screen

from stdaemon.client.api import Client
from stdaemon.client.errors import ClientError
from sttui.tui.key_order import KeysInOrder

T = TypeVar("T")


class DaemonCalls(KeysInOrder):
    """The part of the application that asks the daemon."""

    client: Client

    def call_daemon(
        self,
        call: Callable[[Client], T],
        then: Callable[[T], Any],
        failed: Callable[[ClientError], Any] | None = None,
    ) -> None:
        """Run `call` in a thread; `then` gets its result here, `failed` or a toast its failure."""
        screen, failed = self.screen, failed or self._tell_failure

        def work() -> None:
            try:
                result = call(self.client)
            except ClientError as error:
                self._come_back(screen, failed, error)
            else:
                self._come_back(screen, then, result)

        self.run_worker(work, thread=True, group="calls")

    def _come_back(self, screen: Screen[Any], step: Callable[[T], Any], value: T) -> None:
        """From the thread: does not wait, so that a closing application is never held up."""
        self.call_later(self._continue, screen, step, value)

    def _continue(self, screen: Screen[Any], step: Callable[[T], Any], value: T) -> None:
        """On the interface's thread, unless the screen that asked is gone."""
        if screen.is_attached and screen.is_running:
            step(value)

    def _tell_failure(self, error: ClientError) -> None:
        found = error.finding
        text = "\n".join(filter(None, (found.message, found.fix)))
        self.notify(text, title=found.code, severity="error", timeout=8, markup=False)
