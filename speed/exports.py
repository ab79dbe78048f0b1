"""F1 and speed of one model in several runtimes: torch, ONNX, ONNX int8, OpenVINO.

    python speed/exports.py --data CROSSNER.jsonl --number 200 --out runs/exports.md

Rows of the data: tokens and spans (first, last word, label), as CrossNER's. The systems run in
turns, in one process with one thread, so that whatever else the machine does meets all; a system's
time is the median over the turns of the processor's time.
"""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from report import machine_line

from glinermt import GlinerMT, extract_entities
from glinermt.eval.data.readers import read_ner
from glinermt.exported import ExportedModel
from glinermt.training.dev_scores import strict_f1


def systems(folder: Path) -> dict[str, tuple[Any, float]]:
    """Return the loaded models and the size of their weights in MB."""
    model = GlinerMT.from_pretrained()
    size = sum(p.numel() * p.element_size() for p in model.parameters()) / 1e6
    found: dict[str, tuple[Any, float]] = {"torch, fast path": (model, size)}
    for name, runtime, quantize in (
        ("ONNX", "onnx", None),
        ("ONNX int8", "onnx", "int8"),
        ("OpenVINO", "openvino", None),
    ):
        place = folder / name
        write = model.export_onnx if runtime == "onnx" else model.export_openvino
        write(place, quantize=quantize)  # type: ignore[arg-type]
        files = [p for p in place.iterdir() if p.suffix in (".onnx", ".bin")]
        size = sum(p.stat().st_size for p in files) / 1e6
        found[name] = ExportedModel.from_pretrained(place, threads=1), size
    return found


def main(
    data: Annotated[list[Path], typer.Option(help="JSON lines as CrossNER's (repeatable).")],
    number: Annotated[int, typer.Option(help="Sentences of each file.")] = 200,
    turns: Annotated[int, typer.Option(help="Measured turns.")] = 3,
    out: Annotated[Path, typer.Option(help="Markdown file to write.")] = Path("runs/exports.md"),
) -> None:
    """Measure exports beside torch."""
    torch.set_num_threads(1)
    sets = [read_ner(path, path.stem)[:number] for path in data]
    with tempfile.TemporaryDirectory() as folder:
        loaded = systems(Path(folder))
        times: dict[str, list[float]] = {name: [] for name in loaded}
        scores: dict[str, float] = {}
        for turn in range(turns + 1):  # the first warms up
            for name, (model, _) in loaded.items():
                begun, found, gold = time.process_time(), [], []
                for cases in sets:
                    labels = [list(case.labels) for case in cases]
                    found += extract_entities([case.text for case in cases], labels, model=model)
                    gold += [case.spans for case in cases]
                if turn:
                    times[name].append(time.process_time() - begun)
                scores[name] = 100 * strict_f1(gold, found)
    words = sum(len(case.text.split()) for cases in sets for case in cases)
    lines = [
        f"{machine_line(1)}; {sum(map(len, sets))} sentences, {words} words",
        "",
        "| runtime | F1 | words a second of processor time | weights, MB |",
        "|---|---|---|---|",
    ]
    for name, (_, size) in loaded.items():
        speed = words / statistics.median(times[name])
        lines.append(f"| {name} | {scores[name]:.1f} | {speed:,.0f} | {size:.0f} |")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    typer.echo(out.read_text(encoding="utf-8"))


if __name__ == "__main__":
    typer.run(main)
