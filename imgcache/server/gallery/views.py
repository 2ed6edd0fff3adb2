"""Prepares the values of the gallery's templates: formatted texts and escaped links. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import quote, unquote

from imgcache.core import Size, clean_text, format_bytes, plural, problem_name
from imgcache.server.gallery.database import Overview, SearchResult, Tile
from imgcache.server.gallery.loader import LIGHT_WIDTH
from imgcache.server.gallery.search import ANY_PROBLEM, PAGE, SORTS, STATES, Search


class Picture(NamedTuple):
    """An `<img>`. `colour` is a class of the generated style sheet, "" for none."""

    src: str
    width: int
    height: int
    colour: str


class Card(NamedTuple):
    """One tile of the grid."""

    link: str
    name: str
    host: str
    facts: str
    picture: Picture | None
    badge: str
    code: str
    severity: str
    state: str
    article: str


class FilterLink(NamedTuple):
    """A link that sets or removes a filter. `code` is that of a problem."""

    label: str
    number: str
    link: str
    is_on: bool
    code: str = ""


class Figure(NamedTuple):
    """One total with its name."""

    name: str
    value: str
    note: str


class Grid(NamedTuple):
    """The page of the grid."""

    search: Search
    figures: list[Figure]
    states: list[FilterLink]
    problems: list[FilterLink]
    hosts: list[str]
    sorts: list[tuple[str, str]]
    summary: str
    cards: list[Card]
    colours: str
    previous: str
    next: str
    page: str
    hidden: dict[str, str]


def grid(overview: Overview, found: SearchResult, search: Search) -> Grid:
    """Returns the values of the grid's template."""
    cards = [_card(tile, search) for tile in found.tiles]
    pages = max(-(-found.number // PAGE), 1)
    return Grid(
        search=search,
        figures=figures(overview),
        states=_states(overview, search),
        problems=_problems(overview, search),
        hosts=[*overview.hosts, *([search.host] if search.host and search.host not in overview.hosts else [])],
        sorts=[(key, sort.label) for key, sort in SORTS.items()],
        summary=_summary(overview, found.number, search),
        cards=cards,
        colours=stylesheet(card.picture for card in cards),
        previous=search.link(page=min(search.page - 1, pages)) if search.page > 1 else "",
        next=search.link(page=search.page + 1) if search.page < pages else "",
        page=f"Page {search.page:,} of {pages:,}" if pages > 1 else "",
        hidden={name: value for name, value in search.fields().items() if name in ("state", "problem")},
    )


def figures(overview: Overview) -> list[Figure]:
    """Returns the totals at the head of the page."""
    totals = overview.totals
    note = "all cached" if totals.held == totals.images else f"{totals.held:,} cached"
    return [
        Figure("Images", f"{totals.images:,}", note if totals.images else ""),
        Figure("Hosts", f"{totals.hosts:,}", ""),
        Figure("Originals", format_bytes(totals.before), ""),
        Figure(f"Served at {LIGHT_WIDTH} px", format_bytes(totals.after), share(totals.before, totals.after)),
    ]


def colours_css(requested: str) -> str:
    """Returns a style sheet with a class for each colour of `aabbcc-ddeeff`: the policy forbids `style` attributes."""
    colours = dict.fromkeys(part for part in requested.lower().split("-")[: 2 * PAGE] if _is_colour(part))
    return "".join(f".c-{colour}{{background-color:#{colour}}}\n" for colour in colours)


def _is_colour(text: str) -> bool:
    return len(text) == 6 and set(text) <= set("0123456789abcdef")


def stylesheet(pictures: Iterable[Picture | None]) -> str:
    """Returns the path of the style sheet with the colours of these pictures, "" if there are none."""
    colours = sorted({one.colour for one in pictures if one and one.colour})
    return f"/gallery/colours.css?c={'-'.join(colours)}" if colours else ""


def colour_of(color: str | None) -> str:
    """Returns `aabbcc` for `#AABBCC`, "" for anything else."""
    text = (color or "").lower().removeprefix("#")
    return text if _is_colour(text) else ""


def asset_link(path: str) -> str:
    """Returns the path at which the endpoint serves a file of the cache."""
    return "/" + quote(path.lstrip("/"))


def name_of(url: str) -> str:
    """Returns a short name of an image: the last segment of its path."""
    path = url.partition("#")[0].partition("?")[0].rstrip("/")
    return clean_text(unquote(path.rpartition("/")[2]) or url, 120)


def _card(tile: Tile, search: Search) -> Card:
    picture = None
    if tile.thumb and tile.thumb_width and tile.thumb_height:
        picture = Picture(asset_link(tile.thumb), tile.thumb_width, tile.thumb_height, colour_of(tile.color))
    facts = []
    if tile.width and tile.height and tile.bytes is not None:
        facts += [str(Size(tile.width, tile.height)), format_bytes(tile.bytes).replace(" ", "\u00a0")]
    if tile.uses is not None:
        facts.append("unused" if tile.uses == 0 else "1\u00a0use" if tile.uses == 1 else f"{tile.uses:,}\u00a0uses")
    badge = problem_name(tile.code, tile.status) if tile.code else "" if tile.state == "held" else STATES[tile.state]
    return Card(
        link=search.image(tile.url),
        name=name_of(tile.url),
        host=clean_text(tile.host, 80),
        facts=" · ".join(facts),
        picture=picture,
        badge=badge,
        code=tile.code or "",
        severity=tile.severity or ("note" if badge else ""),
        state=tile.state,
        article=clean_text(tile.article or "", 120),
    )


def _states(overview: Overview, search: Search) -> list[FilterLink]:
    links = [
        FilterLink("All", f"{overview.totals.images:,}", search.link(state="", problem=""), is_on=not search.state)
    ]
    for key, label in STATES.items():
        if count := overview.states.get(key, 0):
            is_on = search.state == key
            links.append(FilterLink(label, f"{count:,}", search.link(state="" if is_on else key), is_on))
    return links


def _problems(overview: Overview, search: Search) -> list[FilterLink]:
    links = []
    if overview.images_with_problems:
        is_on = search.problem == ANY_PROBLEM
        link = search.link(problem="" if is_on else ANY_PROBLEM)
        links.append(FilterLink("Any problem", f"{overview.images_with_problems:,}", link, is_on))
    for code, count in overview.problems.items():
        is_on = search.problem == code
        link = search.link(problem="" if is_on else code)
        links.append(FilterLink(problem_name(code), f"{count:,}", link, is_on, clean_text(code, 40)))
    return links


def _summary(overview: Overview, count: int, search: Search) -> str:
    images = plural(count, "image")
    if not search.is_narrowed:
        return images
    return f"{images} of {overview.totals.images:,}" if count else "No image matches"


def share(before: int, after: int) -> str:
    """Returns the difference such as `−74 %`, "" if nothing is saved."""
    if before <= 0 or after >= before:
        return ""
    return f"−{100 * (before - after) / before:.0f} %"
