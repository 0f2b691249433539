"""Failures of a request as client errors: broken connections and refusing answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from stdaemon.client.errors import (
    Ambiguous,
    ClientError,
    Faulty,
    Invalid,
    NotFound,
    Refused,
    Unreachable,
)
from trainer.findings import Finding, finding

if TYPE_CHECKING:
    import httpx

AMBIGUOUS = "ENV113"  # the finding tells more than the status 409

_KINDS: dict[int, type[ClientError]] = {
    400: Invalid,
    401: Refused,
    403: Refused,
    404: NotFound,
    409: Refused,
    410: NotFound,
    413: Refused,
    422: Invalid,
    429: Refused,
}
_CODES: dict[type[ClientError], str] = {
    Invalid: "ENV112",
    Refused: "ENV110",
    NotFound: "ENV111",
    Faulty: "ENV109",
}


@contextmanager
def translated(address: str) -> Iterator[None]:
    """httpx's transport errors as Unreachable; connectors raise their own."""
    import httpx

    try:
        yield
    except httpx.TimeoutException as error:
        raise broken(address, f"no answer in time ({type(error).__name__})") from None
    except httpx.TransportError as error:
        raise broken(address, str(error) or type(error).__name__) from None


def broken(address: str, why: str) -> Unreachable:
    return Unreachable(
        finding(
            "ENV108",
            "the connection to the daemon broke",
            where=address,
            why=why,
            fix="try again; see stune daemon status",
        )
    )


def unreadable(address: str, why: str) -> Faulty:
    return Faulty(
        finding(
            "ENV109",
            "the daemon answered something this client cannot read",
            where=address,
            why=why.splitlines()[0] if why else "",
            fix="bring client and daemon to the same version",
        )
    )


def raise_for(answer: httpx.Response, address: str) -> None:
    """Raise what an answer of 400 or more means."""
    status = answer.status_code
    if status < 400:
        return
    kind = Faulty if status >= 500 else _KINDS.get(status, Refused)
    body = _body(answer)
    findings = [f for f in (_finding(item) for item in body.get("findings") or []) if f]
    if findings:
        raise (Ambiguous if findings[0].code == AMBIGUOUS else kind)(*findings)
    title, detail = str(body.get("title") or ""), body.get("detail")
    message = detail if isinstance(detail, str) and detail else title or f"HTTP {status}"
    fix = "see stune daemon logs" if kind is Faulty else ""
    raise kind(finding(_CODES[kind], message, where=address, fix=fix))


def _body(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _finding(item: Any) -> Finding | None:
    try:
        return Finding.model_validate(item)
    except ValueError:
        return None
