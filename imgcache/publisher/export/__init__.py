"""Texts that the build of a site or a web server needs to show cached images: one file a target. Pure."""

from __future__ import annotations

from importlib.resources import files

from imgcache.publisher.signature import with_signature


def template(name: str, target: str) -> str:
    """Returns a template of the package with the signature of `target` in it."""
    text = files(__name__).joinpath("templates", name).read_text(encoding="utf-8")
    return text.replace("@SIGNED@", with_signature(target))
