"""The page: self-contained, well-formed, and true to the text whatever the spans."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glinermt.tasks.page import page
from glinermt.types import (
    Answer,
    Classification,
    Reading,
    Record,
    Redaction,
    Relation,
    Span,
    Summary,
)

TEXT = 'Ann & "Bob" <b>met</b> in München.\n\nThen 東京, مرحبا.'
VOID = {"meta"}


class Reader(HTMLParser):
    """Checks that tags nest, and keeps the text of the first article and what is marked there."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.marked: dict[str, list[str]] = {}
        self.chips: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        tags = [tag for tag, _ in self.open]
        inside = any(attrs.get("class") == "text" for _, attrs in self.open)
        if "small" in tags:
            self.chips.append(data)
        elif inside:
            for place in range(len(self.text), len(self.text) + len(data)):
                for _, attrs in self.open:
                    if title := attrs.get("title"):
                        self.marked.setdefault(title, []).append(str(place))
            self.text += data


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    return reader


def span(words: str, label: str = "x", score: float = 0.9, text: str = TEXT) -> Span:
    start = text.index(words)
    return Span(start, start + len(words), words, label, score)


spans = st.builds(
    lambda start, length, label: Span(
        start, min(start + length, len(TEXT)), TEXT[start : start + length], label, 0.5
    ),
    st.integers(0, len(TEXT) - 1),
    st.integers(1, 25),
    st.sampled_from(["a", "b <c>", "d & 'e'"]),
)


@given(st.lists(spans, max_size=6))
def test_any_spans_are_marked_where_they_are_and_change_no_letter(found: list[Span]) -> None:
    reader = read(page([(TEXT, found)]))
    assert reader.text == TEXT
    expected: dict[str, set[str]] = {}
    for s in found:
        covered = expected.setdefault(f"{s.label} {s.score:.2f}", set())
        covered.update(map(str, range(s.start, s.end)))
    assert {title: set(places) for title, places in reader.marked.items()} == expected
    named = [chip for chip in reader.chips if not chip.isdigit()]
    assert sorted(named) == sorted(s.label for s in set(found))


def test_the_page_asks_nothing_of_the_network_and_runs_nothing() -> None:
    html = page([(TEXT, [span("Ann")])])
    assert html.startswith('<!doctype html>\n<html lang="en"><meta charset="utf-8">')
    assert not re.search(r"https?:|src=|href=|@import|url\(|<script", html)


def test_markup_in_texts_labels_and_titles_is_text() -> None:
    evil = "<script>alert(1)</script>"
    html = page([(evil, [Span(0, len(evil), evil, evil)])], title=evil)
    assert "<script" not in html
    assert read(html).text == evil


def test_a_label_has_one_colour_on_the_whole_page() -> None:
    html = page([(TEXT, [span("Ann", "a")]), (TEXT, [span("met", "b"), span("Ann", "a")])])
    hues: dict[str, set[str]] = {}
    for hue, title in re.findall(r'--hue:(\d+)" title="(\w) ', html):
        hues.setdefault(title, set()).add(hue)
    assert [len(hues[label]) for label in "ab"] == [1, 1]
    assert hues["a"] != hues["b"]


def test_relations_are_listed_and_their_ends_marked() -> None:
    found = [
        Relation(span("Ann", "person"), "met & liked", span("Bob", "person"), 0.75),
        Relation(span("Ann", "person"), "in", span("München", ""), 0.5),
    ]
    html = page([(TEXT, found)])
    reader = read(html)
    assert reader.marked.keys() == {"person 0.90", "0.90"}
    for cell in ("met &amp; liked", "0.75", "München"):
        assert cell in html.split("<table>")[1]


def test_an_answer_stands_above_its_text() -> None:
    html = page([(TEXT, Answer(span("München", "answer", 0.8), 0.8, 0.2))])
    above, below = html.split('<p class="text"')
    assert "München</strong>" in above
    assert "0.80" in above
    assert 'title="answer 0.80">München' in below


def test_ranked_answers_keep_their_order() -> None:
    found = [Answer(span("Bob", "answer"), 0.9, 0.1), Answer(span("Ann", "answer"), 0.6, 0.1)]
    html = page([(TEXT, found)])
    assert html.index("Bob</strong>") < html.index("Ann</strong>")


def test_abstention_and_nothing_found_are_said() -> None:
    html = page([(TEXT, Answer(None, 0.0, 0.94)), (TEXT, []), ("", Summary(()))])
    first, second, third = html.split("<article>")[1:]
    assert "The text does not answer." in first
    assert "0.94" in first
    assert "Nothing found." in second
    assert "Nothing found." in third


def test_a_summary_stands_above_its_text_and_is_highlighted() -> None:
    parts = (span("Ann", "summary"), span("Then", "summary"))
    html = page([(TEXT, Summary(parts))])
    assert '<blockquote dir="auto">Ann Then</blockquote>' in html
    assert set(read(html).marked["summary 0.90"]) == {
        str(i) for s in parts for i in range(s.start, s.end)
    }
    assert "<small>" not in html


@pytest.mark.parametrize("text", ["مرحبا بكم", "שלום", "Hello"])
def test_texts_say_which_way_they_run(text: str) -> None:
    html = page([(text, [Span(0, len(text), text, "greeting")])])
    assert '<p class="text" dir="auto">' in html
    assert "<bdi>greeting</bdi>" in html


def test_many_texts_are_an_article_each_in_order() -> None:
    html = page((f"text {i}", []) for i in range(30))
    assert re.findall(r"text (\d+)</p>", html) == [str(i) for i in range(30)]


def test_classes_are_listed_with_bars_the_best_first_and_the_given_ones_marked() -> None:
    found = Classification("b <", ("b <",), {"a": 0.2, "b <": 0.8})
    html = page([(TEXT, found)])
    rows = re.findall(r"<tr.*?</tr>", html)[1:]
    assert ["class=given" in row for row in rows] == [True, False]
    assert "<bdi>b &lt;</bdi>" in rows[0]
    assert "--part:80%" in rows[0]
    assert "None of the labels fits" not in html
    assert "None of the labels fits" in page([(TEXT, Classification(None, (), {"a": 0.2}))])


def test_a_redacted_text_is_shown_without_what_it_hides() -> None:
    ann = span("Ann", "person")
    found = Redaction(TEXT.replace("Ann", "[person]"), (ann,), ("[person]",))
    reader = read(page([(TEXT, found)]))
    assert reader.text == found.text
    assert "Ann" not in page([(TEXT, found)])


def test_records_are_a_table_with_the_words_that_say_each_value() -> None:
    person = span("Ann", "name")
    record = Record({"name": "Ann & co", "place": {"city": None}}, {"name": (person,)}, 0.8)
    html = page([(TEXT, Reading((span("Bob", "person"),), (), {}, {"<friends>": (record,)}))])
    assert read(html).text == TEXT
    assert "<h2><bdi>&lt;friends&gt;</bdi></h2>" in html
    assert "<th><bdi>name</bdi></th><th>score</th>" in html
    assert f'title="Ann {person.start}:{person.end} 0.90"><bdi>Ann &amp; co</bdi></mark>' in html
