"""Linked articles: an edit through one of them does not count as a foreign change of the others."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from examples.origin import Origin
from tests.conftest import Command, MakeSite, article, picture

A = "https://pictures.example/a.jpg"
B = "https://pictures.example/b.jpg"
PLAIN = article((A, 40, 30))


@pytest.fixture
def held(run: Command, origin: Origin) -> None:
    """Both images can be fetched."""
    origin.answers.set(A, picture(40, 30))
    origin.answers.set(B, picture(40, 30))


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize(
    ("target", "links"),
    [
        ("d/a.md", {"link.md": "d/a.md"}),
        ("z/a.md", {"a.md": "z/a.md"}),
        ("d/a.md", {"a.md": "z.md", "e/b.md": "../d/a.md", "z.md": "d/a.md"}),
        ("d/a.txt", {"a.md": "d/a.txt", "b.md": "d/a.txt", "e/c.html": "../d/a.txt"}),
    ],
    ids=["link after its target", "link before its target", "links to links", "target is no article"],
)
def test_the_target_of_several_links_is_written_once(
    run: Command, make_site: MakeSite, target: str, links: dict[str, str]
) -> None:
    site = make_site({target: PLAIN, "e/x.txt": ""})
    for link, to in links.items():
        (site / link).symlink_to(to)
    rehearsed = run("sync", site, "--dry-run", "--json").json()
    ended = run("sync", site, "--json")
    done = ended.json()
    assert (ended.code, done["problems"], done["flags_set"]) == (0, [], 1)
    assert rehearsed["flags_set"] == 1
    assert (site / target).read_text().count("isCached: true") == 1
    assert all((site / link).is_symlink() for link in links)
    assert run("verify", site).out == "0 found\n"
    (site / target).write_text(PLAIN)
    assert run("verify", site, "--repair", "--json").json()["left"] == []
    before = (site / target).read_bytes()
    again = run("sync", site, "--json").json()
    assert (again["problems"], again["flags_set"], again["fetched"]) == ([], 0, 0)
    assert run("forget", A, site).code == 0
    assert (site / target).read_text() == PLAIN
    assert run("verify", site).out == "0 found\n"
    assert before != (site / target).read_bytes()


@pytest.mark.usefixtures("held")
def test_a_link_saved_by_another_program_is_reported(
    run: Command, make_site: MakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imgcache.syncer import Pipeline

    site = make_site({"d/a.md": PLAIN, "d/b.txt": article((B, 40, 30))})
    (site / "link.md").symlink_to("d/b.txt")
    fetch = Pipeline.run

    async def edit_meanwhile(self: Pipeline, job: object) -> object:
        (site / "d/b.txt").write_text(article((B, 40, 30), body="edited"))
        return await fetch(self, job)  # type: ignore[arg-type]

    monkeypatch.setattr(Pipeline, "run", edit_meanwhile)
    ended = run("sync", site, "--json")
    [problem] = ended.json()["problems"]
    assert (ended.code, problem["code"], problem["references"][0]["article"]) == (1, "article-changed", "link.md")
    assert (site / "d/b.txt").read_text() == article((B, 40, 30), body="edited")
    assert "isCached" in (site / "d/a.md").read_text()


@pytest.mark.usefixtures("held")
def test_messages_about_articles_contain_no_absolute_path(
    run: Command, make_site: MakeSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imgcache.syncer import Pipeline

    names = ["changed.md", "gone.md", "locked.md", "outside.md", "pipe.md"]
    site = make_site(dict.fromkeys(names, PLAIN))
    (tmp_path / "elsewhere.md").write_text(PLAIN)
    (site / "outside.md").unlink()
    (site / "outside.md").symlink_to(tmp_path / "elsewhere.md")
    (site / "locked.md").chmod(0o444)
    fetch = Pipeline.run

    async def meddle(self: Pipeline, job: object) -> object:
        (site / "changed.md").write_text(PLAIN + "more")
        (site / "gone.md").unlink()
        (site / "pipe.md").unlink()
        (site / "pipe.md").mkdir()
        return await fetch(self, job)  # type: ignore[arg-type]

    monkeypatch.setattr(Pipeline, "run", meddle)
    problems = run("sync", site, "--json").json()["problems"]
    assert {problem["references"][0]["article"] for problem in problems} == set(names)
    for problem in problems:
        assert not re.search(rf"{tmp_path}|\.md", problem["message"]), problem["message"]
