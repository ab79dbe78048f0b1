"""SQuAD 2.0 dev: answers, and knowing when there is none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glinermt.config import TaskSettings
from glinermt.eval.data.cases import QaCase
from glinermt.eval.data.hub import HubSet, questions
from glinermt.eval.data.readers import find_file, jsonl_patterns, read_qa
from glinermt.eval.metrics.entities import FloatArray, Totals, ratio, total
from glinermt.eval.metrics.texts import (
    ScoredAnswer,
    answer_f1,
    average_precision,
    best_threshold,
    exact_match,
)
from glinermt.eval.protocol import Baseline, Entry, Prediction
from glinermt.tasks.questions import ANSWER, answer
from glinermt.types import Extractor

PATTERNS = ["dev-v2.0.json", *jsonl_patterns("squad_v2.dev"), *jsonl_patterns("squad2")]


@dataclass(frozen=True)
class Squad2:
    """Best answer and its score, thresholded after the fact."""

    name: str = "squad2"
    headline: str = "f1"
    averaged: bool = False
    plain: frozenset[str] = frozenset({"best_f1_no_answer_threshold"})
    protocol: tuple[str, ...] = (
        "Every question of SQuAD 2.0 dev is asked of its own paragraph, the question as prompt.",
        "EM and F1 as the official script normalises them; HasAns and NoAns apart.",
        "No answer is given when the best span scores below the threshold saved with the model "
        f"({ANSWER.threshold} if none is saved).",
        "best_f1 is the F1 of the threshold that is best on these very questions: an upper bound.",
        f"Spans below {ANSWER.floor} are not looked for, so no best threshold below it is found.",
    )

    def load(self, folder: Path) -> list[QaCase]:
        return read_qa(find_file(folder, PATTERNS), self.name)

    def settings(self, saved: TaskSettings) -> dict[str, Any]:
        threshold = saved.thresholds.get(ANSWER.name, ANSWER.threshold)
        return {"threshold": threshold, "span_score": ANSWER.span_score}

    def predict(self, model: Extractor, cases: Sequence[QaCase]) -> list[Prediction]:
        found = answer(
            [case.question for case in cases],
            [case.text for case in cases],
            threshold=0.0,
            model=model,
        )
        return [
            {"text": a.text, "score": a.score, "no_answer_score": a.no_answer_score} for a in found
        ]

    def baselines(self) -> Mapping[str, Baseline]:
        return {
            "always no answer": lambda cases: [
                {"text": "", "score": 0.0, "no_answer_score": 1.0} for _ in cases
            ]
        }

    def score(
        self, case: QaCase, prediction: Prediction, settings: Mapping[str, Any]
    ) -> dict[str, float]:
        given = prediction["text"] if prediction["score"] >= settings["threshold"] else ""
        kind = "HasAns" if case.answers else "NoAns"
        exact, f1 = exact_match(given, case.answers), answer_f1(given, case.answers)
        return {f"{kind}/exact": exact, f"{kind}/f1": f1, f"{kind}/count": 1.0}

    def measure(self, totals: Totals) -> dict[str, FloatArray]:
        metrics: dict[str, FloatArray] = {}
        has, no = "HasAns", "NoAns"
        count = total(totals, f"{has}/count") + total(totals, f"{no}/count")
        for metric in ("exact", "f1"):
            right = total(totals, f"{has}/{metric}") + total(totals, f"{no}/{metric}")
            metrics[metric] = ratio(right, count)
        for kind in (has, no):
            for metric in ("exact", "f1"):
                metrics[f"{kind}_{metric}"] = ratio(
                    total(totals, f"{kind}/{metric}"), total(totals, f"{kind}/count")
                )
        return metrics

    def extras(
        self,
        cases: Sequence[QaCase],
        predictions: Sequence[Prediction],
        settings: Mapping[str, Any],  # noqa: ARG002  # no threshold enters here
    ) -> dict[str, Any]:
        answers = [
            ScoredAnswer(prediction["text"], prediction["no_answer_score"], case.answers)
            for case, prediction in zip(cases, predictions, strict=True)
        ]
        best, threshold = best_threshold(answers)
        return {
            "best_f1": best,
            "best_f1_no_answer_threshold": threshold,
            "answerable_average_precision": average_precision(answers),
        }


ENTRY = Entry(
    lambda _: Squad2(),  # the no-answer threshold is the model's
    lambda _: {
        "squad_v2.dev.jsonl": HubSet(
            "rajpurkar/squad_v2",
            None,
            "validation",
            "3ffb306f725f7d2ce8394bc1873b24868140c412",
            questions,
        )
    },
)
