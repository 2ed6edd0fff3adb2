"""`imgcache sync` and `audit` where front matter was only guessed to name images."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from examples.origin import Answer, Origin
from tests.conftest import Command, Ended, MakeSite, picture
from tests.support.site_files import codes, manifest

PICTURE = "https://pictures.example/a.jpg"
PAGE = "https://pictures.example/wiki/File:A.png"


@pytest.fixture
def guessing(origin: Origin) -> Origin:
    """An origin with one picture, and a page whose address ends like that of one."""
    origin.answers.set(PICTURE, picture(40, 30))
    origin.answers.set(PAGE, Answer(body=b"<!doctype html><title>A</title>", media_type="text/html"))
    return origin


def test_a_guess_that_is_no_image_is_one_warning_and_not_asked_again(
    run: Command, guessing: Origin, make_site: MakeSite
) -> None:
    site = make_site({"a.md": f"---\nthumbnail: {PICTURE}\nsource: {PAGE}\n---\n"})
    first = run("sync", site, "--json")
    assert (first.code, codes(first.json())) == (0, [("not-an-image", "warning")])
    assert (first.json()["cached"], first.json()["failed"]) == (1, 0)
    assert "only guessed" in first.json()["problems"][0]["message"]
    again = run("sync", site, "--json")
    assert (again.code, again.json()["problems"], guessing.requests[PAGE]) == (0, [], 1)
    assert run("sync", site, "--refresh", "--json").code == 0
    assert guessing.requests[PAGE] == 2


def test_an_audit_repeats_the_warning_without_asking(
    audit: Callable[..., Ended], guessing: Origin, make_site: MakeSite
) -> None:
    site = make_site({"a.md": f"---\nsource: {PAGE}\n---\n"})
    for _ in range(2):
        ended = audit(site, "--json")
        assert ended.code == 0
        assert [(one["rule"], one["severity"]) for one in ended.json()["findings"]] == [("not-an-image", "warning")]
    assert guessing.requests[PAGE] == 1


def test_what_the_site_lists_or_uses_elsewhere_is_certain(run: Command, guessing: Origin, make_site: MakeSite) -> None:
    listed = {"a.md": f"---\nsource: {PAGE}\n---\n", "imgcache.yml": "fields: [source]\n"}
    used = {"a.md": f"---\nsource: {PAGE}\n---\n![x]({PAGE})\n"}
    for number, files in enumerate((listed, used)):
        site = make_site({f"{number}/{name}": text for name, text in files.items()}) / str(number)
        for _ in range(2):
            ended = run("sync", site, "--json")
            assert (ended.code, codes(ended.json())) == (1, [("not-an-image", "error")])


def test_a_file_of_the_site_is_missing_if_its_address_is_clear(
    run: Command, origin: Origin, make_site: MakeSite
) -> None:
    site = make_site({"a.md": "---\nimage: /assets/gone.png\ncover: theme.png\n---\n"})
    report = run("sync", site, "--json").json()
    assert sorted((one["url"], one["code"], one["severity"]) for one in report["problems"]) == [
        ("/assets/gone.png", "missing-file", "error"),
        ("theme.png", "missing-file", "warning"),
    ]


def test_an_ampersand_for_html_is_decoded_in_the_request_alone(
    run: Command, origin: Origin, make_site: MakeSite
) -> None:
    asked = "https://pictures.example/i?w=4&h=3"
    origin.answers.set(asked, picture(4, 3))
    written = [asked.replace("&", reference) for reference in ("&amp;", "&#038;", "&#x26;")]
    lines = "".join(f'  - url: "{url}"\n' for url in written)
    site = make_site({"a.md": f"---\nimages:\n{lines}---\n"})
    ended = run("sync", site, "--json")
    assert (ended.code, ended.json()["cached"], set(manifest(site))) == (0, 3, set(written))
    assert set(origin.requests) == {asked.removeprefix("https://"), "pictures.example/robots.txt"}


def test_entries_of_any_list_carry_the_flag_that_the_site_asks_for(
    run: Command, guessing: Origin, make_site: MakeSite
) -> None:
    before = f"""---
cover:
  image_width: 40
  image: "{PICTURE}"
  image_height: 30 # high
  alt: x
gallery:
  - image_path: {PICTURE}
    title: y
---
"""
    site = make_site({"a.md": before, "imgcache.yml": "flag: [gallery, cover]\n"})
    report = run("sync", site, "--json").json()
    assert (report["flags_set"], report["problems"]) == (2, [])
    lines = (site / "a.md").read_text().splitlines()
    assert lines[5] == "  isCached: true"
    assert lines[9] == "    isCached: true"
    assert "\n".join(line for line in lines if "isCached" not in line) + "\n" == before


def test_the_true_size_is_written_where_the_size_is_declared(
    run: Command, guessing: Origin, make_site: MakeSite
) -> None:
    site = make_site({"a.md": f"+++\nhero = '{PICTURE}'\nheroWidth = 4\nheroHeight = 4\n+++\n"})
    assert codes(run("sync", site, "--json").json()) == [("dimensions", "error")]
    assert run("sync", site, "--dimensions", "fix").code == 0
    assert (site / "a.md").read_text() == f"+++\nhero = '{PICTURE}'\nheroWidth = 40\nheroHeight = 30\n+++\n"
