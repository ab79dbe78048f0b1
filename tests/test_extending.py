"""A new head and a new task are one file and one line: here both are toys of this file."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
import torch

from glinermt.config import ModelConfig, TaskSettings
from glinermt.errors import CheckpointError
from glinermt.heads import CLASS_HEADS, HEADS, RELATION_HEADS, TokenHead
from glinermt.heads.relation import Pairs
from glinermt.model import GlinerMT
from glinermt.tasks import TASKS
from glinermt.tasks.labels import Label
from glinermt.tasks.run import run
from glinermt.tasks.task import Task, example
from glinermt.types import Ask, Example, Found, Query, Relation, Span
from tests.stub import StubExtractor
from tests.tiny_models import save_encoder, tiny_model


class ScaledHead(TokenHead):
    """A token head whose logits are scaled by a learned number, unknown to the fast path."""

    def __init__(self, hidden_size: int, dropout: float = 0.1) -> None:
        super().__init__(hidden_size, dropout)
        self.scale = torch.nn.Parameter(torch.ones(()))

    def forward(self, words: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return super().forward(words, labels) * self.scale


def test_a_toy_head_is_built_trained_used_and_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(HEADS, "scaled", ScaledHead)
    model = tiny_model(tmp_path / "encoder", head="scaled")
    query = Query("bill gates lives in paris .", ("person", "city"))
    gold = Example(query, (Span(0, 10, "bill gates", "person"), Span(20, 25, "paris", "city")))
    optimizer = torch.optim.Adam(model.train().parameters(), lr=3e-3)
    batch, losses = model.collate([gold]), []
    for _ in range(8):
        optimizer.zero_grad()
        loss = model.loss(batch).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    (found,) = model.eval().extract([query], threshold=0.2, multi_label=True)
    model.save_pretrained(tmp_path / "saved")
    again = GlinerMT.from_pretrained(tmp_path / "saved")
    assert isinstance(again.head, ScaledHead)
    assert again.extract([query], threshold=0.2, multi_label=True) == [found]
    with torch.no_grad():
        again.head.scale.zero_()  # now every probability is a half
    assert again.extract([query], threshold=0.51) == [[]]


class ShiftedHead(TokenHead):
    """A token head that computes tensors when it is built, and keeps them where no name is."""

    def __init__(self, hidden_size: int, dropout: float = 0.1) -> None:
        super().__init__(hidden_size, dropout)
        self.steps = [torch.full((), 0.25)]
        self.tables = {"all": (torch.full((), 0.5), None)}
        self.moved = partial(torch.add, torch.full((), 1.0))

    def forward(self, words: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.moved(super().forward(words, labels))
        return logits + self.steps[0] + self.tables["all"][0]


def test_tensors_that_a_head_keeps_in_lists_and_dicts_are_there_after_loading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(HEADS, "shifted", ShiftedHead)
    model = tiny_model(tmp_path / "encoder", kind="bert", head="shifted")
    model.save_pretrained(tmp_path / "saved")
    again = GlinerMT.from_pretrained(tmp_path / "saved")
    query = Query("bill gates lives in paris .", ("person", "city"))
    found = model.extract([query], threshold=0.2, multi_label=True)
    assert again.extract([query], threshold=0.2, multi_label=True) == found != [[]]


class FirstWords(torch.nn.Module):
    """A relation head that compares a relation with the first word of head and tail."""

    @classmethod
    def from_config(cls, hidden_size: int, _: ModelConfig) -> "FirstWords":
        return cls(hidden_size)

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.pair = torch.nn.Linear(2 * hidden_size, hidden_size)

    def forward(self, words: torch.Tensor, relations: torch.Tensor, pairs: Pairs) -> torch.Tensor:
        row, start, _ = pairs.mentions.T
        first = words[row, start]
        joined = self.pair(torch.cat([first[pairs.head], first[pairs.tail]], 1))
        return torch.einsum("ph,prh->pr", joined, relations[pairs.row])


class MeanWord(torch.nn.Module):
    """A class head: how much a class is like the mean word."""

    @classmethod
    def from_config(cls, hidden_size: int, _: ModelConfig) -> "MeanWord":
        return cls(hidden_size)

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.text = torch.nn.Linear(hidden_size, hidden_size)

    def forward(
        self, words: torch.Tensor, mask: torch.Tensor, classes: torch.Tensor
    ) -> torch.Tensor:
        mean = (words * mask[..., None]).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)
        return torch.einsum("bh,blh->bl", self.text(mean), classes)


def test_toy_heads_of_relations_and_classes_are_built_trained_used_and_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RELATION_HEADS, "first", FirstWords)
    monkeypatch.setitem(CLASS_HEADS, "mean", MeanWord)
    encoder = save_encoder(tmp_path / "encoder")
    config = ModelConfig(
        encoder=str(encoder), relation_head="first", class_head="mean", dropout=0.0
    )
    torch.manual_seed(1)
    model = GlinerMT.from_config(config)
    gates, paris = Span(0, 10, "bill gates", "person"), Span(20, 25, "paris", "city")
    query = Query(
        "bill gates lives in paris .", (), "", ("lives in",), ("news", "advert"), (gates, paris)
    )
    gold = Example(query, (), "relations", (Relation(gates, "lives in", paris),), classes=("news",))
    optimizer = torch.optim.Adam(model.train().parameters(), lr=1e-3)
    batch, losses = model.collate([gold]), []
    for _ in range(8):
        optimizer.zero_grad()
        loss = model.loss(batch).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    ask = Ask(relation_threshold=0.0)
    (found,) = model.eval().read([query], ask)
    assert len(found.relations) == 2
    assert found.classes["news"] > found.classes["advert"]
    model.save_pretrained(tmp_path / "saved")
    again = GlinerMT.from_pretrained(tmp_path / "saved")
    assert (type(again.network.relation_head), type(again.network.class_head)) == (
        FirstWords,
        MeanWord,
    )
    assert again.read([query], ask) == [found]
    monkeypatch.delitem(CLASS_HEADS, "mean")
    with pytest.raises(CheckpointError, match="unknown class_head 'mean': choose from 'apart'"):
        GlinerMT.from_pretrained(tmp_path / "saved")


def _labels(asked: str, settings: TaskSettings) -> Sequence[Label]:
    return [Label("opinion", SENTIMENT.word_label(settings, aspect=asked), {})]


def _query(text: str, asked: str, settings: TaskSettings) -> list[Query]:
    (label,) = _labels(asked, settings)
    return [Query(text, (label.asked,), SENTIMENT.word_prompt(settings, aspect=asked))]


def _read(_: str, __: str, found: Sequence[Found], ___: TaskSettings) -> list[str]:
    return [span.text for span in found[0].spans]


SENTIMENT: Task[str, list[str]] = Task(
    name="sentiment",
    prompt="What is said of the {aspect}?",
    label="opinion on {aspect}",
    query=_query,
    labels=_labels,
    read=_read,
)


def test_a_toy_task_is_asked_and_taught_in_the_same_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TASKS, "sentiment", SENTIMENT)
    model = StubExtractor(lambda query: [("too loud", query.labels[0], 0.8)])
    text = "The music was too loud."
    assert run(TASKS["sentiment"], model, [text], ["music"]) == [["too loud"]]
    taught = example(SENTIMENT, text, "music", [Span(14, 22, "too loud", "opinion")])
    assert taught.query == model.queries[0]
    assert taught.query.prompt == "What is said of the music?"
    assert (taught.task, taught.spans[0].label) == ("sentiment", "opinion on music")
