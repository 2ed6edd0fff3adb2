"""Whose certificates are trusted."""

from __future__ import annotations

import os
import pathlib
import ssl

import certifi

from imgcache.core import ConfigError


def ssl_context() -> ssl.SSLContext:
    """A verifying context: `SSL_CERT_FILE` or `SSL_CERT_DIR` where set, else the system's store, else certifi's.

    OpenSSL itself reads both variables, in place of its built-in paths (SSL_CTX_set_default_verify_paths(3)); a
    variable that leads nowhere would silently leave no roots at all, hence ConfigError.
    """
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        path = os.environ.get(name)
        if path and not any(pathlib.Path(part).exists() for part in path.split(os.pathsep)):
            raise ConfigError(f"{path} does not exist; name the file or folder that holds the certificates", where=name)
    paths = ssl.get_default_verify_paths()
    places = [pathlib.Path(place) for place in (paths.cafile, paths.capath) if place]  # typeshed: never None; it may be
    system = any(place.is_file() or any(place.iterdir()) for place in places)
    try:
        context = ssl.create_default_context(cafile=None if system else certifi.where())
    except (ssl.SSLError, OSError) as error:
        raise ConfigError(f"the certificates cannot be read: {error}", where="SSL_CERT_FILE") from error
    # The subject's name "MUST NOT be used by clients" (RFC 9110, section 4.3.4); OpenSSL falls back on it by default.
    context.hostname_checks_common_name = False
    context.set_alpn_protocols(["http/1.1"])
    return context
