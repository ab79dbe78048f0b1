"""Dev questions for calibration."""

import json
from pathlib import Path

from glinermt.eval.calibration.dev import read_dev
from glinermt.training.shipped.dev_questions import dev_questions


def test_half_of_the_questions_lose_their_answer_and_calibration_reads_them(
    tmp_path: Path,
) -> None:
    rows = [
        {
            "id": str(i),
            "context": f"In {1900 + i} Bo went from Rome to Pisa{i}. In 1850 nobody did.",
            "question": f"Where did Bo go in {1900 + i}?",
            "answers": {
                "text": [f"Pisa{i}"],
                "answer_start": [len("In 1900 Bo went from Rome to ")],
            },
        }
        for i in range(40)
    ]
    source, out = tmp_path / "qa.train.jsonl", tmp_path / "dev" / "questions.dev.jsonl"
    source.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    dev_questions([source], out, number=40, unanswerable=0.5, edited=0.8, seed=1)
    cases = read_dev([out], limit=None)["answer"]
    assert len({case.id for case in cases}) == 40
    assert 10 <= sum(not case.answers for case in cases) <= 30
    assert all(answer in case.text for case in cases for answer in case.answers)
