"""CNN/DailyMail: extractive summaries, beside what the first three sentences give."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from glinermt.config import TaskSettings
from glinermt.eval.data.cases import SummaryCase
from glinermt.eval.data.hub import NUM_DOCUMENTS, HubSet, documents
from glinermt.eval.data.readers import find_file, jsonl_patterns, read_summaries
from glinermt.eval.metrics.entities import FloatArray, Totals, ratio, total
from glinermt.eval.metrics.texts import NAMES, greedy_oracle, rouge, split_sentences
from glinermt.eval.protocol import Baseline, Entry, Options, Prediction, Split
from glinermt.tasks.summaries import SUMMARIZE, summarize
from glinermt.types import Extractor

SENTENCE, SPAN = "sentence mode", "span mode"
NUM_SENTENCES = 3


@dataclass(frozen=True)
class CnnDm:
    """Two modes over the same documents, as two groups."""

    split: Split = "test"
    name: str = "cnn_dm"
    headline: str = "rougeL"
    averaged: bool = False
    plain: frozenset[str] = frozenset({"mean_words"})
    how: tuple[str, ...] = (
        "F1 of ROUGE by rouge-score, stemmed: rougeL over the whole text, rougeLsum sentence by "
        "sentence (what most papers call ROUGE-L); mean over documents, sd their standard "
        "deviation.",
        f"{SENTENCE}: {NUM_SENTENCES} sentences. {SPAN} (the paper's): spans joined.",
        f"lead-3: the first {NUM_SENTENCES} sentences. greedy oracle: up to {NUM_SENTENCES} "
        "sentences chosen with the gold summary in view, for ROUGE-1 + ROUGE-2.",
    )

    @property
    def protocol(self) -> tuple[str, ...]:
        first = f"The first {NUM_DOCUMENTS} documents of the {self.split} split of CNN/DailyMail"
        return (f"{first} 3.0.0.", *self.how)

    def load(self, folder: Path) -> list[SummaryCase]:
        stems = (f"cnn_dailymail.{self.split}", f"cnn_dailymail.{self.split}*")
        patterns = [name for stem in stems for name in jsonl_patterns(stem)]
        cases = read_summaries(find_file(folder, patterns), SENTENCE)[:NUM_DOCUMENTS]
        return [
            replace(case, id=f"{group}/{case.id}", group=group)
            for group in (SENTENCE, SPAN)
            for case in cases
        ]

    def settings(self, saved: TaskSettings) -> dict[str, Any]:
        return {
            "threshold": saved.thresholds.get(SUMMARIZE.name, SUMMARIZE.threshold),
            "split": self.split,
            "sentences": NUM_SENTENCES,
            "span_score": saved.span_score,
        }

    def predict(self, model: Extractor, cases: Sequence[SummaryCase]) -> list[Prediction]:
        texts: dict[str, str] = {}
        for group in (SENTENCE, SPAN):
            chosen = [case for case in cases if case.group == group]
            documents = [case.text for case in chosen]
            found = (
                summarize(documents, sentences=NUM_SENTENCES, model=model)
                if group == SENTENCE
                else summarize(documents, unit="span", model=model)
            )
            for case, summary in zip(chosen, found, strict=True):
                texts[case.id] = summary.text
        return [{"text": texts[case.id]} for case in cases]

    def baselines(self) -> Mapping[str, Baseline]:
        return {"lead-3": _lead, "greedy oracle": _oracle}

    def score(
        self,
        case: SummaryCase,
        prediction: Prediction,
        settings: Mapping[str, Any],  # noqa: ARG002  # the settings have acted already
    ) -> dict[str, float]:
        scores = rouge(case.summary, prediction["text"])
        squares = {f"{name}^2": value**2 for name, value in scores.items()}
        return {**scores, **squares, "count": 1.0}

    def measure(self, totals: Totals) -> dict[str, FloatArray]:
        count = total(totals, "count")
        means = {name: ratio(total(totals, name), count) for name in NAMES}
        for name in NAMES:
            variance = ratio(total(totals, f"{name}^2"), count) - means[name] ** 2
            means[f"{name}_sd"] = np.sqrt(np.maximum(variance, 0.0))
        return means

    def extras(
        self,
        cases: Sequence[SummaryCase],
        predictions: Sequence[Prediction],
        settings: Mapping[str, Any],  # noqa: ARG002  # lengths need none
    ) -> dict[str, Any]:
        words: dict[str, list[int]] = {"gold": [len(case.summary.split()) for case in cases]}
        for case, prediction in zip(cases, predictions, strict=True):
            words.setdefault(case.group, []).append(len(prediction["text"].split()))
        return {"mean_words": {name: sum(n) / len(n) for name, n in words.items() if n}}


def _lead(cases: Sequence[SummaryCase]) -> list[Prediction | None]:
    return [
        {"text": " ".join(split_sentences(case.text)[:NUM_SENTENCES])}
        if case.group == SENTENCE
        else None
        for case in cases
    ]


def _oracle(cases: Sequence[SummaryCase]) -> list[Prediction | None]:
    return [_oracle_of(case) if case.group == SENTENCE else None for case in cases]


def _oracle_of(case: SummaryCase) -> Prediction:
    sentences = split_sentences(case.text)
    chosen = greedy_oracle(sentences, case.summary, limit=NUM_SENTENCES)
    return {"text": " ".join(sentences[index] for index in chosen)}


def _hub(options: Options) -> Mapping[str, HubSet]:
    revision = "96df5e686bee6baa90b8bee7c28b81fa3fa6223d"
    found = HubSet("abisee/cnn_dailymail", "3.0.0", options.split, revision, documents)
    return {f"cnn_dailymail.{options.split}_first{NUM_DOCUMENTS}.jsonl": found}


ENTRY = Entry(lambda options: CnnDm(options.split), _hub, options=("split",))
