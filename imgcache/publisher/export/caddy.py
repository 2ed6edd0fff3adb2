"""Caddy: a Caddyfile with one site that serves the files and passes all other requests to the endpoint."""

from __future__ import annotations

from imgcache.publisher.export import template
from imgcache.publisher.export.web_servers import HEADERS, LASTING, PATH, WebServer

_NO_GALLERY = """
	# The gallery names articles and drafts. To publish it: `serve: {gallery: on}` in imgcache.yml, and export anew.
	@gallery path / /gallery/*
	handle @gallery {
		respond 404
	}
"""


def configuration(front: WebServer) -> str:
    """Returns the text of the Caddyfile. Caddy gets certificates for names itself; without names it is plain HTTP."""
    port = f":{front.listen}" if front.listen.isdigit() else front.listen
    headers = {"Cache-Control": LASTING, **HEADERS}
    values = {
        "@ADDRESS@": ", ".join(front.names) or f"http://{port}",
        "@ROOT@": front.root,
        "@PATH@": PATH,
        "@HEADERS@": "\n\t\t\t".join(f'{name} "{value}"' for name, value in headers.items()),
        "@GALLERY@": "" if front.shows_gallery else _NO_GALLERY,
        "@UPSTREAM@": f"{front.scheme}://{front.upstream}",
    }
    text = template("Caddyfile", "caddy")
    for place, value in values.items():
        text = text.replace(place, value)
    return text
