"""Exported models: the network as ONNX or OpenVINO graphs, read without torch.

docs/howto/export.md describes the files. ``export.py`` writes them.
"""

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from jaxtyping import Bool, Float, Int

from glinermt.config import EXPORT_FILE, ModelConfig, TaskSettings, from_mapping
from glinermt.decode import Candidates, span_candidates, token_candidates
from glinermt.encoding import QueryEncoder
from glinermt.errors import CheckpointError, ConfigError, needs, unknown_choice
from glinermt.pairing import RowPairs
from glinermt.reader import NetworkReader, Scored, kinds_of_heads
from glinermt.rows import ApartRows, PaddedRows
from glinermt.text_model import TextModel
from glinermt.tokenizer import FastTokenizer
from glinermt.types import SpanScore

FORMAT_VERSION = 1
WEIGHTS_FILE = "weights.bin"
"""What is large of all graphs, equal parts once."""
Runtime = Literal["onnx", "openvino"]
Arrays = Mapping[str, np.ndarray]
_KEYS = {
    "format_version",
    "glinermt",
    "runtime",
    "quantize",
    "similarity",
    "graphs",
    "query",
    "model",
    "settings",
}
KINDS = ("span", "relation", "class")
"""What names of inputs begin with, in the order of ``encoding.KINDS``."""


@dataclass(frozen=True, slots=True)
class Vectors:
    """What a network made of rows: of their words, and of their relation labels."""

    words: Float[np.ndarray, "row word hidden"]
    relations: Float[np.ndarray, "row relation hidden"] | None


class ExportedModel(TextModel):
    """A model in the folder that ``export_onnx`` or ``export_openvino`` wrote.

    It finds what the model found that was exported, and is asked in the same ways. Without torch,
    ``glinermt.GlinerMT`` is this class.
    """

    def __init__(self, folder: str | Path, *, threads: int | None = None) -> None:
        """Load an export; see ``from_pretrained``."""
        self.folder = Path(folder).expanduser()
        config, settings, query_encoder, scorer = read(self.folder, threads)
        self.config = config
        super().__init__(NetworkReader(query_encoder, scorer), query_encoder, settings)

    @classmethod
    def from_pretrained(
        cls,
        path: str | Path,
        *,
        threads: int | None = None,
        words: str | Callable[[str], Iterable[tuple[int, int]]] | None = None,
    ) -> "ExportedModel":
        """Load an export.

        Args:
            path: the folder.
            threads: of the runtime; None = as it chooses.
            words: how texts are split; see ``GlinerMT.from_pretrained``.

        Raises:
            CheckpointError: no export, or a damaged one.
            BackendError: its runtime is not installed.
        """
        model = cls(path, threads=threads)
        if words is not None:
            model.query_encoder.split_by(words)
        return model


def is_export(folder: Path) -> bool:
    return (folder / EXPORT_FILE).is_file()


def read(
    folder: Path, threads: int | None = None
) -> tuple[ModelConfig, TaskSettings, QueryEncoder, "ExportedScorer"]:
    """Read an export: configuration, settings, the encoder of queries, and the network's graphs.

    Raises:
        CheckpointError: a file is missing, damaged, or of another version.
        BackendError: the runtime is not installed.
    """
    path = folder / EXPORT_FILE
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: no export can be read: {error}") from error
    if not isinstance(data, dict) or data.get("format_version") != FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: it is not of format_version {FORMAT_VERSION}; export the model again with "
            "this version of glinermt"
        )
    try:
        if data.keys() != _KEYS:
            raise ConfigError(f"expected the keys {sorted(_KEYS)}, found {sorted(data)}")
        config = from_mapping(ModelConfig, data["model"], where="model")
        settings = from_mapping(TaskSettings, data["settings"], where="settings")
        scorer = ExportedScorer(
            folder, data["runtime"], data["graphs"], config, threads, data["similarity"]
        )
        encoder = QueryEncoder.from_config(config, FastTokenizer.from_folder(folder))
    except (ConfigError, TypeError, ValueError, KeyError) as error:
        raise CheckpointError(f"{path}: {error}") from error
    return config, settings, encoder, scorer


def feeds(rows: PaddedRows) -> dict[str, np.ndarray]:
    """Return the inputs that a network's graph may have; no kind of labels has no place."""
    values = {
        "input_ids": rows.input_ids,
        "attention_mask": rows.attention_mask.astype(np.int64),
        "word_position": rows.word_position,
        "num_words": rows.word_mask.sum(1),
        "num_prompt_words": np.array(rows.num_prompt_words, dtype=np.int64),
    }
    one = np.zeros_like(rows.input_ids[:, :1])
    for what in ("position", "length"):
        parts = rows.by_kind(getattr(rows, f"label_{what}"))
        for kind, part in zip(KINDS, parts, strict=True):
            values[f"{kind}_label_{what}"] = part if part.shape[1] else one
    return values


class ExportedScorer:
    """Runs exported graphs; see ``reader.Scorer``."""

    def __init__(
        self,
        folder: Path,
        runtime: str,
        graphs: Mapping[str, str],
        config: ModelConfig,
        threads: int | None,
        similarity: Mapping[str, float] | None,
    ) -> None:
        if runtime not in RUNTIMES:
            raise ConfigError(unknown_choice("runtime", runtime, RUNTIMES))
        load = RUNTIMES[runtime]
        self.network = load(folder / graphs["network"], threads)
        self.pairs = load(folder / graphs["relations"], threads) if "relations" in graphs else None
        self.sentence_graph = load(folder / graphs["sentences"], threads) if similarity else None
        self.similarity = similarity or {}
        self.head = config.head
        self.kinds = kinds_of_heads(bool(config.relation_head), bool(config.class_head))

    def start(self, rows: PaddedRows) -> Callable[[], Scored]:
        scored = self._score(rows)
        return lambda: scored

    def _score(self, rows: PaddedRows) -> Scored:
        found = self.network.run(self.inputs(rows))
        spans, _, classes = rows.num_labels
        class_logits = found.get("class_logits", np.zeros((len(rows.input_ids), 0)))[:, :classes]
        if rows.apart is not None:
            class_logits = self._compare(rows.apart)
        return Scored(
            _sigmoid(found["span_logits"][:, :, :spans]),
            class_logits.astype(np.float64),
            Vectors(found["word_vectors"], found.get("relation_vectors")),
        )

    def _compare(self, apart: ApartRows) -> Float[np.ndarray, "row class"]:
        """Return the logits of classes that are read apart; see ``heads.class_``."""
        vectors = []
        for ids, mask in ((apart.text_ids, apart.text_mask), (apart.label_ids, apart.label_mask)):
            found = self.sentences(ids, mask)
            vectors.append(found / np.linalg.norm(found, axis=1, keepdims=True).clip(min=1e-8))
        texts, labels = vectors
        cosine = (texts[apart.text][:, None] * labels[apart.label]).sum(-1)
        logits: np.ndarray = self.similarity["scale"] * cosine + self.similarity["bias"]
        return logits

    def sentences(
        self, ids: Int[np.ndarray, "row token"], mask: Bool[np.ndarray, "row token"]
    ) -> Float[np.ndarray, "row width"]:
        assert self.sentence_graph is not None
        feed = {"input_ids": ids, "attention_mask": mask.astype(np.int64)}
        return self.sentence_graph.run(feed)["sentence_vectors"]

    def inputs(self, rows: PaddedRows) -> dict[str, np.ndarray]:
        """Return what the network's graph is fed."""
        values = feeds(rows)
        return {name: values[name] for name in self.network.inputs}

    def words(self, vectors: Vectors) -> Float[np.ndarray, "row word hidden"]:
        return vectors.words

    def relate(self, vectors: Vectors, pairs: RowPairs) -> Float[np.ndarray, "pair relation"]:
        assert self.pairs is not None
        assert vectors.relations is not None
        found = self.pairs.run(
            {
                "word_vectors": vectors.words,
                "relation_vectors": vectors.relations,
                "mentions": pairs.mentions,
                "head": pairs.first,
                "tail": pairs.second,
            }
        )
        return _sigmoid(found["relation_logits"])

    def candidates(
        self, probabilities: np.ndarray, threshold: np.ndarray, span_score: SpanScore
    ) -> Candidates:
        if self.head == "token":
            return token_candidates(probabilities, threshold, span_score)
        return span_candidates(probabilities, threshold)


class Graph(Protocol):
    """A graph that a runtime has loaded. Any number of threads may run it."""

    inputs: tuple[str, ...]

    def run(self, values: Arrays) -> dict[str, np.ndarray]:
        """Return the outputs by their names."""
        ...


class OnnxGraph:
    """A graph run by onnxruntime, on the processor."""

    def __init__(self, path: Path, threads: int | None = None) -> None:
        needs("onnxruntime", extra="onnx")
        import onnxruntime

        self._made_of = path, threads
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors; warnings speak of how it optimizes
        if threads is not None:
            options.intra_op_num_threads = threads
        _check_there(path)
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # it has no class of its own for what a file is damaged by
            raise CheckpointError(f"{path}: onnxruntime cannot load it: {error}") from error
        self.inputs = tuple(place.name for place in self._session.get_inputs())
        self._outputs = [place.name for place in self._session.get_outputs()]

    def run(self, values: Arrays) -> dict[str, np.ndarray]:
        found = self._session.run(self._outputs, dict(values))
        return dict(zip(self._outputs, found, strict=True))

    def __reduce__(self) -> tuple[type["OnnxGraph"], tuple[Path, int | None]]:
        return OnnxGraph, self._made_of


class OpenVinoGraph:
    """A graph run by OpenVINO, on the processor; each thread has a request of its own."""

    def __init__(self, path: Path, threads: int | None = None) -> None:
        needs("openvino", extra="openvino")
        import openvino

        self._made_of = path, threads
        # Without the hint, a processor with bfloat16 would compute in that.
        settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32"}
        if threads is not None:
            settings["INFERENCE_NUM_THREADS"] = threads
        _check_there(path)
        weights = path.with_name(WEIGHTS_FILE)
        if not weights.is_file():  # each graph had a file of its own before
            weights = path.with_suffix(".bin")
        core = openvino.Core()
        try:
            model = core.read_model(str(path), str(weights))
            self._compiled = core.compile_model(model, "CPU", settings)
        except RuntimeError as error:
            raise CheckpointError(f"{path}: openvino cannot load it: {error}") from error
        self.inputs = tuple(place.get_any_name() for place in self._compiled.inputs)
        self._outputs = [place.get_any_name() for place in self._compiled.outputs]
        self._own = threading.local()

    def run(self, values: Arrays) -> dict[str, np.ndarray]:
        request = getattr(self._own, "request", None)
        if request is None:
            request = self._own.request = self._compiled.create_infer_request()
        found = request.infer(dict(values), share_inputs=True)
        return {name: np.array(found[name]) for name in self._outputs}

    def __reduce__(self) -> tuple[type["OpenVinoGraph"], tuple[Path, int | None]]:
        return OpenVinoGraph, self._made_of


RUNTIMES: dict[str, Callable[[Path, int | None], Graph]] = {
    "onnx": OnnxGraph,
    "openvino": OpenVinoGraph,
}


def _check_there(path: Path) -> None:
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; export the model again")


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    """Return probabilities, as float32; no logit overflows."""
    low = np.exp(-np.abs(logits.astype(np.float32)))
    return np.where(logits >= 0, 1 / (1 + low), low / (1 + low)).astype(np.float32)
