"""F1 and speed of one model in several runtimes, ours and those of the package ``gliner``.

    python speed/exports.py --data CROSSNER.jsonl --number 200 --out runs/exports.md

Rows of the data: tokens and spans (first, last word, label), as CrossNER's. The systems run in
turns, in one process with one thread, so that whatever else the machine does meets all; a system's
time is the median over the turns of the processor's time. The package reads the same weights, but
labels at their markers (``contest.py``), so it has no F1 here; it is given one text at a time, its
fastest way, and the threshold 0.5.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class System:
    """Something that finds entities, and the size of its weights."""

    run: Callable[[Sequence[NerCase]], list[list[Span]] | None]
    """Returns what it finds; None where F1 is not that of the model."""
    megabytes: float


def ours(model: Any, megabytes: float) -> System:
    def run(cases: Sequence[NerCase]) -> list[list[Span]]:
        labels = [list(case.labels) for case in cases]
        return list(extract_entities([case.text for case in cases], labels, model=model))

    return System(run, megabytes)


def theirs(model: Any, megabytes: float) -> System:
    infer = quietly(model.inference)

    def run(cases: Sequence[NerCase]) -> None:
        infer([case.text for case in cases], list(cases[0].labels), threshold=0.5, batch_size=1)

    return System(run, megabytes)


def systems(folder: Path) -> dict[str, System]:
    """Load all systems by name, ours first."""
    model = GlinerMT.from_pretrained()
    size = sum(p.numel() * p.element_size() for p in model.parameters()) / 1e6
    found = {"torch, fast path": ours(model, size)}
    found["torch, fast path, int8"] = ours(GlinerMT.from_pretrained(precision="int8"), size)
    for name, runtime, quantize in (
        ("ONNX", "onnx", None),
        ("ONNX fp16", "onnx", "fp16"),
        ("ONNX int8", "onnx", "int8"),
        ("OpenVINO", "openvino", None),
    ):
        place = folder / name
        write = model.export_onnx if runtime == "onnx" else model.export_openvino
        write(place, quantize=quantize)  # type: ignore[arg-type]
        found[name] = ours(ExportedModel.from_pretrained(place, threads=1), weights_of(place))
    pair = contest("shipped", folder / "contest")
    package = pair.theirs()
    found["gliner, torch"] = theirs(package, size)
    quietly(package.export_to_onnx)(pair.folder, quantize=True)
    for name, file in (
        ("gliner, ONNX", "model.onnx"),
        ("gliner, ONNX int8", "model_quantized.onnx"),
    ):
        found[name] = theirs(
            their_onnx(pair.folder, file), (pair.folder / file).stat().st_size / 1e6
        )
    return found


def weights_of(folder: Path) -> float:
    """Return the size of graphs and weights in MB."""
    kinds = (".onnx", ".xml", ".bin")
    return sum(p.stat().st_size for p in folder.iterdir() if p.suffix in kinds) / 1e6


@quietly
def their_onnx(folder: Path, file: str) -> Any:
    import gliner
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return gliner.GLiNER.from_pretrained(
        str(folder), load_onnx_model=True, onnx_model_file=file, session_options=options
    )


def main(
    data: Annotated[list[Path], typer.Option(help="JSON lines as CrossNER's (repeatable).")],
    number: Annotated[int, typer.Option(help="Sentences of each file.")] = 200,
    turns: Annotated[int, typer.Option(help="Measured turns.")] = 3,
    out: Annotated[Path, typer.Option(help="Markdown file to write.")] = Path("runs/exports.md"),
) -> None:
    """Measure exports beside torch, and the package's."""
    torch.set_num_threads(1)
    sets = [read_ner(path, path.stem)[:number] for path in data]
    gold = [case.spans for cases in sets for case in cases]
    with tempfile.TemporaryDirectory() as folder:
        loaded = systems(Path(folder))
        times: dict[str, list[float]] = {name: [] for name in loaded}
        scores: dict[str, str] = {}
        for turn in range(turns + 1):  # the first warms up
            for name, system in loaded.items():
                begun = time.process_time()
                found = [system.run(cases) for cases in sets]
                if turn:
                    times[name].append(time.process_time() - begun)
                spans = [one for part in found if part is not None for one in part]
                scores[name] = f"{100 * span_f1(gold, spans):.1f}" if spans else ""
    words = sum(len(case.text.split()) for cases in sets for case in cases)
    lines = [
        f"{machine_line(1)}; {sum(map(len, sets))} sentences, {words} words, {turns} turns",
        "",
        "| runtime | F1 | words a second of processor time | weights, MB |",
        "|---|---:|---:|---:|",
    ]
    for name, system in loaded.items():
        speed = words / statistics.median(times[name])
        lines.append(f"| {name} | {scores[name]} | {speed:,.0f} | {system.megabytes:.0f} |")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    typer.echo(out.read_text(encoding="utf-8"))


if __name__ == "__main__":
    typer.run(main)
