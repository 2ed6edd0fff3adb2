"""What a visitor of the gallery asks for, read from the address and written back into links. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote, urlencode

import msgspec

PAGE = 60  # tiles: a multiple of 2, 3, 4, 5 and 6 columns
_LONGEST = 300  # characters of a search
_MOST_WORDS = 8
_LAST_PAGE = 1_000_000
ANY_PROBLEM = "any"


class Sort(NamedTuple):
    """One order of the images: its label, and the columns in SQL."""

    label: str
    columns: str


SORTS = {
    "newest": Sort("Newest first", "time IS NULL, time DESC"),
    "oldest": Sort("Oldest first", "time IS NULL, time"),
    "largest": Sort("Largest first", "bytes IS NULL, bytes DESC"),
    "smallest": Sort("Smallest first", "bytes IS NULL, bytes"),
    "saved": Sort("Most saved", "light IS NULL, bytes - light DESC"),
    "most-used": Sort("Most used", "uses IS NULL, uses DESC"),
    "least-used": Sort("Least used", "uses IS NULL, uses"),
    "url": Sort("By address", "url"),
}
STATES = {
    "held": "Held",
    "failing": "Failing",
    "waiting": "Waiting",
    "forgotten": "Forgotten",
    "unused": "Unused",
}


class Search(msgspec.Struct, frozen=True):
    """One view of the images. Empty texts ask for nothing; pages count from 1."""

    words: str = ""
    state: str = ""  # a key of STATES
    problem: str = ""  # a code, or "any"
    host: str = ""
    sort: str = "newest"
    page: int = 1

    @classmethod
    def of(cls, query: Mapping[str, list[str]]) -> Search:
        """What a query string asks for; whatever makes no sense is as if it were not there."""

        def last(name: str) -> str:
            values = query.get(name)
            return values[-1].strip()[:_LONGEST] if values else ""

        state, sort, page = last("state"), last("sort"), last("page")
        number = int(page) if page.isascii() and page.isdecimal() else 1
        return cls(
            words=last("q"),
            state=state if state in STATES else "",
            problem=last("problem"),
            host=last("host"),
            sort=sort if sort in SORTS else "newest",
            page=min(max(number, 1), _LAST_PAGE),
        )

    @property
    def terms(self) -> list[str]:
        """The words, each of which must be found."""
        return self.words.casefold().split()[:_MOST_WORDS]

    @property
    def is_narrowed(self) -> bool:
        """Whether not every image is asked for."""
        return bool(self.words or self.state or self.problem or self.host)

    def changed(self, **changes: str | int) -> Search:
        """The same search with other values, from its first page on."""
        return msgspec.structs.replace(self, **{"page": 1, **changes})

    def link(self, **changes: str | int) -> str:
        """The address of this search, or of one that differs in these values."""
        query = urlencode(self.changed(**changes).fields())
        return f"/?{query}" if query else "/"

    def image(self, url: str) -> str:
        """The address of an image's page, from which this search can be gone back to."""
        return image_link(url, {"page": str(self.page), **self.fields()} if self.page > 1 else self.fields())

    def back(self) -> str:
        """The address of this very page of the search."""
        return self.link(page=self.page)

    def fields(self) -> dict[str, str]:
        """The query that asks for this, without what is so anyway."""
        values = {"q": self.words, "state": self.state, "problem": self.problem, "host": self.host}
        values["sort"] = "" if self.sort == "newest" else self.sort
        values["page"] = "" if self.page == 1 else str(self.page)
        return {name: value for name, value in values.items() if value}


def image_link(url: str, fields: Mapping[str, str] | None = None) -> str:
    """The address of an image's page. `quote` leaves nothing that HTML or a header would read otherwise."""
    rest = f"&{urlencode(fields)}" if fields else ""
    return f"/gallery/image?url={quote(url, safe='', errors='replace')}{rest}"
