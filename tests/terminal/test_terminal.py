"""The interface as a terminal sees it: colours or none, its end, and a daemon behind it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.support import scripted_trainer
from tests.support.cli import Home, cli_home
from tests.terminal.pty import ROOT, Terminal, colours

# Real programs in a real terminal, waited for by the clock: a loaded machine may be too slow.
pytestmark = pytest.mark.slow


TRAINER = f"{sys.executable} {scripted_trainer.__file__}"
ALTERNATE_ON, ALTERNATE_OFF = "\x1b[?1049h", "\x1b[?1049l"
CURSOR_ON = "\x1b[?25h"
CTRL_Q, ESCAPE, ENTER, TAB = "\x11", "\x1b", "\r", "\t"
HIDDEN = ("NO_COLOR", "SSH_CONNECTION", "TERM", "LC_ALL", "LC_CTYPE", "STUNE_HOST")

Open = Callable[..., Terminal]


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with cli_home(STUNE_DAEMON_TRAINER_COMMAND=TRAINER, STUNE_DAEMON_TICK_S="0.05") as found:
        assert found.stune("daemon", "start").code == 0
        yield found


@pytest.fixture
def terminal_of() -> Iterator[Open]:
    opened: list[Terminal] = []

    def start(home: Home, **env: str) -> Terminal:
        clean = {k: v for k, v in home.env.items() if k not in HIDDEN}
        opened.append(Terminal(clean | {"LANG": "C.UTF-8"} | env))
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.kill()


def test_a_session_with_a_real_daemon(terminal_of: Open) -> None:
    """Start the daemon, preset to running job, its log, stop it, out; each step is seen."""
    with cli_home(STUNE_DAEMON_TRAINER_COMMAND=TRAINER, STUNE_DAEMON_TICK_S="0.05") as home:
        home.env["SCRIPTED_HOLD"] = str(home.path / "never")
        terminal = terminal_of(home)
        terminal.until_text("Press S to start it.")
        terminal.press("S", "No jobs yet")
        terminal.press("3", "demo/style")
        terminal.press("/", "words of name")
        terminal.press("style")
        terminal.until(lambda: "demo/pretrain" not in terminal.text())
        terminal.press(ENTER, "s Submit")
        terminal.press("s", "Submit demo/style")
        terminal.press(TAB)
        terminal.press("60", "60")
        terminal.press(ENTER, "Jobs › demo-style")
        terminal.press("L", "step 30 of 60")
        assert "following" in terminal.text()
        terminal.press("s", "Stop demo-style?")
        terminal.press("y", "cancelled")
        terminal.press("q", "› Presets")
        terminal.press(CTRL_Q)
        assert terminal.end() == 0
        jobs = home.stune("jobs", "--json").data
        told = [(job["name"], job["state"], job["total"]) for job in jobs]
        assert told == [("demo-style", "cancelled", 60)]


def test_no_color_means_none_at_all(home: Home, terminal_of: Open) -> None:
    """Not one colour in all the output, on every kind of screen; attributes are still there."""
    done = home.stune("submit", "--preset", "demo/style", "--set", "train.steps=60", "-o", "id")
    assert done.code == 0, done.err
    assert home.stune("wait", done.out.strip(), "--timeout", "60s").code == 0
    terminal = terminal_of(home, NO_COLOR="1", COLORTERM="truecolor")
    terminal.until_text("demo-style")
    terminal.press(ENTER, "Overview")
    terminal.press("]", "step 60 of 60")
    terminal.press("]", "smoothed")
    terminal.press("?", "Keys that work here")
    terminal.press(ESCAPE)
    terminal.until(lambda: "Keys that work here" not in terminal.text())
    terminal.press("3", "demo/style")
    terminal.press("s", "Name of the job")
    terminal.press(CTRL_Q)
    assert terminal.end() == 0
    assert colours(terminal.raw) == []
    assert "\x1b[1" in terminal.raw  # bold is no colour
    coloured = terminal_of(home, COLORTERM="truecolor")
    coloured.until_text("demo-style")
    coloured.press("q")
    assert coloured.end() == 0
    assert colours(coloured.raw)


def test_children_inherit_no_color() -> None:
    """The framework takes the variable for itself; what we start still gets it."""
    code = (
        "import os; os.environ['NO_COLOR'] = '1'\n"
        "from sttui.tui.app import StuneApp\n"
        "from sttui.tui.options import choose\n"
        "from tests.support.fake_client import FakeClient\n"
        "StuneApp(FakeClient(), choose(os.environ, ascii=False, read_only=False))\n"
        "import subprocess, sys\n"
        "sys.exit(subprocess.call(['sh', '-c', 'test \"$NO_COLOR\" = 1']))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_the_terminal_as_it_was(
    home: Home, terminal_of: Open, number: signal.Signals
) -> None:
    """The other screen is left, the cursor is back, mouse and paste modes are off."""
    terminal = terminal_of(home)
    terminal.until_text("Dashboard")
    assert ALTERNATE_ON in terminal.raw
    os.kill(terminal.child.pid, number)
    assert terminal.end() == 128 + number
    _is_restored(terminal.raw)


def test_a_crash_leaves_the_terminal_as_it_was(home: Home, terminal_of: Open) -> None:
    """The screen is restored first, then the error is printed where it can be read."""
    trap = home.path / "trap"
    trap.mkdir()
    (trap / "sitecustomize.py").write_text(
        "import sys\n"
        "def trap(frame, event, arg):\n"
        "    here = frame.f_globals.get('__name__'), frame.f_code.co_name\n"
        "    if here == ('sttui.tui.app', 'action_help'):\n"
        "        raise ZeroDivisionError('trap')\n"
        "sys.setprofile(trap)\n"
    )
    terminal = terminal_of(home, PYTHONPATH=f"{trap}:{ROOT}")
    terminal.until_text("Dashboard")
    terminal.press("?")
    assert terminal.end() != 0
    _is_restored(terminal.raw)
    assert "ZeroDivisionError" in terminal.raw[terminal.raw.rindex(ALTERNATE_OFF) :]


def _is_restored(raw: str) -> None:
    assert raw.rindex(ALTERNATE_OFF) > raw.rindex(ALTERNATE_ON)
    assert raw.rindex(CURSOR_ON) > raw.rindex(ALTERNATE_ON)
    assert raw.rindex("\x1b[?1000l") > raw.rindex("\x1b[?1000h")
    assert raw.rindex("\x1b[?2004l") > raw.rindex("\x1b[?2004h")


def test_quitting_is_quick_while_a_daemon_is_deaf(terminal_of: Open) -> None:
    """A daemon that accepts and never answers does not hold up the exit."""
    with cli_home() as home:
        home.socket.parent.mkdir(parents=True, exist_ok=True)
        with socket.socket(socket.AF_UNIX) as deaf:
            deaf.bind(str(home.socket))
            deaf.listen()
            terminal = terminal_of(home)
            terminal.until_text("connecting")
            terminal.press("q")
            assert terminal.end() == 0
        home.socket.unlink()


@pytest.mark.parametrize("term", ["dumb", ""])
def test_no_usable_terminal_points_to_the_verbs(home: Home, terminal_of: Open, term: str) -> None:
    """Exit 2, one readable hint, no control sequence."""
    terminal = terminal_of(home, TERM=term)
    assert terminal.end() == 2
    assert "--help" in terminal.raw
    assert "\x1b" not in terminal.raw


def test_resize_follows_the_terminal(home: Home, terminal_of: Open) -> None:
    """Too small, then larger: the layout follows and nothing is left over."""
    terminal = terminal_of(home)
    terminal.until_text("Dashboard")
    for lines, columns, seen in ((10, 40, "too small"), (30, 100, "Dashboard")):
        terminal.screen.resize(lines, columns)
        terminal.screen.reset()
        terminal.child.setwinsize(lines, columns)
        terminal.until_text(seen)
    terminal.press("q")
    assert terminal.end() == 0


def test_legacy_and_kitty_keys_mean_the_same(home: Home, terminal_of: Open) -> None:
    """Escape in both encodings goes back."""
    terminal = terminal_of(home)
    terminal.until_text("Dashboard")
    for back in (ESCAPE, "\x1b[27u"):
        terminal.press("2", "› Jobs")
        terminal.press(back, "› Dashboard")
    terminal.press("q")
    assert terminal.end() == 0
