"""Writes a model as ONNX or OpenVINO graphs, which run without torch; ``exported.py`` reads them.

docs/howto/export.md describes the files.
"""

import dataclasses
import hashlib
import json
import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

import numpy as np
import torch
from torch import nn

import glinermt
from glinermt.build import Parts
from glinermt.config import EXPORT_FILE
from glinermt.encoding import QueryEncoder
from glinermt.errors import UsageError, needs, unknown_choice
from glinermt.export_graphs import (
    NetworkGraph,
    RelationGraph,
    SentenceGraph,
    kinds_in_rows,
    plain,
)
from glinermt.exported import (
    FORMAT_VERSION,
    KINDS,
    WEIGHTS_FILE,
    Runtime,
    feeds,
    is_export,
    read,
)
from glinermt.families.base import FamilyNetwork
from glinermt.heads import SpanHead, TokenHead
from glinermt.heads.class_ import ClassSimilarity
from glinermt.heads.relation import RelationHead
from glinermt.network import Network
from glinermt.rows import PaddedRows
from glinermt.types import Query
from glinermt.windows import plan_passes

Quantize = Literal["int8", "fp16"]
TOLERANCE = 1e-4
"""How far logits of an unquantized export may lie from those of torch."""
OPSET = 17
LARGE = 1024
"""Bytes from which a tensor of an ONNX graph stands in the file of weights."""
ALIGNED = 64
"""What places in the file of weights are multiples of."""
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
    network = plain(parts.network)
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
    share = _share_onnx if runtime == "onnx" else _share_openvino
    share(list(graphs.values()), folder / WEIGHTS_FILE)
    _write_rest(
        parts, folder, runtime, quantize, {name: path.name for name, path in graphs.items()}
    )
    if quantize is None:
        _compare(network, parts.query_encoder, folder)


def _check(parts: Parts) -> None:
    if parts.source is not None and is_export(parts.source):
        raise UsageError(f"{parts.source} is an export; export the model that it was made from")
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


def _write_network(network: Network, query_encoder: QueryEncoder, path: Path) -> None:
    kinds = kinds_in_rows(network)
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
    _write(NetworkGraph(network, names), {name: values[name] for name in names}, outputs, path)


def _write_sentences(network: Network, query_encoder: QueryEncoder, path: Path) -> None:
    apart = _probe(query_encoder, ["class"]).apart
    assert apart is not None
    values = {
        "input_ids": apart.text_ids,
        "attention_mask": apart.text_mask.astype(np.int64),
    }
    _write(SentenceGraph(network), values, ["sentence_vectors"], path)


def _write_relations(head: RelationHead, path: Path) -> None:
    size = head.head.weight.shape[1]
    values = {
        "word_vectors": np.zeros((2, 5, size), dtype=np.float32),
        "relation_vectors": np.zeros((2, 3, size), dtype=np.float32),
        "mentions": np.array([[0, 0, 1], [0, 2, 4], [1, 1, 3], [1, 4, 5]]),
        "head": np.array([0, 1, 2]),
        "tail": np.array([1, 0, 3]),
    }
    _write(RelationGraph(head), values, ["relation_logits"], path)


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

        graph = onnx.load(str(path)).graph
        flat = {tensor.name for tensor in graph.initializer if len(tensor.dims) < 2}
        whole = [
            node.name for node in graph.node if node.op_type == "MatMul" and flat & {*node.input}
        ]
        level = logging.getLogger().level
        logging.getLogger().setLevel(logging.ERROR)  # it recommends a step that shapes forbid
        try:
            quantize_dynamic(
                str(path),
                str(path),
                per_channel=True,
                weight_type=QuantType.QUInt8,
                nodes_to_exclude=whole,  # a vector has one channel, but would get many scales
            )
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


class _Shared:
    """A file that holds the weights of several graphs, equal ones once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._places: dict[bytes, int] = {}
        self._file = path.open("wb")

    def __enter__(self) -> "_Shared":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def place(self, raw: bytes) -> int:
        """Return where the bytes begin in the file."""
        key = hashlib.sha256(raw).digest()
        if key not in self._places:
            self._file.write(bytes(-self._file.tell() % ALIGNED))
            self._places[key] = self._file.tell()
            self._file.write(raw)
        return self._places[key]


def _share_onnx(paths: Sequence[Path], weights: Path) -> None:
    """Move what is large of the graphs into one file: the encoder is in two of them."""
    import onnx
    from onnx.external_data_helper import set_external_data

    with _Shared(weights) as shared:
        for path in paths:
            model = onnx.load(str(path))
            for tensor in model.graph.initializer:
                if len(tensor.raw_data) >= LARGE:
                    offset, length = shared.place(tensor.raw_data), len(tensor.raw_data)
                    set_external_data(tensor, weights.name, offset=offset, length=length)
                    tensor.ClearField("raw_data")
            onnx.save(model, str(path))


def _share_openvino(paths: Sequence[Path], weights: Path) -> None:
    """Make one file of those that hold the graphs' constants."""
    with _Shared(weights) as shared:
        for path in paths:
            own = path.with_suffix(".bin")
            constants = own.read_bytes()
            tree = ElementTree.parse(path)
            for layer in tree.iter("layer"):
                data = layer.find("data")
                if layer.get("type") == "Const" and data is not None:
                    start = int(data.attrib["offset"])
                    raw = constants[start : start + int(data.attrib["size"])]
                    data.set("offset", str(shared.place(raw)))
            tree.write(path, xml_declaration=True, encoding="utf-8")
            own.unlink()


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
    kinds = kinds_in_rows(network)
    for more in (0, 3):
        rows = _probe(query_encoder, kinds, more=more)
        given = {name: torch.from_numpy(array) for name, array in scorer.inputs(rows).items()}
        names = list(given)
        with torch.no_grad():
            wanted = NetworkGraph(network, names)(*given.values())
        found = scorer.network.run(scorer.inputs(rows))
        real = torch.from_numpy(rows.word_mask)
        for name, tensor in zip(("span_logits", "word_vectors"), wanted, strict=False):
            away = (torch.from_numpy(found[name]) - tensor)[real].abs().max().item()
            if not away <= TOLERANCE:
                raise UsageError(
                    f"{folder}: the export's {name} are off by {away:.1e}, more than {TOLERANCE}: "
                    f"the encoder {type(network.encoder.encoder).__name__} cannot be exported"
                )
