"""Data files: what is read of them, where, and which edits they get."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from examples.origin import Origin
from tests.conftest import Command, MakeSite, picture
from tests.support.site_files import codes

A = "https://pictures.example/a.jpg"
B = "https://pictures.example/b"
DATA = {
    "_data/team.yml": f"- name: Ann\n  avatar: {B}\n- name: Bob\n  links: [https://bob.example, '{A}']\n",
    "data/gallery.json": f'\n[{{"title": "x", "images": [\n  {{"url": "{A}", "width": 4}}]}}]\n',
    "src/_data/deep/site.toml": f'title = "x"\n[author]\nphoto = "{A}"\nbio = "![me]({B})"\n',
}


def listed(run: Command, site: Path) -> list[tuple[str, int, int, str, str]]:
    report = run("scan", site, "--json").json()
    found = report["references"]
    return sorted((one["article"], one["line"], one["column"], one["field"], one["url"]) for one in found)


def test_images_of_data_files_are_listed_with_their_places(run: Command, make_site: MakeSite) -> None:
    site = make_site({"a.md": "x", **DATA, "_data/notes.txt": A, "elsewhere/x.yml": f"image: {A}\n"})
    assert listed(run, site) == [
        ("_data/team.yml", 2, 11, "data", B),
        ("_data/team.yml", 4, 32, "data", A),
        ("data/gallery.json", 3, 11, "data", A),
        ("src/_data/deep/site.toml", 3, 9, "data", A),
        ("src/_data/deep/site.toml", 4, 14, "data", B),
    ]
    assert run("scan", site, "--json").json()["articles"] == 1


@pytest.mark.parametrize(
    ("setting", "files"),
    [
        ("data: none", set()),
        ('data: ["elsewhere/*.yml"]', {"elsewhere/x.yml"}),
        ("exclude: [_data/**, src/**]", {"data/gallery.json"}),
        ("fields: none", {"data/gallery.json"}),
        ("fields: [avatar, author.*]", {"_data/team.yml", "data/gallery.json", "src/_data/deep/site.toml"}),
    ],
)
def test_settings_say_which_files_and_fields_are_read(
    run: Command, make_site: MakeSite, setting: str, files: set[str]
) -> None:
    site = make_site({"a.md": "x", **DATA, "elsewhere/x.yml": f"image: {A}\n", "imgcache.yml": f"{setting}\n"})
    assert {article for article, *_ in listed(run, site)} == files


@pytest.mark.parametrize(
    ("name", "text", "flagged"),
    [
        ("a.yml", "images:\n- url: {A}\n  width: 40\n", "images:\n- url: {A}\n  width: 40\n  isCached: true\n"),
        ("a.yaml", "---\nimages: [{url: '{A}'}]\n---\n", "---\nimages: [{url: '{A}', isCached: true}]\n---\n"),
        ("a.json", '{"images":[{"url":"{A}"}]}', '{"images":[{"url":"{A}","isCached":true}]}'),
        (
            "a.json",
            '[{"images": [\r\n{ "url": "{A}"\r\n}]}]',
            '[{"images": [\r\n{ "url": "{A}", "isCached": true\r\n}]}]',
        ),
        ("a.toml", '[[images]]\nurl = "{A}"\nx = 1\n', '[[images]]\nurl = "{A}"\nisCached = true\nx = 1\n'),
    ],
)
def test_flags_are_set_and_cleared_where_flag_says(
    run: Command, origin: Origin, make_site: MakeSite, name: str, text: str, flagged: str
) -> None:
    origin.answers.set(A, picture(40, 30))
    site = make_site({"a.md": "x"})
    file = site / "_data" / name
    file.parent.mkdir()
    before = text.replace("{A}", A).encode()
    file.write_bytes(before)
    assert run("sync", site, "--json").json()["flags_set"] == 1
    assert file.read_bytes() == flagged.replace("{A}", A).encode()
    assert run("sync", site, "--json").json()["flags_set"] == 0
    assert run("forget", A, site).code == 0
    assert file.read_bytes() == before


def test_sizes_and_addresses_in_data_files_are_never_rewritten(
    run: Command, origin: Origin, make_site: MakeSite
) -> None:
    origin.answers.set(A, picture(40, 30))
    site = make_site({"a.md": "x", "_data/a.yml": f"cover: {A}\nwidth: 4\nheight: 4\n"})
    ended = run("sync", site, "--dimensions", "fix", "--json")
    assert codes(ended.json()) == [("dimensions", "error")]
    run("audit", site, "--fix", *origin.connect_to)
    assert (site / "_data/a.yml").read_text() == f"cover: {A}\nwidth: 4\nheight: 4\n"


def test_an_unchanged_file_is_not_read_again_and_a_changed_one_is(
    run: Command, origin: Origin, make_site: MakeSite
) -> None:
    origin.answers.set(A, picture(40, 30))
    site = make_site({"a.md": "x", "_data/a.yml": f"cover: {A}\n"})
    assert run("sync", site, "--json").json()["references"] == 1
    file = site / "_data/a.yml"
    long_ago = file.stat().st_mtime_ns - 10**12
    os.utime(file, ns=(long_ago, long_ago))  # a file that was saved just now is read again
    assert run("sync", site, "--json").json()["references"] == 1
    file.write_text(f"other: {'x' * len(A)}\n")
    os.utime(file, ns=(long_ago, long_ago))
    assert run("sync", site, "--json").json()["references"] == 1
    file.write_text("other: x\n")
    assert run("sync", site, "--json").json()["references"] == 0
    assert run("gc", site, "--yes").code == 0


@pytest.mark.parametrize(
    ("name", "text", "place", "words"),
    [
        ("a.yml", "images: [\n", (2, 1), "not valid YAML"),
        ("a.json", '{"images": 1,\n}', (2, 1), "not valid JSON"),
        ("a.json", '{"images": 1}\n x', (2, 2), "more text behind its end"),
        ("a.toml", 'images = "x\n', (1, 12), "not valid TOML"),
        ("a.json", '["//", ' + "[" * 200 + "]" * 200 + "]", (1, 1), "nested deeper"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_warning_with_its_place(
    run: Command, make_site: MakeSite, name: str, text: str, place: tuple[int, int], words: str
) -> None:
    site = make_site({"a.md": "x", f"_data/{name}": text})
    ended = run("scan", site, "--json")
    (problem,) = ended.json()["problems"]
    where = problem["references"][0]
    assert (problem["code"], problem["severity"], where["article"]) == (
        "article-unreadable",
        "warning",
        f"_data/{name}",
    )
    assert words in problem["message"]
    assert "front matter" not in problem["message"]
    assert ended.code == 0
    assert (where["line"], where["column"]) == place


def test_a_template_may_be_data_for_nobody(run: Command, make_site: MakeSite) -> None:
    site = make_site({"a.md": "x", "data/a.json": "{{ not json }}", "data/b.yml": "{% if x %}"})
    assert run("scan", site, "--json").json()["problems"] == []


def test_the_forms_of_json_strings_are_read(run: Command, make_site: MakeSite) -> None:
    site = make_site({"a.md": "x", "data/a.json": json.dumps({"image": A}).replace("/", "\\/")})
    assert listed(run, site) == [("data/a.json", 1, 11, "data", A)]
