"""New events of a run as changes of its row: phase, progress, findings.

The byte offset and the last sequence number are stored in the same transaction as what they led
to, so after a restart no event is lost or applied twice.
"""

from __future__ import annotations

import logging
from typing import Any

from stdaemon.store.jobs import JobRow
from trainer.runs.events import EventTail
from trainer.runs.layout import RunDir

log = logging.getLogger("stdaemon")
MAX_FINDINGS = 50
PHASES = ("scan", "cache", "train", "validate", "save")


def new_fields(run: RunDir, row: JobRow) -> dict[str, Any]:
    """Fields that the events after the row's position change; empty when there are none."""
    tail = EventTail(run.events, row.event_offset)
    try:
        records = [r for r in tail.poll() if r["seq"] > row.event_seq]
    except (ValueError, KeyError, TypeError) as error:  # spoilt by a power cut: the tail is past it
        log.warning("%s holds lines that are no events: %s", run.events, error)
        records = []
    if tail.offset == row.event_offset:
        return {}
    fields: dict[str, Any] = {"event_offset": tail.offset}
    findings = list(row.findings)
    stack: list[str] = [row.phase] if row.phase else []
    for record in records:
        fields["event_seq"] = record["seq"]
        _apply(record, fields, findings, stack)
    fields["phase"] = stack[-1] if stack else None
    fields["findings"] = findings[-MAX_FINDINGS:]
    return fields


def _apply(
    record: dict[str, Any], fields: dict[str, Any], findings: list[Any], stack: list[str]
) -> None:
    match record["kind"]:
        case "phase" if record["phase"] in PHASES:
            if record["state"] == "begin":
                stack.append(record["phase"])
            elif stack and record["phase"] == stack[-1]:
                stack.pop()
                if not stack and record["phase"] in ("validate", "save"):
                    stack.append("train")  # the outer phase began before our position
        case "progress":
            fields |= {
                "step": record["step"],
                "total": record["total"],
                "loss": record["loss_ema"],
                "it_s": record["it_s"],
                "eta_s": record["eta_s"],
            }
        case "run.start":
            stack.clear()
            fields |= {"total": record["total_steps"], "step": record["resumed_step"] or 0}
        case "finding":
            findings.append(record["finding"])
        case "run.end":
            stack.clear()
            fields |= {"step": record["step"], "eta_s": None, "it_s": None}
