"""Keys that arrive in one packet mean what they would mean one by one."""

from __future__ import annotations

from textual.events import Key
from textual.widgets import Input

from tests.support.fake_client import FakeClient, make_job
from tests.unit.sttui.tui.conftest import Driver, interface


def at_once(ui: Driver, *keys: str) -> None:
    """All keys are in the application's queue before the first is handled."""
    for key in keys:
        ui.app.post_message(Key(key, key if len(key) == 1 else None))


async def test_a_burst_fills_the_form_it_opens() -> None:
    """Open the form, go to the second field, type, submit: one packet, nothing misplaced."""
    client = FakeClient()
    async with interface(client) as ui:
        await ui.press("3")
        await ui.until_text("demo/style")
        at_once(ui, "enter", "tab", "2", "0", "enter")
        await ui.until(lambda: client.called("submit"))
        sent = client.called("submit")[0][1]
        assert (sent.name, sent.overrides) == ("demo-style", ["train.steps=20"])


async def test_a_burst_into_a_filter_fires_no_actions() -> None:
    """Letters typed right behind the slash are text, not keys for jobs."""
    client = FakeClient(make_job(1), make_job(2, name="sdpR"))
    async with interface(client) as ui:
        at_once(ui, "2", "slash", *"sdpR", "enter", "L")
        await ui.until(lambda: ui.place == "JobScreen")
        assert ui.app.screen.job_id == "job00002"  # type: ignore[attr-defined]
        assert client.called() == []


async def test_a_long_burst_is_neither_lost_nor_reordered() -> None:
    """Two hundred letters arrive in order."""
    async with interface(FakeClient(make_job(1))) as ui:
        text = "abcdefghij" * 20
        await ui.press("2")
        at_once(ui, "slash", *text)
        await ui.until(lambda: len(ui.app.screen.query_one(Input).value) == 200)
        assert ui.app.screen.query_one(Input).value == text
