"""Generated front matter in YAML, TOML and JSON whose values are known, so that another parser can judge an edit."""

from __future__ import annotations

import copy
import datetime
import json
import tomllib
from collections.abc import Callable, Collection, Iterator
from typing import Any, NamedTuple

import yaml
from hypothesis import strategies as st

Values = dict[str, Any]

HELD = [f"https://pictures.example/{number}.png" for number in range(4)]
NEVER_HELD = "https://pictures.example/never.png"
SIZES = {url: (40 + 10 * number, 30 + number) for number, url in enumerate([*HELD, NEVER_HELD])}
FIELDS: dict[str, tuple[object, frozenset[str]]] = {
    "auto": ("auto", frozenset({"images", "related.images", "cover", "gallery", "params.hero"})),
    "list": (["cover.image", "gallery[].image_path"], frozenset({"images", "related.images", "cover", "gallery"})),
    "none": ("none", frozenset({"images", "related.images"})),
}  # what `fields` is set to, and the lists that are read of those named in FLAG
FLAG = sorted(FIELDS["auto"][1])
_URL_KEYS = {"images": "url", "related.images": "url", "cover": "image", "gallery": "image_path", "params.hero": "src"}

_WORDS = st.text(st.sampled_from("aé😀#=[]{},.'\"\\ \t-:0\n"), max_size=10)
_PLAIN = st.one_of(
    _WORDS,
    st.integers(-5, 1000),
    st.booleans(),
    st.floats(-9, 9),
    st.dates(datetime.date(1970, 1, 1)),
    st.datetimes(datetime.datetime(1970, 1, 1)),  # noqa: DTZ001 - local, as TOML has it
)


@st.composite
def _images(draw: st.DrawFn, field: str) -> Values:
    """One mapping with the URL of an image, the size that it has, and other keys, in any order."""
    url = draw(st.sampled_from([*HELD, NEVER_HELD]))
    pairs: Values = {_URL_KEYS[field]: url, "alt": draw(_WORDS)}
    for key, pixels in zip(("width", "height"), SIZES[url], strict=True):
        if draw(st.booleans()):
            pairs[key] = draw(st.sampled_from([pixels, str(pixels)]))
    if draw(st.booleans()):
        pairs["taken"] = draw(_PLAIN)
    return dict(draw(st.permutations(list(pairs.items()))))


def _lists(field: str) -> st.SearchStrategy[list[Any]]:
    return st.lists(_images(field), max_size=3)


@st.composite
def values(draw: st.DrawFn) -> Values:
    """The values of one front matter, in any order."""
    document: Values = {"title": draw(_WORDS), "thumbnail": HELD[0]}
    document |= {f"k{number}": value for number, value in enumerate(draw(st.lists(_PLAIN, max_size=3)))}
    document["images"] = draw(st.one_of(_lists("images"), st.lists(st.sampled_from(HELD), max_size=2)))
    document["gallery"] = draw(_lists("gallery"))
    document["cover"] = draw(_images("cover"))
    document["related"] = [{"title": draw(_WORDS), "images": draw(_lists("related.images"))}]
    document["params"] = {"draft": draw(_PLAIN), "hero": draw(_images("params.hero"))}
    return dict(draw(st.permutations(list(document.items()))))


def missized(values: Values, lists: Collection[str]) -> Values:
    """The values with sizes of another shape wherever a mapping of these lists declares both, written as they were."""
    return _with_sizes(values, lists, lambda size: (size[0] * 3, size[1]))


def sized(values: Values, lists: Collection[str]) -> Values:
    """The values with the true size at every such mapping whose image is held."""
    return _with_sizes(values, lists, lambda size: size, only=HELD)


def _with_sizes(
    values: Values,
    lists: Collection[str],
    change: Callable[[tuple[int, int]], tuple[int, int]],
    only: Collection[str] = tuple(SIZES),
) -> Values:
    values = copy.deepcopy(values)
    for field in lists:
        for entry in _mappings(values, field.split(".")):
            if entry[_URL_KEYS[field]] in only and {"width", "height"} <= entry.keys():
                for key, pixels in zip(("width", "height"), change(SIZES[entry[_URL_KEYS[field]]]), strict=True):
                    entry[key] = type(entry[key])(pixels)
    return values


def flagged(values: Values, lists: Collection[str]) -> Values:
    """The values with `isCached` at every mapping of these lists whose image is held."""
    values = copy.deepcopy(values)
    for field in lists:
        for entry in _mappings(values, field.split(".")):
            if entry[_URL_KEYS[field]] in HELD:
                entry["isCached"] = True
    return values


def _mappings(value: Any, path: list[str]) -> Iterator[Values]:
    if isinstance(value, list):
        for item in value:
            yield from _mappings(item, path)
    elif isinstance(value, dict):
        yield from _mappings(value[path[0]], path[1:]) if path else iter([value])


# -- how each form is written ------------------------------------------------------------------------------------------


@st.composite
def as_yaml(draw: st.DrawFn, values: Values) -> str:
    """YAML in blocks, in flow style or in both, its long values folded or not."""
    text = yaml.safe_dump(
        values,
        default_flow_style=draw(st.sampled_from([False, None, True])),
        width=draw(st.sampled_from([40, 100_000])),
        indent=draw(st.sampled_from([2, 4])),
        allow_unicode=draw(st.booleans()),
        sort_keys=False,
    )
    return f"---\n{text}---\nbody\n"


@st.composite
def as_json(draw: st.DrawFn, values: Values) -> str:
    """JSON on one line or on many; dates are strings."""
    text = json.dumps(
        values,
        indent=draw(st.sampled_from([None, 0, 2, "\t"])),
        separators=draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,", " : ")])),
        ensure_ascii=draw(st.booleans()),
        default=str,
    )
    return f"{text}\nbody\n"


@st.composite
def as_toml(draw: st.DrawFn, values: Values) -> str:
    """TOML in tables, arrays of tables, inline tables and dotted keys."""
    lines, below = [], list[str]()
    for key, value in values.items():
        form = draw(st.sampled_from(["inline", "table", "dotted"]))
        if form == "table" and _is_table(value):
            below += draw(_tables(key, value))
        elif form == "dotted" and isinstance(value, dict):
            lines += draw(_pairs(value, f"{key} . ", ""))
        else:
            lines += draw(_pairs({key: value}, "", ""))
    return "\n".join(["+++", *lines, *below, "+++", "body", ""])


def _is_table(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and bool(value) and isinstance(value[0], dict))


@st.composite
def _tables(draw: st.DrawFn, name: str, value: Any) -> list[str]:
    """A table with its header, or several, each with the tables in it."""
    indent = draw(st.sampled_from(["", "  ", "\t"]))
    header = f"{indent}[{name}]" if isinstance(value, dict) else f"{indent}[[ {name} ]]"
    lines = []
    for table in [value] if isinstance(value, dict) else value:
        inner = {key: one for key, one in table.items() if _is_table(one) and draw(st.booleans())}
        pairs = {key: one for key, one in table.items() if key not in inner}
        lines += ["", f"{header} # {name}", *draw(_pairs(pairs, "", indent))]
        for key, one in inner.items():
            lines += draw(_tables(f"{name}.{key}", one))
    return lines


@st.composite
def _pairs(draw: st.DrawFn, values: Values, prefix: str, indent: str) -> list[str]:
    """A line for each value, or several where it takes several."""
    gap, comment = draw(st.sampled_from([" ", "", "\t"])), draw(st.sampled_from(["", " # url = 1"]))
    return [f"{indent}{prefix}{key}{gap}={gap}{draw(_toml(value))}{comment}" for key, value in values.items()]


@st.composite
def _toml(draw: st.DrawFn, value: Any) -> str:
    if isinstance(value, dict):
        space = draw(st.sampled_from(["", " "]))
        items = [f"{key} = {draw(_toml(one))}" for key, one in value.items()]
        return f"{{{space}{', '.join(items)}{space}}}"
    if isinstance(value, list):
        comma = draw(st.sampled_from([", ", ",\n  ", ", # one, {two}\n"]))
        return f"[ {comma.join([draw(_toml(one)) for one in value])} ]"
    if isinstance(value, str):
        return draw(st.sampled_from(list(_strings(value))))
    return json.dumps(value) if isinstance(value, bool | int | float) else value.isoformat()


def _strings(word: str) -> Iterator[str]:
    """The forms in which TOML can write a string; a size, which is corrected on one line alone, in two of them."""
    yield json.dumps(word, ensure_ascii=False)
    if word.isdigit():
        yield f"'{word}'"
        return
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    yield f'"""\n{escaped}"""'
    if not word[:1].isspace():
        yield f'"""\\\n  {escaped}"""'
    if "'" not in word:
        yield f"'''\n{word}'''"
        if "\n" not in word:
            yield f"'{word}'"


class Form(NamedTuple):
    """A form of front matter: how values are written in it, and how another parser than ours reads a file again."""

    write: Callable[[Values], st.SearchStrategy[str]]
    read: Callable[[str], Any]


FORMS = {
    "yaml": Form(as_yaml, lambda text: yaml.safe_load(text.removeprefix("---\n").rpartition("---\n")[0])),
    "json": Form(as_json, lambda text: json.loads(text.removesuffix("\nbody\n"))),
    "toml": Form(as_toml, lambda text: tomllib.loads(text.removeprefix("+++\n").rpartition("+++\n")[0])),
}


class Sample(NamedTuple):
    """A generated article: its form, its values as that form can hold them, and its bytes."""

    form: str
    values: Values
    data: bytes

    def read(self, data: bytes) -> Values:
        """What another parser than ours reads of an edited article."""
        found: Values = FORMS[self.form].read(data.decode("utf-8-sig").replace("\r\n", "\n"))
        return found


@st.composite
def samples(draw: st.DrawFn, wrong: Collection[str] = ()) -> Sample:
    """An article in any form, with either line end, with or without a byte order mark; `wrong` lists are missized."""
    form = draw(st.sampled_from(sorted(FORMS)))
    text = draw(FORMS[form].write(missized(draw(values()), wrong)))
    bom, newline = draw(st.sampled_from(["", "\ufeff"])), draw(st.sampled_from(["\n", "\r\n"]))
    data = (bom + text.replace("\n", newline)).encode()
    sample = Sample(form, {}, data)
    return sample._replace(values=sample.read(data))
