"""Header fields: those of requests, and what is read from those of responses."""

from __future__ import annotations

from multidict import MultiMapping

from imgcache.core import BadRedirect, ConfigError, Validators, clean_text, join_url
from imgcache.core.version import __version__

ACCEPT = "image/avif,image/webp,image/png,image/jpeg,image/gif,image/*;q=0.8"
ACCEPT_TEXT = "text/plain,*/*;q=0.5"
MAX_VALIDATOR_LENGTH = 1024  # characters; a longer one is not kept
REDIRECTS = frozenset({301, 302, 303, 307, 308})


def request_headers(user_agent: str) -> dict[str, str]:
    """Return the fields of every request.

    `Accept-Encoding: identity` is needed: without it a server may choose any coding (RFC 9110, section 12.5.3).

    Args:
        user_agent: empty for the default.

    Raises:
        ConfigError: the user agent cannot be sent.
    """
    agent = user_agent or f"imgcache/{__version__}"
    if not (agent.isascii() and agent.isprintable()):
        raise ConfigError(
            f"{clean_text(agent, 60)} does not fit into a header: use printable ASCII", where="user_agent"
        )
    return {"User-Agent": agent, "Accept": ACCEPT, "Accept-Encoding": "identity"}


def conditional_headers(validators: Validators) -> dict[str, str]:
    """Return the fields that make a request conditional (RFC 9110, section 13.1)."""
    pairs = {"If-None-Match": validators.etag, "If-Modified-Since": validators.last_modified}
    return {name: value for name, value in pairs.items() if value is not None}


def sendable(validators: Validators) -> Validators:
    """Return the validators without those that do not fit into a header. They come from servers: never trust them."""

    def keep(text: str | None) -> str | None:
        fits = text and len(text) <= MAX_VALIDATOR_LENGTH and text.isascii() and text.isprintable()
        return text if fits else None

    return Validators(keep(validators.etag), keep(validators.last_modified))


def validators(headers: MultiMapping[str]) -> Validators:
    """Return the validators of a response (RFC 9110, section 8.8) that can be sent back."""
    return sendable(Validators(headers.get("etag"), headers.get("last-modified")))


def robots_tag(headers: MultiMapping[str]) -> str | None:
    """Return all X-Robots-Tag fields as one text, cleaned and at most 500 characters long."""
    values = headers.getall("x-robots-tag", ())
    return clean_text(", ".join(values), 500) if any(values) else None


def cookies(headers: MultiMapping[str]) -> set[str]:
    """Return the names of the cookies that a response sets (RFC 6265, section 5.2), cleaned."""
    names = (value.partition(";")[0].partition("=")[0].strip() for value in headers.getall("set-cookie", ()))
    return {clean_text(name, 80) for name in names if name}


def redirect_target(status: int, headers: MultiMapping[str], url: str) -> str:
    """Return the absolute URL that a redirect from `url` leads to.

    Raises:
        BadRedirect: there is no Location.
        ImageError: the Location is not a URL that may be requested.
    """
    location = headers.get("location")
    if not location:
        raise BadRedirect(f"status {status} without a Location")
    return join_url(url, location)
