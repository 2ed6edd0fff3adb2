"""Addresses that look like images and that no setting says to read."""

from __future__ import annotations

import msgspec

from imgcache.core.models import Place
from imgcache.core.units import plural
from imgcache.core.urls import clean_text


class UnreadAddresses(msgspec.Struct, frozen=True):
    """Addresses in front matter and data files that look like images and are not read.

    Attributes:
        count: how many there are.
        places: the first of them, by article.
    """

    count: int = 0
    places: tuple[Place, ...] = ()

    def describe(self) -> str:
        """Returns one line for people; "" where there is nothing to say."""
        if not self.count:
            return ""
        verb = "looks like an image and is" if self.count == 1 else "look like images and are"
        where = ", ".join(f"{clean_text(one.article, 300)}:{one.line}:{one.column}" for one in self.places)
        more = f" and {self.count - len(self.places):,} more" if self.count > len(self.places) else ""
        addresses = f"{plural(self.count, 'address', 'addresses')} in front matter or data files"
        return f"{addresses} {verb} not read: {where}{more}; see `fields` in imgcache.yml, and `imgcache scan`"
