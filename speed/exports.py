"""F1 and speed of one model in several runtimes: ours, the package ``gliner`` and ``fast_gliner``.

    python speed/exports.py --data CROSSNER.jsonl --number 200 --out runs/exports.md
    python speed/exports.py --data CROSSNER.jsonl --number 40 --threads 2
    python speed/exports.py --data CROSSNER.jsonl --number 1000 --turns 0 --torch   # F1 rounded

Rows of the data: tokens and spans (first, last word, label), as CrossNER's. The systems run in
turns, in one process, so that whatever else the machine does meets all. A system's time is that of
the processor, with more threads that of the clock: the median over the turns. The packages read the
same weights, but labels at their markers (``contest.py``), so they have no F1 here; they are given
one text at a time, gliner's fastest way, and the threshold 0.5. ``fast_gliner`` (gline-rs, in Rust)
is left out where it is not installed: ``pip install --no-deps fast_gliner``.
"""

import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from contest import contest, quietly
from report import machine_line

from glinermt import GlinerMT, Span, extract_entities
from glinermt.eval.data.cases import NerCase
from glinermt.eval.data.readers import read_ner
from glinermt.eval.metrics.entities import span_f1
from glinermt.exported import ExportedModel
from glinermt.fast.linear import Precision, has_bf16

Place = tuple[int, int, str]
"""Start and end in characters, and the label."""
OURS, THEIRS = "torch, fast path", "gliner, torch"


@dataclass(frozen=True)
class System:
    """Something that finds entities, and the size of its weights."""

    run: Callable[[Sequence[NerCase]], list[list[Span]]]
    megabytes: float
    reference: str
    """The system that should find the same: ours or the package's, in torch."""


def ours(model: Any, megabytes: float) -> System:
    def run(cases: Sequence[NerCase]) -> list[list[Span]]:
        labels = [list(case.labels) for case in cases]
        return list(extract_entities([case.text for case in cases], labels, model=model))

    return System(run, megabytes, OURS)


def theirs(model: Any, megabytes: float) -> System:
    infer = quietly(model.inference)

    def run(cases: Sequence[NerCase]) -> list[list[Span]]:
        texts = [case.text for case in cases]
        found = infer(texts, list(cases[0].labels), threshold=0.5, batch_size=1)
        return [[_span(each) for each in spans] for spans in found]

    return System(run, megabytes, THEIRS)


def in_rust(model: Any, megabytes: float) -> System:
    """Return fast_gliner's model as a system; it counts offsets in bytes of UTF-8."""

    def run(cases: Sequence[NerCase]) -> list[list[Span]]:
        labels = list(cases[0].labels)
        return [
            [_of_characters(case.text, each) for each in model.predict_entities(case.text, labels)]
            for case in cases
        ]

    return System(run, megabytes, THEIRS)


def _span(found: dict[str, Any]) -> Span:
    return Span(found["start"], found["end"], found["text"], found["label"], found["score"])


def _of_characters(text: str, found: dict[str, Any]) -> Span:
    data = text.encode()
    start, end = (len(data[: found[side]].decode()) for side in ("start", "end"))
    return _span({**found, "start": start, "end": end})


def in_torch() -> dict[str, System]:
    """Load our own model, by name."""
    model = GlinerMT.from_pretrained()
    size = sum(p.numel() * p.element_size() for p in model.parameters()) / 1e6
    found = {OURS: ours(model, size)}
    rounded: list[Precision] = ["bf16", "int8"] if has_bf16() else ["int8"]
    for precision in rounded:
        made = ours(GlinerMT.from_pretrained(precision=precision), size)
        found[f"torch, fast path, {precision}"] = made
    return found


def exported(folder: Path, threads: int) -> dict[str, System]:
    """Write and load our exports, by name."""
    model, found = GlinerMT.from_pretrained(), {}
    for name, runtime, quantize in (
        ("ONNX", "onnx", None),
        ("ONNX fp16", "onnx", "fp16"),
        ("ONNX int8", "onnx", "int8"),
        ("OpenVINO", "openvino", None),
    ):
        place = folder / name
        write = model.export_onnx if runtime == "onnx" else model.export_openvino
        write(place, quantize=quantize)  # type: ignore[arg-type]
        found[name] = ours(ExportedModel.from_pretrained(place, threads=threads), weights_of(place))
    return found


def packages(folder: Path, threads: int) -> dict[str, System]:
    """Write and load the same weights with the packages, by name."""
    pair = contest("shipped", folder / "contest")
    package = pair.theirs()
    found = {THEIRS: theirs(package, (pair.folder / "model.safetensors").stat().st_size / 1e6)}
    quietly(package.export_to_onnx)(pair.folder, quantize=True)
    files = {"ONNX": "model.onnx", "ONNX int8": "model_quantized.onnx"}
    sizes = {name: (pair.folder / file).stat().st_size / 1e6 for name, file in files.items()}
    for name, file in files.items():
        found[f"gliner, {name}"] = theirs(their_onnx(pair.folder, file, threads), sizes[name])
    if find_spec("fast_gliner") is None:
        typer.echo("fast_gliner is left out: it is not installed")
        return found
    for name, file in files.items():
        place = folder / "fast_gliner" / name
        found[f"fast_gliner, {name}"] = in_rust(
            rust_onnx(pair.folder / file, place, threads), sizes[name]
        )
    return found


def weights_of(folder: Path) -> float:
    """Return the size of graphs and weights in MB."""
    kinds = (".onnx", ".xml", ".bin")
    return sum(p.stat().st_size for p in folder.iterdir() if p.suffix in kinds) / 1e6


@quietly
def their_onnx(folder: Path, file: str, threads: int) -> Any:
    import gliner
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return gliner.GLiNER.from_pretrained(
        str(folder), load_onnx_model=True, onnx_model_file=file, session_options=options
    )


def rust_onnx(file: Path, folder: Path, threads: int) -> Any:
    """Write the package's graph as fast_gliner reads it, and load it there.

    It knows the kind of head by ``mode``. Its threads, four, can only be set through onnxruntime:
    by settings in the file, which are read where ``ORT_LOAD_CONFIG_FROM_MODEL`` says so.
    """
    import onnx
    from fast_gliner import FastGLiNER
    from tokenizers import Tokenizer

    folder.mkdir(parents=True)
    tokenizer = shutil.copy(file.parent / "tokenizer.json", folder)
    settings = json.loads((file.parent / "gliner_config.json").read_text(encoding="utf-8"))
    (folder / "gliner_config.json").write_text(json.dumps({**settings, "mode": "token"}))
    model = onnx.load(file)
    _as_gline_rs_has_it(model.graph, Tokenizer.from_file(tokenizer).encode("").ids)
    options = json.dumps({"session_options": {"intra_op_num_threads": threads}})
    onnx.helper.set_model_props(model, {"ort_config": options})
    onnx.save(model, folder / "model.onnx")
    os.environ["ORT_LOAD_CONFIG_FROM_MODEL"] = "1"
    try:
        return FastGLiNER.from_pretrained(str(folder), onnx_path="model.onnx")
    finally:
        del os.environ["ORT_LOAD_CONFIG_FROM_MODEL"]


def _as_gline_rs_has_it(graph: Any, ends: Sequence[int]) -> None:
    """Let the graph take the inputs of gline-rs, and return logits in the order it reads.

    It begins and ends every row with the tokens 1 and 2, which are DeBERTa's; ``ends`` are those of
    the model. It reads logits as earlier versions of the package wrote them: (3, batch, words,
    labels) instead of (batch, words, labels, 3).
    """
    from onnx import TensorProto, helper

    for node in graph.node:
        taken = ["model_ids" if name == "input_ids" else name for name in node.input]
        given = ["model_logits" if name == "logits" else name for name in node.output]
        node.ClearField("input")
        node.ClearField("output")
        node.input.extend(taken)
        node.output.extend(given)
    ids, before = "input_ids", []
    for fixed, (end, name) in enumerate(zip(ends, ("first_ids", "model_ids"), strict=True), 1):
        for constant, value in ((f"fixed_{fixed}", fixed), (f"end_{fixed}", end)):
            graph.initializer.append(helper.make_tensor(constant, TensorProto.INT64, [], [value]))
        before += [
            helper.make_node("Equal", ["input_ids", f"fixed_{fixed}"], [f"is_{fixed}"]),
            helper.make_node("Where", [f"is_{fixed}", f"end_{fixed}", ids], [name]),
        ]
        ids = name
    after = helper.make_node("Transpose", ["model_logits"], ["logits"], perm=[3, 0, 1, 2])
    nodes = [*before, *graph.node, after]
    graph.ClearField("node")
    graph.node.extend(nodes)


def main(
    data: Annotated[list[Path], typer.Option(help="JSON lines as CrossNER's (repeatable).")],
    number: Annotated[int, typer.Option(help="Sentences of each file.")] = 200,
    turns: Annotated[int, typer.Option(help="Measured turns; 0 = one, cold.")] = 3,
    threads: Annotated[int, typer.Option(help="Of each runtime.")] = 1,
    only_torch: Annotated[bool, typer.Option("--torch", help="Only ours, in torch.")] = False,
    out: Annotated[Path, typer.Option(help="Markdown file to write.")] = Path("runs/exports.md"),
) -> None:
    """Measure exports beside torch, and the packages'."""
    torch.set_num_threads(threads)
    clock = time.process_time if threads == 1 else time.perf_counter
    sets = [read_ner(path, path.stem)[:number] for path in data]
    with tempfile.TemporaryDirectory() as folder:
        loaded = in_torch()
        if not only_torch:
            loaded |= exported(Path(folder), threads) | packages(Path(folder), threads)
        times: dict[str, list[float]] = {name: [] for name in loaded}
        found: dict[str, list[list[Span]]] = {}
        for turn in range(turns + 1):  # the first warms up
            for name, system in loaded.items():
                begun = clock()
                found[name] = [spans for cases in sets for spans in system.run(cases)]
                if turn or not turns:
                    times[name].append(clock() - begun)
    lines = table([case for cases in sets for case in cases], loaded, times, found)
    labels = ", ".join(str(len(cases[0].labels)) for cases in sets)
    names = [name for name in ("onnxruntime", "openvino", "fast_gliner") if find_spec(name)]
    lines[:0] = [
        ", ".join([machine_line(threads), *(f"{name} {version(name)}" for name in names)]),
        "",
        f"{sum(map(len, sets))} sentences of {len(sets)} sets, labels: {labels}; {turns} turns, "
        f"{'processor time' if threads == 1 else 'time of the clock'}",
        "",
    ]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    typer.echo(out.read_text(encoding="utf-8"))


def table(
    cases: Sequence[NerCase],
    loaded: dict[str, System],
    times: dict[str, list[float]],
    found: dict[str, list[list[Span]]],
) -> list[str]:
    """Return a row a system; "differ" counts places that only it or its reference found."""
    words = sum(len(case.text.split()) for case in cases)
    gold = [case.spans for case in cases]
    lines = [
        "| runtime | F1 | found | differ | texts/s | words/s | ms a text | weights, MB |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    places = {name: _places(spans) for name, spans in found.items()}
    for name, system in loaded.items():
        seconds = statistics.median(times[name])
        score = f"{100 * span_f1(gold, found[name]):.1f}" if system.reference == OURS else ""
        differ = "" if name == system.reference else len(places[name] ^ places[system.reference])
        lines.append(
            f"| {name} | {score} | {len(places[name])} | {differ} | {len(cases) / seconds:.1f} | "
            f"{words / seconds:,.0f} | {1000 * seconds / len(cases):.1f} | {system.megabytes:.0f} |"
        )
    return lines


def _places(found: Sequence[Sequence[Span]]) -> set[tuple[int, Place]]:
    return {(i, (s.start, s.end, s.label)) for i, spans in enumerate(found) for s in spans}


if __name__ == "__main__":
    typer.run(main)
