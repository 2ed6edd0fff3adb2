"""docs/reference/environment.md: the variables of the environment that are no settings."""

from __future__ import annotations

_TABLE = (
    (
        "imgcache",
        "IMGCACHE_*",
        "A setting: the key in capitals, `__` between levels ([configuration](configuration.md)).",
    ),
    ("imgcache", "IMGCACHE_CONFIG", "The file with the settings, as `--config`."),
    ("imgcache", "IMGCACHE_CACHE", "The cache folder, or the URL of an object store, as `--cache`."),
    ("imgcache", "IMGCACHE_SITE", "The folder of the site for servers that run `imgcache.server:app`."),
    ("terminal", "NO_COLOR", "Set to anything, the output has no colours."),
    ("terminal", "_IMGCACHE_COMPLETE", "Set by the scripts of `imgcache completion`."),
    ("network", "SSL_CERT_FILE", "A file with the certificates of the authorities that are trusted."),
    ("network", "SSL_CERT_DIR", "A folder with them."),
    ("network", "HTTP_PROXY", "The proxy for http addresses. Lower case is read as well, as for the next two."),
    ("network", "HTTPS_PROXY", "The proxy for https addresses."),
    ("network", "NO_PROXY", "Hosts that are asked without a proxy, separated by commas."),
    (
        "object store",
        "AWS_*",
        "Credentials, region and `AWS_ENDPOINT_URL` of `s3://` caches, as Amazon documents them.",
    ),
    ("object store", "GOOGLE_*", "Credentials of `gs://` caches, as Google documents them."),
    ("object store", "AZURE_*", "Credentials of `az://` caches, as Microsoft documents them."),
    ("endpoint", "PROMETHEUS_MULTIPROC_DIR", "Where workers add their metrics up. `imgcache serve --workers` sets it."),
    ("other", "TMPDIR", "The folder for temporary files."),
    ("other", "WATCHFILES_FORCE_POLLING", "`1`: `imgcache watch` asks the disk again and again."),
)


def page() -> str:
    """Returns the page."""
    lines = [
        "# Environment",
        "",
        "Credentials belong in the environment; they are never read from imgcache.yml and never",
    ]
    lines += ["written to a report or the log.", "", "| for | variable | meaning |", "|---|---|---|"]
    lines += [f"| {group} | `{name}` | {text} |" for group, name, text in _TABLE]
    return "\n".join(lines) + "\n"
