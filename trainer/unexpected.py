"""What nobody raised on purpose, as a finding: a full disk, no memory, or a defect of ours."""

from __future__ import annotations

import errno

from trainer.findings import Finding, finding


def unexpected(error: BaseException) -> tuple[Finding, str]:
    """The finding and the reason that the exit record gives."""
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return finding("RUN006", text, fix="free space, then start the same run again"), "disk_full"
    if type(error).__name__ == "OutOfMemoryError" or isinstance(error, MemoryError):
        fix = "lower train.batch_size or data resolution, or use a smaller base"
        return finding("RUN008", text, fix=fix), "oom_gpu"
    return (
        finding("RUN001", text, fix="the traceback is in the log; resume keeps all checkpoints"),
        "unknown",
    )
