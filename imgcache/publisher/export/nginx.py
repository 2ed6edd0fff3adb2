"""nginx: a file for conf.d with one server that serves the files and passes all other requests to the endpoint."""

from __future__ import annotations

from imgcache.core import BROWSER_FORMATS, FORMATS
from imgcache.publisher.export import template
from imgcache.publisher.export.web_servers import HEADERS, LASTING, PATH, WebServer

# Debian's mime.types does not know AVIF; only types that browsers show safely get their own media type.
_TYPES = {one.media_type: one.extensions[0] for name, one in FORMATS.items() if name in BROWSER_FORMATS}
_NO_GALLERY = """
    # The gallery names articles and drafts. To publish it: `serve: {gallery: on}` in imgcache.yml, and export anew.
    location = / {
        return 404;
    }
    location /gallery/ {
        return 404;
    }
"""


def configuration(front: WebServer) -> str:
    """Returns the text of the configuration."""
    listen = [front.listen, f"[::]:{front.listen}"] if front.listen.isdigit() else [front.listen]
    values = {
        "@UPSTREAM@": front.upstream if ":" in front.upstream.rpartition("]")[2] else _with_port(front),
        "@SCHEME@": front.scheme,
        "@LISTEN@": "\n    ".join(f"listen {address};" for address in listen),
        "@NAMES@": " ".join(front.names) or "_",
        "@ROOT@": front.root,
        "@PATH@": PATH,
        "@TYPES@": "\n            ".join(f"{media_type} {extension};" for media_type, extension in _TYPES.items()),
        "@GALLERY@": "" if front.shows_gallery else _NO_GALLERY,
        "@LASTING@": LASTING,
        "@HEADERS@": "\n        ".join(f'add_header {name} "{value}" always;' for name, value in HEADERS.items()),
    }
    text = template("nginx.conf", "nginx")
    for place, value in values.items():
        text = text.replace(place, value)
    return text


def _with_port(front: WebServer) -> str:
    """Returns the upstream with a port, since `server` in an upstream block means port 80 even for https."""
    return f"{front.upstream}:{443 if front.scheme == 'https' else 80}"
