"""The full-screen interface: one state, one feed, a few screens.

Nothing here waits for a host: the first frame is drawn before anything is asked, and every call
runs in a worker thread whose result comes back to the interface's own thread.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import sys
from functools import partial
from typing import TYPE_CHECKING

from textual.app import App

from stdaemon.client.api import Client
from stdaemon.client.errors import ClientError
from stdaemon.wire.jobs import Job
from sttui.tui.calls import DaemonCalls
from sttui.tui.compat import adapt
from sttui.tui.ink import DARK, LIGHT
from sttui.tui.keys import bindings, conflicts, load_keymap
from sttui.tui.options import Options, choose, usable_terminal
from sttui.tui.screens.dashboard import Dashboard
from sttui.tui.state import reduce
from sttui.tui.state.feed import Feed
from sttui.tui.state.store import HostState
from trainer.runs.homes import config_home

if TYPE_CHECKING:
    from textual.command import Provider

FRAME_S = 0.1
AFTER_FIRST_FRAME_S = 0.05  # connecting costs imports, which the first frame need not wait for
# Screens are imported when they are first shown: the first frame does not wait for them.
SCREENS_BY_NAME = {
    "dashboard": "sttui.tui.screens.dashboard:Dashboard",
    "jobs": "sttui.tui.screens.jobs:Jobs",
    "presets": "sttui.tui.screens.presets:Presets",
}


def _commands() -> type[Provider]:
    from sttui.tui.palette import StuneCommands

    return StuneCommands


class StuneApp(DaemonCalls):
    """Screens ask it for the state and hand it their calls."""

    TITLE = "stune"
    CSS_PATH = ["app.tcss", "screens/dashboard.tcss"]  # noqa: RUF012
    COMMANDS = App.COMMANDS | {_commands}
    BINDINGS = bindings("global")  # type: ignore[assignment]

    def __init__(
        self, client: Client, options: Options, *, feed: Feed | None = None, first: str = ""
    ) -> None:
        super().__init__()
        self.client = client
        self.options = options
        self.state = HostState()
        self.feed = feed or Feed(client)
        self.keymap_ids: dict[str, str] = {}
        self._first = first
        self._drawn = -1
        adapt(self, options)
        self.set_class(options.ascii, "-ascii")
        self.animation_level = "full" if options.motion else "none"
        for theme in (DARK, LIGHT):
            self.register_theme(theme)
        self.theme = DARK.name

    def get_default_screen(self) -> Dashboard:
        return Dashboard()

    def on_mount(self) -> None:
        problems = self._read_keymap()
        for number in () if self.is_headless else (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, self.exit, 128 + number)
        if self._first in SCREENS_BY_NAME:
            self.action_go(self._first)
        elif self._first:
            self.open_job(self._first)
        self.set_interval(FRAME_S, self._frame)
        self.set_interval(1.0, self._second)
        self.set_timer(AFTER_FIRST_FRAME_S, partial(self._started, problems))

    def on_unmount(self) -> None:
        self.feed.close()

    def _started(self, problems: list[str]) -> None:
        self.feed.start()
        for problem in problems:
            self.notify(problem, title="keymap.toml", severity="warning", timeout=10, markup=False)

    def _read_keymap(self) -> list[str]:
        """Take over the user's own keys; returns what is wrong with them."""
        try:
            self.keymap_ids = load_keymap(config_home() / "keymap.toml")
        except (OSError, ValueError) as error:
            return [str(error)]
        self.set_keymap(self.keymap_ids)
        return conflicts(self.keymap_ids)

    # --- state -----------------------------------------------------------------------------

    def _frame(self) -> None:
        """Apply what has arrived; at most ten redraws a second, however many events came."""
        self.feed.drain(self.state)
        if self.state.revision != self._drawn:
            self._drawn = self.state.revision
            self._on_screen("refresh_state")

    def _second(self) -> None:
        """Clocks, ages and countdowns."""
        self._on_screen("refresh_header")

    def _on_screen(self, method: str) -> None:
        for screen in reversed(self.screen_stack):
            call = getattr(screen, method, None)
            if call is not None and screen.is_mounted and screen.is_running:
                call()  # below a dialog the screen stays alive
                return

    # --- actions on jobs -------------------------------------------------------------------

    def may_change(self, action: str) -> bool:
        """Whether something may be changed now; if not, the reason is told."""
        hello, reason = self.state.hello, ""
        if self.options.read_only:
            reason = "this interface is read-only"
        elif not self.state.online:
            reason = f"the daemon is {self.state.connection}"
        elif hello is not None and hello.read_only:
            reason = "the daemon is read-only"
        if reason:
            self.notify(f"no {action}: {reason}", severity="warning", markup=False)
        return not reason

    def act(self, job_id: str, action: str) -> None:
        """Carry out one action on a job; the caller has asked `may_change` and the user."""

        def done(job: Job) -> None:
            reduce.job_changed(self.state, job)
            self.notify(f"{action}: {job.name} is {job.state}", timeout=4, markup=False)

        self.call_daemon(lambda client: client.act(job_id, action), done)

    def submitted(self, job: Job) -> None:
        reduce.job_changed(self.state, job)
        self.open_job(job.id)

    # --- navigation ------------------------------------------------------------------------

    def action_go(self, name: str) -> None:
        module, _, attribute = SCREENS_BY_NAME[name].partition(":")
        while len(self.screen_stack) > 1:
            self.pop_screen()
        if name != "dashboard":
            self.push_screen(getattr(importlib.import_module(module), attribute)())

    def open_job(self, job_id: str, tab: str = "overview") -> None:
        from sttui.tui.screens.job import JobScreen

        self.push_screen(JobScreen(job_id, tab))

    def action_help(self) -> None:
        from sttui.tui.screens.help import Help

        here = {entry.binding.id for entry in self.screen.active_bindings.values()}
        ids = {id for id in here if id}
        self.push_screen(Help(ids, self.keymap_ids, read_only=self.options.read_only))

    def action_one_back(self) -> None:
        step_back = getattr(self.screen, "step_back", None)
        if (step_back is None or not step_back()) and len(self.screen_stack) > 1:
            self.pop_screen()

    def action_leave(self) -> None:
        if len(self.screen_stack) > 1:
            self.pop_screen()
        else:
            self.exit(0)

    def action_reconnect(self) -> None:
        self.feed.retry_now()
        self._on_screen("refresh_state")

    def action_start_daemon(self) -> None:
        """Start the daemon of this machine; a remote one cannot be started from here."""
        if self.options.read_only or self.state.online:
            why = "it is running" if self.state.online else "this interface is read-only"
            self.notify(f"not started: {why}", severity="warning")
        elif not self.client.address.startswith("unix://"):
            self.notify("a remote daemon is started there: stune daemon start", severity="warning")
        else:
            from stdaemon.client.launch import launch

            self.notify("starting the daemon …", timeout=3)
            started = self.feed.retry_now
            self.call_daemon(lambda client: launch(client.hello), lambda _: started())


def run(
    host: str | None = None,
    *,
    read_only: bool = False,
    ascii: bool = False,
    screen: str | None = None,
) -> int:
    """Open the interface; returns the exit code. `screen` is its name, or the id of a job."""
    from stdaemon.client.hosts import choose_target

    if not usable_terminal(os.environ):
        sys.stderr.write("stune: no usable terminal here; see `stune --help` for verbs\n")
        return 2
    options = choose(os.environ, ascii=ascii, read_only=read_only)
    try:
        target = choose_target(host, os.environ, interactive=False, warn=lambda text: None)
    except ClientError as error:
        sys.stderr.write(f"stune: {error}\n")
        return 2
    app = StuneApp(Client(target), options, first=screen or "")
    code = app.run()
    return (app.return_code or 0) if code is None else code
