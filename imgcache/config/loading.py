"""The configuration: the only reader of imgcache.yml and of the environment.

A value comes from a flag, else from the environment (`IMGCACHE_` and the key in capitals, `__` between levels), else
from imgcache.yml, else from the default. Whatever is unknown or out of range is a ConfigError that names file, line and
key.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
import yaml

from imgcache import __version__
from imgcache.config.profiles import PROFILES
from imgcache.config.schema import COMMON, SETTINGS, VARIANT, Setting
from imgcache.core import ConfigError, FetchPolicy, ImageError, Limits, Recipe, request_url

PREFIX = "IMGCACHE_"
# Not settings: where the tests find real data; and what is needed before any setting is read. IMGCACHE_SITE is for a
# server that is given `imgcache.server:app` and no command line.
NOT_SETTINGS = frozenset({"IMGCACHE_SHARED", "IMGCACHE_CONFIG", "IMGCACHE_CACHE", "IMGCACHE_SITE"})


class ServePolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How `imgcache serve` answers. `memory` is what the images held by one worker may take, in bytes.

    `large` says how a file that is not kept in memory comes out of an object store; a folder's are always streamed.
    `gallery` says who sees the gallery; `local`: this machine alone.
    """

    memory: int = 64_000_000
    fallback: str = "none"  # none | placeholder
    client_hints: bool = False
    access_log: str = "off"  # text | json | off
    large: str = "stream"  # stream | redirect
    gallery: str = "local"  # on | local | off


class RewritePolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How `imgcache rewrite` changes pages.

    `links`: links to an image lead to the local file as well. `picture`: several formats are offered by a `<picture>`
    around the `<img>`. `styles`: inline styles may be added. `placeholder`: the image's colour and placeholder stand
    behind it until it is loaded.
    """

    links: bool = False
    picture: bool = True
    styles: bool = True
    placeholder: bool = True


class ReaderBudget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one article may cost its reader: foreign hosts, and bytes of hotlinked images. None: any number."""

    hosts: int | None = None
    bytes_per_article: int | None = None


class Config(msgspec.Struct, frozen=True):
    """Every setting, checked. What each means: `imgcache init` writes them all, with comments."""

    articles: tuple[str, ...] = ("**/*.md", "**/*.markdown", "**/*.html")
    exclude: tuple[str, ...] = ()
    site_url: str | None = None
    flag: tuple[str, ...] = ("images", "related.images")
    dimensions: str = "check"
    variants: tuple[Recipe, ...] = PROFILES["classic"]
    limits: Limits = Limits()
    fetch: FetchPolicy = FetchPolicy()
    respect_robots: bool = True
    respect_robots_tag: bool = False
    svg: str = "refuse"
    allow_networks: tuple[str, ...] = ()
    serve: ServePolicy = ServePolicy()
    budget: ReaderBudget = ReaderBudget()
    rewrite: RewritePolicy = RewritePolicy()

    @property
    def user_agent(self) -> str:
        """Who asks: the tool, its version, and the site it asks for, so that an operator can complain to somebody."""
        if self.fetch.user_agent:
            return self.fetch.user_agent
        contact = _in_ascii(self.site_url or "")
        return f"imgcache/{__version__}" + (f" (+{contact})" if contact else "")


def _in_ascii(url: str) -> str:
    """A site's address as a header field can carry it; "" where it is no address."""
    if "://" not in url:
        return ""
    if url.isascii() and url.isprintable():
        return url
    try:
        return request_url(url).rstrip("/")
    except ImageError:
        return ""


class _Given(NamedTuple):
    """One value as somebody gave it, and where it stands."""

    value: object
    where: str


def load_config(file: Path | None, environ: Mapping[str, str], flags: Mapping[str, object]) -> Config:
    """The configuration of one run.

    `file` is imgcache.yml or None; `flags` maps dotted keys to values, already checked by the command line. Raises
    ConfigError.
    """
    given: dict[str, _Given] = {}
    values: dict[str, object] = {}
    for layer in (_from_file(file) if file is not None else {}, _from_environment(environ)):
        given |= layer
        values |= {key: _read(key, item) for key, item in layer.items()}  # also what a later layer says otherwise
    values |= {key: value for key, value in flags.items() if value is not None}
    config = _build(values)
    _check_bounds(config.variants, given)
    return config


def _check_bounds(recipes: Iterable[Recipe], given: Mapping[str, _Given]) -> None:
    """Of bounds that exclude each other the one that was given is named, by the list or the key that gave it."""
    for recipe in recipes:
        if recipe.min_quality > recipe.max_quality:
            keys = ("variants", "min_quality", "max_quality")
            where = next((given[key].where for key in keys if key in given), "")
            raise ConfigError(
                f"`min_quality` is {recipe.min_quality}, more than `max_quality`, {recipe.max_quality},"
                f" for the variant `{recipe.name}`; it must be at most that",
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
    top["variants"] = _recipes(top.pop("variants", None), top.pop("profile", "classic"), common)
    parts = {group: msgspec.structs.replace(getattr(config, group), **given) for group, given in groups.items()}
    return msgspec.structs.replace(config, **top, **parts)


def _recipes(variants: object, profile: object, common: Mapping[str, object]) -> tuple[Recipe, ...]:
    """What a variant does not say of itself is said for all of them; what nobody says is the default."""
    if isinstance(variants, tuple):
        return tuple(Recipe(**(common | item)) for item in variants)
    return tuple(msgspec.structs.replace(recipe, **common) for recipe in PROFILES[str(profile)])


def _read(key: str, item: _Given) -> object:
    setting = SETTINGS[key]
    try:
        return setting.parse(item.value)
    except (ValueError, TypeError):
        raise _wrong(key, item, setting) from None


def _wrong(key: str, item: _Given, setting: Setting) -> ConfigError:
    shown = repr(item.value)
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    return ConfigError(f"`{key}` is {shown}; it must be {setting.right}", where=item.where)


def _unknown(key: str, known: Iterator[str], where: str) -> ConfigError:
    names = sorted(known)
    near = difflib.get_close_matches(key, names, n=1)
    hint = f"did you mean `{near[0]}`?" if near else "known here: " + ", ".join(names)
    return ConfigError(f"unknown key `{key}`; {hint}", where=where)


def _from_environment(environ: Mapping[str, str]) -> dict[str, _Given]:
    given = {}
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
        given[key] = _Given(value, name)
    return given


def _from_file(file: Path) -> dict[str, _Given]:
    try:
        root = yaml.compose(file.read_bytes(), yaml.CSafeLoader)
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=str(file)) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else str(file)
        raise ConfigError(f"not YAML: {getattr(error, 'problem', None) or error}", where=where) from None
    except UnicodeDecodeError:
        raise ConfigError("not UTF-8", where=str(file)) from None
    if root is None:
        return {}
    given: dict[str, _Given] = {}
    for key, node, line in _pairs(root, file, "the file"):
        where = f"{file}:{line}"
        if key in SETTINGS:
            if key == "variants":
                _check_variant_nodes(node, file)
            given[key] = _Given(_plain(node, where), where)
        elif any(known.startswith(f"{key}.") for known in SETTINGS):
            given |= _group(key, node, file)
        else:
            raise _unknown(key, _level(""), where)
    return given


def _group(group: str, node: yaml.Node, file: Path) -> dict[str, _Given]:
    given = {}
    for key, value, line in _pairs(node, file, f"`{group}`"):
        where = f"{file}:{line}"
        if f"{group}.{key}" not in SETTINGS:
            raise _unknown(f"{group}.{key}", (f"{group}.{name}" for name in _level(group)), where)
        given[f"{group}.{key}"] = _Given(_plain(value, where), where)
    return given


def _level(group: str) -> Iterator[str]:
    """The keys directly under a group; "" for the top."""
    prefix = f"{group}." if group else ""
    yield from {key.removeprefix(prefix).partition(".")[0] for key in SETTINGS if key.startswith(prefix)}


def _pairs(node: yaml.Node, file: Path, what: str) -> Iterator[tuple[str, yaml.Node, int]]:
    """The keys of a mapping with their values and lines. Raises ConfigError on anything else, and on a key twice."""
    line = node.start_mark.line + 1
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{what} must be a mapping of keys to values", where=f"{file}:{line}")
    seen: set[str] = set()
    for key, value in node.value:
        line = key.start_mark.line + 1
        name = str(key.value)
        if name in seen:
            raise ConfigError(f"`{name}` is given twice", where=f"{file}:{line}")
        seen.add(name)
        yield name, value, line


def _plain(node: yaml.Node, where: str) -> object:
    """What YAML's safe rules make of one node."""
    try:
        return yaml.load(yaml.serialize(node, Dumper=yaml.CSafeDumper), yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise ConfigError(f"not plain YAML: {getattr(error, 'problem', error)}", where=where) from None


def _check_variant_nodes(node: yaml.Node, file: Path) -> None:
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            for key, value, line in _pairs(item, file, f"`variants[{number}]`"):
                _check_variant(number, key, _Given(_plain(value, f"{file}:{line}"), f"{file}:{line}"))


def _check_variants(value: object, where: str) -> None:
    if isinstance(value, list):
        for number, item in enumerate(value):
            for key, part in item.items() if isinstance(item, dict) else ():
                _check_variant(number, str(key), _Given(part, where))


def _check_variant(number: int, key: str, item: _Given) -> None:
    if key not in VARIANT:
        raise _unknown(f"variants[{number}].{key}", (f"variants[{number}].{name}" for name in VARIANT), item.where)
    try:
        VARIANT[key].parse(item.value)
    except (ValueError, TypeError):
        raise _wrong(f"variants[{number}].{key}", item, VARIANT[key]) from None
