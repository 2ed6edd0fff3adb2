"""The configuration: invalid settings are reported with their place and what is valid."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from imgcache.cli.init import TEMPLATE
from imgcache.config import Config, load_config
from imgcache.config.schema import COMMON
from imgcache.core import ConfigError, Fit, Recipe, VariantFormat

WIDTHS = (320, 640, 1280)


def load_with(tmp_path: Path, text: str, environ: Mapping[str, str], flags: Mapping[str, object]) -> Config:
    file = tmp_path / "imgcache.yml"
    file.write_text(text)
    return load_config(file, environ, flags)


def read(tmp_path: Path, text: str, environ: Mapping[str, str] | None = None) -> Config:
    return load_with(tmp_path, text, environ or {}, {})


def test_an_empty_file_gives_the_defaults(tmp_path: Path) -> None:
    assert read(tmp_path, "# nothing\n") == Config() == load_config(None, {}, {})


def test_every_type_of_value_is_read(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        "limits: {bytes: 5MB, pixels: 2MP, connect: 500ms, decode_memory: 1GiB}\n"
        "fetch: {refresh_after: 7d, interval: 0s, user_agent: me/1}\n"
        "variants:\n  - {name: a, width: 10, fit: cover, height: 20, format: avif, quality: 1, effort: 6}\n"
        "site_url: https://example.org/news/\n"
        "allow_networks: [10.0.0.0/8]\n"
        "respect_robots: false\nrespect_robots_tag: true\nsvg: refuse\n",
    )
    limits = config.limits
    assert (limits.bytes, limits.pixels, limits.connect, limits.decode_memory) == (5_000_000, 2_000_000, 0.5, 2**30)
    assert (config.fetch.refresh_after, config.user_agent) == (7 * 86_400.0, "me/1")
    assert config.variants == (Recipe("a", 10, 20, Fit.COVER, VariantFormat.AVIF, 1, 6),)
    assert (config.site_url, config.allow_networks) == ("https://example.org/news", ("10.0.0.0/8",))
    assert (config.respect_robots, config.respect_robots_tag, config.svg) == (False, True, "refuse")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("limit: 3", "imgcache.yml:1: unknown key `limit`; did you mean `limits`?"),
        ("limits:\n  byte: 3", "imgcache.yml:2: unknown key `limits.byte`; did you mean `limits.bytes`?"),
        ("fetch: {retries: -1}", "imgcache.yml:1: `fetch.retries` is -1; it must be a whole number from 0 to 20"),
        ("fetch: {retries: yes}", "`fetch.retries` is True; it must be a whole number"),
        ("limits: {bytes: lots}", "`limits.bytes` is 'lots'; it must be a size such as 50MB"),
        ("limits: 5", "imgcache.yml:1: `limits` must be a mapping"),
        ("\n\ndimensions: maybe", "imgcache.yml:3: `dimensions` is 'maybe'; it must be check or fix or ignore"),
        ("articles: '*.md'", "`articles` is '*.md'; it must be a list of globs"),
        ("a: [1", "imgcache.yml:2:1: the file is not valid YAML"),
        ("- a", "imgcache.yml:1: the file must be a mapping"),
        ("dimensions: fix\ndimensions: check", "imgcache.yml:2: `dimensions` is set twice"),
        ("variants: [{name: a}]", "each with a unique name, and a width or a height"),
        ("variants:\n  - {name: a, width: 1}\n  - {name: a, width: 2}", "each with a unique name"),
        (
            "variants:\n  - {name: a, width: 1}\n  - {name: b, widht: 2}",
            "imgcache.yml:3: unknown key `variants[1].widht`",
        ),
        ("variants: [{name: ../x, width: 1}]", "`variants[0].name` is '../x'; it must be a name of letters"),
        ("variants: [{name: a, width: 1, quality: 101}]", "`variants[0].quality` is 101; it must be a whole number"),
        ("allow_networks: [10.0.0.1/8]", "it must be a list of networks"),
        ("respect_robots: sometimes", "`respect_robots` is 'sometimes'; it must be true or false"),
        ("respect_robots_tag: 1", "`respect_robots_tag` is 1; it must be true or false"),
        ("svg: sanitize", "`svg` is 'sanitize'; it must be refuse"),
        ("quality: automatic", "`quality` is 'automatic'; it must be a whole number from 1 to 100, or auto"),
        ("profile: modren", "imgcache.yml:1: `profile` is 'modren'; it must be classic or modern"),
        (
            "quality: auto\nmin_quality: 96",
            "imgcache.yml:2: `min_quality` is 96 for the variant `thumb`",
        ),
        (
            "max_quality: 39",
            "imgcache.yml:1: `min_quality` is 40 for the variant `thumb`",
        ),
        (
            "max_quality: 60\nvariants:\n  - {name: a, width: 1}\n  - {name: b, width: 2, min_quality: 61}",
            "imgcache.yml:2: `min_quality` is 61 for the variant `b`",
        ),
        ("site_url: example.org", "it must be an http or https address"),
        (
            "fetch:\n  user_agent: ü/1",
            "imgcache.yml:2: `fetch.user_agent` is 'ü/1'; it must be printable ASCII characters",
        ),
        ('fetch: {user_agent: "a\\nb"}', "it must be printable ASCII characters"),
        ('fetch: {user_agent: " me"}', "it must be printable ASCII characters"),
        ("dimensions: !!python/object/apply:os.system [ls]", "not plain YAML"),
    ],
)
def test_an_invalid_file_is_reported_with_its_line_and_what_is_valid(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    assert message in str(caught.value)


def test_the_environment_overrides_the_file_and_options_override_both(tmp_path: Path) -> None:
    environ = {"IMGCACHE_FETCH__RETRIES": "0", "IMGCACHE_ARTICLES": '["*.txt"]', "IMGCACHE_DIMENSIONS": "fix"}
    config = read(tmp_path, "fetch: {retries: 7, per_host: 2}\ndimensions: ignore\n", environ)
    assert (config.fetch.retries, config.fetch.per_host, config.articles) == (0, 2, ("*.txt",))
    assert config.dimensions == "fix"
    assert load_config(None, environ, {"dimensions": "check"}).dimensions == "check"


@pytest.mark.parametrize("flag", [{}, {"dimensions": "fix"}])
@pytest.mark.parametrize("name", ["dimensions", "fetch.retries", "variants"])
def test_an_invalid_value_is_an_error_even_if_it_is_overridden(tmp_path: Path, name: str, flag: dict[str, str]) -> None:
    wrong = {"dimensions": "maybe", "fetch.retries": "99", "variants": "[{width: 3}]"}
    right = {"dimensions": "check", "fetch.retries": "1", "variants": "[{name: a, width: 3}]"}
    environ = {f"IMGCACHE_{key.upper().replace('.', '__')}": value for key, value in right.items()}
    key, _, inner = name.partition(".")
    text = f"{key}:\n  {inner}: {wrong[name]}\n" if inner else f"\n{key}: {wrong[name]}\n"
    with pytest.raises(ConfigError, match=rf"imgcache\.yml:2: `{name}` is "):
        load_with(tmp_path, text, environ, flag)
    with pytest.raises(ConfigError, match="IMGCACHE_DIMENSIONS: `dimensions` is 'maybe'"):
        load_config(None, {"IMGCACHE_DIMENSIONS": "maybe"}, {"dimensions": "fix"})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("IMGCACHE_FETCH__RETRYS", "1", "IMGCACHE_FETCH__RETRYS: unknown key `fetch.retrys`"),
        ("IMGCACHE_FETCH__RETRIES", "many", "IMGCACHE_FETCH__RETRIES: `fetch.retries` is 'many'"),
        (
            "IMGCACHE_MIN_QUALITY",
            "99",
            "IMGCACHE_MIN_QUALITY: `min_quality` is 99 for the variant `thumb`",
        ),
        ("IMGCACHE_VARIANTS", "[{name: a, width: 0}]", "IMGCACHE_VARIANTS: `variants[0].width` is 0"),
    ],
)
def test_an_invalid_environment_variable_is_named(name: str, value: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(None, {name: value}, {})
    assert message in str(caught.value)


def test_top_level_settings_apply_to_variants_that_do_not_set_them(tmp_path: Path) -> None:
    listed = "variants: [{name: a, width: 1, quality: 7}, {name: b, width: 2, format: best, target: 60}]\n"
    config = read(tmp_path, listed + "quality: auto\ntarget: 80\nmin_quality: 50\nmax_quality: 90\neffort: 1\n")
    common: dict[str, Any] = {"target": 80, "min_quality": 50, "max_quality": 90, "effort": 1}
    assert config.variants == (
        Recipe("a", 1, quality=7, **common),
        Recipe("b", 2, format=VariantFormat.BEST, quality="auto", **(common | {"target": 60})),
    )


def test_profile_and_quality_auto_can_come_from_the_environment() -> None:
    config = load_config(None, {"IMGCACHE_PROFILE": "modern", "IMGCACHE_QUALITY": "auto"}, {})
    kinds = [(recipe.format, recipe.width) for recipe in config.variants]
    assert kinds == [("auto", 320), *(("avif", width) for width in WIDTHS), *(("webp", width) for width in WIDTHS)]
    assert {recipe.quality for recipe in config.variants} == {"auto"}


def test_the_template_of_init_shows_the_default_settings_of_variants() -> None:
    shown = dict(re.findall(r"^# (\w+): (\S+) +# ", TEMPLATE, re.MULTILINE))
    recipe = Recipe("w1280", width=1280)
    assert {key: yaml.safe_load(shown[key]) for key in COMMON} == {key: getattr(recipe, key) for key in COMMON}
    assert load_config(None, {"IMGCACHE_PROFILE": shown["profile"]}, {}) == Config()


def test_the_user_agent_names_imgcache_and_the_site(tmp_path: Path) -> None:
    assert read(tmp_path, "site_url: https://example.org").user_agent.endswith(" (+https://example.org)")
    assert read(tmp_path, "").user_agent.startswith("imgcache/")
    assert read(tmp_path, "site_url: https://bücher.example/é").user_agent.endswith(
        " (+https://xn--bcher-kva.example/%C3%A9)"
    )
