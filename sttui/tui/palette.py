"""Commands of the palette: screens, actions that work here, and jobs. Recent jobs come first."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.types import IgnoreReturnCallbackType

from sttui.tui.keys import BY_ID, key_name
from sttui.tui.state import select

if TYPE_CHECKING:
    from sttui.tui.app import StuneApp

MAX_JOBS = 200
MOVES = ("list.", "form.", "confirm.", "log.", "samples.")


class Command(NamedTuple):
    text: str
    help: str
    run: IgnoreReturnCallbackType


class StuneCommands(Provider):
    """Fuzzy search over what the present screen can do."""

    async def discover(self) -> Hits:
        for command in self._commands():
            yield DiscoveryHit(command.text, command.run, help=command.help)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for command in self._commands():
            score = matcher.match(command.text)
            if score > 0:
                shown = matcher.highlight(command.text)
                yield Hit(score, shown, command.run, help=command.help)

    def _commands(self) -> Iterator[Command]:
        app: StuneApp = self.app  # type: ignore[assignment]
        for entry in self.screen.active_bindings.values():
            known = BY_ID.get(entry.binding.id or "")
            if known is None or known.id.startswith(MOVES):
                continue
            if known.mutates and app.options.read_only:
                continue
            run = partial(self.screen.run_action, entry.binding.action)
            yield Command(known.title, f"key {key_name(entry.binding.key)}", run)
        for job in select.ordered(app.state)[:MAX_JOBS]:
            yield Command(
                f"Open {job.name}", f"{job.state}, {job.id}", partial(app.open_job, job.id)
            )
