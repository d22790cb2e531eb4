"""The page of an explanation: whole by itself, and what a reader does with it in a real browser.

The browser's part needs playwright (`pip install '.[browser]'`) and a Chromium: the one that
`playwright install chromium` brings, or the system's.
"""

from __future__ import annotations

import os
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest

import tracejit
from tracejit import jit

VOID = {"meta", "link", "br", "hr", "img", "input"}


@tracejit.host(pure=True)
def lookup(x):
    """A function that programs call through Python."""
    return np.asarray(x) + 1


def small(x, w, b):
    h = np.tanh(x @ w + b)
    m = h.mean(axis=1, keepdims=True)
    s = np.sort(h - m, axis=1)
    return s, lookup(x), np.linalg.inv(x[:4, :4].T)


def large(x):
    for _ in range(25):
        x = np.tanh(x[1:-1] * 0.5 + x[:-2]) + x.mean(axis=0)
    return x


@pytest.fixture(scope="module")
def explanations(tmp_path_factory):
    with tracejit.config.use(cache=str(tmp_path_factory.mktemp("cache"))):
        x = np.linspace(0, 1, 64 * 32).reshape(64, 32) ** 2
        yield {
            "small": jit(small).explain(x.astype(">f8"), np.ones((32, 48)), np.arange(48.0)),
            "large": jit(large).explain(np.ones((100, 40))),
        }


class Balance(HTMLParser):
    """Whether every element that begins also ends, in order; and the ids."""

    def __init__(self):
        super().__init__()
        self.open, self.ids = [], []

    def handle_starttag(self, tag, attrs):
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, (tag, self.open[-3:])
        self.open.pop()


@pytest.mark.parametrize("name", ["small", "large"])
def test_a_page_is_whole_by_itself(explanations, name, tmp_path):
    path = tmp_path / "page.html"
    text = explanations[name].html(path)
    assert path.read_text(encoding="utf-8") == text
    parser = Balance()
    parser.feed(text)
    assert parser.open == [] and len(parser.ids) == len(set(parser.ids))
    links = set(re.findall(r"(?:https?:)?//[\w.-]+\.[a-z]{2,}[^\"' <)]*", text))
    assert links <= {"http://www.w3.org/2000/svg"}
    assert not re.search(r"<(link|img|script)[^>]*(src|href)=", text)


def test_the_page_says_what_the_text_says(explanations):
    text = explanations["small"].html()
    assert "copied at every call: argument x is byte-swapped" in text
    assert "lookup" in text and "nothing fuses" in text
    assert 'class="made alarm"' in text and "vectorize" in text and "GB/s" in text


def test_text_of_programs_cannot_become_markup():
    name = "</script><b>&\"'"
    found = jit(lambda x: np.where(x > 0, x, 1)).explain(np.ones(3))
    data = vars(found.data) | {"name": name}
    page = type(found)(type(found.data)(**data)).html()
    assert "</script><b>" not in page and "&lt;/script&gt;&lt;b&gt;&amp;" in page


def test_notebooks_get_a_frame(explanations):
    text = explanations["small"]._repr_html_()
    parser = Balance()
    parser.feed(text)
    assert text.startswith("<iframe srcdoc=") and parser.open == []


def test_a_program_without_kernels_has_a_page():
    assert "No line of the source" in jit(lambda a: a).explain(1.0).html()


# In a browser.


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip(
        "playwright.sync_api", reason="needs playwright: pip install '.[browser]'"
    )
    with api.sync_playwright() as playwright:
        own = playwright.chromium.executable_path
        names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
        path = own if os.path.exists(own) else next(filter(None, map(shutil.which, names)), None)
        if path is None:
            pytest.skip("needs a Chromium: playwright install chromium, or the system's")
        launched = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def opened(browser, explanations, tmp_path):
    """Opens a page at a width; what the script complains of fails the test, so do requests."""
    complaints = []
    pages = []

    def open_page(name, width=1300, height=900, scheme="light"):
        path = tmp_path / f"{name}.html"
        explanations[name].html(path)
        page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        page.on("request", lambda r: complaints.append(r.url) if r.url[:5] == "http:" else None)
        page.set_default_timeout(5000)
        page.goto(path.as_uri())
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        page.close()
    assert complaints == []


def overlaps(page, selector):
    """How many pairs of the elements lie upon each other."""
    return page.evaluate(
        """(selector) => {
        const boxes = [...document.querySelectorAll(selector)].map((e) => e.getBoundingClientRect());
        let found = 0;
        boxes.forEach((a, k) => boxes.slice(k + 1).forEach((b) => {
            found += a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1;
        }));
        return [boxes.length, found];
    }""",
        selector,
    )


def test_from_a_line_to_nodes_to_loops_to_assembly(opened):
    page = opened("small")
    assert page.locator("#none").is_visible()
    line = page.locator(".made", has_text="h = np.tanh(x @ w + b)")
    line.click()
    assert line.get_attribute("aria-pressed") == "true"
    chosen = page.locator("#graph .node.chosen")
    labels = [node.locator("text").first.text_content() for node in chosen.all()]
    assert "contract" in labels and "tanh" in labels and "sort" not in labels
    detail = page.locator(".detail:visible")
    assert detail.count() == 1 and "fused_tanh" in detail.locator("h2").text_content()
    assert "tanh" in detail.locator(".loops pre").text_content()
    assembly = detail.locator(".assembly")
    assert not assembly.locator("pre").is_visible()
    assembly.locator("summary").click()
    assert assembly.locator("pre").is_visible() and "ret" in assembly.text_content()


def test_a_line_of_several_kernels_shows_one_at_a_time(opened):
    page = opened("small")
    page.locator(".made", has_text="return s").click()
    names = []
    for button in page.locator("#switch button").all():
        button.click()
        names.append(page.locator(".detail:visible h2").text_content())
    assert len(names) > 2 and len(set(names)) == len(names)
    assert page.locator(".detail:visible").count() == 1


def test_from_a_node_to_its_line(opened):
    page = opened("small")
    page.locator("#graph .node", has_text="sort").first.click()
    assert "np.sort" in page.locator(".made.chosen").text_content()
    page.locator("#graph .node", has_text="tanh").focus()
    page.keyboard.press("Enter")
    assert "np.tanh" in page.locator(".made.chosen").text_content()


@pytest.mark.parametrize("name", ["small", "large"])
def test_nothing_in_a_graph_lies_upon_another(opened, name):
    page = opened(name)
    for stage in ("traced", "operations", "kernels"):
        page.locator("#stage").select_option(stage)
        count, found = overlaps(page, "#graph .node")
        assert count > 5 and found == 0, stage
    page.locator("#stage").select_option("fused")
    for button in ("#unfold", "#fold"):
        page.locator(button).click()
        assert overlaps(page, "#world > g")[1] == 0
        assert overlaps(page, "#graph .node")[1] == 0


def test_large_programs_begin_folded_and_unfold(opened):
    page = opened("large")
    assert page.locator("#graph .box.folded").count() == 26
    page.locator('[data-fold="3"]').click()
    assert page.locator("#graph .box.folded").count() == 25
    assert page.locator("#graph .box:not(.folded) .node").count() > 5
    page.locator('[data-fold="3"]').press("Enter")
    assert page.locator("#graph .box.folded").count() == 26


def world(page):
    return page.locator("#world").get_attribute("transform")


def test_a_graph_is_moved_and_zoomed(opened):
    page = opened("large")
    box = page.locator("#graph").bounding_box()
    middle = box["x"] + box["width"] - 30, box["y"] + box["height"] / 2
    start = world(page)
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] - 50, middle[1] + 40, steps=4)
    page.mouse.up()
    moved = world(page)
    assert moved != start and moved.split("scale")[1] == start.split("scale")[1]
    page.mouse.wheel(0, -300)
    page.wait_for_function(
        "(before) => document.getElementById('world').getAttribute('transform') !== before",
        arg=moved,
    )
    assert world(page).split("scale")[1] != start.split("scale")[1]
    page.locator("#fit").click()
    inside = page.locator("#world").bounding_box()
    assert inside["height"] <= box["height"] and inside["width"] <= box["width"]
    page.locator("#graph").focus()
    before = world(page)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("+")
    assert world(page) != before


def test_tabs_show_the_plots(opened):
    page = opened("small")
    for name in ("Kernels", "Roofline", "Memory", "Passes", "Stages", "Machine"):
        page.locator(f"#tab-{name}").click()
        assert (
            page.locator(f"#view-{name}").is_visible()
            and not page.locator("#view-Graph").is_visible()
        )
    page.locator("#tab-Roofline").click()
    page.locator("#roofline .mark").first.click()
    assert "fused_tanh" in page.locator(".detail:visible h2").text_content()
    assert overlaps(page, "#roofline circle")[1] == 0
    page.locator("#tab-Passes").click()
    page.locator("details.pass").first.locator("summary").click()
    assert page.locator("details.pass .added:visible").count() > 0
    page.locator("#tab-Passes").press("ArrowLeft")
    assert page.locator("#view-Memory").is_visible()
    assert page.locator("#memory .bar").count() > 1


@pytest.mark.parametrize("width", [400, 800, 1600])
def test_pages_fit_any_width(opened, width):
    page = opened("small", width)
    across = page.evaluate("document.documentElement.scrollWidth")
    assert across <= width
    page.locator(".made").first.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_dark_and_light(opened):
    for scheme in ("light", "dark"):
        page = opened("small", scheme=scheme)
        color = "getComputedStyle(document.body).backgroundColor"
        first = page.evaluate(color)
        page.locator("#theme").click()
        second = page.evaluate(color)
        light, dark = "rgb(251, 251, 250)", "rgb(21, 23, 26)"
        assert (first, second) == ((light, dark) if scheme == "light" else (dark, light))


def test_text_has_contrast(opened):
    """At least 4.5 to 1 for what is read, in both schemes."""
    for scheme in ("light", "dark"):
        page = opened("small", scheme=scheme)
        page.locator(".made").first.click()
        worst = page.evaluate(
            """() => {
            const light = (c) => { const [r, g, b] = c.match(/[\\d.]+/g).map((v) => { v /= 255;
                return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
                return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
            const card = light(getComputedStyle(document.querySelector("section")).backgroundColor);
            return Math.min(...[...document.querySelectorAll("h2, dt, dd, summary, .note, .number, .made code, [role=tab]")].map((e) => {
                const own = light(getComputedStyle(e).color);
                return (Math.max(own, card) + 0.05) / (Math.min(own, card) + 0.05);
            }));
        }"""
        )
        assert worst >= 4.5, scheme
