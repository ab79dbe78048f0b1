"""Speed, loading time and memory of each published family beside its own package.

    python speed/families.py                            # all families; half an hour
    python speed/families.py --family bi --family relex
    python speed/families.py --family relex --words 60  # cut texts, which some packages need
    python speed/families.py --quick                    # only: are the answers the same?

The weights are random, in the shape of small published models (an encoder as DeBERTa-v3-small, for
labels one as MiniLM-L6, and mT5-small), made and saved by the package and loaded by both. Both run
in turns in one process; a ratio is the median over turns of the package's CPU time by ours. Each
loads once more in a process that imports nothing else (``loading.py``), whose CPU time and peak
memory are the table's.
"""

import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # before tokenizers is imported

import torch
import typer
from contest import (
    LABELS,
    Found,
    Run,
    disagreements,
    quietly,
    random_deberta,
    usual_threshold,
    workloads,
)
from loading import PACKAGES
from report import machine_line
from rich.console import Console

from glinermt.checkpoints import SHIPPED
from glinermt.model import GlinerMT
from glinermt.types import Ask, Query

ASKED = LABELS[:15]
RELATIONS = ("works for", "located in", "founded by", "member of")
GLINER: dict[str, dict[str, Any]] = {
    "uni, span": {},
    "uni, token": {"span_mode": "token_level"},
    "uni, mT5": {"span_mode": "token_level", "model_name": "mt5"},
    "bi": {"labels_encoder": "minilm"},
    "poly": {
        "labels_encoder": "minilm", "post_fusion_schema": "l2l-l2t-t2t", "hidden_size": 768,
    },
    "relex": {"relations_layer": "gcn"},
}  # fmt: skip
"""Families of the package gliner, and what they differ in."""
MARKERS = {"ent_token": "[ENT]", "sep_token": "[SEP2]", "rel_token": "[REL]"}
"""Unlike those of the shipped tokenizer: the package takes its markers to be the last tokens."""
GLINER2: dict[str, dict[str, Any]] = {
    "GLiNER2": {"architecture": "span"},
    "GLiNER2.5": {
        "architecture": "boundary",
        "boundary_head": {  # as the published ones have it
            "candidate_pool": "shared", "candidate_attention_layers": 0,
            "query_attention_layers": 0, "enable_span_content": True, "pool_boundary_top_k": 32,
            "pool_size": 192, "boundary_attention_layers": 1, "boundary_attention_window": 64,
        },
    },
}  # fmt: skip
GLIFORMER = "GLiFormer"
FAMILIES = [*GLINER, *GLINER2, GLIFORMER]
TEXTS = 8
"""Of the texts of mixed lengths."""
COLUMNS = (
    "family", "texts/s", "ours is, batch 1", "batch 8", "loading, CPU s", "package", "peak, MB",
    "package", "found", "differ",
)  # fmt: skip
console = Console(width=120)


@quietly
def write(family: str, folder: Path) -> Path:
    """Write a family's checkpoint as its package does; return its folder."""
    shipped = GlinerMT.from_pretrained(SHIPPED)  # for the tokenizer
    parts = {"model_name": "deberta", **GLINER.get(family, {})}
    for key in ("model_name", "labels_encoder"):
        if kind := parts.get(key):
            _backbone(kind, shipped).save_pretrained(folder / kind)
            shipped.query_encoder.tokenizer.save_pretrained(folder / kind)
            parts[key] = str(folder / kind)
    torch.manual_seed(0)
    saved = folder / "saved"
    if family in GLINER2:
        from gliner2.auto import AutoExtractor
        from gliner2.configuration import ExtractorConfig

        extractor = ExtractorConfig(model_name=parts["model_name"], **GLINER2[family])
        AutoExtractor.from_config(extractor).save_pretrained(str(saved))
    elif family == GLIFORMER:
        import gliformer

        heads = {"ner_config": {}, "classification_config": {}}
        text = {"model_type": "gliformer-text", "hidden_size": 512, "dropout": 0.0, "max_len": 512}
        config = gliformer.GLiFormerConfig(**heads, **text, model_name=parts["model_name"])
        gliformer.GLiFormer.from_config(config).save_pretrained(str(saved))
    else:
        import gliner

        sizes = {"max_width": 12, "hidden_size": 512, "dropout": 0.0, "max_len": 512}
        sizes |= {"span_mode": "markerV0", "max_types": 30, **MARKERS}
        config = gliner.GLiNERConfig(**{**sizes, **parts})
        gliner.GLiNER.from_config(config).save_pretrained(saved, safe_serialization=True)
    return saved


def _backbone(kind: str, shipped: GlinerMT) -> Any:
    """Return a random encoder with the shipped model's vocabulary."""
    from transformers import BertConfig, BertModel, MT5Config, MT5EncoderModel

    torch.manual_seed(0)
    size = len(shipped.query_encoder.tokenizer)
    if kind == "mt5":
        shape = {"d_model": 512, "d_kv": 64, "d_ff": 1024, "num_layers": 8, "num_heads": 6}
        return MT5EncoderModel(MT5Config(vocab_size=size, **shape))
    if kind == "minilm":
        shape = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12}
        return BertModel(BertConfig(vocab_size=size, intermediate_size=1536, **shape))
    return random_deberta("small", shipped)


def package_of(family: str) -> str:
    if family in GLINER2:
        return "gliner2"
    return "gliformer" if family == GLIFORMER else "gliner"


def theirs(family: str, model: Any, batch_size: int) -> Run:
    """Return the package's model as a system."""
    size = {"batch_size": batch_size}
    vectors = quietly(model.encode_labels)(list(ASKED)) if family == "bi" else None

    @quietly
    def run(texts: Sequence[str], labels: Sequence[str], threshold: float) -> Found:
        given, asked = list(texts), list(labels)
        if family in GLINER2:
            found = model.batch_extract_entities(
                given, asked, threshold=threshold, include_confidence=True, include_spans=True,
                **size,
            )  # fmt: skip
            return [
                _labelled(each["entities"], text) for each, text in zip(found, texts, strict=True)
            ]
        if family == GLIFORMER:
            found = model.inference(given, entities=asked, threshold=threshold, **size)["ner"]
        elif vectors is not None:
            found = model.batch_predict_with_embeds(
                given, vectors, asked, threshold=threshold, **size
            )
        elif family == "relex":
            found, related = model.inference(
                given, asked, relations=list(RELATIONS), threshold=threshold, **size
            )
            return [{**_spans(a), **_edges(b)} for a, b in zip(found, related, strict=True)]
        else:
            found = model.inference(given, asked, threshold=threshold, **size)
        return [_spans(spans) for spans in found]

    return run


def _spans(found: Sequence[Mapping[str, Any]]) -> dict[tuple[int, int, str], float]:
    return {(s["start"], s["end"], s["label"]): s["score"] for s in found}


def _edges(found: Sequence[Mapping[str, Any]]) -> dict[tuple[int, int, str], float]:
    """Return relations as spans of their heads; a mention's to itself are left out, as by us."""
    pairs = [(r["head"], r["tail"], r) for r in found]
    return {
        (head["start"], head["end"], _edge(r["relation"], tail["start"], tail["end"])): r["score"]
        for head, tail, r in pairs
        if (head["start"], head["end"]) != (tail["start"], tail["end"])
    }


def _edge(relation: str, start: int, end: int) -> str:
    return f"{relation} -> {start}:{end}"


def _labelled(found: Mapping[str, Any], text: str) -> dict[tuple[int, int, str], float]:
    """Return the entities of GLiNER2, without the full stop that it adds to a text."""
    return {
        (e["start"], min(e["end"], len(text)), label): e["confidence"]
        for label, entities in found.items()
        for e in entities
        if e["start"] < len(text)
    }


def ours(family: str, model: GlinerMT) -> Run:
    """Return our model as a system."""
    relations = RELATIONS if family == "relex" else ()
    index = tuple(model.encode_labels(ASKED)) if family == "bi" else None

    def run(texts: Sequence[str], labels: Sequence[str], threshold: float) -> Found:
        asked = index or tuple(labels)
        ask = Ask(threshold, "flat", family in GLINER2, "min", threshold)
        queries = [Query(text, asked, "", relations, across_lines=True) for text in texts]
        return [
            {(s.start, s.end, str(s.label)): s.score for s in one.spans}
            | {
                (r.head.start, r.head.end, _edge(r.label, r.tail.start, r.tail.end)): r.score
                for r in one.relations
            }
            for one in model.read(queries, ask)
        ]

    return run


def main(
    family: Annotated[list[str], typer.Option(help="Of those in the table.")] = FAMILIES,
    turns: Annotated[int, typer.Option(help="Measured turns.")] = 3,
    words: Annotated[int, typer.Option(help="Of a text, at most.")] = 250,
    out: Annotated[Path, typer.Option(help="Markdown file to write.")] = Path("runs/families.md"),
    quick: Annotated[bool, typer.Option("--quick", help="Compare answers; measure nothing.")] = (
        False
    ),
) -> None:
    """Measure each family beside its package; fail where answers differ."""
    if unknown := sorted(set(family) - set(FAMILIES)):
        raise typer.BadParameter(f"unknown: {', '.join(unknown)}; there are {', '.join(FAMILIES)}")
    torch.set_num_threads(1)
    packages = ", ".join(f"{name} {version(name)}" for name in ("gliner2", "gliformer"))
    lines = [
        f"{machine_line(1)}, {packages}", "", f"| {' | '.join(COLUMNS)} |",
        "|---|" + "---:|" * (len(COLUMNS) - 1),
    ]  # fmt: skip
    out.parent.mkdir(parents=True, exist_ok=True)
    different = 0
    for name in family:
        with tempfile.TemporaryDirectory() as folder:
            cells, problems = row(name, write(name, Path(folder)), 0 if quick else turns, words)
        lines.append(f"| {' | '.join(cells)} |")
        console.print(lines[-1], *problems[:5], sep="\n  ")
        different += len(problems)
        if not quick:
            out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    raise typer.Exit(code=min(different, 1))


def row(family: str, folder: Path, turns: int, words: int) -> tuple[list[str], list[str]]:
    """Return a family's row of the table, and what only one of both found.

    Answers are compared with those of the package at batch size 1: its padding moves some scores.
    """
    package = quietly(PACKAGES[package_of(family)])(str(folder))
    runs = [ours(family, GlinerMT.from_pretrained(folder))]
    runs += [theirs(family, package, size) for size in ((1, 8) if turns else (1,))]
    whole = workloads(quick=not turns)[2].texts[:TEXTS]
    texts = [" ".join(text.split()[:words]) for text in whole]
    # Not at a score, where rounding would decide.
    threshold = usual_threshold(runs[0], texts, ASKED) + 1e-5
    times, found = _turns(runs, texts, threshold, turns)
    problems = disagreements(found[0], found[1], threshold)
    counts = [str(sum(map(len, found[0]))), str(len(problems))]
    if not turns:
        return [family, *[""] * (len(COLUMNS) - 3), *counts], problems
    speed = len(texts) / statistics.median(times[0])
    ratios = [
        statistics.median(a / b for a, b in zip(each, times[0], strict=True)) for each in times[1:]
    ]
    loads = [loading(package, folder) for package in ("glinermt", package_of(family))]
    (seconds, memory), (their_seconds, their_memory) = loads
    measured = [f"{speed:.1f}", *(f"{ratio:.1f}" for ratio in ratios), f"{seconds:.1f}"]
    measured += [f"{their_seconds:.1f}", f"{memory:,.0f}", f"{their_memory:,.0f}"]
    return [family, *measured, *counts], problems


def _turns(
    runs: Sequence[Run], texts: Sequence[str], threshold: float, turns: int
) -> tuple[list[list[float]], list[Found]]:
    """Return each system's CPU seconds turn by turn, after one that does not count, and answers."""
    times: list[list[float]] = [[] for _ in runs]
    found: list[Found] = []
    for turn in range(turns + 1):
        found = []
        for run, took in zip(runs, times, strict=True):
            gc.collect()
            began = time.process_time()
            found.append(run(texts, ASKED, threshold))
            if turn:
                took.append(time.process_time() - began)
    return times, found


def loading(package: str, folder: Path) -> tuple[float, float]:
    """Return the CPU seconds and the peak MB of a process that imports and loads."""
    script = Path(__file__).with_name("loading.py")
    command = [sys.executable, "-W", "ignore", str(script), package, str(folder)]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True
    )
    seconds, memory = json.loads(done.stdout.splitlines()[-1])
    return seconds, memory


if __name__ == "__main__":
    typer.run(main)
