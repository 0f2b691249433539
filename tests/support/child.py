"""Run a function in a forked child process, so that a test can kill it at a named point."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable


def start(function: Callable[[], object], fault: str = "") -> int:
    """Fork; the child runs `function` with a fault armed. Returns its process id."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        from trainer import faults

        faults._spec, faults._passes = fault, {}
        function()
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def wait(pid: int) -> int:
    """Exit code of the child, negative for the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def run(function: Callable[[], object], fault: str = "") -> int:
    return wait(start(function, fault))
