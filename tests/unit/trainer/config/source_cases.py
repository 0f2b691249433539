"""Jobs that break the rules on where samples lie, each with one that does not."""

from __future__ import annotations


def job(source: str, *more: str, dataset: str = "") -> str:
    """A job with one dataset of this source."""
    inner = f"{{id = 'a', source = {{{source}}}{dataset}}}"
    return "; ".join([f"data.datasets = [{inner}]", *more])


def two(first: str, second: str, *, role: str = "eval") -> str:
    """A job with two datasets."""
    a = f"{{id = 'a', source = {{{first}}}}}"
    return f"data.datasets = [{a}, {{id = 'b', role = '{role}', source = {{{second}}}}}]"


COLUMNS = "data.defaults.caption.source = 'table'"
S3 = "kind = 's3', bucket = 'photos'"
TAR = "kind = 'tar', path = 'a'"
TABLE = "kind = 'table', path = 'base.ckpt'"
HF = "kind = 'hf', path = 'owner/name'"
PLAIN = "data.datasets = [{id = 'a', path = 'a'}]"
LOCAL = "path = 'a'"

CASES: dict[str, list[tuple[str, str]]] = {
    "CFG180": [("data.datasets = [{id = 'a'}]", PLAIN)],
    "CFG181": [(job(LOCAL, dataset=", path = 'b'"), job(LOCAL))],
    "CFG182": [
        (job(f"{LOCAL}, bucket = 'photos'"), job(LOCAL)),
        (job(f"{S3}, path = 'a'"), job(f"{S3}, prefix = 'sets/', profile = 'me'")),
        (job(f"{TAR}, prefix = 'x'"), job(TAR)),
        (job(f"{TAR}, region = 'eu'"), job("kind = 'tar', path = 's3://x/y', region = 'eu'")),
        (job(f"{TABLE}, split = 'x'", COLUMNS), job(f"{TABLE}, prefix = 'x'", COLUMNS)),
        (job(f"{HF}, extension = '.png'", COLUMNS), job(f"{HF}, split = 'test'", COLUMNS)),
    ],
    "CFG183": [
        (job("kind = 's3', prefix = 'x'"), job(S3)),
        (job("kind = 'tar'"), job(TAR)),
        (job("kind = 'hf', path = ''", COLUMNS), job(HF, COLUMNS)),
    ],
    "CFG184": [
        (job(f"{S3}, profile = 'AKIAIOSFODNN7EXAMPLE'"), job(f"{S3}, profile = 'training'")),
        (job(f"{S3}, endpoint = 'https://me:word@host'"), job(f"{S3}, endpoint = 'https://host'")),
        (job("kind = 'tar', path = 's3://me:word@x/y'"), job("kind = 'tar', path = 's3://x/y'")),
    ],
    "CFG185": [
        (job(f"{S3}, endpoint = 'minio:9000'"), job(f"{S3}, endpoint = 'http://minio:9000'")),
        (job(f"{S3}, endpoint = 'http://[x'"), job(f"{S3}, endpoint = 'http://[::1]:9000'")),
    ],
    "CFG187": [
        (job(TABLE), job(TABLE, COLUMNS)),
        (job(HF, dataset=", caption = {source = 'json'}"), job(HF, COLUMNS)),
        (
            job(TABLE, "data.defaults.caption.source = 'filename'", dataset=", kind = 'caption'"),
            job(TABLE, COLUMNS, dataset=", kind = 'caption'"),
        ),
    ],
    "CFG188": [
        (job(f"{TABLE}, extension = 'png'", COLUMNS), job(f"{TABLE}, extension = '.png'", COLUMNS))
    ],
    "CFG189": [
        (
            job(TABLE, dataset=", role = 'mask', suffix = '.mask'"),
            job(TAR, dataset=", role = 'mask', suffix = '.mask'"),
        )
    ],
    "DAT001": [(job("path = 'none'"), job(LOCAL))],
    "DAT026": [
        (job("kind = 'tar', path = './none.tar'"), job("kind = 'tar', path = 's3://x/none.tar'")),
        (job("kind = 'table', path = 'none.csv'", COLUMNS), job(TABLE, COLUMNS)),
    ],
    "CFG095": [(two(S3, S3), two(S3, f"{S3}, prefix = 'held-out/'"))],
    "CFG097": [(two(TAR, TAR, role="train"), two(TAR, LOCAL, role="train"))],
}
