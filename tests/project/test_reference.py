"""The reference against the program: all that exists is in it, and nothing that does not; every example is valid."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import Any

import click
import jsonschema
import msgspec
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

import imgcache
from examples.origin import Origin
from imgcache import cli
from imgcache.config import load_config
from imgcache.config.schema import SETTINGS, VARIANT
from imgcache.core import errors
from imgcache.manifest import ManifestEntry
from imgcache.manifest.document import VERSION, ManifestVariant
from imgcache.server import admission, query
from imgcache.server.negotiation import FORMATS
from tests.conftest import ROOT, Command, article, picture
from tests.project.test_docs import anchors, rows
from tests.support.served import ask, serving, write_manifest

REFERENCE = ROOT / "docs/reference"
SCHEMA = json.loads((ROOT / "docs/schema/imgcache.schema.json").read_text())
MANIFEST_SCHEMA = json.loads((ROOT / "docs/schema/manifest.schema.json").read_text())
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def text(page: str) -> str:
    return (REFERENCE / page).read_text(encoding="utf-8")


def headings(page: str, level: str) -> list[str]:
    return [line.removeprefix(f"{level} ") for line in text(page).splitlines() if line.startswith(f"{level} ")]


def test_the_pages_are_what_their_script_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts/references"))
    pages: dict[Path, str] = import_module("reference_main").pages()
    assert len(pages) > 5
    assert [path.name for path, text in pages.items() if path.read_text() != text] == [], "run scripts/reference"


# -- commands --------------------------------------------------------------------------------------------------------


def commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    if path != "imgcache":
        yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            part = command.get_command(context, name)
            assert part is not None
            yield from commands(part, f"{path} {name}")


COMMANDS = dict(commands(cli.imgcache, "imgcache"))


def options(command: click.Command) -> set[str]:
    return {name for option in command.params if isinstance(option, click.Option) for name in option.opts}


def test_every_command_and_option_is_there_and_no_other() -> None:
    sections = dict(
        re.findall(r"^###? (imgcache .+?)\n(.*?)(?=^###? imgcache |\Z)", text("commands.md"), re.DOTALL | re.MULTILINE)
    )
    assert sections.keys() == COMMANDS.keys()
    everywhere = set(re.findall(r"`(-[\w-]+)`", text("commands.md").partition("## imgcache sync")[0]))
    for path, command in COMMANDS.items():
        named = set(re.findall(r"^\| (.*?) \|", sections[path], re.MULTILINE))
        own = {word for cell in named for word in re.findall(r"`(-[\w-]+)`", cell)}
        assert own <= options(command), path
        assert options(command) <= own | everywhere, path


def test_every_command_line_of_the_documents_is_valid() -> None:
    wrong = []
    for document in DOCUMENTS:
        for line in re.findall(r"^\s*\$ (?:.*&& )?(imgcache .*)$", document.read_text(), re.MULTILINE):
            words = re.split(r"  #| \| ", line)[0].split()
            path = " ".join(words[:3]) if " ".join(words[:3]) in COMMANDS else " ".join(words[:2])
            flags = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
            known = options(COMMANDS[path]) | {"--help", "-h", "--version"} if path in COMMANDS else set()
            if path not in COMMANDS or not flags <= known:
                wrong.append(f"{document.name}: {line}")
    assert wrong == []


def test_every_exit_status_is_there_and_no_other() -> None:
    named = {int(row[0]) for row in rows(REFERENCE / "commands.md") if row[0].isdigit()}
    assert named == {0, *(value for name, value in vars(cli).items() if name.startswith("EXIT_"))}


# -- settings --------------------------------------------------------------------------------------------------------


def test_every_key_has_a_section_with_what_it_means_and_no_other_has_one() -> None:
    assert headings("configuration.md", "###") == [
        *(key for key in SETTINGS if "." not in key),
        *(key for key in SETTINGS if "." in key),
    ]
    bare = re.findall(r"^### (\S+)\n\n- ", text("configuration.md"), re.MULTILINE)
    assert bare == [], "docs/reference/configuration.yml says what these mean"
    named = {row[0].strip("`") for row in rows(REFERENCE / "configuration.md")} - {"key"}
    assert named == VARIANT.keys() - SETTINGS.keys()


def test_the_schema_has_every_key_and_no_other() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    found = set()
    for name, part in SCHEMA["properties"].items():
        found |= {f"{name}.{key}" for key in part["properties"]} if "properties" in part else {name}
    assert found == SETTINGS.keys()
    assert SCHEMA["properties"]["variants"]["items"]["properties"].keys() == VARIANT.keys()


def examples() -> Iterator[tuple[str, str]]:
    """Every block of YAML in the documents that is an imgcache.yml, and the file of the example site."""
    yield "examples/site", (ROOT / "examples/site/imgcache.yml").read_text()
    for document in DOCUMENTS:
        for indent, block in re.findall(r"^( *)```yaml\n(.*?)^ *```", document.read_text(), re.DOTALL | re.MULTILINE):
            lines = "".join(line.removeprefix(indent) for line in block.splitlines(keepends=True))
            value = yaml.safe_load(lines)
            if isinstance(value, dict) and value.keys() <= {key.partition(".")[0] for key in SETTINGS}:
                yield f"{document.name}: {block[:40]!r}", lines


def test_every_example_is_valid_by_the_schema_and_by_the_program(tmp_path: Path) -> None:
    found = dict(examples())
    assert len(found) > len(SETTINGS)
    for where, block in found.items():
        value = yaml.safe_load(block)
        problems = list(jsonschema.Draft202012Validator(SCHEMA).iter_errors(value))
        assert problems == [], where
        file = tmp_path / "imgcache.yml"
        file.write_text(block)
        load_config(file, {}, {})


def test_what_the_page_calls_the_default_is_the_default() -> None:
    sections = re.findall(r"^### (\S+)\n(.*?)(?=^##|\Z)", text("configuration.md"), re.DOTALL | re.MULTILINE)
    known = [
        (key, shown[1]) for key, body in sections if (shown := re.search(r"^- Default: `([^`]+)`$", body, re.MULTILINE))
    ]
    assert len(known) > 40
    default = load_config(None, {}, {})
    for key, default_text in known:
        variable = "IMGCACHE_" + key.upper().replace(".", "__")
        assert load_config(None, {variable: default_text}, {}) == default, key
    others = SETTINGS.keys() - dict(known).keys()
    assert {key for key in others if attrgetter(key)(default)} == {"variants"}, "the page has to show these defaults"


@pytest.mark.parametrize(
    "wrong", [{"fetch": {"retries": -1}}, {"flgs": []}, {"variants": [{"name": "a"}]}, {"dimensions": "guess"}]
)
def test_the_schema_rejects_what_the_program_rejects(tmp_path: Path, wrong: dict[str, Any]) -> None:
    file = tmp_path / "imgcache.yml"
    file.write_text(yaml.safe_dump(wrong))
    with pytest.raises(imgcache.ConfigError):
        load_config(file, {}, {})
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, SCHEMA)


# -- codes, routes, metrics, environment -----------------------------------------------------------------------------


def test_every_code_that_the_source_names_has_a_section() -> None:
    sections = set(headings("problems.md", "##"))
    classes = {kind.code for kind in errors.ImageError.__subclasses__()}
    assert sections >= classes | {kind.code for kind in errors.ArticleError.__subclasses__()}
    source = "".join(path.read_text() for path in (ROOT / "imgcache").rglob("*.py"))
    assert [code for code in sections if f'"{code}"' not in source] == []
    assert anchors(REFERENCE / "problems.md") >= sections
    assert "The finding says what is wrong" not in text("problems.md"), "a code has no text of its own"


def test_every_code_of_an_audit_and_a_sync_is_there(run: Command, origin: Origin, tmp_path: Path) -> None:
    origin.answers.set("https://a.example/here.png", picture(64, 64))
    images = [
        ("https://a.example/gone.png", 4, 3),
        ("ftp://a.example/x.png", 4, 3),
        ("https://a.example/here.png", 9, 3),
    ]
    (tmp_path / "one.md").write_text(article(*images, ("/astray.png", 4, 3)))
    found = {problem["code"] for problem in run("sync", tmp_path, "--json").json()["problems"]}
    audited = run("audit", tmp_path, "--json", *origin.connect_to).json()["findings"]
    found |= {finding["rule"] for finding in audited}
    assert len(found) > 3
    assert found <= set(headings("problems.md", "##"))


def test_every_route_and_metric_is_there(tmp_path: Path) -> None:
    paths = {heading.removeprefix("GET ") for heading in headings("http.md", "###")}
    assert paths == {*admission.ROUTES, *admission.FOLDERS}
    assert {admission.route(path + "x" if path.endswith("/") and path != "/" else path) for path in paths} == {
        *admission.ROUTES.values(),
        *admission.FOLDERS.values(),
    }
    write_manifest(tmp_path, {})
    with serving(tmp_path) as port:
        ask(port, "/healthz")
        exposed = ask(port, "/metrics").body.decode()
    shown = {name.strip("`"): cells for name, *cells in rows(REFERENCE / "http.md") if name.startswith("`imgcache_")}
    families = {family.name: family for family in text_string_to_metric_families(exposed)}
    assert shown.keys() == {name + "_total" * (family.type == "counter") for name, family in families.items()}
    for name, (kind, labels, meaning) in shown.items():
        family = families[name.removesuffix("_total")]
        assert (kind, meaning) == (family.type, family.documentation)
        if family.samples:  # there are no failures, so these have none
            named = {label for sample in family.samples for label in sample.labels} - {"le"}
            assert labels == ", ".join(f"`{label}`" for label in sorted(named))
    limits = (f"from 1 to {query.MAX_WIDTH}.", f"{admission.MAX_TARGET:,} bytes", *(f"`{one}`" for one in FORMATS))
    assert [limit for limit in limits if limit not in text("http.md")] == []


def test_every_variable_that_the_source_reads_is_there() -> None:
    named = set(re.findall(r"`([A-Z_]+)`", text("environment.md")))
    own = re.compile(r"(IMGCACHE|SSL_CERT|PROMETHEUS)_[A-Z_]*[A-Z]")
    read = set[str]()
    for file in (ROOT / "imgcache").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and own.fullmatch(node.value):
                read.add(node.value)
    assert len(read) > 5
    settings = {"IMGCACHE_" + key.upper().replace(".", "__") for key in SETTINGS}
    assert read - named - settings == {"IMGCACHE_SHARED"}  # the test data of the project


# -- manifest.json, Python -------------------------------------------------------------------------------------------


def test_a_real_manifest_matches_its_schema(run: Command, origin: Origin, tmp_path: Path) -> None:
    jsonschema.Draft202012Validator.check_schema(MANIFEST_SCHEMA)
    origin.answers.set("https://a.example/a.png", picture(700, 350))
    (tmp_path / "one.md").write_text(article(("https://a.example/a.png", 700, 350)))
    assert run("sync", tmp_path).code == 0
    document = json.loads((tmp_path / "cache/manifest.json").read_text())
    jsonschema.validate(document, MANIFEST_SCHEMA)
    (image,) = document["images"].values()
    named = {row[0].strip("`") for row in rows(REFERENCE / "cache.md")}
    assert image.keys() | image["variants"][0].keys() <= named
    image["digest"] = "short"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, MANIFEST_SCHEMA)


def test_every_key_of_a_manifest_is_there_and_whether_it_always_is() -> None:
    shown = [(row[0], row[1]) for row in rows(REFERENCE / "cache.md") if row[1] in {"yes", "no"}]
    fields = [*msgspec.structs.fields(ManifestEntry), *msgspec.structs.fields(ManifestVariant)]
    assert shown == [(f"`{field.encode_name}`", "yes" if field.required else "no") for field in fields]
    assert f'{{"version": {VERSION}, ' in text("cache.md")


def test_every_public_name_is_there_and_no_other() -> None:
    named = {name for name in headings("python.md", "###") if name.startswith("imgcache.")}
    assert named == {f"imgcache.{name}" for name in imgcache.__all__}
    report = imgcache.SyncReport.__struct_fields__
    assert set(report) <= {row[0].strip("`") for row in rows(REFERENCE / "python.md")}


def test_python_in_the_documents_compiles() -> None:
    pages = {document: document.read_text() for document in DOCUMENTS}
    blocks = [
        (page, block)
        for page, text in pages.items()
        for block in re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
        if ") -> " not in block  # a signature
    ]
    assert blocks
    assert [(page, block) for page, block in blocks if not compiles(block)] == []


def compiles(code: str) -> bool:
    try:
        ast.parse(code)
    except SyntaxError:
        return False
    return True
