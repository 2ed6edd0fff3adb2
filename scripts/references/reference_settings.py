"""docs/reference/configuration.md and the JSON Schema of imgcache.yml, from the program and configuration.yml."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec
import yaml

from imgcache.config import Config
from imgcache.config.schema import COMMON, SETTINGS, VARIANT, Setting, json_schema
from imgcache.core import Recipe

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TYPES = {"integer": "whole number", "boolean": "true or false", "array": "list", "string": "text"}
_STEPS = {
    "size": (("GB", 10**9), ("MB", 10**6), ("KB", 10**3)),
    "pixels": (("MP", 10**6),),
    "time": (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)),
}


class SettingText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The meaning of a key in Markdown, an example in YAML, and what stands for a default that is not a plain value."""

    meaning: str = ""
    example: str = ""
    default: str = ""


class Texts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """docs/reference/configuration.yml: the titles of groups, and what each key means."""

    groups: dict[str, str]
    settings: dict[str, SettingText]
    variant: dict[str, str]

    @classmethod
    def of(cls, file: Path) -> Texts:
        """Returns the texts of the file."""
        return msgspec.yaml.decode(file.read_bytes(), type=cls)


def page(texts: Texts) -> str:
    """Returns the page: the keys at the top, then each group, then the keys of a variant."""
    lines = ["## Keys at the top", ""]
    for key in SETTINGS:
        if "." not in key:
            lines += _section(key, SETTINGS[key], texts.settings.get(key, SettingText()))
    for group in dict.fromkeys(key.partition(".")[0] for key in SETTINGS if "." in key):
        lines += [f"## {texts.groups.get(group, group)}", ""]
        for key in SETTINGS:
            if key.startswith(f"{group}."):
                lines += _section(key, SETTINGS[key], texts.settings.get(key, SettingText()))
    lines += [
        "## The keys of a variant",
        "",
        "Each entry of `variants` is a mapping. It has a `name`, and a `width` or a `height` or",
    ]
    lines += ["both. " + ", ".join(f"[`{key}`](#{key})" for key in COMMON) + " can be set here as well; at the top of"]
    lines += ["`imgcache.yml` they hold for all variants that do not set them.", ""]
    lines += ["| key | valid | default | meaning |", "|---|---|---|---|"]
    defaults = msgspec.structs.asdict(Recipe(""))
    for key, setting in VARIANT.items():
        if key not in COMMON:
            default = f"`{_plain(defaults[key])}`" if defaults[key] else "none"
            lines.append(f"| `{key}` | {setting.valid} | {default} | {texts.variant.get(key, '')} |")
    return "\n".join(lines) + "\n"


def _section(key: str, setting: Setting, text: SettingText) -> Iterator[str]:
    yield from (f"### {key}", "")
    if text.meaning:
        yield from (text.meaning, "")
    if kind := _kind(json_schema(setting)):
        yield f"- Type: {kind}"
    yield f"- Default: {text.default or _code(default_text(key))}"
    yield f"- Valid: {setting.valid}"
    yield from (f"- Environment: `{_variable(key)}`", "")
    example = text.example or default_text(key)
    if example:
        group, _, name = key.rpartition(".")
        yield from ("```yaml", *([f"{group}:", f"  {name}: {example}"] if group else [_pair(name, example)]), "```", "")


def _pair(name: str, example: str) -> str:
    return f"{name}:\n{textwrap.indent(example, '  ')}" if "\n" in example else f"{name}: {example}"


def _code(text: str) -> str:
    return f"`{text}`" if text else "none"


def _variable(key: str) -> str:
    return "IMGCACHE_" + key.upper().replace(".", "__")


def _kind(shape: Mapping[str, Any]) -> str:
    if "anyOf" in shape:
        return " or ".join(_kind(part) for part in shape["anyOf"])
    if "const" in shape:
        return f"`{shape['const']}`"
    if "enum" in shape:
        return "choice"
    if shape.get("format") in _STEPS:
        return {"size": "size in bytes", "pixels": "number of pixels", "time": "time"}[shape["format"]]
    items = shape.get("items")
    if isinstance(items, Mapping):
        return "list of mappings" if items.get("type") == "object" else "list of texts"
    return _TYPES.get(str(shape.get("type")), "")


def default_text(key: str) -> str:
    """Returns the default as YAML has it; "" where there is none."""
    if key in COMMON:
        value: object = getattr(Recipe(""), key)
    elif key == "profile":
        value = "classic"
    else:
        value = Config()
        for part in key.split("."):
            value = getattr(value, part)
    if value is None or value == "" or key == "variants":
        return ""
    unit = json_schema(SETTINGS[key]).get("format")
    if unit in _STEPS and isinstance(value, int | float):
        return _quantity(value, str(unit))
    return _plain(value)


def _quantity(value: float, unit: str) -> str:
    for suffix, step in _STEPS[unit]:
        if value and value % step == 0 and (suffix not in {"d", "h", "m"} or value >= 2 * step):
            return f"{value / step:.0f}{suffix}"
    return f"{value:.0f}{'s' if unit == 'time' else ''}"


def _plain(value: object) -> str:
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, tuple):
        value = list(value)
    text = yaml.safe_dump(value, default_flow_style=True, width=1000, default_style=None).strip()
    return text.removesuffix("...").strip().replace("'", '"')


def schema(texts: Texts) -> dict[str, Any]:
    """Returns the JSON Schema of imgcache.yml."""
    properties: dict[str, Any] = {}
    for key, setting in SETTINGS.items():
        group, _, name = key.rpartition(".")
        into = properties
        if group:
            entry = {"type": "object", "description": texts.groups.get(group, group), "properties": {}}
            into = properties.setdefault(group, {**entry, "additionalProperties": False})["properties"]
        into[name] = _property(key, setting, texts.settings.get(key, SettingText()))
    items = properties["variants"]["items"]["properties"]
    for key, meaning in texts.variant.items():
        items[key] = {"description": meaning, **items[key]}
    return {
        "$schema": _DIALECT,
        "title": "imgcache.yml",
        "description": "The settings of imgcache; every key is optional.",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }


def _property(key: str, setting: Setting, text: SettingText) -> dict[str, Any]:
    default = yaml.safe_load(default_text(key) or "null")
    described = " ".join(filter(None, (text.meaning, f"Valid: {setting.valid}.")))
    found = {"description": described, **msgspec.to_builtins(dict(json_schema(setting)))}
    return found if default is None else {**found, "default": default}
