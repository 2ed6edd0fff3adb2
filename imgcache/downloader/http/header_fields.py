"""Header fields: what requests say, and what of a response's fields is kept."""

from __future__ import annotations

from multidict import MultiMapping

from imgcache import __version__
from imgcache.core import ConfigError, Validators, clean_text

ACCEPT = "image/avif,image/webp,image/png,image/jpeg,image/gif,image/*;q=0.8"
ACCEPT_TEXT = "text/plain,*/*;q=0.5"
LONGEST_VALIDATOR = 1024  # characters; a longer one is not kept


def of_request(user_agent: str) -> dict[str, str]:
    """What every request says. `identity`: without it a server may choose any coding (RFC 9110, section 12.5.3)."""
    agent = user_agent or f"imgcache/{__version__}"
    if not (agent.isascii() and agent.isprintable()):
        raise ConfigError(
            f"{clean_text(agent, 60)} does not fit into a header: use printable ASCII", where="user_agent"
        )
    return {"User-Agent": agent, "Accept": ACCEPT, "Accept-Encoding": "identity"}


def conditions(validators: Validators) -> dict[str, str]:
    """What makes a request conditional (RFC 9110, section 13.1)."""
    pairs = {"If-None-Match": validators.etag, "If-Modified-Since": validators.last_modified}
    return {name: value for name, value in pairs.items() if value is not None}


def fitting(validators: Validators) -> Validators:
    """Validators are a server's words: those that do not fit into a header are dropped, never sent."""

    def fits(text: str | None) -> str | None:
        good = text and len(text) <= LONGEST_VALIDATOR and text.isascii() and text.isprintable()
        return text if good else None

    return Validators(fits(validators.etag), fits(validators.last_modified))


def validators(headers: MultiMapping[str]) -> Validators:
    """The validators of a response (RFC 9110, section 8.8), as far as they can be sent back."""
    return fitting(Validators(headers.get("etag"), headers.get("last-modified")))


def robots_tag(headers: MultiMapping[str]) -> str | None:
    """X-Robots-Tag, all fields of that name in one, fit to be recorded."""
    values = headers.getall("x-robots-tag", ())
    return clean_text(", ".join(values), 500) if any(values) else None


def cookies(headers: MultiMapping[str]) -> set[str]:
    """The names of the cookies that a response sets (RFC 6265, section 5.2), fit to be shown."""
    names = (value.partition(";")[0].partition("=")[0].strip() for value in headers.getall("set-cookie", ()))
    return {clean_text(name, 80) for name in names if name}
