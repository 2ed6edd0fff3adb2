"""The search of a gallery page: parsed from the query string and written into links. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote, urlencode

import msgspec

PAGE = 60  # tiles: a multiple of 2, 3, 4, 5 and 6 columns
_MAX_TEXT = 300  # characters of a search
_MAX_WORDS = 8
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
    """A search with its order and page. Empty strings do not filter; pages count from 1."""

    words: str = ""
    state: str = ""  # a key of STATES
    problem: str = ""  # a code, or "any"
    host: str = ""
    sort: str = "newest"
    page: int = 1

    @classmethod
    def of(cls, query: Mapping[str, list[str]]) -> Search:
        """Parses a query string; invalid values are ignored."""

        def last(name: str) -> str:
            values = query.get(name)
            return values[-1].strip()[:_MAX_TEXT] if values else ""

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
        """The words, all of which must match."""
        return self.words.casefold().split()[:_MAX_WORDS]

    @property
    def is_narrowed(self) -> bool:
        """Whether any filter is set."""
        return bool(self.words or self.state or self.problem or self.host)

    def changed(self, **changes: str | int) -> Search:
        """Returns the search with other values, on its first page."""
        return msgspec.structs.replace(self, **{"page": 1, **changes})

    def link(self, **changes: str | int) -> str:
        """Returns the path of this search with other values."""
        query = urlencode(self.changed(**changes).fields())
        return f"/?{query}" if query else "/"

    def image(self, url: str) -> str:
        """Returns the path of an image's page that links back to this search."""
        return image_link(url, {"page": str(self.page), **self.fields()} if self.page > 1 else self.fields())

    def back(self) -> str:
        """Returns the path of this search on the same page."""
        return self.link(page=self.page)

    def fields(self) -> dict[str, str]:
        """Returns the query parameters, without those that have their default."""
        values = {"q": self.words, "state": self.state, "problem": self.problem, "host": self.host}
        values["sort"] = "" if self.sort == "newest" else self.sort
        values["page"] = "" if self.page == 1 else str(self.page)
        return {name: value for name, value in values.items() if value}


def image_link(url: str, fields: Mapping[str, str] | None = None) -> str:
    """Returns the path of an image's page; percent-encoded, it is safe in HTML and in headers."""
    rest = f"&{urlencode(fields)}" if fields else ""
    return f"/gallery/image?url={quote(url, safe='', errors='replace')}{rest}"
