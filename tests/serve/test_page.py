"""The page in a real browser: type, extract, move the slider, read the result, copy, share."""

import json
import shutil
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs the extra [serve]")
pytest.importorskip("selenium", reason="needs selenium")

from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

from glinermt.serve.app import create_app
from glinermt.types import Query, Relation, Span
from tests.serve.running import running
from tests.stub import StubExtractor
from tests.tasks.heads_model import HeadsModel

pytestmark = pytest.mark.extras
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
if not CHROMIUM or not DRIVER:
    pytest.skip("needs chromium and chromium-driver", allow_module_level=True)

TEXT = "Zoë 🎉 met Bob in Paris."
KNOWN = {"Zoë 🎉": ("person", 0.95), "Bob": ("person", 0.6), "Paris": ("city", 0.8)}
MET = ("Zoë 🎉 <> met",)
HEBREW = "פגשתי את Bob ברחוב."


def script(query: Query) -> list[Span]:
    if "slow" in query.text:
        raise ValueError("too slow to read")
    found = []
    for name, (label, score) in KNOWN.items():
        place = query.text.find(name)
        for asked in query.labels if place >= 0 else ():
            words = asked.split(":")[0], asked
            if label in words or "keyphrase" in words or (words[1:] == MET and name == "Bob"):
                found.append(Span(place, place + len(name), name, asked, score))
    return found


def met(query: Query) -> list[Relation]:
    ends = {span.text: span for span in script(query)}
    if not ends.keys() >= {"Bob", "Paris"}:
        return []
    return [Relation(ends["Bob"], name, ends["Paris"], 0.7) for name in query.relations]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    heads = HeadsModel(script, relations=met, classes={"travel": 2.0, "sport": 0.5})
    with running(create_app({"stub": StubExtractor(script), "heads": heads})) as address:
        yield address


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.add_argument("--window-size=1200,900")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    started = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    yield started
    started.quit()


class Page:
    """The page as its user sees it."""

    def __init__(self, driver: Any, address: str) -> None:
        self.driver = driver
        driver.get("about:blank")
        driver.get(address)
        self.until(lambda: self.all("[role=tab]"))

    def until(self, condition: Any) -> Any:
        end = time.monotonic() + 20
        while not (value := condition()):
            assert time.monotonic() < end, self.one("#status").text
            time.sleep(0.02)
        return value

    def one(self, css: str) -> Any:
        return self.driver.find_element("css selector", css)

    def all(self, css: str) -> list[Any]:
        return self.driver.find_elements("css selector", css)  # type: ignore[no-any-return]

    def type(self, css: str, text: str) -> None:
        """Set a field's text as typing does; the driver cannot type beyond U+FFFF."""
        self.driver.execute_script(
            "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input'))",
            self.one(css),
            text,
        )

    def run(self) -> None:
        self.one("#run").click()
        self.until(lambda: self.one("#status").text.endswith(" ms"))

    def move_slider(self, value: float) -> None:
        self.type("#slider", str(value))

    def marked(self) -> list[str]:
        return [segment.text for segment in self.all("#marked .seg")]

    def requests(self) -> list[str]:
        """Return the addresses asked since the last call."""
        events = [json.loads(e["message"])["message"] for e in self.driver.get_log("performance")]
        return [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]


@pytest.fixture
def page(driver: Any, server: str) -> Page:
    return Page(driver, server)


def test_type_extract_and_move_the_slider(page: Page, server: str) -> None:
    page.type("#text", TEXT)
    page.type("#field-labels", "person\ncity: a big town")
    page.requests()
    page.run()
    assert page.marked() == ["Zoë 🎉", "Bob", "Paris"]
    assert page.one("#count").text == "3 found"
    assert [tag.text for tag in page.all("#marked .tag")] == ["person", "person", "city"]
    assert page.requests() == [f"{server}v1/entities"]
    page.move_slider(0.7)
    assert page.marked() == ["Zoë 🎉", "Paris"]
    assert page.one("#count").text == "2 of 3 shown"
    assert page.requests() == []
    assert "0.950" in page.all("#marked .seg")[0].get_attribute("aria-label")


def test_a_span_tells_its_score_when_pointed_at(page: Page) -> None:
    page.type("#text", TEXT)
    page.run()
    webdriver.ActionChains(page.driver).move_to_element(page.one("#marked .seg")).perform()
    tip = page.until(lambda: page.one("#tip").text)
    assert tip.split() == ["city", "0.800", "18:23"]


def test_relations_are_arcs_and_rows(page: Page) -> None:
    page.one("[data-task=relations]").click()
    page.type("#text", TEXT)
    page.type("#field-relations", "met: person > person")
    page.type("#field-entities", "person")
    page.run()
    assert [text.text for text in page.all("#arcs text")] == ["met"]
    row = [cell.text for cell in page.all("#table tbody td")]
    assert row == ["Zoë 🎉", "met", "Bob", "0.600"]
    page.move_slider(0.9)
    assert page.all("#arcs path") == []


def test_names_of_relations_between_the_same_words_cover_no_other(page: Page) -> None:
    on(page, "relations")
    page.type("#field-relations", "met\nsaw\nheard of\nknew")
    page.type("#field-entities", "person\ncity")
    page.run()
    names = page.all("#arcs text")
    assert sorted(name.text for name in names) == ["heard of", "knew", "met", "saw"]
    tops = sorted(name.rect["y"] for name in names)
    assert all(below - above >= names[0].rect["height"] for above, below in pairwise(tops))
    assert tops[0] >= page.one("#legend").rect["y"] + page.one("#legend").rect["height"]
    assert tops[-1] < page.one("#marked .seg").rect["y"]


def on(page: Page, task: str, model: str = "heads") -> None:
    """Go to a task's tab with a model that can do all."""
    page.driver.execute_script("document.getElementById('model').value = arguments[0]", model)
    page.one(f"[data-task={task}]").click()
    page.type("#text", TEXT)


def said(page: Page) -> list[str]:
    return [quote.text for quote in page.all("#said blockquote")]


def test_classes_are_listed_by_their_scores_and_the_given_one_is_marked(page: Page) -> None:
    on(page, "classify")
    page.type("#field-classes", "sport\ntravel: going places\nlaw")
    page.run()
    assert [line.split()[0] for line in said(page)] == ["sport", "travel", "law"]
    assert [line.endswith("✓") for line in said(page)] == [True, False, False]
    page.move_slider(0.5)
    assert len(said(page)) == 1


def test_records_are_rows_whose_words_are_marked(page: Page) -> None:
    on(page, "records")
    fields = {"person": {"type": "string"}, "city": {"type": "string"}}
    page.type("#field-schema", json.dumps({"type": "object", "properties": fields}))
    page.run()
    assert [cell.text for cell in page.all("#table th")] == ["person", "city", "score"]
    assert [cell.text for cell in page.all("#table td")] == ["Zoë 🎉", "Paris", "0.875"]
    assert page.marked() == ["Zoë 🎉", "Paris"]
    page.type("#field-schema", "{")
    page.one("#run").click()
    page.until(lambda: "JSON" in page.one("#status").text)


def test_a_redacted_text_is_shown_with_what_it_replaced(page: Page) -> None:
    on(page, "redact")
    assert page.one("#field-private").get_attribute("value") == ""
    page.type("#field-private", "person")
    page.run()
    assert said(page) == ["[person] met [person] in Paris."]
    assert page.marked() == ["Zoë 🎉", "Bob"]


def test_key_phrases_are_marked_in_the_text(page: Page) -> None:
    on(page, "keyphrases")
    page.run()
    assert page.marked() == ["Zoë 🎉", "Bob", "Paris"]
    assert page.one("#count").text == "3 found"


def test_all_kinds_are_shown_at_once(page: Page, server: str) -> None:
    on(page, "read")
    page.type("#field-labels", "person\ncity")
    page.type("#field-relations", "met: person > city")
    page.type("#field-questions", "topic: travel, sport")
    page.type("#field-schema", '{"type": "object", "properties": {"city": {"type": "string"}}}')
    page.requests()
    page.run()
    assert page.requests() == [f"{server}v1/read"]
    assert [line.startswith("topic: travel 0.8") for line in said(page)] == [True]
    assert [text.text for text in page.all("#arcs text")] == ["met"]
    assert page.marked() == ["Zoë 🎉", "Bob", "Paris"]
    assert [len(table.text.splitlines()) for table in page.all("#table table")] == [2, 2]


def test_kinds_that_a_model_lacks_are_not_asked_of_it(page: Page) -> None:
    on(page, "read", "stub")
    page.run()
    assert page.marked() == ["Paris"]
    assert said(page) == []


def test_the_keyboard_is_enough(page: Page) -> None:
    keys = webdriver.Keys
    page.one("[role=tab][aria-selected=true]").send_keys(keys.ARROW_RIGHT)
    assert page.driver.switch_to.active_element.get_attribute("data-task") == "open-entities"
    page.driver.switch_to.active_element.send_keys(keys.ARROW_LEFT)
    page.type("#text", TEXT)
    page.one("#text").send_keys(keys.CONTROL, keys.ENTER)
    page.until(lambda: page.marked() == ["Paris"])


def test_a_link_brings_another_reader_to_the_same_result(page: Page) -> None:
    page.type("#text", TEXT)
    page.type("#field-labels", "person")
    page.driver.execute_script("navigator.clipboard.writeText = async (text) => { copied = text }")
    page.one("#link").click()
    link = page.until(lambda: page.driver.execute_script("return window.copied"))
    other = Page(page.driver, link)
    other.until(lambda: other.marked() == ["Zoë 🎉", "Bob"])
    assert other.one("#text").get_attribute("value") == TEXT


def test_the_copied_python_runs(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    page.type("#text", TEXT)
    page.type("#field-labels", 'person: "who"\ncity')
    page.driver.execute_script("navigator.clipboard.writeText = async (text) => { copied = text }")
    page.one("[data-copy=python]").click()
    code = page.until(lambda: page.driver.execute_script("return window.copied"))
    calls = []
    monkeypatch.setattr("glinermt.extract_entities", lambda *a, **k: calls.append((a, k)))
    exec(code, {})  # our own page's
    assert calls == [((TEXT,), {"labels": {"person": '"who"', "city": ""}})]


def test_right_to_left_text_is_marked_where_it_is(page: Page) -> None:
    page.type("#text", HEBREW)
    page.type("#field-labels", "person")
    page.run()
    assert page.marked() == ["Bob"]
    direction = "return getComputedStyle(arguments[0]).direction"
    assert page.driver.execute_script(direction, page.one("#marked")) == "rtl"


def test_an_error_is_shown_and_the_page_goes_on(page: Page) -> None:
    page.type("#text", "slow")
    page.one("#run").click()
    page.until(lambda: "failed" in page.one("#status").text)
    page.type("#text", TEXT)
    page.run()
    assert page.marked() == ["Paris"]


def test_text_is_never_read_as_markup(page: Page) -> None:
    page.type("#text", "<img src=x onerror=document.title='hacked'> Bob")
    page.type("#field-labels", "person")
    page.run()
    assert page.marked() == ["Bob"]
    assert page.driver.title == "glinermt"
    assert page.all("#marked img") == []


def test_the_page_asks_nothing_of_the_network_but_the_api(page: Page, server: str) -> None:
    page.run()
    addresses = page.requests()
    assert addresses
    assert all(address.startswith((server, "data:", "about:")) for address in addresses)
    severe = [e for e in page.driver.get_log("browser") if e["level"] == "SEVERE"]
    assert [e for e in severe if "500" not in e["message"]] == []


def test_the_description_of_the_api_follows_the_readers_colours(driver: Any, server: str) -> None:
    background = "return getComputedStyle(document.body.parentElement).backgroundColor"
    driver.get(f"{server}docs")
    for scheme, is_dark in (("dark", True), ("light", False), ("dark", True)):
        preference = {"name": "prefers-color-scheme", "value": scheme}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [preference]})
        # The page is told with the next frame.
        WebDriverWait(driver, 30).until(
            lambda d, dark=is_dark: (d.execute_script(background) == "rgb(28, 32, 34)") == dark
        )
