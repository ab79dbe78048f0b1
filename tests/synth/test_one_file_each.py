"""A new recipe is one file, and one line in ``RECIPES``: all that reads recipes knows it then."""

import importlib.util
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from glinermt.cli import app
from glinermt.synth.recipes import RECIPES
from tests.synth.golden import write_texts

TOY = '''
"""Years, each with the kind of thing that happened in it."""

from glinermt.synth.checks.mentions import entity_spans, plain_label
from glinermt.synth.recipes.base import LABEL, MENTION, Recipe, quotes
from glinermt.synth.schema import record
from glinermt.tasks.entities import ENTITIES
from glinermt.tasks.labels import read_labels
from glinermt.tasks.task import example


def _build(source, reply, ledger):
    spans = entity_spans(source, reply["years"], ledger, label_of=plain_label)
    labels = read_labels([span.label for span in spans])
    return [example(ENTITIES, source.text, labels, spans)] if spans else []


RECIPE = Recipe(
    task="entities",
    prompts={"en": {"plain": """
List the years, at most {count}.
"""}},
    schema=record(years=quotes(MENTION, 5, label=LABEL)),
    build=_build,
    typed=True,
)
'''


def test_a_toy_recipe_is_generated_reported_and_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "toy.py"
    file.write_text(TOY, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("toy", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(RECIPES, "toy", module.RECIPE)

    reply = {"years": [{"before": "Warsaw in", "text": "1867", "label": "year of birth"}]}
    replies = tmp_path / "replies.jsonl"
    replies.write_text(json.dumps({"recipe": "toy", "reply": reply}) + "\n", encoding="utf-8")
    texts, out = write_texts(tmp_path / "texts.jsonl", 3), tmp_path / "out"
    options = ["--llm", "scripted", "--model", str(replies), "--tasks", "toy"]
    command = ["generate", str(texts), "--out", str(out), *options, "--export", "conversation"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in (out / "part-00000.jsonl").read_text().splitlines()]
    assert [(row["recipe"], row["task"]) for row in rows] == [("toy", "entities")] * 3
    assert "task_categories: [token-classification]" in (out / "README.md").read_text()
    assert json.loads((out / "report.json").read_text())["labels"] == {"year of birth": 3}
    assert "year of birth" in (out / "work/conversation.jsonl").read_text()


def test_an_old_name_is_taken_with_a_warning_that_says_the_new_one(tmp_path: Path) -> None:
    from glinermt.synth.settings import Settings

    with pytest.warns(FutureWarning, match="recipe 'qa' is now called 'answer'"):
        assert Settings(texts=(str(tmp_path),), tasks=("qa",)).tasks == ("answer",)
