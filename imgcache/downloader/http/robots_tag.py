"""The X-Robots-Tag field: what a server asks of those who use an image. Pure.

Syntax as Google documents it (developers.google.com/search/docs/crawling-indexing/robots-meta-tag): `[agent:] rule,
rule`, in as many fields as one likes; `noai` and `noimageai` are DeviantArt's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

FORBIDDING = frozenset({"noimageindex", "noai", "noimageai", "none"})
# Rules whose value stands after a colon, where others have an agent's name before it.
_WITH_VALUE = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})
_NAMED = re.compile(r"([A-Za-z0-9_.*-]+)\s*:\s*(.*)", re.DOTALL)


def forbidden_by(fields: Iterable[str], token: str) -> str | None:
    """The rule that asks all, or `token` (in lower case), not to keep a copy of this image; None where there is none.

    A name is for the rest of its field, or until the next name.
    """
    for field in fields:
        for_us = True
        for part in field.split(","):
            rule = part.strip().lower()
            named = _NAMED.fullmatch(rule)
            if named and named[1] not in _WITH_VALUE:
                for_us = named[1] in {token, "*"}
                rule = named[2].strip()
            if for_us and rule in FORBIDDING:
                return rule
    return None
