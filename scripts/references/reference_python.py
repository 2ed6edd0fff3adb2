"""docs/reference/python.md, from the signatures and docstrings of what `imgcache` exports."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Iterator

import msgspec

import imgcache

_SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|Yields):$")
_ENTRY = re.compile(r"^    (\S[^:]*): (.*)$")


def page() -> str:
    """Returns the page: functions first, then classes, then errors."""
    names = [name for name in sorted(imgcache.__all__) if not name.startswith("_")]
    values = {name: getattr(imgcache, name) for name in names}
    lines = list[str]()
    for title in ("Functions", "Values", "Errors"):
        lines += [f"## {title}", ""]
        for name, value in values.items():
            if _title(value) == title:
                lines += _described(name, value)
    lines += ["## Parts of values", ""]
    for part in _parts([value for value in values.values() if _title(value) == "Values"]):
        lines += [f"### {part.__name__}", "", *_docstring(part), *_fields(part)]
    return "\n".join(lines).rstrip() + "\n"


def _parts(values: list[object]) -> Iterator[type]:
    """Yields the structs that fields of the values have, and that are not public names themselves."""
    found: dict[type, None] = {}
    waiting = [value for value in values if isinstance(value, type) and issubclass(value, msgspec.Struct)]
    known = set(waiting)
    while waiting:
        for hint in typing.get_type_hints(waiting.pop()).values():
            for part in _structs_in(hint):
                if part not in known:
                    known.add(part)
                    found[part] = None
                    waiting.append(part)
    yield from sorted(found, key=lambda part: part.__name__)


def _structs_in(hint: object) -> Iterator[type]:
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        yield hint
    for part in typing.get_args(hint):
        yield from _structs_in(part)


def _title(value: object) -> str:
    """The title of the section that a public name belongs to."""
    if not isinstance(value, type):
        return "Functions"
    return "Errors" if issubclass(value, Exception) else "Values"


def _described(name: str, value: object) -> Iterator[str]:
    yield from (f"### imgcache.{name}", "")
    if inspect.isfunction(value):
        yield from ("```python", *_signature(f"imgcache.{name}", value), "```", "")
    yield from _docstring(value)
    is_struct = isinstance(value, type) and issubclass(value, msgspec.Struct)
    if is_struct:
        yield from _fields(value)
    if isinstance(value, type):
        for method, function in vars(value).items():
            inner = function.__func__ if isinstance(function, classmethod) else function
            is_public = method == "to_json" if is_struct else not method.startswith("_")
            if is_public and inspect.isfunction(inner):
                yield from (f"#### {name}.{method}", "")
                yield from ("```python", *_signature(f"{name}.{method}", inner), "```", "")
                yield from _docstring(inner)


def _fields(struct: type) -> Iterator[str]:
    yield from ("| field | type |", "|---|---|")
    for field in msgspec.structs.fields(struct):
        yield f"| `{field.name}` | `{_type(struct, field.name)}` |"
    yield ""


def _type(struct: type, name: str) -> str:
    for base in struct.__mro__:
        if name in (annotations := inspect.get_annotations(base)):
            found = annotations[name]
            return (found if isinstance(found, str) else inspect.formatannotation(found)).replace("|", "\\|")
    return ""


def _signature(name: str, function: object) -> Iterator[str]:
    found = inspect.signature(function)  # type: ignore[arg-type]
    parameters = [p for p in found.parameters.values() if p.name not in {"self", "cls"}]
    if not parameters:
        yield f"{name}() -> {found.return_annotation}"
        return
    yield f"{name}("
    is_keyword = False
    for parameter in parameters:
        if parameter.kind is parameter.KEYWORD_ONLY and not is_keyword:
            is_keyword = True
            yield "    *,"
        yield f"    {_plain(parameter)},"
    yield f") -> {found.return_annotation}"


def _plain(parameter: inspect.Parameter) -> str:
    default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
    return f"{parameter.name}: {parameter.annotation}{default}"


def _docstring(value: object) -> Iterator[str]:
    """Yields a docstring in Google's style as Markdown."""
    inside = ""
    for line in (inspect.getdoc(value) or "").splitlines():
        if match := _SECTION.match(line):
            inside = match[1]
            yield from (f"**{inside}**", "")
        elif inside and (entry := _ENTRY.match(line)):
            yield f"- `{entry[1]}`: {entry[2]}" if inside != "Returns" else line.strip()
        elif inside and line.strip():
            yield ("  " if line.startswith("     ") else "") + line.strip()
        else:
            yield line
    yield ""
