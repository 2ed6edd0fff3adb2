"""Reads the settings of generators from YAML, TOML, JSON and Python as data. Nothing is ever run.

All readers raise ConfigError, with the file and the line, if the generator could not read the file either.
"""

from __future__ import annotations

import ast
import json
import posixpath
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from imgcache.core import ArticleUnreadable, ConfigError
from imgcache.scanner.frontmatter.yaml_marks import check_utf8, compose

Settings = Mapping[str, Any]

_MAX_DEPTH = 12  # of what generators nest
_LINE = re.compile(r"line (\d+)")


def read(file: Path) -> Settings:
    """Return the settings of a file by its name; none if there is no such file, or no mapping in it.

    Values of YAML are text, booleans, lists and mappings.
    """
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"the file cannot be read: {error.strerror}", where=file.name) from None
    if file.suffix == ".toml":
        return _from_toml(data, file.name)
    return _from_json(data, file.name) if file.suffix == ".json" else from_yaml(data, file.name)


def from_yaml(data: bytes, name: str) -> Settings:
    """Return the settings of a YAML text.

    Args:
        data: the text.
        name: of its file, for errors.
    """
    try:
        check_utf8(data)
        root = compose(data)
    except ArticleUnreadable as error:
        message = error.message.replace("the front matter", "the file")
        raise ConfigError(message, where=f"{name}:{error.line}") from error
    found = _plain(root, {}, 0) if root is not None else None
    return found if isinstance(found, dict) else {}


def _plain(node: yaml.Node, done: dict[int, Any], depth: int) -> Any:
    """Return the value of a node. Each node is read once, however many aliases lead to it, and tags are ignored."""
    if id(node) in done or depth > _MAX_DEPTH:
        return done.get(id(node))
    done[id(node)] = None  # for a node that contains itself
    found: Any = None
    if isinstance(node, yaml.MappingNode):
        pairs = [(key.value, value) for key, value in node.value if isinstance(key, yaml.ScalarNode)]
        found = {key: _plain(value, done, depth + 1) for key, value in pairs}
    elif isinstance(node, yaml.SequenceNode):
        found = [_plain(item, done, depth + 1) for item in node.value]
    elif node.tag.endswith(":bool"):
        found = node.value.lower() in {"true", "yes", "on"}
    elif not node.tag.endswith(":null"):
        found = node.value
    done[id(node)] = found
    return found


def _from_toml(data: bytes, name: str) -> Settings:
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise ConfigError("the file is not encoded in UTF-8", where=name) from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        line = _LINE.search(str(error))
        where = f"{name}:{line[1]}" if line else name
        raise ConfigError(f"the file is not valid TOML: {error}", where=where) from None


def _from_json(data: bytes, name: str) -> Settings:
    try:
        found = json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise ConfigError("the file is not encoded in UTF-8", where=name) from None
    except json.JSONDecodeError as error:
        raise ConfigError(f"the file is not valid JSON: {error.msg}", where=f"{name}:{error.lineno}") from None
    except RecursionError:
        raise ConfigError("the file is nested too deeply", where=name) from None
    return found if isinstance(found, dict) else {}


def assignments(file: Path) -> Settings:
    """Return the literal values that a Python file assigns to names at its top level; it is parsed and never run."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the file cannot be read: {error}", where=file.name) from None
    try:
        statements = ast.parse(text).body
    except SyntaxError as error:
        raise ConfigError(f"the file is not valid Python: {error.msg}", where=f"{file.name}:{error.lineno}") from None
    except (ValueError, RecursionError, MemoryError) as error:  # a NUL character, or thousands of brackets
        raise ConfigError(f"the file is not valid Python: {error}", where=file.name) from None
    return dict(_literals(statements))


def _literals(statements: list[ast.stmt]) -> Iterator[tuple[str, Any]]:
    for one in statements:
        targets = one.targets if isinstance(one, ast.Assign) else [one.target] if isinstance(one, ast.AnnAssign) else []
        names = [target.id for target in targets if isinstance(target, ast.Name)]
        if not names or not isinstance(one, ast.Assign | ast.AnnAssign) or one.value is None:
            continue
        try:
            value = ast.literal_eval(one.value)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            continue  # a call or an expression
        for name in names:
            yield name, value


def text(settings: Settings, *keys: str) -> str:
    """Return the text at a path of keys; "" if there is none."""
    found: Any = settings
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, str) else ""


def texts(settings: Settings, *keys: str) -> list[str]:
    """Return the texts at a path of keys: a list, or a single text."""
    found: Any = settings
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return [one for one in (found if isinstance(found, list | tuple) else [found]) if isinstance(one, str)]


def folder(written: str, default: str = "") -> str:
    """Return a folder as a setting names it, relative to the site; the default if it is not set or not in the site."""
    path = posixpath.normpath(written.strip().replace("\\", "/")) if written.strip() else default
    if path.startswith(("/", "..")) or not path.isprintable():
        return default
    return "" if path == "." else path
