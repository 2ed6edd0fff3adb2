"""Decides which certificate authorities are trusted."""

from __future__ import annotations

import os
import pathlib
import ssl

import certifi

from imgcache.core import ConfigError


def ssl_context() -> ssl.SSLContext:
    """Return a verifying context.

    It trusts `SSL_CERT_FILE` or `SSL_CERT_DIR` where set, else the system's store, else that of certifi. OpenSSL itself
    reads both variables, in place of its built-in paths (SSL_CTX_set_default_verify_paths(3)). With a path that does
    not exist it would silently trust nobody.

    Raises:
        ConfigError: a variable names a path that does not exist, or the certificates cannot be read.
    """
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        path = os.environ.get(name)
        if path and not any(pathlib.Path(part).exists() for part in path.split(os.pathsep)):
            raise ConfigError(f"{path} does not exist; name the file or folder that holds the certificates", where=name)
    paths = ssl.get_default_verify_paths()
    # Each may be None, though typeshed denies it.
    stores = [pathlib.Path(path) for path in (paths.cafile, paths.capath) if path]
    has_system_store = any(store.is_file() or any(store.iterdir()) for store in stores)
    try:
        context = ssl.create_default_context(cafile=None if has_system_store else certifi.where())
    except (ssl.SSLError, OSError) as error:
        raise ConfigError(f"the certificates cannot be read: {error}", where="SSL_CERT_FILE") from error
    # The subject's name "MUST NOT be used by clients" (RFC 9110, section 4.3.4); OpenSSL does by default.
    context.hostname_checks_common_name = False
    context.set_alpn_protocols(["http/1.1"])
    return context
