"""The rules of a robots.txt that apply to one crawler (RFC 9309, section 2.2). Pure."""

from __future__ import annotations

import re

OURS = "imgcache"  # the name under which `relevant_rules` gives the rules that apply
_OTHERS = "?"  # not a possible product token
_PRODUCT = re.compile(r"[A-Za-z0-9_-]+")
_AGENT = re.compile(r"user(?:-|\s*)agent\b\s*:?\s*(.*)", re.IGNORECASE)


def product_token(user_agent: str) -> str:
    """Return the name by which a robots.txt addresses us (section 2.2.1): the beginning of the User-Agent."""
    found = _PRODUCT.match(user_agent)
    return found[0].lower() if found else OURS


def relevant_rules(body: bytes, token: str) -> str:
    """Reduce a robots.txt to a text that Protego parses in linear time; the groups for `token` are named `OURS`.

    The groups of all other crawlers get one common name: Protego copies each rule for each name, so that half a
    megabyte of names and rules would take hours and all memory. Names are compared whole and without regard to case. A
    web page, or anything with a NUL in it, has no rules.
    """
    text = body.decode("utf-8-sig", errors="replace")
    if "\0" in text or text.lstrip().startswith("<"):
        return ""
    return "\n".join(filter(None, (_normalize(line, token) for line in text.splitlines())))


def _normalize(line: str, token: str) -> str:
    text = line.partition("#")[0]
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    text = text.strip()
    agent = _AGENT.match(text)
    if not agent:
        return text
    name = agent[1]
    if name.startswith("*"):
        return "User-agent: *"
    found = _PRODUCT.match(name)
    return f"User-agent: {OURS if found and found[0].lower() == token else _OTHERS}"
