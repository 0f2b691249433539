"""The interface on a fake client: every screen at 80 by 24, keys, dialogs, refusals."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from stdaemon.client.errors import Unreachable
from stdaemon.wire.checkpoints import Checkpoint
from stdaemon.wire.samples import Sample
from sttui.tui.widgets.log_view import LogView
from sttui.tui.widgets.virtual_table import VirtualTable
from tests.support.fake_client import FakeClient, make_job, refused
from tests.unit.sttui.tui.conftest import interface
from trainer.findings import finding

LONG = "a-very-long-name-of-a-job-that-certainly-does-not-fit-into-eighty-columns-of-text"


def busy_client() -> FakeClient:
    client = FakeClient(
        make_job(1, "succeeded"),
        make_job(2, "queued", name=LONG),
        make_job(3, name="日本語の名前"),
        make_job(4),
        num_gpus=4,
    )
    client.pictures = [
        Sample(step=s, path=f"samples/{s}-{i}.png", prompt=f"a red car {i}", width=64, height=64)
        for s in (0, 100)
        for i in range(4)
    ]
    client.saved = [Checkpoint(step=100, path="checkpoints/x", bytes=1 << 20, created=1e9)]
    return client


@pytest.mark.parametrize("size", [(80, 24), (60, 16), (100, 30), (120, 40), (160, 45), (230, 60)])
async def test_every_screen_fits_every_size(size: tuple[int, int]) -> None:
    """No line is wider than the terminal, no screen is empty, the key bar has its ends."""
    async with interface(busy_client(), size=size) as ui:
        places = ["1", "2", "3", "2 enter", "]", "]", "]", "]", "]", "question_mark"]
        for keys in places:
            await ui.press(*keys.split())
            await ui.until(lambda: sum(bool(line.strip()) for line in ui.lines()) > 4)
            lines = ui.lines()
            assert len(lines) == size[1]
            assert {cell_len(line) for line in lines} == {size[0]}, keys
            if keys != "question_mark":
                assert lines[-1].rstrip().endswith(("q Back", "q Quit")), keys
                assert "? Keys" in lines[-1]


async def test_too_small_a_terminal_says_so() -> None:
    """Below 60 x 16 there is a message and a way out, and nothing crashes."""
    async with interface(busy_client(), size=(40, 10)) as ui:
        assert "too small" in ui.text()
        await ui.press("2", "3", "1")
        await ui.press("q")
        assert not ui.app.is_running or ui.app.return_code == 0


async def test_key_counts_of_the_common_tasks() -> None:
    """Log of the newest job, stopping it, and a preset with its own data: few keys each."""
    client = busy_client()
    async with interface(client) as ui:
        await ui.press("L")
        await ui.until_text("second line")
        assert (ui.place, ui.presses) == ("JobScreen", 1)
        assert "portrait-4" in ui.text()
    async with interface(client) as ui:
        await ui.press("s", "y")
        await ui.until(lambda: client.called("stop"))
        assert client.called("stop") == [("stop", "job00004")]
        assert ui.presses <= 3
    async with interface(client) as ui:
        await ui.press("3")
        await ui.until_text("demo/style")
        await ui.press("enter")
        assert ui.place == "Form"
        await ui.press("enter")
        await ui.until(lambda: ui.place == "JobScreen")
        assert ui.presses <= 8
        sent = client.called("submit")[-1][1]
        assert (sent.name, sent.overrides) == ("demo-style", [])
        assert sent.text == 'preset = "demo/style"\n'


async def test_stop_asks_and_no_is_the_default() -> None:
    """Enter, n and escape change nothing; the question names the job."""
    client = busy_client()
    async with interface(client) as ui:
        for key in ("enter", "n", "escape"):
            await ui.press("s")
            assert "Stop portrait-4?" in ui.text()
            await ui.press(key)
            assert ui.place == "Dashboard"
        await ui.press("d")
        assert "Cancel portrait-4?" in ui.text()
        await ui.press("escape")
        assert client.called() == []


async def test_a_form_stays_open_until_it_is_accepted() -> None:
    """What is missing and what the daemon refuses is told in place; nothing typed is lost."""
    client = busy_client()
    client.refusal = refused("there is no such folder")
    async with interface(client) as ui:
        await ui.press("3")
        await ui.until_text("flux/lora")
        await ui.press("j", "s")
        await ui.press("enter")
        assert "Dataset folder on the host: needed" in ui.text()
        assert client.called("submit") == []
        await ui.press(*"/data", "enter")
        await ui.until_text("there is no such folder")
        assert "/data" in ui.text()
        client.refusal = None
        await ui.press("tab", "5", "enter")
        await ui.until(lambda: ui.place == "JobScreen")
        sent = client.called("submit")[-1][1]
        assert 'path = "/data"' in sent.text
        assert sent.overrides == ["train.steps=5"]


async def test_read_only_refuses_and_hides() -> None:
    """Changing keys vanish from the bar, and do nothing but say why."""
    client = busy_client()
    async with interface(client, read_only=True) as ui:
        assert "Stop" not in ui.lines()[-1]
        assert "L Log" in ui.lines()[-1]
        assert "read-only" in ui.lines()[0]
        for key in ("s", "p", "d", "R", "C"):
            await ui.press(key)
            assert ui.place == "Dashboard"
        await ui.until_text("this interface is read-only")
        await ui.press("3")
        await ui.until_text("demo/style")
        await ui.press("s", "enter")
        assert ui.place == "Presets"
        assert client.called() == []


async def test_offline_keeps_what_was_known_and_refuses_changes() -> None:
    """The header tells since when, data stays, keys say why; then all comes back by itself."""
    client = busy_client()
    async with interface(client) as ui:
        client.drop(Unreachable(finding("ENV101", "no daemon is running on this machine")))
        await ui.until_text("offline 0:0")
        assert "portrait-4" in ui.text()
        assert "S Start daemon" in ui.lines()[-1]
        await ui.press("s")
        assert ui.place == "Dashboard"
        await ui.until_text("no stop: the daemon is offline")
        client.mend()
        await ui.until(lambda: ui.app.state.online)
        assert "offline" not in ui.lines()[0]


async def test_without_a_daemon_it_offers_to_start_one() -> None:
    """A first start shows one sentence and one key, at once."""
    client = FakeClient()
    client.broken = Unreachable(finding("ENV101", "no daemon is running on this machine"))
    async with interface(client, online=False) as ui:
        await ui.until_text("Press S to start it.")
        assert "No daemon is running on this machine." in ui.text()


async def test_jobs_filter_narrows_and_escape_takes_it_away() -> None:
    """Words and fields; letters do not fire keys while the field has the focus."""
    client = busy_client()
    async with interface(client) as ui:
        await ui.press("2", "slash", *"state:queued")
        assert "1 of 4 jobs match" in ui.text()
        assert client.called() == []
        await ui.press("enter")
        assert ui.app.screen.query_one(VirtualTable).current == "job00002"
        await ui.press("escape")
        assert "4 jobs" in ui.text()
        await ui.press("escape")
        assert ui.place == "Dashboard"


async def test_live_changes_do_not_move_the_cursor() -> None:
    """The selected job stays selected while others come and go above it."""
    client = busy_client()
    async with interface(client) as ui:
        await ui.press("2", "j")
        assert ui.app.screen.query_one(VirtualTable).current == "job00003"
        client.table["job00009"] = make_job(9)
        client.change("job00009", "running")
        await ui.until_text("portrait-9")
        assert ui.app.screen.query_one(VirtualTable).current == "job00003"


async def test_log_follows_searches_and_fetches_older_lines() -> None:
    """New lines appear by themselves; a search marks; the top asks for what came before."""
    client = busy_client()
    client.log = "".join(f"step {n} of 5000\n" for n in range(5000))
    async with interface(client) as ui:
        await ui.press("L")
        await ui.until_text("step 4999")
        client.log += "brand new line\n"
        await ui.until_text("brand new line")
        await ui.press("slash", *"step 3100 ", "enter")
        await ui.until_text("match 1 of 1")
        assert "step 3100 of" in ui.text()
        await ui.press("escape", "g")
        await ui.until(lambda: len(ui.app.screen.query_one(LogView).log_lines) == 5001)
        await ui.press("g")
        await ui.until_text("step 0 of 5000")
        client.log_done = True
        await ui.until_text("the job has ended")


async def test_pictures_are_fetched_for_their_tiles() -> None:
    """One request a picture at the size of its tile; zoom asks for a larger one; b flips."""
    client = busy_client()
    async with interface(client) as ui:
        await ui.press("L", "]", "]")
        await ui.until_text("Step 100 (2 of 2)")
        await ui.until(lambda: len(client.called("pixels")) == 4)
        assert {(w, h) for _, (_, w, h) in client.called("pixels")} == {(18, 18)}
        assert "▀" in ui.text()
        await ui.press("j", "enter")
        await ui.until(lambda: len(client.called("pixels")) == 5)
        path, width, height = client.called("pixels")[-1][1]
        assert (path, width > 18, height > 18) == ("samples/100-1.png", True, True)
        await ui.press("b")
        await ui.until_text("Step 0 (before")
        await ui.press("b", "left")
        await ui.until_text("Step 0 (1 of 2)")


async def test_metrics_show_one_chart_where_there_is_room_for_one() -> None:
    """m goes round the series that have data; Y changes the scale."""
    client = busy_client()
    client.series["lr"] = client.series["loss"]
    async with interface(client) as ui:
        await ui.press("L", "]")
        await ui.until_text("Loss")
        await ui.press("m")
        await ui.until_text("Learning rate")
        await ui.press("Y")
        await ui.until_text("log scale")
        await ui.press("m")
        await ui.until_text("smoothed 0.85")
        await ui.press("greater_than_sign")
        await ui.until_text("smoothed 0.95")


async def test_ascii_mode_shows_nothing_else() -> None:
    """Borders, bars, charts, pictures and names: every character is ASCII, widths kept."""
    client = busy_client()
    async with interface(client, ascii=True) as ui:
        for keys in ("1", "2", "3", "question_mark escape", "2 L", "]", "]", "]", "]", "s"):
            await ui.press(*keys.split())
            await ui.pilot.pause(0.1)
            assert ui.text().isascii(), keys
            assert {len(line) for line in ui.lines()} == {80}, keys


async def test_the_palette_knows_screens_and_jobs() -> None:
    """ctrl+p finds a job by its name and opens it."""
    async with interface(busy_client()) as ui:
        await ui.press("ctrl+p", *"portrait-1")
        await ui.until_text("Open portrait-1")
        await ui.press("enter", "enter")
        await ui.until(lambda: ui.place == "JobScreen")
        assert ui.app.screen.job_id == "job00001"  # type: ignore[attr-defined]


async def test_a_failing_tab_tells_in_place_and_only_once() -> None:
    """A log that cannot be read says so below; no toast a second, no crash."""
    client = busy_client()
    async with interface(client) as ui:
        client.logs = lambda *a, **k: (_ for _ in ()).throw(refused("the log is gone"))  # type: ignore[method-assign]
        await ui.press("L")
        await ui.until_text("the log is gone")
        await ui.pilot.pause(1.0)
        assert len(ui.app._notifications) == 0


async def test_own_keys_replace_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """keymap.toml moves a key, the bar shows the new one; a broken file is only reported."""
    from trainer.runs.homes import config_home

    config_home().mkdir(parents=True)
    (config_home() / "keymap.toml").write_text('jobs.log = "F"\n')
    async with interface(busy_client()) as ui:
        assert "F Log" in ui.lines()[-1]
        await ui.press("F")
        assert ui.place == "JobScreen"
    (config_home() / "keymap.toml").write_text("jobs.lgo = 'F'\n")
    async with interface(busy_client()) as ui:
        await ui.until_text("no key with the id jobs.lgo")


async def test_key_bar_names_what_applies() -> None:
    """Nothing selected: no job keys. Ended: rerun. The root quits, others go back."""
    async with interface(FakeClient()) as ui:
        assert "Stop" not in ui.lines()[-1]
        assert ui.lines()[-1].rstrip().endswith("q Quit")
    async with interface(FakeClient(make_job(1, "failed"))) as ui:
        assert "R Rerun" in ui.lines()[-1]
        assert "Stop" not in ui.lines()[-1]
        await ui.press("2")
        assert ui.lines()[-1].rstrip().endswith("q Back")
