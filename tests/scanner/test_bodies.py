"""Bodies as each generator reads them: what is a reference there, through `imgcache scan`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from imgcache.core import Edit
from imgcache.manifest import apply_edits
from imgcache.scanner import Site, extract_references, layout_of
from tests.conftest import Command, MakeSite

INDENTED = "Text\n\n    ![x](https://h.example/x.png)\n"
FOOTNOTE = "Text[^1]\n\n[^1]: ![x](https://h.example/x.png)\n"
FIGURE = '{{< figure src="https://h.example/x.png" caption="x" >}}\n'
INCLUDE = '{% include figure.html url="https://h.example/x.png" %}\n'
ELEVENTY_1 = '{"devDependencies": {"@11ty/eleventy": "^1.0.2"}}'


def scanned(run: Command, site: Path) -> list[dict[str, Any]]:
    """The references, after a check that each is where it is said to be."""
    found: list[dict[str, Any]] = run("scan", site, "--json").json()["references"]
    for one in found:
        line = (site / one["article"]).read_text().split("\n")[one["line"] - 1]
        assert line[one["column"] - 1 :].replace("&amp;", "&").startswith(one["url"]), one
    return found


@pytest.mark.parametrize(
    ("files", "body", "expected"),
    [
        ({}, INDENTED, 0),
        ({"hugo.toml": ""}, INDENTED, 0),
        ({"eleventy.config.js": ""}, INDENTED, 1),
        ({"eleventy.config.js": 'c.amendLibrary("md", (md) => md.enable("code"))'}, INDENTED, 0),
        ({"eleventy.config.js": "", "package.json": ELEVENTY_1}, INDENTED, 0),
        ({"eleventy.config.js": "", "package.json": ELEVENTY_1.replace("^1", "^3")}, INDENTED, 1),
        ({"docusaurus.config.js": ""}, INDENTED, 1),
        ({"docusaurus.config.js": "x = { markdown: { format: 'md' } }"}, INDENTED, 0),
        ({"hugo.toml": ""}, FOOTNOTE, 1),
        ({"_config.yml": ""}, FOOTNOTE, 1),
        ({"eleventy.config.js": ""}, FOOTNOTE, 0),
        ({"hugo.toml": ""}, FIGURE + INCLUDE, 1),
        ({"_config.yml": ""}, FIGURE + INCLUDE, 1),
        ({"mkdocs.yml": ""}, FIGURE + INCLUDE, 0),
        ({}, FIGURE + INCLUDE, 2),
    ],
)
def test_markdown_is_that_of_the_generator(
    run: Command, make_site: MakeSite, files: dict[str, str], body: str, expected: int
) -> None:
    assert len(scanned(run, make_site(files | {"docs/a.md": body}))) == expected


@pytest.mark.parametrize(
    ("body", "urls"),
    [
        ("![x](/a.png =300x200)", ["/a.png"]),
        ("![x](/a.png =300x 'title') ![x](/b.png =x20)", ["/b.png"]),
        (
            '![x](https://h.example/a.png align="left") and ![x](/b.png align=center)',
            ["https://h.example/a.png", "/b.png"],
        ),
        ("![x](/a.png = 3) ![x](a b.png) `![x](/a.png =1x1)`", []),
        (
            '<img src="/a.png" data-src="/b.png" data-srcset="/c.png 1x, /d.png 2x">',
            ["/a.png", "/b.png", "/c.png", "/d.png"],
        ),
        ('<video poster="/a.png" src="/b.mp4"></video> <video data-poster=/c.png></video>', ["/a.png", "/c.png"]),
        (
            "<div style=\"background: url('/a.png?x=1&amp;y=2') no-repeat, url(/b.png)\">x</div>",
            ["/a.png?x=1&y=2", "/b.png"],
        ),
        (
            "<style>\n/* url(/no.png) */ a { background: url(/a.png); } @font-face { src: url(/f.woff) }\n</style>",
            ["/a.png"],
        ),
        ('<td background="/a.png"><p data-bg="/b.png"><section data-background="#fff">', ["/a.png", "/b.png"]),
        ('<svg><image xlink:href="/a.png"/></svg> <input type="image" src="/b.png">', ["/a.png", "/b.png"]),
        ('<iframe data-src="/a.png"></iframe><a data-src="/b.html">x</a><a data-src="/c.jpg">x</a>', ["/c.jpg"]),
        ('<!-- <p style="a: url(/a.png)"> --> <script>"<p style=\'a: url(/a.png)\'>"</script>', []),
        ('<p style="background: url({{ page.image }})">', []),
    ],
)
@pytest.mark.parametrize("ending", ["md", "html"])
def test_what_html_and_markdown_name(
    run: Command, make_site: MakeSite, body: str, urls: list[str], ending: str
) -> None:
    if ending == "html" and "![" in body:
        pytest.skip("Markdown alone")
    found = scanned(run, make_site({f"a.{ending}": f"{body}\n"}))
    assert [one["url"] for one in found] == urls
    assert {one["field"] for one in found} <= {"body"}


@pytest.mark.parametrize(
    ("call", "urls"),
    [
        ('{{< figure src="images/a.png" link="/b/" title="a.png" >}}', ["images/a.png"]),
        ('{{< img "a.png" >}} {{< gallery "a.png" "/b.png" >}}', ["a.png", "/b.png"]),
        ('{{% card image="//h.example/a.webp?x=1" %}}text{{% /card %}}', ["//h.example/a.webp?x=1"]),
        ('{{</* figure src="/a.png" */>}} {{ .Site.Title }}', []),
        (
            '{% include gallery.html a="https://h.example/a.JPG" b="/b.html" c="https://h.example/c" %}',
            ["https://h.example/a.JPG"],
        ),
        ('{% include pic.html file="a.png" %}', []),
        ('{%- image "./a.jpg", "A cat in b.png" -%}', ["./a.jpg"]),
        ('{% image { src: "https://h.example/a.jpg", alt: "x" } %}', ["https://h.example/a.jpg"]),
        ('{{ image("https://h.example/a.jpg", "x") }} {{ title | upper }}', ["https://h.example/a.jpg"]),
        ("{% asset_img a.png A title %}", []),
        ("{% img left https://h.example/a.png 3 4 %}", ["https://h.example/a.png"]),
        ('{% assign x = "/a.png" %}{% if x == "/a.png" %}{% endif %}{% link /a.png %}', []),
        ('{% raw %}{% include a.html url="/a.png" %}{% endraw %}', []),
        ('{% comment %}{% include a.html url="/a.png" %}{% endcomment %}', []),
        ('{% include imgcache.html url="/any/thing" %}', ["/any/thing"]),
    ],
)
@pytest.mark.parametrize("ending", ["md", "html", "njk"])
def test_calls_name_images(run: Command, make_site: MakeSite, call: str, urls: list[str], ending: str) -> None:
    found = scanned(run, make_site({f"a.{ending}": f"Text\n{call}\n"}))
    assert [one["url"] for one in found] == urls
    assert {one["field"] for one in found} <= {"shortcode"}


MDX = """import Image from "next/image"

<Image
  src="https://h.example/one.png" alt="x"
/>

<img src={"https://h.example/two.png"} /> and ![x](https://h.example/three.png)

<div>
![x](https://h.example/four.png)
</div>

<img src={useBaseUrl('/img/five.png')} srcSet="/six.png 1x, /seven.png 2x" />

<Card image="https://h.example/eight.png" title="no.png" link={"https://h.example/page"}>
  <div style={{ backgroundImage: 'url(/nine.png)', width: 3 }}>text</div>
</Card>

    ![x](https://h.example/ten.png)

`<img src="/code.png">` {/* <img src="/comment.png" /> */}

```jsx
<img src="/fence.png" />
```

<img src={props.image} /> <img src={`/img/${name}.png`} />
"""


@pytest.mark.parametrize("files", [{}, {"astro.config.mjs": ""}, {"docusaurus.config.js": ""}])
def test_mdx(run: Command, make_site: MakeSite, files: dict[str, str]) -> None:
    name = "docs/a.md" if "docusaurus.config.js" in files else "docs/a.mdx"
    found = scanned(run, make_site(files | {name: MDX}))
    names = [one["url"].rpartition("/")[2].removesuffix(".png") for one in found]
    assert names == ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    assert [one["url"] for one in found if one["field"] == "shortcode"] == ["https://h.example/eight.png"]


def test_a_url_in_any_of_these_places_can_be_replaced(tmp_path: Path) -> None:
    """An edit changes the URL of one image, and nothing else; or it is refused."""
    (tmp_path / "docusaurus.config.js").touch()
    rules = Site(tmp_path, None, layout_of(tmp_path)).rules
    data = MDX.encode()
    before = extract_references(data, "a.md", rules)
    for one in before:
        if one.url.startswith("https://h.example/") and "two" not in one.url:
            new = apply_edits(
                data, "a.md", [Edit(one.line, one.column, was=one.url, url="https://h.example/new.png")], rules
            )
            assert new == data.replace(one.url.encode(), b"https://h.example/new.png")


@pytest.mark.parametrize("fence", ["---\nimages: [\n---\n", "---\r\na: 'b\r\n---\r\n", "+++\na = \n+++\n"])
def test_front_matter_that_cannot_be_read_hides_no_image_of_the_body(
    run: Command, make_site: MakeSite, fence: str
) -> None:
    site = make_site({"a.md": f"{fence}![x](https://h.example/x.png)\n".encode()})
    report = run("scan", site, "--json")
    assert report.code == 1
    assert [one["code"] for one in report.json()["problems"]] == ["article-unreadable"]
    assert [(one["url"], one["line"]) for one in report.json()["references"]] == [("https://h.example/x.png", 4)]
