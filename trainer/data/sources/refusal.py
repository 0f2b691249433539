"""What a store's failure means: gone for now, not allowed, not there, or something else.

The text names the cause and never what was sent: neither keys nor signed addresses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_DENIED = """
AccessDenied AllAccessDisabled AccountProblem ExpiredToken Forbidden InvalidAccessKeyId
InvalidToken InvalidSecurity NotSignedUp SignatureDoesNotMatch TokenRefreshRequired Unauthorized
401 403
"""
_NO_BUCKET = "NoSuchBucket InvalidBucketName"
_ELSEWHERE = """
AuthorizationHeaderMalformed IllegalLocationConstraintException PermanentRedirect 301 307
"""
_NO_OBJECT = "NoSuchKey 404"
_CHANGED = "PreconditionFailed InvalidRange 412 416"
_BUSY = """
SlowDown Throttling ThrottlingException RequestLimitExceeded TooManyRequests RequestTimeout
ServiceUnavailable InternalError 429 500 502 503 504
"""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request failed; `code` is that of the finding when the whole place is meant."""

    code: str
    cause: str
    fix: str
    again: bool = False  # may pass by itself
    silent: bool = False  # no answer came at all


def refusal(error: Exception) -> Refusal:
    """What an exception of boto3 says."""
    from botocore import exceptions as known

    answer: dict[str, Any] = getattr(error, "response", None) or {}
    if isinstance(error, known.ClientError):
        return _answered(answer)
    if isinstance(error, known.ProfileNotFound):
        return Refusal("DAT021", str(error), "name a profile of ~/.aws/config, or remove it")
    credentials = (
        known.NoCredentialsError,
        known.PartialCredentialsError,
        known.CredentialRetrievalError,
        known.TokenRetrievalError,
        known.SSOError,
    )
    if isinstance(error, credentials):
        return Refusal(
            "DAT021",
            str(error),
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or source.profile to a profile of "
            "~/.aws",
        )
    if isinstance(error, known.ParamValidationError):
        return Refusal("DAT022", "the bucket's name is not a possible one", "check source.bucket")
    if isinstance(error, known.SSLError):
        return Refusal("DAT020", f"no secure connection: {error}", "check source.endpoint")
    transport = (
        known.HTTPClientError,
        known.ConnectionError,
        known.IncompleteReadError,
        OSError,
    )
    if isinstance(error, transport) or type(error).__module__.startswith("urllib3"):
        return Refusal("DAT020", _silence(error), REACH, again=True, silent=True)
    if isinstance(error, ValueError):
        return Refusal("DAT020", str(error), "check source.endpoint: https://HOST[:PORT]")
    return Refusal("DAT024", f"{type(error).__name__}: {error}", _ODD)


REACH = "check source.endpoint, source.region and the network; start again to go on"
_ODD = "check that source.endpoint is an S3-compatible service"


def _silence(error: Exception) -> str:
    name = type(error).__name__
    if "Timeout" in name or isinstance(error, TimeoutError):
        return "no answer in time"
    return f"the connection failed ({name})"


def _answered(answer: dict[str, Any]) -> Refusal:
    told = answer.get("Error", {})
    status = str(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))
    code, message = str(told.get("Code", "")), str(told.get("Message", "")).strip()
    names = {code, status}
    cause = f"{code or status}{f': {message}' if message and message != code else ''}"
    if code in _NO_BUCKET.split():
        return Refusal("DAT022", cause, "check source.bucket, source.endpoint and source.region")
    if names & {*_ELSEWHERE.split()}:
        return Refusal("DAT022", cause, "set source.region to the region of the bucket")
    if names & {*_DENIED.split()}:
        return Refusal("DAT021", cause, "the credentials need to list the bucket and read objects")
    if names & {*_NO_OBJECT.split()}:
        return Refusal("DAT024", "the object is gone", "start again: it is listed anew")
    if names & {*_CHANGED.split()}:
        return Refusal("DAT024", "the object was replaced", "start again: it is listed anew")
    busy = bool(names & {*_BUSY.split()})
    return Refusal("DAT024", cause, REACH if busy else _ODD, again=busy)
