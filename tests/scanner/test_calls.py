"""Images that are named in calls of what `imgcache export` writes: they are fetched, and gc keeps them."""

from __future__ import annotations

import pytest

from examples.origin import Origin
from imgcache.core import Edit
from imgcache.manifest import apply_edits
from imgcache.scanner.markup import called, references
from tests.conftest import Command, MakeSite, article, picture

URL = "https://h.example/a.png"
CALLS = [
    '{% include imgcache.html url="https://h.example/a.png" alt=page.title sizes="40em" %}',
    "{%- include imgcache.html alt='x' url='https://h.example/a.png' -%}",
    '{{ partial "imgcache.html" (dict "url" "https://h.example/a.png" "alt" .Title) }}',
    '{{- partialCached "imgcache.html" (dict "alt" "x" "image" (dict "url" "https://h.example/a.png")) -}}',
    '{{< imgcache url="https://h.example/a.png" >}}',
    '{{< imgcache "https://h.example/a.png" "40em" />}}',
    "{{% imgcache src=`https://h.example/a.png` %}}",
    '{% imgcache "https://h.example/a.png", title, "40em" %}',
    "{% imgcache('https://h.example/a.png', title) %}",
    '{% imgcache { url: "https://h.example/a.png", width: 3 }, title %}',
    '{{{ imgcache "https://h.example/a.png" }}}',
    '{% imgcache url %}\n{% imgcache "https://h.example/a.png"\n %}',
    '{% raw %}{% imgcache "https://no" %}{% endraw %}{% imgcache "https://h.example/a.png" %}',
]
NONE = [
    '{% include imgcache.html url=page.x alt="https://no" %}',
    "{% include imgcache.html image=image alt=page.title %}",
    '{% include imgcache.html url=image.url alt="url" %} "x"',
    '{{ partial "imgcache.html" (dict "url" .Destination "alt" "x") }}',
    '{{ partial "imgcache.html" (dict "alt" "url" "sizes" "https://h/no") }}',
    '{{</* imgcache "https://h/no" */>}}',
    '{% imgcache images[0], "https://no" %}',
    '{% imgcache "https://h/{{ no }}" %}',
    '{% imgcacheother "https://no" %}',
    '{% comment %}{% imgcache "https://no" %}{% endcomment %}',
    '{% imgcache "never closed',
    "imgcache",
]


@pytest.mark.parametrize("html", [True, False])
@pytest.mark.parametrize("call", CALLS)
def test_a_literal_url_is_a_reference(call: str, html: bool) -> None:
    text = f"Text\n{call}\n"
    [found] = references(text, "a.md", first_line=1, html=html)
    assert (found.url, found.field, found.flaggable) == (URL, "shortcode", False)
    assert text.split("\n")[found.line - 1].startswith(URL, found.column - 1)
    assert called(text, "a.md") == (found,)


@pytest.mark.parametrize("call", NONE)
def test_a_call_without_a_literal_url_is_no_reference(call: str) -> None:
    assert references(call, "a.md", first_line=1, html=False) == ()


def test_an_address_in_a_call_is_edited() -> None:
    data = f'---\nt: 1\n---\n{{% imgcache "{URL}" %}}\n'.encode()
    new = apply_edits(data, "a.md", [Edit(4, 14, was=URL, url="https://h.example/b.png?x=1&y=2")])
    assert new == data.replace(URL.encode(), b"https://h.example/b.png?x=1&y=2")


def test_what_calls_name_is_fetched_and_kept(run: Command, origin: Origin, make_site: MakeSite) -> None:
    names = ["front", "article", "layout", "include", "raw"]
    for name in names:
        origin.answers.set(f"https://h.example/{name}.png", picture(6, 4))
    call = '{{% include imgcache.html url="https://h.example/{}.png" %}}'
    site = make_site(
        {
            "_config.yml": "title: x\n",
            "a.md": article(("https://h.example/front.png", 6, 4), body=call.format("article")),
            "_layouts/default.html": call.format("layout") + '<img src="https://h.example/no.png">',
            "_includes/deep/foot.html": call.format("include"),
            "_includes/raw.html": "{% raw %}" + call.format("raw") + "{% endraw %}",
        }
    )
    synced = run("sync", site, "--json")
    assert synced.code == 0
    assert {key: synced.json()[key] for key in ("articles", "images", "fetched")} == {
        "articles": 1,
        "images": 4,
        "fetched": 4,
    }
    assert "0" in run("gc", site).out
    assert '"cached":4' in run("status", site, "--json").out.replace(" ", "")
    shown = run("show", "https://h.example/layout.png", site)
    assert "_layouts/default.html:1" in shown.out
    (site / "_layouts" / "default.html").unlink()
    again = run("sync", site, "--json").json()
    assert again["images"] == 3
