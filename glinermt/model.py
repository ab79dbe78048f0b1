"""GlinerMT: the user's object. Queries in, spans out."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from glinermt import checkpoints
from glinermt.added_heads import with_heads
from glinermt.build import Parts, build, with_words
from glinermt.checkpoints import hub, native
from glinermt.collate import training_batch
from glinermt.config import ModelConfig, TaskSettings
from glinermt.encoder import WordEncoder
from glinermt.encoding import Batch
from glinermt.fast.choose import FastPath
from glinermt.fast.linear import Precision
from glinermt.gliner_calls import Labels, entity_dicts, refuse_unknown
from glinermt.heads import Head
from glinermt.label_index import LabelEncoder, LabelIndex
from glinermt.layers import BiLSTM
from glinermt.network import Output, TrainingBatch
from glinermt.reader import DEVICE_BATCH_TOKENS, NetworkReader, Reader, check_query
from glinermt.structures import Instance, RecordReader, Structure
from glinermt.types import Ask, Example, Found, Kind, Overlap, Query, Span, SpanScore, Threshold

CHUNK = 512
"""Queries that are tokenised and sorted together."""
_WITHOUT_EFFECT = (
    "strict load_tokenizer resize_token_embeddings low_cpu_mem_usage resume_download "
    "onnx_model_file"
).split()
"""Options of the package gliner for loading that change nothing here."""
_THEIR_LOADING = (
    "model_dir force_download proxies compile_torch_model quantize variant load_onnx_model "
    "session_options runtime"
).split()
"""Its options for loading that must be off."""
_THEIR_READING = (
    "packing_config input_spans return_class_probs return_vectors return_label_vectors"
).split()
"""Its options for reading that must be off."""


class GlinerMT:
    """A network with all it needs to read text. Make one with ``from_pretrained``.

    The network itself, a ``torch.nn.Module``, is ``network``; what training needs of it is also
    here, under the same names.
    """

    def __init__(self, parts: Parts, *, precision: Precision = "exact") -> None:
        self.network = parts.network
        self.query_encoder = parts.query_encoder
        self.settings = parts.settings
        self.config = parts.config
        self.source = parts.source
        self.fast = FastPath(precision)
        self.reader: Reader = parts.reader or NetworkReader(
            self.network, self.query_encoder, self.fast
        )

    @classmethod
    def from_pretrained(
        cls,
        path: str | Path | None = None,
        *,
        revision: str | None = None,
        device: str | torch.device | None = None,
        dtype: torch.dtype | str | None = None,
        precision: Precision = "exact",
        words: str | Callable[[str], Iterable[tuple[int, int]]] | None = None,
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
        subfolder: str | None = None,
        map_location: str | torch.device | None = None,
        **theirs: Any,
    ) -> "GlinerMT":
        """Load a model, ours or a published checkpoint, ready for inference.

        docs/models.md says which families of published checkpoints there are.

        Args:
            path: folder or hub id; None = the model that ships with the package.
            revision: branch, tag or commit on the hub, for every file.
            device: such as ``cpu``, ``cuda``, ``mps``; None = cpu.
            dtype: of the weights, such as ``bfloat16``; None = float32.
            precision: ``exact``, or ``bf16`` or ``int8`` for products of 16-bit or 8-bit numbers:
                faster on a processor, with scores that differ a little.
            words: how texts are split: ``reference``, ``characters`` (for scripts without
                spaces), the name of a library's splitter such as ``jieba``, ``janome``, ``mecab``,
                ``pythainlp``, ``spacy``, ``stanza`` or ``universal``, or a function from a text to
                the ``(start, end)`` of its words; None = as the model was trained.
            token: for private repositories of the hub.
            cache_dir: where downloads are kept.
            local_files_only: use only what was downloaded before.
            subfolder: where in the repository or folder the model is.
            map_location: what the package gliner calls ``device``.
            theirs: other options of that package, which must be off.

        Raises:
            TypeError: an option of the package gliner that has no counterpart here.
            CheckpointError: missing, damaged, unsupported, or weights missing or left over.
            ConfigError: an unknown splitter.
            BackendError: the splitter's library is not installed.
            ValueError: a device that is not here, a dtype that weights cannot have, an unknown
                precision, or one that cannot be had with device, dtype and family.
        """
        asked = {name: value for name, value in theirs.items() if name not in _WITHOUT_EFFECT}
        refuse_unknown(asked, known=_THEIR_LOADING)
        device = map_location if device is None else device
        _check_device(device)
        chosen = _weight_dtype(dtype)
        download = hub.Download(revision, token, cache_dir, local_files_only, subfolder)
        parts = checkpoints.load(path, download)
        if parts.reader is not None and precision != "exact":
            raise ValueError(f"precision {precision!r} is not to be had with {path}; use 'exact'")
        if words is not None:
            parts = with_words(parts, words)
        model = cls(parts, precision=precision)
        model.to(device=device, dtype=chosen).eval()
        if parts.reader is None:
            model.fast.check(model.network)
        return model

    @classmethod
    def from_config(cls, config: ModelConfig, settings: TaskSettings | None = None) -> "GlinerMT":
        """Build an untrained model around the pretrained encoder that ``config.encoder`` names."""
        return cls(build(config, settings))

    def save_pretrained(self, folder: str | Path, *, dtype: torch.dtype | None = None) -> None:
        """Write configuration, weights and tokenizer; ``dtype`` converts the weights."""
        native.save(self._parts, folder, dtype=dtype)

    def push_to_hub(self, repo_id: str, *, private: bool = False, token: str | None = None) -> str:
        """Upload what ``save_pretrained`` writes; return the repository's address."""
        return hub.push(self._parts, repo_id, private=private, token=token)

    def encode_labels(self, labels: Sequence[str]) -> LabelIndex:
        """Compute the vectors of labels once, for any number of texts; only with a bi-encoder.

        The index goes wherever a list of labels goes.

        Raises:
            TypeError: the model reads labels together with the text.
        """
        if not isinstance(self.reader, LabelEncoder):
            raise TypeError(
                "this model reads its labels together with the text, so they have no vectors of "
                "their own; encode_labels needs a bi-encoder, such as knowledgator/gliner-bi-*"
            )
        for label in labels:
            check_query(Query("", (label,)), self.kinds)
        return self.reader.encode_labels(labels)

    def text_vectors(self, queries: Sequence[Query]) -> Float[np.ndarray, "query hidden"]:
        """Return a vector for each text, the mean of its words' as the heads see them.

        Raises:
            TypeError: the model is of a family that reads queries in a way of its own.
        """
        if not isinstance(self.reader, NetworkReader):
            raise TypeError(
                f"a model that {type(self.reader).__name__} reads gives no vectors of texts; use "
                "one of glinermt's own or a GLiNER checkpoint with a single encoder"
            )
        return self.reader.text_vectors([check_query(query, self.kinds) for query in queries])

    def read_records(
        self, texts: Sequence[str], structure: Structure, ask: Ask
    ) -> list[list[Instance]]:
        """Return the instances of a structure in each text; only with the kind ``records``.

        Raises:
            TypeError: the model finds no records.
        """
        if not isinstance(self.reader, RecordReader):
            raise TypeError(
                "this model finds no records of its own; one of the GLiNER2 family does"
            )
        return self.reader.read_records(texts, structure, ask)

    @property
    def kinds(self) -> frozenset[Kind]:
        """What the model finds: spans, relations, classes, records."""
        return self.reader.kinds

    @property
    def batch_tokens(self) -> int:
        """Tokens of one batch, padding included."""
        return self.reader.batch_tokens

    @batch_tokens.setter
    def batch_tokens(self, number: int) -> None:
        self.reader.batch_tokens = number

    @overload
    def extract(
        self,
        queries: Sequence[Query],
        *,
        threshold: Threshold = ...,
        overlap: Overlap = ...,
        multi_label: bool = ...,
        span_score: SpanScore = ...,
    ) -> list[list[Span]]: ...
    @overload
    def extract(
        self,
        queries: Iterable[Query],
        *,
        threshold: Threshold = ...,
        overlap: Overlap = ...,
        multi_label: bool = ...,
        span_score: SpanScore = ...,
    ) -> list[list[Span]] | Iterator[list[Span]]: ...
    def extract(
        self,
        queries: Iterable[Query],
        *,
        threshold: Threshold = 0.5,
        overlap: Overlap = "flat",
        multi_label: bool = False,
        span_score: SpanScore = "mean",
    ) -> list[list[Span]] | Iterator[list[Span]]:
        """Find the spans of every query, in the order of the text.

        A list gives a list; any other iterable gives an iterator that reads ahead a bounded
        number of queries. Long texts and long label lists are split and joined again. A query
        without labels, or with a text without words, has no spans.

        Args:
            queries: what to look for, where.
            threshold: least score of a span, one number or one for each label.
            overlap: ``flat`` or ``nested`` (spans inside one another).
            multi_label: allow one span to have several labels.
            span_score: ``mean`` of the inside scores (the paper), ``min``, or ``geometric``; see
                ``heads.token.TokenHead.candidates``.

        Raises:
            TypeError: a query is not a Query, or has bytes or None for text.
            ValueError: an empty label, a threshold outside [0, 1], or a prompt too long to read.
        """
        if isinstance(queries, Query | str):
            raise TypeError("extract takes a list of Query; for one, write extract([query])")
        ask = Ask(threshold, overlap, multi_label, span_score)
        found = (list(found.spans) for found in self._read(queries, ask))
        return list(found) if isinstance(queries, Sequence) else found

    def read(self, queries: Sequence[Query], ask: Ask) -> list[Found]:
        """Find all kinds of things that the queries ask for, in one pass; see ``extract``."""
        if isinstance(queries, Query | str):
            raise TypeError("read takes a list of Query; for one, write read([query], ask)")
        return list(self._read(queries, ask))

    def _read(self, queries: Iterable[Query], ask: Ask) -> Iterator[Found]:
        iterator = iter(queries)
        while chunk := list(islice(iterator, CHUNK)):
            yield from self.reader.read([check_query(query, self.kinds) for query in chunk], ask)

    def predict_entities(
        self,
        text: str,
        labels: Labels,
        threshold: Threshold = 0.5,
        flat_ner: bool = True,
        multi_label: bool = False,
        **theirs: Any,
    ) -> list[dict[str, Any]]:
        """Find entities as the package gliner does: dicts with start, end, text, label, score.

        Args:
            text: one text.
            labels: names, or a mapping of names to descriptions.
            threshold: least score, one number or one for each label.
            flat_ner: no entity lies in another.
            multi_label: an entity may have several labels.
            theirs: other options of that package, which must be off.

        Raises:
            TypeError: an option of that package that has no counterpart here.
        """
        if not isinstance(text, str):
            raise TypeError(f"text must be str, got {type(text).__name__}; see inference for more")
        return self.inference([text], labels, threshold, flat_ner, multi_label, **theirs)[0]

    def inference(
        self,
        texts: str | Sequence[str],
        labels: Labels | Sequence[Labels],
        threshold: Threshold = 0.5,
        flat_ner: bool = True,
        multi_label: bool = False,
        batch_size: int | None = None,  # noqa: ARG002  batches are filled by tokens here
        **theirs: Any,
    ) -> list[list[dict[str, Any]]]:
        """Find the entities of many texts; see ``predict_entities``.

        Labels are for all texts, or one list or mapping for each. ``batch_size`` has no effect:
        batches hold ``batch_tokens`` tokens.
        """
        refuse_unknown(theirs, known=_THEIR_READING)
        return entity_dicts(
            self,
            [texts] if isinstance(texts, str) else texts,
            labels,
            threshold=threshold,
            flat_ner=flat_ner,
            multi_label=multi_label,
            across_lines=not self.query_encoder.plain,  # as that package reads its own models
        )

    batch_predict_entities = inference

    def collate(self, examples: Sequence[Example], *, multiple: int = 1) -> TrainingBatch:
        """Make a training batch; shapes are padded to a ``multiple``.

        Raises:
            ValueError: not one of the examples has both a label and a word.
        """
        self.network.check_trainable()
        for example in examples:
            check_query(example.query, self.kinds)
        return training_batch(self.query_encoder, self.network.head, examples, multiple=multiple)

    def __call__(self, batch: Batch) -> Output:
        """Return what the network makes of a batch."""
        output: Output = self.network(batch)
        return output

    def loss(
        self,
        batch: TrainingBatch,
        *,
        positive_weight: float = 0.75,
        negative_weight: float = 0.25,
        gamma: float = 0.0,
        smoothing: float = 0.0,
        relation_weight: float = 1.0,
        class_weight: float = 1.0,
    ) -> Float[Tensor, " example"]:
        """Return each example's loss; see ``Network.loss``."""
        return self.network.loss(
            batch,
            positive_weight=positive_weight,
            negative_weight=negative_weight,
            gamma=gamma,
            smoothing=smoothing,
            relation_weight=relation_weight,
            class_weight=class_weight,
        )

    def with_heads(self, *, relations: bool = True, classes: bool = True) -> "GlinerMT":
        """Return a copy that also has an untrained relation head, class head, or both.

        What the copy finds of spans is what this model finds, to the bit. Heads that are there
        stay as they are.

        Raises:
            ValueError: the model is of a family that reads queries in a way of its own.
        """
        if not isinstance(self.reader, NetworkReader):
            raise ValueError(
                f"heads cannot be added to a model that {type(self.reader).__name__} reads; start "
                "from one of glinermt's own or from a GLiNER checkpoint with a single encoder"
            )
        return GlinerMT(
            with_heads(self._parts, relations=relations, classes=classes),
            precision=self.fast.precision,
        ).train(self.training)

    @property
    def encoder(self) -> WordEncoder:
        return self.network.encoder

    @property
    def rnn(self) -> BiLSTM | None:
        return self.network.rnn

    @property
    def head(self) -> Head:
        return self.network.head

    @property
    def device(self) -> torch.device:
        return self.network.device

    @property
    def training(self) -> bool:
        """Whether dropout is on."""
        return self.network.training

    def train(self, mode: bool = True) -> "GlinerMT":
        self.fast.forget()
        self.network.train(mode)
        return self

    def eval(self) -> "GlinerMT":
        return self.train(False)

    def to(
        self,
        device: str | torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> "GlinerMT":
        """Move the weights to a device, or convert them, in place."""
        self.network.to(device=device, dtype=dtype)
        if self.device.type != "cpu":
            self.batch_tokens = max(self.batch_tokens, DEVICE_BATCH_TOKENS)
        return self

    def modules(self) -> Iterator[nn.Module]:
        return self.network.modules()

    def parameters(self) -> Iterator[nn.Parameter]:
        return self.network.parameters()

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        return self.network.named_parameters()

    def requires_grad_(self, requires_grad: bool = True) -> "GlinerMT":
        self.network.requires_grad_(requires_grad)
        return self

    def state_dict(self) -> dict[str, Tensor]:
        return self.network.state_dict()

    def load_state_dict(self, weights: Mapping[str, Tensor]) -> Any:
        return self.network.load_state_dict(weights)

    def encoder_parameters(self) -> list[nn.Parameter]:
        """The pretrained part, which learns at a lower rate."""
        return self.network.encoder_parameters()

    def other_parameters(self) -> list[nn.Parameter]:
        """All that began with random weights."""
        return self.network.other_parameters()

    @property
    def _parts(self) -> Parts:
        parts = Parts(self.network, self.query_encoder, self.settings, self.config)
        parts.source = self.source
        return parts


def _check_device(device: str | torch.device | None) -> None:
    """Raise ValueError where torch cannot use the device."""
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # the latter where torch has no CUDA
        raise ValueError(f"device {device!r} cannot be used here: {error}") from error


def _weight_dtype(dtype: torch.dtype | str | None) -> torch.dtype | None:
    """Return the dtype that is meant; ValueError where it is not one of floating numbers."""
    found = getattr(torch, dtype, dtype) if isinstance(dtype, str) else dtype
    if found is None or (isinstance(found, torch.dtype) and found.is_floating_point):
        return found
    raise ValueError(f"dtype {dtype!r} is not one of weights, such as 'float32' or 'bfloat16'")
