"""Counted messages: one of a thing is said in the singular, by every command."""

from __future__ import annotations

import re

import pytest

from examples.origin import Answer, Origin
from imgcache.core import plural
from tests.conftest import A, Command, MakeSite, article, picture

# "1 images", "1 of", … where a plural noun follows a lone 1. Not "1 cached": that is no noun.
_WRONG = re.compile(
    r"(?<![\d,.])1 (?:[a-z]+ )?(?:times|images|files|places|articles|references|copies|flags|warnings|errors|hosts)\b"
)


@pytest.mark.parametrize(("count", "said"), [(0, "0 images"), (1, "1 image"), (2, "2 images"), (1204, "1,204 images")])
def test_a_count_and_its_noun(count: int, said: str) -> None:
    assert plural(count, "image") == said
    assert plural(count, "copy", "copies").split(" ")[1] == ("copy" if count == 1 else "copies")


def test_no_command_says_one_of_many(run: Command, origin: Origin, make_site: MakeSite) -> None:
    gone = "https://gone.example/x.png"
    origin.answers.set(A, picture(20, 10))
    origin.answers.set(gone, Answer(status=404))
    site = make_site({"a.md": article((A, 20, 10))})
    said = [run("sync", site).out, run("sync", site, "--dry-run").out]
    commands = (("show", A), ("status",), ("verify",), ("gc", "--dry-run"), ("export", "jekyll"))
    said += [run(*words, site).out for words in commands]
    said.append(run("export", "jekyll", site, "--copy-to", site / "public").out)
    assert "used in 1 place:" in said[2]
    assert "1 article names 1 remote image in 1 reference" in said[3]
    (site / "b.md").write_text(article((gone, 20, 10)))
    said += [run("sync", site).out, run("status", site).out, run("show", gone, site).out]
    assert "1 time, last" in said[-1]
    said.append(run("audit", site, *origin.connect_to).out)
    (site / "b.md").unlink()
    (site / "a.md").unlink()
    said += [run("gc", site, "--dry-run").out, run("gc", site).err, run("gc", site, "--yes").out]
    assert said[-1].startswith("1 copy, ")
    assert [_WRONG.findall(text) for text in said] == [[] for _ in said]
    (site / "a.md").write_text(article((A, 20, 10)))
    run("sync", site)
    assert "1 flag cleared" in run("forget", A, site).out
