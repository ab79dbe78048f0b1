"""Writes a model as ONNX or OpenVINO graphs, which run without torch; ``exported.py`` reads them.

docs/howto/export.md describes the files.
"""

import copy
import dataclasses
import json
import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

import glinermt
from glinermt.bert import Bert, BertOutput, Rows
from glinermt.build import Parts
from glinermt.config import EXPORT_FILE
from glinermt.encoder import Batch
from glinermt.encoding import PaddedRows, QueryEncoder
from glinermt.errors import UsageError, needs, unknown_choice
from glinermt.exported import FORMAT_VERSION, KINDS, Runtime, feeds, read
from glinermt.families.base import FamilyNetwork
from glinermt.heads import SpanHead, TokenHead
from glinermt.heads.class_ import ClassHead, ClassSimilarity
from glinermt.heads.relation import Pairs, RelationHead
from glinermt.network import Network
from glinermt.types import Query
from glinermt.windows import plan_passes

Quantize = Literal["int8", "fp16"]
TOLERANCE = 1e-4
"""How far logits of an unquantized export may lie from those of torch."""
OPSET = 17
_QUANTIZE = {"onnx": ("int8", "fp16"), "openvino": ("fp16",)}
_IN_FLOAT32 = ["LSTM", "CumSum", "Range", "LayerNormalization", "Softmax"]
"""Operations that have no kernel for 16 bits on a processor, or lose too much by it."""
_REQUIREMENTS = "jaxtyping numpy pydantic regex rich sentencex tokenizers typer".split()
_RUNTIME_PACKAGE = {"onnx": "onnxruntime", "openvino": "openvino"}
_AXES = {
    "input_ids": ("batch", "tokens"),
    "attention_mask": ("batch", "tokens"),
    "word_position": ("batch", "words"),
    "num_words": ("batch",),
    "num_prompt_words": ("batch",),
    "span_logits": ("batch", "words", "span_labels"),
    "class_logits": ("batch", "class_labels"),
    "word_vectors": ("batch", "words"),
    "relation_vectors": ("batch", "relation_labels"),
    "mentions": ("mentions",),
    "head": ("pairs",),
    "tail": ("pairs",),
    "relation_logits": ("pairs", "relation_labels"),
    "sentence_vectors": ("batch",),
    **{
        f"{kind}_label_{what}": ("batch", f"{kind}_labels")
        for kind in KINDS
        for what in ("position", "length")
    },
}
"""Names of the axes that may have any size."""


def export(
    parts: Parts, folder: str | Path, *, runtime: Runtime = "onnx", quantize: Quantize | None = None
) -> None:
    """Write a model's graphs, tokenizer and settings into a folder.

    Args:
        parts: the model.
        folder: made where it is not there.
        runtime: ``onnx`` or ``openvino``.
        quantize: ``int8`` (of ONNX) for weights of 8 bits, ``fp16`` for weights of 16; None = as
            they are, and then logits are checked to be those of torch.

    Raises:
        BackendError: a package of the extra is not installed.
        UsageError: the model is of a family that reads queries in a way of its own, its head is
            none of ours, or its encoder cannot be exported.
    """
    if runtime not in _QUANTIZE:
        raise UsageError(unknown_choice("format", runtime, _QUANTIZE))
    if quantize not in (None, *_QUANTIZE[runtime]):
        raise UsageError(
            f"runtime {runtime!r}: {unknown_choice('quantize', quantize, _QUANTIZE[runtime])}"
        )
    for package in ("onnx", "onnxruntime", *(["openvino"] if runtime == "openvino" else [])):
        needs(package, extra="export")
    _check(parts)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    network = _plain(parts.network)
    graphs = {"network": folder / "network.onnx"}
    _write_network(network, parts.query_encoder, graphs["network"])
    if network.relation_head is not None:
        graphs["relations"] = folder / "relations.onnx"
        assert isinstance(network.relation_head, RelationHead)
        _write_relations(network.relation_head, graphs["relations"])
    if isinstance(network.class_head, ClassSimilarity):
        graphs["sentences"] = folder / "sentences.onnx"
        _write_sentences(network, parts.query_encoder, graphs["sentences"])
    for name, path in graphs.items():
        if quantize is not None and runtime == "onnx":
            _quantize(path, quantize)
        if runtime == "openvino":
            graphs[name] = _to_openvino(path, half=quantize == "fp16")
    _write_rest(
        parts, folder, runtime, quantize, {name: path.name for name, path in graphs.items()}
    )
    if quantize is None:
        _compare(network, parts.query_encoder, folder)


def _check(parts: Parts) -> None:
    if isinstance(parts.network, FamilyNetwork):
        raise UsageError(
            f"{parts.network.family} models are read by their own prompt and network, which cannot "
            "be exported; export one of glinermt's own or a GLiNER checkpoint with a single encoder"
        )
    if type(parts.network.head) not in (TokenHead, SpanHead):
        raise UsageError(
            f"the head {type(parts.network.head).__name__} cannot be exported, only those named "
            "'token' and 'span'"
        )
    if type(related := parts.network.relation_head) not in (RelationHead, type(None)):
        raise UsageError(f"the relation head {type(related).__name__} cannot be exported")


def _plain(network: Network) -> Network:
    """Return a copy in float32, on the processor, in which padding is read as all else is."""
    network = copy.deepcopy(network).float().cpu().eval()
    encoder = network.encoder.encoder
    if isinstance(encoder, Bert):
        network.encoder.encoder = _PaddedBert(encoder)
    elif callable(change := getattr(encoder, "set_attn_implementation", None)):
        change("eager")
    return network


class _PaddedBert(nn.Module):
    """``Bert`` without the choice of real tokens, which no graph could make."""

    def __init__(self, bert: Bert) -> None:
        super().__init__()
        self.bert = bert
        self.config = bert.config

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> BertOutput:
        rows = _AllRows(attention_mask.bool())
        position = torch.arange(input_ids.shape[1]).expand_as(input_ids)
        tokens = self.bert.embeddings(rows.take(input_ids)[None], rows.take(position)[None])[0]
        layers = self.bert.encoder["layer"]
        assert isinstance(layers, nn.ModuleList)
        for layer in layers:
            tokens = layer(tokens, rows)
        return BertOutput(rows.put(tokens))


class _AllRows(Rows):
    """The flat batch, padding included, as the stream."""

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask
        self.shape = mask.shape
        self.place = None
        self.all_real = False


class _NetworkGraph(nn.Module):
    """The network as a function of tensors, one for each of ``names``; see ``Network.forward``."""

    def __init__(self, network: Network, names: Sequence[str]) -> None:
        super().__init__()
        self.network = network
        self.names = names

    def forward(self, *values: Tensor) -> tuple[Tensor, ...]:
        given = dict(zip(self.names, values, strict=True))
        kinds = [kind for kind in KINDS if f"{kind}_label_position" in given]
        positions = [given[f"{kind}_label_position"] for kind in kinds]
        position = torch.cat(positions, 1)
        lengths = [given.get(f"{kind}_label_length") for kind in kinds]
        length = (
            position if None in lengths else torch.cat([n for n in lengths if n is not None], 1)
        )
        place = torch.arange(given["word_position"].shape[1])[None]
        mask = place < given["num_words"][:, None]
        words, labels = self.network.encoder(
            Batch(
                given["input_ids"],
                given["attention_mask"].bool(),
                given["word_position"],
                mask,
                position,
                length,
                position >= 0,
                (0, 0, 0),
                (),
            )
        )
        if self.network.rnn is not None:
            words = self.network.rnn(words, mask)
        vectors, start = {}, 0
        for kind, own in zip(kinds, positions, strict=True):
            vectors[kind] = labels[:, start : start + own.shape[1]]
            start = start + own.shape[1]
        found = [self.network.head(words, vectors["span"]), words]
        if "relation" in kinds:
            found.append(vectors["relation"])
        if isinstance(self.network.class_head, ClassHead):
            text = mask & (place >= given["num_prompt_words"][:, None])
            found.append(self.network.class_head(words, text, vectors["class"]))
        return tuple(found)


class _SentenceGraph(nn.Module):
    """Vectors of texts and of class labels that are read apart."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.encoder = network.encoder

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self.encoder.sentence_vectors(input_ids, attention_mask.bool())


class _RelationGraph(nn.Module):
    """``RelationHead`` without a cut by rows: pairs meet all relations and keep theirs."""

    def __init__(self, head: RelationHead) -> None:
        super().__init__()
        self.head = head

    def forward(
        self, words: Tensor, relations: Tensor, mentions: Tensor, first: Tensor, second: Tensor
    ) -> Tensor:
        pairs = Pairs(mentions, first, second)
        factors, offset = self.head.factors(relations)  # batch relation inner
        scores = self.head.hidden(words, pairs) @ factors.flatten(0, 1).T
        number = torch.arange(relations.shape[1])
        own = pairs.row[:, None] * relations.shape[1] + number  # pair relation
        return scores.gather(1, own) + offset[pairs.row]


def _write_network(network: Network, query_encoder: QueryEncoder, path: Path) -> None:
    kinds = _kinds_in_rows(network)
    whole = network.encoder.label_pooling == "mean"
    names = ["input_ids", "attention_mask", "word_position", "num_words"]
    names += ["num_prompt_words"] if "class" in kinds else []
    names += [f"{kind}_label_position" for kind in kinds]
    names += [f"{kind}_label_length" for kind in kinds] if whole else []
    outputs = ["span_logits", "word_vectors"]
    outputs += ["relation_vectors"] if "relation" in kinds else []
    outputs += ["class_logits"] if "class" in kinds else []
    rows = _probe(query_encoder, kinds)
    values = feeds(rows)
    _write(_NetworkGraph(network, names), {name: values[name] for name in names}, outputs, path)


def _kinds_in_rows(network: Network) -> list[str]:
    """Return the kinds of labels that stand in the rows of the network's graph."""
    related = ["relation"] if network.relation_head is not None else []
    return ["span", *related, *(["class"] if isinstance(network.class_head, ClassHead) else [])]


def _write_sentences(network: Network, query_encoder: QueryEncoder, path: Path) -> None:
    apart = _probe(query_encoder, ["class"]).apart
    assert apart is not None
    values = {
        "input_ids": apart.text_ids,
        "attention_mask": apart.text_mask.astype(np.int64),
    }
    _write(_SentenceGraph(network), values, ["sentence_vectors"], path)


def _write_relations(head: RelationHead, path: Path) -> None:
    size = head.head.weight.shape[1]
    values = {
        "word_vectors": np.zeros((2, 5, size), dtype=np.float32),
        "relation_vectors": np.zeros((2, 3, size), dtype=np.float32),
        "mentions": np.array([[0, 0, 1], [0, 2, 4], [1, 1, 3], [1, 4, 5]]),
        "head": np.array([0, 1, 2]),
        "tail": np.array([1, 0, 3]),
    }
    _write(_RelationGraph(head), values, ["relation_logits"], path)


def _write(
    module: nn.Module, values: Mapping[str, np.ndarray], outputs: Sequence[str], path: Path
) -> None:
    """Write a module as an ONNX graph, traced on ``values``.

    The exporter by tracing, since that by ``torch.export`` knows no LSTM of any length.
    """
    axes = {name: dict(enumerate(_AXES[name])) for name in (*values, *outputs)}
    given = tuple(torch.from_numpy(array) for array in values.values())
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(
                module.eval(),
                given,
                str(path),
                dynamo=False,
                opset_version=OPSET,
                input_names=list(values),
                output_names=list(outputs),
                dynamic_axes=axes,
            )
        except (RuntimeError, TypeError, ValueError, torch.onnx.errors.OnnxExporterError) as error:
            raise UsageError(f"the network cannot be exported: {error}") from error


def _probe(query_encoder: QueryEncoder, kinds: Sequence[str], *, more: int = 0) -> PaddedRows:
    """Return rows of different lengths that ask for labels of some kinds."""
    names = ("person", "city of birth", "organization", *(f"label {i}" for i in range(more)))
    texts = ("Bill Gates founded Microsoft in 1975 .", "He left . " * (1 + 2 * more), "Paris")
    queries = [
        Query(
            text,
            names[: 2 + more],
            "Find all" if more else "",
            relations=names[1:] if "relation" in kinds else (),
            classes=names[:2] if "class" in kinds else (),
        )
        for text in texts
    ]
    tokenized = query_encoder.tokenize(queries)
    passes = [plan_passes(query_encoder, query, i)[0] for i, query in enumerate(tokenized)]
    return query_encoder.collate(tokenized, passes)


def _quantize(path: Path, quantize: Quantize) -> None:
    import onnx

    if quantize == "int8":
        from onnxruntime.quantization import QuantType, quantize_dynamic

        level = logging.getLogger().level
        logging.getLogger().setLevel(logging.ERROR)  # it recommends a step that shapes forbid
        try:
            quantize_dynamic(str(path), str(path), weight_type=QuantType.QUInt8)
        finally:
            logging.getLogger().setLevel(level)
        return
    from onnxruntime.transformers.float16 import convert_float_to_float16

    half = convert_float_to_float16(
        onnx.load(str(path)), keep_io_types=True, op_block_list=_IN_FLOAT32
    )
    onnx.save(half, str(path))


def _to_openvino(path: Path, *, half: bool) -> Path:
    """Convert a graph; its ONNX file goes."""
    import openvino

    model = openvino.convert_model(str(path))
    target = path.with_suffix(".xml")
    openvino.save_model(model, str(target), compress_to_fp16=half)
    path.unlink()
    return target


def _write_rest(
    parts: Parts,
    folder: Path,
    runtime: Runtime,
    quantize: Quantize | None,
    graphs: Mapping[str, str],
) -> None:
    """Write tokenizer, requirements, and the file that names all the others."""
    encoder = parts.query_encoder
    ent, rel, cls = encoder.markers
    similarity = None
    if isinstance(head := parts.network.class_head, ClassSimilarity):
        similarity = {"scale": head.log_scale.exp().item(), "bias": head.bias.item()}
    data = {
        "format_version": FORMAT_VERSION,
        "glinermt": glinermt.__version__,
        "runtime": runtime,
        "quantize": quantize,
        "graphs": graphs,
        "query": {
            "prefix": encoder.prefix,
            "suffix": encoder.suffix,
            "pad_token_id": encoder.pad_token_id,
            "ent_token_id": ent,
            "rel_token_id": rel,
            "cls_token_id": cls,
            "sep_token_id": encoder.sep_token_id,
            "max_tokens": encoder.max_tokens,
            "max_labels": encoder.max_labels,
        },
        "similarity": similarity,
        "model": dataclasses.asdict(parts.config),
        "settings": dataclasses.asdict(parts.settings),
    }
    encoder.tokenizer.save_pretrained(folder)
    needed = [_RUNTIME_PACKAGE[runtime], *_REQUIREMENTS]
    (folder / "requirements.txt").write_text("\n".join(sorted(needed)) + "\n", encoding="utf-8")
    (folder / EXPORT_FILE).write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


def _compare(network: Network, query_encoder: QueryEncoder, folder: Path) -> None:
    """Raise UsageError where the export's logits are not the network's."""
    *_, scorer = read(folder)
    kinds = _kinds_in_rows(network)
    for more in (0, 3):
        rows = _probe(query_encoder, kinds, more=more)
        given = {name: torch.from_numpy(array) for name, array in scorer.inputs(rows).items()}
        names = list(given)
        with torch.no_grad():
            wanted = _NetworkGraph(network, names)(*given.values())
        found = scorer.network.run(scorer.inputs(rows))
        real = torch.from_numpy(rows.word_mask)
        for name, tensor in zip(("span_logits", "word_vectors"), wanted, strict=False):
            away = (torch.from_numpy(found[name]) - tensor)[real].abs().max().item()
            if not away <= TOLERANCE:
                raise UsageError(
                    f"{folder}: the export's {name} are off by {away:.1e}, more than {TOLERANCE}: "
                    f"the encoder {type(network.encoder.encoder).__name__} cannot be exported"
                )
