"""Loads the configuration from imgcache.yml, the environment and command line flags.

A flag goes before the environment (`IMGCACHE_` and the key in capitals, `__` between levels), that before imgcache.yml,
and that before the default. An unknown key or an invalid value is a ConfigError that names file, line and key.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
import yaml

from imgcache.config.defaults import Config
from imgcache.config.profiles import PROFILES
from imgcache.config.schema import COMMON, SETTINGS, VARIANT, Setting
from imgcache.core import ConfigError, Dimensions, Recipe

PREFIX = "IMGCACHE_"
# Variables that are not settings: the test data of the project, and what is needed before any setting is read.
# IMGCACHE_SITE is for servers that run `imgcache.server:app`, without a command line.
NOT_SETTINGS = frozenset({"IMGCACHE_SHARED", "IMGCACHE_CONFIG", "IMGCACHE_CACHE", "IMGCACHE_SITE"})


class _Input(NamedTuple):
    """One value as written, and where it was written."""

    value: object
    where: str


def load_config(file: Path | None, environ: Mapping[str, str], flags: Mapping[str, object]) -> Config:
    """Load the configuration of one run.

    Args:
        file: imgcache.yml, or None.
        environ: the environment.
        flags: values by dotted key, already validated by the command line; None where a flag was not given.

    Raises:
        ConfigError: a key is unknown or a value is invalid.
    """
    inputs: dict[str, _Input] = {}
    values: dict[str, object] = {}
    for layer in (_from_file(file) if file is not None else {}, _from_environment(environ)):
        inputs |= layer
        values |= {key: _parse(key, item) for key, item in layer.items()}  # so overridden values are checked too
    values |= {key: value for key, value in flags.items() if value is not None}
    config = _build(values)
    _check_bounds(config.variants, inputs)
    return config


def _check_bounds(recipes: Iterable[Recipe], inputs: Mapping[str, _Input]) -> None:
    """Check that `min_quality` is at most `max_quality`, whichever of the keys was set."""
    for recipe in recipes:
        if recipe.min_quality > recipe.max_quality:
            keys = ("variants", "min_quality", "max_quality")
            where = next((inputs[key].where for key in keys if key in inputs), "")
            raise ConfigError(
                f"`min_quality` is {recipe.min_quality} for the variant `{recipe.name}`; it must not be more than"
                f" `max_quality`, which is {recipe.max_quality}",
                where=where,
            )


def _build(values: Mapping[str, object]) -> Config:
    config = Config()
    groups: dict[str, dict[str, object]] = {}
    for key, value in values.items():
        group, _, name = key.rpartition(".")
        groups.setdefault(group, {})[name] = value
    top = groups.pop("", {})
    common = {key: top.pop(key) for key in COMMON if key in top}
    if "dimensions" in top:  # as text from the command line
        top["dimensions"] = Dimensions(str(top["dimensions"]))
    top["variants"] = _recipes(top.pop("variants", None), top.pop("profile", "classic"), common)
    parts = {group: msgspec.structs.replace(getattr(config, group), **changes) for group, changes in groups.items()}
    return msgspec.structs.replace(config, **top, **parts)


def _recipes(variants: object, profile: object, common: Mapping[str, object]) -> tuple[Recipe, ...]:
    """Build the recipes. Settings of a variant go before common ones, and those before the defaults."""
    if isinstance(variants, tuple):
        return tuple(Recipe(**(common | item)) for item in variants)
    return tuple(msgspec.structs.replace(recipe, **common) for recipe in PROFILES[str(profile)])


def _parse(key: str, item: _Input) -> object:
    setting = SETTINGS[key]
    try:
        return setting.parse(item.value)
    except (ValueError, TypeError):
        raise _invalid(key, item, setting) from None


def _invalid(key: str, item: _Input, setting: Setting) -> ConfigError:
    shown = repr(item.value)
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    return ConfigError(f"`{key}` is {shown}; it must be {setting.valid}", where=item.where)


def _unknown(key: str, known: Iterator[str], where: str) -> ConfigError:
    names = sorted(known)
    similar = difflib.get_close_matches(key, names, n=1)
    hint = f"did you mean `{similar[0]}`?" if similar else "the keys here are " + ", ".join(names)
    return ConfigError(f"unknown key `{key}`; {hint}", where=where)


def _from_environment(environ: Mapping[str, str]) -> dict[str, _Input]:
    inputs = {}
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name in NOT_SETTINGS:
            continue
        key = name.removeprefix(PREFIX).lower().replace("__", ".")
        if key not in SETTINGS:
            raise _unknown(key, iter(SETTINGS), name)
        try:
            value = yaml.load(environ[name], yaml.CSafeLoader)
        except yaml.YAMLError:
            value = environ[name]
        if key == "variants":
            _check_variants(value, name)
        inputs[key] = _Input(value, name)
    return inputs


def _from_file(file: Path) -> dict[str, _Input]:
    try:
        root = yaml.compose(file.read_bytes(), yaml.CSafeLoader)
    except OSError as error:
        raise ConfigError(f"the file cannot be read: {error.strerror}", where=str(file)) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else str(file)
        raise ConfigError(
            f"the file is not valid YAML: {getattr(error, 'problem', None) or error}", where=where
        ) from None
    except UnicodeDecodeError:
        raise ConfigError("the file is not encoded in UTF-8", where=str(file)) from None
    if root is None:
        return {}
    inputs: dict[str, _Input] = {}
    for key, node, line in _pairs(root, file, "the file"):
        where = f"{file}:{line}"
        if key in SETTINGS:
            if key == "variants":
                _check_variant_nodes(node, file)
            inputs[key] = _Input(_value(node, where), where)
        elif any(known.startswith(f"{key}.") for known in SETTINGS):
            inputs |= _group(key, node, file)
        else:
            raise _unknown(key, _keys_of(""), where)
    return inputs


def _group(group: str, node: yaml.Node, file: Path) -> dict[str, _Input]:
    inputs = {}
    for key, value, line in _pairs(node, file, f"`{group}`"):
        where = f"{file}:{line}"
        if f"{group}.{key}" not in SETTINGS:
            raise _unknown(f"{group}.{key}", (f"{group}.{name}" for name in _keys_of(group)), where)
        inputs[f"{group}.{key}"] = _Input(_value(value, where), where)
    return inputs


def _keys_of(group: str) -> Iterator[str]:
    """Yields the keys directly under a group, or at the top for ""."""
    prefix = f"{group}." if group else ""
    yield from {key.removeprefix(prefix).partition(".")[0] for key in SETTINGS if key.startswith(prefix)}


def _pairs(node: yaml.Node, file: Path, what: str) -> Iterator[tuple[str, yaml.Node, int]]:
    """Yields the keys of a mapping with values and lines. Raises ConfigError for other nodes and duplicate keys."""
    line = node.start_mark.line + 1
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{what} must be a mapping of keys to values", where=f"{file}:{line}")
    seen: set[str] = set()
    for key, value in node.value:
        line = key.start_mark.line + 1
        name = str(key.value)
        if name in seen:
            raise ConfigError(f"`{name}` is set twice", where=f"{file}:{line}")
        seen.add(name)
        yield name, value, line


def _value(node: yaml.Node, where: str) -> object:
    """Returns the value of one YAML node, by safe rules."""
    try:
        return yaml.load(yaml.serialize(node, Dumper=yaml.CSafeDumper), yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise ConfigError(f"the value is not plain YAML: {getattr(error, 'problem', error)}", where=where) from None


def _check_variant_nodes(node: yaml.Node, file: Path) -> None:
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            for key, value, line in _pairs(item, file, f"`variants[{number}]`"):
                _check_variant(number, key, _Input(_value(value, f"{file}:{line}"), f"{file}:{line}"))


def _check_variants(value: object, where: str) -> None:
    if isinstance(value, list):
        for number, item in enumerate(value):
            for key, part in item.items() if isinstance(item, dict) else ():
                _check_variant(number, str(key), _Input(part, where))


def _check_variant(number: int, key: str, item: _Input) -> None:
    if key not in VARIANT:
        raise _unknown(f"variants[{number}].{key}", (f"variants[{number}].{name}" for name in VARIANT), item.where)
    try:
        VARIANT[key].parse(item.value)
    except (ValueError, TypeError):
        raise _invalid(f"variants[{number}].{key}", item, VARIANT[key]) from None
