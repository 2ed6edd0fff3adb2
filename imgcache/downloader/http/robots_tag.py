"""Reads the X-Robots-Tag field, by which a server limits the use of an image. Pure.

The syntax is documented by Google (developers.google.com/search/docs/crawling-indexing/robots-meta-tag): `[agent:]
rule, rule`, in any number of fields; `noai` and `noimageai` come from DeviantArt.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

FORBIDDING = frozenset({"noimageindex", "noai", "noimageai", "none"})
# In these rules the colon separates a value; in others it follows the name of an agent.
_WITH_VALUE = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})
_NAMED = re.compile(r"([A-Za-z0-9_.*-]+)\s*:\s*(.*)", re.DOTALL)


def forbidden_by(fields: Iterable[str], token: str) -> str | None:
    """Return the rule that forbids a copy of this image, None where there is none.

    The name of an agent applies to the rest of its field, or until the next name.

    Args:
        fields: the values of all X-Robots-Tag fields.
        token: our product token, in lower case; rules without an agent or with `*` apply too.
    """
    for field in fields:
        applies = True
        for part in field.split(","):
            rule = part.strip().lower()
            named = _NAMED.fullmatch(rule)
            if named and named[1] not in _WITH_VALUE:
                applies = named[1] in {token, "*"}
                rule = named[2].strip()
            if applies and rule in FORBIDDING:
                return rule
    return None
