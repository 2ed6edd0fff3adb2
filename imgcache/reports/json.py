"""JSON for scripts: the object that `Audit.to_json` promises, indented so that two reports can be compared by line."""

from __future__ import annotations

import re

import msgspec

from imgcache.findings import Audit
from imgcache.reports.context import Context

# Legal in JSON, and read by terminals as commands or as a change of direction; they occur within strings alone.
_ACTIVE = re.compile("[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


def render(audit: Audit, _context: Context) -> str:
    """One object and a newline; no character in it acts on a terminal."""
    text = msgspec.json.format(audit.to_json(), indent=2).decode()
    return _ACTIVE.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"
