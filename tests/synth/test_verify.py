"""A judge looks at every span; what it doubts is left out and taught nothing about."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from glinermt.cli import app
from glinermt.errors import BackendError, ConfigError, DataError
from glinermt.jsonl import read_jsonl
from glinermt.synth.backends import LLMS
from glinermt.synth.backends.base import Reply, Request
from glinermt.synth.verify import Checking, verify
from glinermt.types import Example

TEXT = "Ann met Bo in Rome, and Cy in Oslo."


def row(number: int, *spans: tuple[str, str], labels: Sequence[str] = ()) -> dict[str, Any]:
    found = [
        {"start": TEXT.index(t), "end": TEXT.index(t) + len(t), "label": label}
        for t, label in spans
    ]
    names = list(dict.fromkeys([*(label for _, label in spans), *labels]))
    return {
        "text": TEXT, "labels": names, "prompt": "", "spans": found, "task": "entities",
        "id": f"r-{number}", "recipe": "entities",
    }  # fmt: skip


class Judge:
    """Says of each example what it is told; of others that all is right."""

    def __init__(self, *said: dict[str, Any]) -> None:
        self.said = said
        self.requests: list[Request] = []

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        for i, request in enumerate(requests):
            reply = self.said[min(len(self.requests), len(self.said) - 1)]
            self.requests.append(request)
            yield i, Reply(json.dumps(reply), 10, 5)


def says(*verdicts: str, missed: Sequence[str] = ()) -> dict[str, Any]:
    judged = {str(i): verdict for i, verdict in enumerate(verdicts, start=1)}
    return {"judgements": judged, "missed": list(missed)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "made"
    made.mkdir()
    rows = [row(0, ("Ann", "person"), ("Rome", "city"), ("Bo", "animal"), labels=["river"])]
    (made / "part-00000.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    return made


def left(out: Path) -> list[dict[str, Any]]:
    return [row for _, row in read_jsonl(out / "part-00000.jsonl")]


def test_doubtful_spans_go_and_nothing_is_taught_about_their_place(
    folder: Path, tmp_path: Path
) -> None:
    judge = Judge(says("right", "right", "wrong type", missed=["Oslo", "Paris"]))
    report = verify(folder, tmp_path / "out", judge, Checking())
    (kept,) = left(tmp_path / "out")
    assert [span["label"] for span in kept["spans"]] == ["person", "city"]
    assert kept["labels"] == ["person", "city", "river"]
    example = Example.from_dict(kept)
    assert [TEXT[start:end] for start, end in example.silent] == ["Bo", "Oslo"]
    assert report["right_share"] == pytest.approx(2 / 3, abs=1e-4)
    assert report["counts"]["dropped: wrong type"] == 1
    assert report["counts"]["places missed"] == 1
    assert "[[Rome]]" in judge.requests[0].user
    assert (report["counts"]["tokens_in"], report["counts"]["tokens_out"]) == (10, 5)


def test_a_span_stays_where_enough_samples_call_it_right(folder: Path, tmp_path: Path) -> None:
    said = (says("right", "right", "right"), says("right", "wrong border", "wrong type"),
            says("right", "right", "wrong type"))  # fmt: skip
    checking = Checking(samples=3, least_share=0.6, temperature=0.7)
    report = verify(folder, tmp_path / "out", Judge(*said), checking)
    assert [span["label"] for span in left(tmp_path / "out")[0]["spans"]] == ["person", "city"]
    assert report["agreement"] == pytest.approx(1 / 3, abs=1e-4)


def test_an_example_of_which_nothing_is_left_is_no_negative(folder: Path, tmp_path: Path) -> None:
    report = verify(folder, tmp_path / "out", Judge(says(*["not asked for"] * 3)), Checking())
    assert left(tmp_path / "out") == []
    assert report["counts"]["examples dropped"] == 1


@pytest.mark.parametrize(
    ("said", "number"),
    [({"judgements": []}, 3), (says(), 3), (says("right"), 2),
     (says("perhaps", "right", "the border is wrong, I think"), 2)],
)  # fmt: skip
def test_what_is_not_judged_stays_and_is_counted(
    folder: Path, tmp_path: Path, said: dict[str, Any], number: int
) -> None:
    report = verify(folder, tmp_path / "out", Judge(said), Checking())
    assert len(left(tmp_path / "out")[0]["spans"]) == 3
    assert report["counts"]["spans not judged"] == number


def test_a_span_called_wrong_goes_where_others_were_left_out(folder: Path, tmp_path: Path) -> None:
    verify(folder, tmp_path / "out", Judge(says("right", "wrong type")), Checking())
    assert [span["label"] for span in left(tmp_path / "out")[0]["spans"]] == ["person", "animal"]


def test_what_was_replied_is_not_asked_again(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = verify(folder, out, Judge(says("right", "right", "wrong type")), Checking())
    replies = out / "work/judgements.jsonl"
    replies.write_bytes(replies.read_bytes() + b'{"id": "r-')
    again = Judge(says("right"))
    assert verify(folder, out, again, Checking()) == first
    assert not again.requests


def test_what_was_replied_of_other_spans_or_by_another_judge_is_not_used(
    folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    verify(folder, out, Judge(says("wrong type", "right", "right")), Checking(judge="small"))
    large = Judge(says("right", "right", "right"))
    verify(folder, out, large, Checking(judge="large"))
    assert [span["label"] for span in left(out)[0]["spans"]] == ["person", "city", "animal"]
    other = row(0, ("Cy", "person"), ("Rome", "city"), ("Bo", "animal"))
    (folder / "part-00000.jsonl").write_text(json.dumps(other) + "\n")
    verify(folder, out, large, Checking(judge="small"))
    assert [span["label"] for span in left(out)[0]["spans"]] == ["person", "city", "animal"]
    assert len(large.requests) == 2


def test_data_of_another_run_in_the_folder_is_neither_lost_nor_taken_for_verified(
    folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "part-00001.jsonl").write_text("")
    with pytest.raises(DataError, match=r"out: it has part-00001\.jsonl, which"):
        verify(folder, out, Judge(says()), Checking())
    (out / "part-00001.jsonl").unlink()
    (out / "manifest.json").write_text("{}")
    with pytest.raises(DataError, match="it holds what generate wrote"):
        verify(folder, out, Judge(says()), Checking())


class Server(Judge):
    """Answers many requests at the same time, or none."""

    at_once = 2
    down = False

    async def reply(self, request: Request) -> Reply:
        if self.down:
            return Reply("", error="HTTP 503", transient=True)
        return next(reply for _, reply in self.generate([request]))

    async def close(self) -> None:
        """Nothing is open."""


def test_a_server_judges_as_others_do_and_one_that_is_down_is_not_believed(
    folder: Path, tmp_path: Path
) -> None:
    said = says("right", "right", "wrong type")
    judge = Server(said)
    judge.down = True
    with pytest.raises(BackendError, match=r"answered none of \d+ rows \(HTTP 503\)"):
        verify(folder, tmp_path / "out", judge, Checking())
    judge.down = False
    report = verify(folder, tmp_path / "out", judge, Checking())
    assert report == verify(folder, tmp_path / "other", Judge(said), Checking())
    assert left(tmp_path / "out") == left(tmp_path / "other")


def test_choices_that_make_no_sense_are_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="several samples at temperature 0 say the same"):
        Checking(samples=3)
    with pytest.raises(ConfigError, match=r"above 0 and at most 1, got 1\.5"):
        Checking(least_share=1.5)
    with pytest.raises(DataError, match="need a folder of their own"):
        verify(folder, folder, Judge(says()), Checking())


def test_the_command_says_what_it_left_out(folder: Path, tmp_path: Path) -> None:
    replies = tmp_path / "replies.jsonl"
    reply = says("right", "right", "wrong type")
    replies.write_text(json.dumps({"recipe": "verify", "reply": reply}) + "\n")
    command = ["verify", str(folder), "--out", str(tmp_path / "out"), "--llm", "scripted"]
    result = CliRunner().invoke(app, [*command, "--model", str(replies)])
    assert result.exit_code == 0, (result.output, result.exception)
    assert "66.7% of the judged spans called right" in result.output
    assert "dropped: wrong type: 1" in result.output
    replies.unlink()  # the judge is gone, and not needed
    again = CliRunner().invoke(app, [*command, "--model", str(replies)])
    assert again.exit_code == 0, (again.output, again.exception)
    assert again.output == result.output


def test_the_command_stopped_with_ctrl_c_says_how_to_go_on(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setitem(LLMS, "scripted", interrupted)
    command = ["verify", str(folder), "--out", str(tmp_path / "out"), "--llm", "scripted"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 130
    assert "stopped; run the same command again to go on" in result.stderr


def test_a_judge_that_says_nothing_of_use_has_verified_nothing(
    folder: Path, tmp_path: Path
) -> None:
    assert verify(folder, tmp_path / "a", Judge({"no": 1}), Checking())["right_share"] is None
    replies, out = tmp_path / "replies.jsonl", tmp_path / "b"
    line = {"recipe": "verify", "text": TEXT, "reply": {"no": 1}}
    replies.write_text(json.dumps(line) + "\n", encoding="utf-8")
    command = ["verify", str(folder), "--out", str(out), "--llm", "scripted"]
    result = CliRunner().invoke(app, [*command, "--model", str(replies)])
    assert isinstance(result.exception, DataError)
    assert "no span was judged, so its examples are as they were" in str(result.exception)
    assert "called right" not in result.output


def test_a_judge_that_follows_the_schema_leaves_no_span_out(folder: Path, tmp_path: Path) -> None:
    judge = Judge(says("right", "right", "right"))
    verify(folder, tmp_path / "out", judge, Checking())
    judgements = judge.requests[0].schema["properties"]["judgements"]
    assert judgements["required"] == ["1", "2", "3"]
    assert judgements["properties"]["1"]["enum"][0] == "right"


def test_a_reply_that_was_cut_is_asked_again_where_it_may_be_longer(
    folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"

    class Cut(Judge):
        def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
            for i, _ in enumerate(requests):
                yield i, Reply('{"judgements": {"1": "ri', 10, 40)

    verify(folder, out, Cut(), Checking(max_tokens=40))
    again = Judge(says("wrong type", "right", "right"))
    verify(folder, out, again, Checking(max_tokens=40))
    assert again.requests == []
    verify(folder, out, again, Checking(max_tokens=200))
    assert len(again.requests) == 1
    assert [span["label"] for span in left(out)[0]["spans"]] == ["city", "animal"]
    verify(folder, out, again, Checking(max_tokens=200))
    assert len(again.requests) == 1
