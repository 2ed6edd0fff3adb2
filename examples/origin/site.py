"""The answers for a site: every remote image that its articles name, of the size that they declare.

This reads articles in a second, simpler way than imgcache does, on purpose: what the one misses, the other shows.
"""

from __future__ import annotations

import contextlib
import html
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import yaml

from examples.origin.answers import DEFAULT_SIZE, Answer, Answers, normal, read_answers

_NEVER = {".git", "_site", "node_modules", "vendor", "cache"}
_FRONT = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)^---[ \t]*\r?$", re.DOTALL | re.MULTILINE)
_IN_BODY = (
    re.compile(r"!\[[^\]]*\]\(\s*<?([^\s)>]+)"),
    re.compile(r"^ {0,3}\[[^\]]+\]:\s*<?([^\s>]+)", re.MULTILINE),
    re.compile(r"<(?:img|source)\b[^>]*?\ssrc\s*=\s*[\"']?([^\"'\s>]+)", re.IGNORECASE),
    re.compile(r"\burl\(\s*[\"']?(https?:[^\"'()\s\\]+)", re.IGNORECASE),
)
_SRCSET = re.compile(r"\ssrcset\s*=\s*[\"']([^\"']+)[\"']", re.IGNORECASE)

Mention = tuple[str, tuple[int, int] | None]  # a URL, and the size that is declared for it


def answers_for(site: Path) -> Answers:
    """An answer for every remote image URL under `site`, then what `site/origin.yml` says otherwise.

    An image that nobody declares gets `DEFAULT_SIZE`; of several declared sizes the most frequent wins.
    """
    own = _own_address(site)
    declared: dict[str, Counter[tuple[int, int]]] = defaultdict(Counter)
    for path in sorted(site.rglob("*")):
        inside = path.relative_to(site).parts
        if path.suffix not in (".md", ".markdown", ".html") or _NEVER.intersection(inside):
            continue
        for url, size in mentions(path.read_text(encoding="utf-8", errors="replace")):
            if url.lower().startswith(("http://", "https://")) and not (own and url.startswith(own)):
                with contextlib.suppress(ValueError):  # no client can ask for it
                    declared[normal(html.unescape(url))].update([size] if size else [])  # as browsers ask for it
    answers = Answers(
        {key: Answer(size=(sizes.most_common(1) or [(DEFAULT_SIZE, 0)])[0][0]) for key, sizes in declared.items()}
    )
    if (misbehaviour := site / "origin.yml").is_file():
        for url, answer in read_answers(misbehaviour).items():
            answers.set(url, answer)
    return answers


def mentions(text: str) -> Iterator[Mention]:
    """Every image that an article's text names, with its declared size where there is a whole one."""
    front = _FRONT.match(text)
    if front:
        try:
            yield from _in_front_matter(yaml.load(front[1], yaml.CBaseLoader))
        except yaml.YAMLError:
            return
    body = text[front.end() :] if front else text
    for pattern in _IN_BODY:
        yield from ((html.unescape(found), None) for found in pattern.findall(body))
    for candidates in _SRCSET.findall(body):
        for candidate in html.unescape(candidates).split(","):
            yield from ((part, None) for part in candidate.split()[:1])


def _in_front_matter(node: object) -> Iterator[Mention]:
    if isinstance(node, list):
        for item in node:
            yield from _in_front_matter(item)
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        if key == "images" and isinstance(value, list):
            for entry in value:
                if isinstance(entry, str):
                    yield entry, None
                elif isinstance(entry, dict) and isinstance(entry.get("url"), str):
                    yield entry["url"], _size(entry)
        else:
            yield from _in_front_matter(value)


def _size(entry: dict[str, object]) -> tuple[int, int] | None:
    width, height = str(entry.get("width", "")), str(entry.get("height", ""))
    if width.isdecimal() and height.isdecimal() and int(width) and int(height):
        return int(width), int(height)
    return None


def _own_address(site: Path) -> str:
    """`url` and `baseurl` of Jekyll's _config.yml; "" where there is none."""
    config = site / "_config.yml"
    loaded = yaml.load(config.read_text(encoding="utf-8"), yaml.CBaseLoader) if config.is_file() else None
    if not isinstance(loaded, dict) or not loaded.get("url"):
        return ""
    return f"{loaded['url']}{loaded.get('baseurl') or ''}"
