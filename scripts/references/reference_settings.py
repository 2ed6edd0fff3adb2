"""docs/reference/configuration.md and the JSON Schema of imgcache.yml, from the program and configuration.yml."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from imgcache.config.schema import COMMON, SETTINGS, VARIANT, Setting, json_schema
from imgcache.core import Recipe

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TYPES = {"integer": "whole number", "boolean": "true or false", "array": "list", "string": "text"}
_UNITS = {"size": "size in bytes", "pixels": "number of pixels", "time": "time"}


class SettingText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The meaning of a key in Markdown, an example and the default in YAML, and in words what else holds by default."""

    meaning: str
    example: str = ""
    default: str = ""
    unset: str = ""


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
            lines += _section(key, SETTINGS[key], texts.settings[key])
    for group in dict.fromkeys(key.partition(".")[0] for key in SETTINGS if "." in key):
        lines += [f"## {texts.groups[group]}", ""]
        for key in SETTINGS:
            if key.startswith(f"{group}."):
                lines += _section(key, SETTINGS[key], texts.settings[key])
    lines += ["## The keys of a variant", ""]
    lines += ["Each entry of `variants` is a mapping. It has a `name`, and a `width` or a `height` or"]
    lines += ["both. " + ", ".join(f"[`{key}`](#{key})" for key in COMMON) + " can be set here as well; at the top of"]
    lines += ["`imgcache.yml` they hold for all variants that do not set them.", ""]
    lines += ["| key | valid | default | meaning |", "|---|---|---|---|"]
    defaults = msgspec.structs.asdict(Recipe(""))
    for key, setting in VARIANT.items():
        if key not in COMMON:
            default = f"`{getattr(defaults[key], 'value', defaults[key])}`" if defaults[key] else "none"
            lines.append(f"| `{key}` | {setting.valid} | {default} | {texts.variant[key]} |")
    return "\n".join(lines) + "\n"


def _section(key: str, setting: Setting, text: SettingText) -> Iterator[str]:
    yield from (f"### {key}", "", text.meaning, "")
    if kind := _kind(json_schema(setting)):
        yield f"- Type: {kind}"
    yield f"- Default: {f'`{text.default}`' if text.default else text.unset or 'none'}"
    yield f"- Valid: {setting.valid}"
    yield from (f"- Environment: `IMGCACHE_{key.upper().replace('.', '__')}`", "")
    group, _, name = key.rpartition(".")
    example = text.example or text.default
    pair = f"{name}:\n{textwrap.indent(example, '  ')}" if "\n" in example else f"{name}: {example}"
    yield from ("```yaml", *([f"{group}:", f"  {pair}"] if group else [pair]), "```", "")


def _kind(shape: Mapping[str, Any]) -> str:
    if "anyOf" in shape:
        return " or ".join(_kind(part) for part in shape["anyOf"])
    if "const" in shape:
        return f"`{shape['const']}`"
    if "enum" in shape:
        return "choice"
    if shape.get("format") in _UNITS:
        return _UNITS[shape["format"]]
    items = shape.get("items")
    if isinstance(items, Mapping):
        return "list of mappings" if items.get("type") == "object" else "list of texts"
    return _TYPES.get(str(shape.get("type")), "")


def schema(texts: Texts) -> dict[str, Any]:
    """Returns the JSON Schema of imgcache.yml."""
    properties: dict[str, Any] = {}
    for key, setting in SETTINGS.items():
        group, _, name = key.rpartition(".")
        into = properties
        if group:
            entry = {"type": "object", "description": texts.groups[group], "properties": {}}
            into = properties.setdefault(group, {**entry, "additionalProperties": False})["properties"]
        into[name] = _property(setting, texts.settings[key])
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


def _property(setting: Setting, text: SettingText) -> dict[str, Any]:
    described = f"{text.meaning} Valid: {setting.valid}."
    found = {"description": described, **msgspec.to_builtins(dict(json_schema(setting)))}
    return {**found, "default": yaml.safe_load(text.default)} if text.default else found
