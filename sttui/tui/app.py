"""The full-screen interface: one state, one feed, a few screens.

Nothing here waits for a host: the first frame is drawn before anything is asked, and every call
runs in a worker thread whose result comes back as a message.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from textual.app import App

from stdaemon.client.api import Client
from stdaemon.client.errors import ClientError
from stdaemon.wire.jobs import Job, JobSubmit
from sttui.tui.compat import drop_colours
from sttui.tui.keys import bindings, load_keymap
from sttui.tui.options import Options, choose, usable_terminal
from sttui.tui.screens.dashboard import Dashboard
from sttui.tui.screens.help import Help
from sttui.tui.screens.job import JobScreen
from sttui.tui.screens.jobs import Jobs
from sttui.tui.screens.presets import Presets
from sttui.tui.state import reduce, select
from sttui.tui.state.feed import Feed
from sttui.tui.state.store import HostState
from trainer.runs.homes import config_home

T = TypeVar("T")
FRAME_S = 0.1
SCREENS = {"dashboard": Dashboard, "jobs": Jobs, "presets": Presets}


class StuneApp(App[int]):
    """Screens ask it for the state and hand it their calls."""

    TITLE = "stune"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS = bindings("global")  # type: ignore[assignment]
    CSS = """
    Footer { height: 1; }
    """

    def __init__(self, client: Client, options: Options, *, feed: bool = True) -> None:
        super().__init__(ansi_color=False)
        self.client = client
        self.options = options
        self.state = HostState()
        self.feed = Feed(client, self.state, self._apply)
        self._with_feed = feed
        self._drawn = -1
        if not options.colour:
            drop_colours(self)
        self.animation_level = "full" if options.motion else "none"

    def on_mount(self) -> None:
        path = config_home() / "keymap.toml"
        try:
            self.set_keymap(load_keymap(path))
        except (ValueError, AttributeError) as error:
            self.notify(f"{path}: {error}", severity="error", timeout=10)
        self.push_screen(Dashboard())
        self.set_interval(FRAME_S, self._frame)
        if self._with_feed:
            self.feed.start()

    def on_unmount(self) -> None:
        self.feed.close()

    # --- state -----------------------------------------------------------------------------

    def _apply(self, change: Callable[[], None]) -> None:
        """Run a change of the state on the interface's thread, in order."""
        if self.is_running:
            self.call_from_thread(change)

    def _frame(self) -> None:
        """At most ten redraws a second, however many events came."""
        if self.state.revision != self._drawn:
            self._drawn = self.state.revision
            refresh = getattr(self.screen, "refresh_state", None)
            if refresh is not None:
                refresh()

    def header_text(self, title: str, width: int) -> str:
        state = self.state
        where = state.hello.hostname if state.hello else self.client.address
        if state.online:
            right = select.counters(state)
        else:
            right = f"{state.connection}: {state.problem}" if state.problem else state.connection
        left = f"stune  {where}  {title}"
        gap = max(2, width - 2 - len(left) - len(right))
        return (left + " " * gap + right)[: max(0, width - 2)]

    # --- calls -----------------------------------------------------------------------------

    def call_daemon(
        self,
        call: Callable[[Client], T],
        then: Callable[[T], Any],
        failed: Callable[[], None] | None = None,
    ) -> None:
        """Run `call` in a thread and `then` with its result here; failures become a toast."""
        screen = self.screen

        def work() -> None:
            try:
                result = call(self.client)
            except ClientError as error:
                self._apply(partial(self._tell_failure, error, failed))
                return
            self._apply(lambda: then(result) if screen.is_attached else None)

        self.run_worker(work, thread=True, group="calls", exit_on_error=False)

    def _tell_failure(self, error: ClientError, failed: Callable[[], None] | None) -> None:
        if failed is not None:
            failed()
        finding = error.finding
        text = f"{finding.message}\n{finding.fix}" if finding.fix else finding.message
        self.notify(text, title=finding.code, severity="error", timeout=8, markup=False)

    def act(self, job_id: str, action: str) -> None:
        if self.options.read_only:
            self.notify(f"read-only: {action} is refused", severity="warning")
            return

        def done(job: Job) -> None:
            reduce.job_changed(self.state, job)
            self.notify(f"{action}: {job.name} is {job.state}", timeout=4, markup=False)

        self.call_daemon(lambda client: client.act(job_id, action), done)

    def submit(self, job: JobSubmit) -> None:
        def done(made: Job) -> None:
            reduce.job_changed(self.state, made)
            self.open_job(made.id, "overview")

        self.call_daemon(lambda client: client.submit(job), done)

    # --- navigation ------------------------------------------------------------------------

    def action_go(self, name: str) -> None:
        while len(self.screen_stack) > 2:
            self.pop_screen()
        self.switch_screen(SCREENS[name]())

    def open_job(self, job_id: str, tab: str) -> None:
        self.push_screen(JobScreen(job_id, tab))

    def action_help(self) -> None:
        self.push_screen(Help())

    def action_back(self) -> None:
        screen = self.screen
        if isinstance(screen, Jobs) and screen.clear_filter():
            return
        if len(self.screen_stack) > 2:
            self.pop_screen()

    def action_leave(self) -> None:
        if len(self.screen_stack) > 2:
            self.pop_screen()
        else:
            self.exit(0)

    def action_reconnect(self) -> None:
        self.feed.retry_now()

    def action_start_daemon(self) -> None:
        """Start the daemon of this machine; a remote one cannot be started from here."""
        if self.state.online or not self.client.address.startswith("unix://"):
            self.notify("the daemon is online" if self.state.online else "not on this machine")
            return
        from stdaemon.client.launch import launch

        def started(_: object) -> None:
            self.feed.retry_now()

        self.notify("starting the daemon …", timeout=3)
        self.call_daemon(lambda client: launch(client.hello), started)


def run(host: str | None = None, *, read_only: bool = False, ascii: bool = False) -> int:
    """Open the interface; returns the exit code."""
    from stdaemon.client.hosts import choose_target

    if not usable_terminal(os.environ):
        sys.stderr.write("stune: no usable terminal here; see `stune --help` for verbs\n")
        return 2
    options = choose(os.environ, ascii=ascii, read_only=read_only)
    target = choose_target(host, os.environ, interactive=False, warn=lambda text: None)
    return StuneApp(Client(target), options).run() or 0
