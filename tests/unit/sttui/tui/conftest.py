"""Drive the interface without a terminal: wait on conditions, read what is on the screen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from textual.pilot import Pilot

from stdaemon.client.retry import Backoff
from sttui.tui.app import StuneApp
from sttui.tui.options import Options
from sttui.tui.state.feed import Feed
from tests.support.fake_client import FakeClient

DEADLINE_S = 10.0


class Driver:
    """One running interface."""

    def __init__(self, app: StuneApp, pilot: Pilot[Any], client: FakeClient) -> None:
        self.app, self.pilot, self.client = app, pilot, client
        self.presses = 0

    async def press(self, *keys: str) -> None:
        self.presses += len(keys)
        for key in keys:
            await self.pilot.press(key)
        await self.pilot.pause()

    async def until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline, "not in time; the screen:\n" + self.text()
            await asyncio.sleep(0.01)
        await self.pilot.pause()

    async def until_text(self, text: str) -> None:
        await self.until(lambda: text in self.text())

    def lines(self) -> list[str]:
        """What the screen shows, line by line, dialogs included."""
        return [
            "".join(s.text for s in strip) for strip in self.app.screen._compositor.render_strips()
        ]

    def text(self) -> str:
        return "\n".join(self.lines())

    @property
    def place(self) -> str:
        return type(self.app.screen).__name__


@asynccontextmanager
async def interface(
    client: FakeClient,
    *,
    size: tuple[int, int] = (80, 24),
    online: bool = True,
    **options: Any,
) -> AsyncIterator[Driver]:
    """The application on a fake client; returns once the first snapshot is drawn."""
    quick = Backoff(uniform=lambda low, high: 0.02)
    app = StuneApp(client, Options(motion=False, **options), feed=Feed(client, backoff=quick))
    async with app.run_test(size=size, notifications=True) as pilot:
        driver = Driver(app, pilot, client)
        if online:
            await driver.until(lambda: app.state.online and app._drawn == app.state.revision)
        yield driver


@pytest.fixture
def client() -> FakeClient:
    return FakeClient()
