"""S3 by URI: what may follow the path after `?`, and which environment variables count.

    s3://bucket/prefix?region=eu-west-1&endpoint_override=http://127.0.0.1:9000&anonymous=true

pyarrow's own URIs know no anonymous access and its S3 client does not look at AWS_ENDPOINT_URL (apache/arrow#49643), so
the client is built here. Keys are found as everywhere: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN,
~/.aws/credentials, the machine's role; they are never part of a URI, since URIs are written into ledgers and reports.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from pyarrow import fs

from mdfs.errors import UsageError


def _switch(said: str) -> bool:
    if said not in ("true", "false"):
        raise ValueError(said)
    return said == "true"


#: Options that may follow `?`, with what reads their value. The names are those of `pyarrow.fs.S3FileSystem`.
_OPTIONS: dict[str, Callable[[str], Any]] = {
    "region": str,
    "endpoint_override": str,
    "scheme": str,
    "anonymous": _switch,
    "force_virtual_addressing": _switch,
    "allow_bucket_creation": _switch,
    "request_timeout": float,
    "connect_timeout": float,
}
#: Seconds without an answer after which a request counts as lost; pyarrow's own are 3 and 1, which a slow store misses.
_TIMEOUTS = {"request_timeout": 60.0, "connect_timeout": 10.0}


def is_s3(uri: str) -> bool:
    """Whether a URI is one of S3."""
    return uri.startswith("s3://")


def s3(uri: str) -> tuple[fs.FileSystem, str]:
    """The client and the path (`bucket/key`) that an s3:// URI means.

    Raises:
        UsageError: an option that is none, keys in the URI, or a bucket whose region cannot be found out.
    """
    parts = urlsplit(uri)
    if "@" in parts.netloc:
        raise UsageError(f"s3://…@{parts.hostname}: keys do not belong into a URI; set AWS_ACCESS_KEY_ID and so on")
    path = (parts.netloc + parts.path).rstrip("/")
    if not parts.netloc:
        raise UsageError(f"{uri}: names no bucket; write s3://bucket/path")
    said: dict[str, Any] = {**_TIMEOUTS, **options(uri)}
    endpoint = endpoint_of(uri)
    if endpoint:
        said["endpoint_override"] = endpoint
    said.setdefault("region", _region(parts.netloc, endpoint))
    try:
        return fs.S3FileSystem(**said), path
    except (ValueError, OSError) as error:
        raise UsageError(f"{uri}: cannot be reached ({error})") from None


def options(uri: str) -> dict[str, Any]:
    """What stands after `?`, checked.

    Raises:
        UsageError: an option that is none or has a value that is none.
    """
    found = {}
    for key, value in parse_qsl(urlsplit(uri).query, keep_blank_values=True):
        if key not in _OPTIONS:
            near = difflib.get_close_matches(key, _OPTIONS, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(_OPTIONS)}"
            raise UsageError(f"{uri}: no option of S3 is called {key!r}; {hint}")
        try:
            found[key] = _OPTIONS[key](value)
        except ValueError:
            raise UsageError(f"{uri}: {key} cannot be {value!r}") from None
    return found


def endpoint_of(uri: str) -> str:
    """The server that a URI or else the environment names; empty for Amazon's own."""
    named = str(options(uri).get("endpoint_override", ""))
    return named or os.environ.get("AWS_ENDPOINT_URL_S3", "") or os.environ.get("AWS_ENDPOINT_URL", "")


def _region(bucket: str, endpoint: str) -> str:
    """The region from the environment; any for a server of one's own; else the bucket's, asked from Amazon."""
    named = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if named or endpoint:
        return named or "us-east-1"
    try:
        return str(fs.resolve_s3_region(bucket))
    except OSError as error:
        hint = "check the name, or add ?region=… to it"
        raise UsageError(f"s3://{bucket}: its region cannot be found out ({error}); {hint}") from None


def prepare_session(uri: str) -> None:
    """Let the session of the local engine, which lives in this process, reach the same server as `s3` does.

    Sail takes server and region from these variables alone. What is set already stays.
    """
    if not is_s3(uri):
        return
    said, endpoint = options(uri), endpoint_of(uri)
    if endpoint:
        os.environ.setdefault("AWS_ENDPOINT_URL", endpoint)
        os.environ.setdefault("AWS_ENDPOINT", endpoint)
        os.environ.setdefault("AWS_ALLOW_HTTP", str(endpoint.startswith("http://")).lower())
    if endpoint or "region" in said:
        os.environ.setdefault("AWS_REGION", said.get("region", "us-east-1"))
