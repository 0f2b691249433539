"""Each key is handled to its end before the next one is looked at.

Textual hands a key to whatever has the focus when it is read. On a slow link several keys arrive
at once, and then `tab`, text and `enter` all reach the field that had the focus before the tab.
Here the next key waits until the last one has been handled: a marker follows the key through the
same queues, from the focused widget up to the application, and releases the next.
"""

from __future__ import annotations

import time
from collections import deque

from textual.app import App
from textual.events import Event, Key
from textual.message import Message

PATIENCE_S = 0.5  # a marker is lost when its widget is removed meanwhile
RETRY_S = 0.01
ROUNDS = 2  # the key itself, then the message that its action has sent


class KeyDone(Message):
    """Follows a key; after the last round what comes next may be handled."""

    def __init__(self, serial: int, rounds: int) -> None:
        super().__init__()
        self.serial, self.rounds = serial, rounds


class KeysInOrder(App[int]):
    """Base of the application; widgets need not know."""

    def __init__(self) -> None:
        super().__init__(ansi_color=False)
        self._typed: deque[Key] = deque()
        self._serial = 0
        self._waiting_since: float | None = None
        self._retrying = False

    async def on_event(self, event: Event) -> None:
        if isinstance(event, Key) and not event.is_forwarded:
            self._typed.append(event)
            await self._next_key()
        else:
            await super().on_event(event)

    def on_key_done(self, message: KeyDone) -> None:
        message.stop()
        if message.serial != self._serial:
            return
        if message.rounds > 1:
            self._follow(message.rounds - 1)
        else:
            self._release()

    def _follow(self, rounds: int) -> None:
        """Send the marker; without a way for it there is nothing to wait for."""
        if not self.screen_stack:
            self._typed.clear()
        elif not (self.focused or self.screen).post_message(KeyDone(self._serial, rounds)):
            self._release()

    def _release(self) -> None:
        self._waiting_since = None
        if self._typed:
            self.call_later(self._next_key)

    async def _again(self) -> None:
        self._retrying = False
        await self._next_key()

    async def _next_key(self) -> None:
        """Hand over the oldest key, if the one before it is done and its screen is there."""
        if not self._typed or not self.screen_stack:
            return
        now = time.monotonic()
        late = self._waiting_since is not None and now - self._waiting_since > PATIENCE_S
        ready = self._waiting_since is None and self.screen.is_mounted
        if not (ready or late):
            self._waiting_since = now if self._waiting_since is None else self._waiting_since
            if not self._retrying:
                self._retrying = True
                self.set_timer(RETRY_S, self._again)
            return
        event = self._typed.popleft()
        self._serial += 1
        self._waiting_since = now
        await super().on_event(event)
        self._follow(ROUNDS)
