"""Connects to a bucket by its URL and the environment.

Credentials and endpoint come from the environment as each provider documents it (`AWS_ENDPOINT_URL`,
`AWS_ACCESS_KEY_ID`, `GOOGLE_SERVICE_ACCOUNT`, `AZURE_STORAGE_ACCOUNT_NAME`, …).
"""

from __future__ import annotations

import os
import re
from datetime import timedelta
from importlib.util import find_spec
from typing import Any

from imgcache.cache.store.bucket import Bucket
from imgcache.cache.store.bucket_errors import reason
from imgcache.core import ConfigError

# No user, no query, no fragment: URLs may hold credentials there.
_PLACE = re.compile(r"(?:s3|gs|az)://[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9._~!()'+=,@-]+)*/?|file:///[^?#]*")
_RETRIES = {"max_retries": 5, "retry_timeout": timedelta(seconds=60)}
# Client options that the environment may set, after AWS_, GOOGLE_ or AZURE_. Options that are passed to obstore replace
# all of them, so these must be passed with any other.
_PREFIXES = {"s3": "AWS_", "gs": "GOOGLE_", "az": "AZURE_"}
_CLIENT_OPTIONS = ("allow_http", "allow_invalid_certificates", "connect_timeout", "proxy_ca_certificate",
                   "proxy_excludes", "proxy_url", "timeout", "user_agent")  # fmt: skip


def check_bucket_url(url: str) -> str:
    """Returns the URL of a place in an object store, without a trailing slash.

    Raises:
        ConfigError: it is not such a URL, or the extra `scale` is not installed.
    """
    if not _PLACE.fullmatch(url) or "/../" in f"{url}/":
        shape = "s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX or file:///FOLDER"
        raise ConfigError(f"not a URL of the form {shape}; credentials belong in the environment", where="--cache")
    if find_spec("obstore") is None:
        raise ConfigError("an object store needs `pip install 'imgcache[scale]'`", where="--cache")
    return url.rstrip("/")


def connect_bucket(url: str, *, patience: float | None = None) -> Bucket:
    """Returns the bucket at a URL. Sends no request yet.

    Args:
        url: of the place.
        patience: seconds for one request, and for all its retries. None: 30 and 60 seconds.

    Raises:
        ConfigError: the URL or the environment is incomplete, or the extra `scale` is not installed.
    """
    place = check_bucket_url(url)
    from obstore.exceptions import BaseError
    from obstore.store import LocalStore, from_url

    options: dict[str, Any] = {"retry_config": _RETRIES}
    if patience is not None:
        seconds = timedelta(seconds=patience)
        options = {"retry_config": _RETRIES | {"retry_timeout": seconds}}
        options["client_options"] = {"timeout": seconds} | _client_options(place)
    try:
        if place.startswith("file:"):
            return Bucket(LocalStore.from_url(place, mkdir=True), place)
        return Bucket(from_url(place, **options), place)
    except (BaseError, ValueError, OSError) as error:
        raise ConfigError(reason(error), where=place) from None


def _client_options(place: str) -> dict[str, str]:
    names = {name: _PREFIXES.get(place[:2], "") + name.upper() for name in _CLIENT_OPTIONS}
    return {name: os.environ[key] for name, key in names.items() if key in os.environ}
