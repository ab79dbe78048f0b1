"""GlinerMT: the user's object. Queries in, spans out."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from glinermt import checkpoints
from glinermt.build import Parts, build, with_heads, with_words
from glinermt.checkpoints import hub
from glinermt.checks import check_query
from glinermt.collate import training_batch
from glinermt.config import ModelConfig, TaskSettings
from glinermt.encoder import Batch, WordEncoder
from glinermt.errors import UsageError
from glinermt.families.training import FamilyTrainer, TrainedFamily
from glinermt.fast.choose import FastPath, TorchScorer
from glinermt.fast.linear import Precision
from glinermt.gliner_calls import refuse_unknown
from glinermt.heads import Head
from glinermt.label_index import LabelEncoder, LabelIndex
from glinermt.layers import BiLSTM
from glinermt.network import GoldRows, Output
from glinermt.reader import DEVICE_BATCH_TOKENS, NetworkReader, TextEncoder
from glinermt.text_model import TextModel
from glinermt.types import Example, Query

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


class GlinerMT(TextModel):
    """A network with all it needs to read text. Make one with ``from_pretrained``.

    The network itself, a ``torch.nn.Module``, is ``network``; what training needs of it is also
    here, under the same names.
    """

    def __init__(self, parts: Parts, *, precision: Precision = "exact") -> None:
        self.network = parts.network
        self.config = parts.config
        self.source = parts.source
        self.published = parts.published
        self.fast = FastPath(precision)
        scorer = TorchScorer(self.network, self.fast)
        reader = parts.reader or NetworkReader(parts.query_encoder, scorer)
        super().__init__(reader, parts.query_encoder, parts.settings)

    @classmethod
    def from_pretrained(
        cls,
        path: str | Path | None = None,
        *,
        revision: str | None = None,
        device: str | torch.device | None = None,
        dtype: torch.dtype | str | None = None,
        precision: Precision | Literal["auto"] = "exact",
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
                faster on a processor, with scores that differ a little. ``auto`` is ``bf16`` where
                the processor has instructions for it and the model a fast forward, else ``exact``.
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
            ValueError: a revision or subfolder without a path, a device that is not here, a dtype
                that weights cannot have, an unknown precision, or one that cannot be had with
                device, dtype and family.
        """
        asked = {name: value for name, value in theirs.items() if name not in _WITHOUT_EFFECT}
        refuse_unknown(asked, known=_THEIR_LOADING)
        device = map_location if device is None else device
        _check_device(device)
        chosen = _weight_dtype(dtype)
        download = hub.Download(revision, token, cache_dir, local_files_only, subfolder)
        parts = checkpoints.load(path, download)
        if parts.reader is not None and precision not in ("exact", "auto"):
            raise UsageError(f"precision {precision!r} is not to be had with {path}; use 'exact'")
        if words is not None:
            parts = with_words(parts, words)
        model = cls(parts, precision="exact" if precision == "auto" else precision)
        model.to(device=device, dtype=chosen).eval()
        if precision == "auto":
            model.fast.choose_precision(model.network)
        if parts.reader is None:
            model.fast.check(model.network)
        return model

    @classmethod
    def from_config(cls, config: ModelConfig, settings: TaskSettings | None = None) -> "GlinerMT":
        """Build an untrained model around the pretrained encoder that ``config.encoder`` names."""
        return cls(build(config, settings))

    def save_pretrained(
        self,
        folder: str | Path,
        *,
        dtype: torch.dtype | None = None,
        format: checkpoints.Format = "glinermt",
    ) -> None:
        """Write configuration, weights and tokenizer.

        Args:
            folder: where; made if need be.
            dtype: what the weights are converted to.
            format: ``gliner`` writes what the package of that name loads too.

        Raises:
            CheckpointError: a checkpoint of the package gliner cannot hold the model; says why.
        """
        checkpoints.save(self._parts, folder, format=format, dtype=dtype)

    def export_onnx(
        self, folder: str | Path, *, quantize: Literal["int8", "fp16"] | None = None
    ) -> None:
        """Write the model as ONNX graphs with tokenizer and settings, to be read without torch.

        ``from_pretrained`` reads the folder; docs/howto/export.md describes the files.

        Args:
            folder: made where it is not there.
            quantize: ``int8`` or ``fp16`` for smaller weights; None = scores as they are.

        Raises:
            BackendError: ``pip install glinermt[export]`` is missing.
            UsageError: the model cannot be exported; docs/howto/export.md says which can.
        """
        from glinermt.export import export

        export(self._parts, folder, runtime="onnx", quantize=quantize)

    def export_openvino(
        self, folder: str | Path, *, quantize: Literal["fp16"] | None = None
    ) -> None:
        """Write the model as OpenVINO graphs; see ``export_onnx``."""
        from glinermt.export import export

        export(self._parts, folder, runtime="openvino", quantize=quantize)

    def push_to_hub(self, repo_id: str, *, private: bool = False, token: str | None = None) -> str:
        """Upload what ``save_pretrained`` writes; return the repository's address."""
        return checkpoints.push(self._parts, repo_id, private=private, token=token)

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

    def encode_texts(self, texts: Sequence[str]) -> Float[np.ndarray, "text width"]:
        """Return a vector for each text; only with a GLiFormer model that has an embedding head.

        Texts that mean much the same have vectors of much the same direction. They are not of
        length 1; a blank text has zeros.

        Raises:
            TypeError: the model makes no such vectors.
        """
        if isinstance(texts, str):
            raise TypeError("encode_texts takes a list of texts; for one, write [text]")
        if not isinstance(self.reader, TextEncoder):
            raise TypeError("this model makes no vectors of texts; a GLiFormer model may")
        return self.reader.encode_texts(texts)

    def collate(self, examples: Sequence[Example], *, multiple: int = 1) -> GoldRows:
        """Make a training batch; shapes are padded to a ``multiple``.

        Raises:
            TypeError: the model is of a family that cannot be fine-tuned here.
            ValueError: not one of the examples has both a label and a word.
        """
        self.network.check_trainable()
        for example in examples:
            check_query(example.query, self.kinds)
        if isinstance(self.network, TrainedFamily):
            return cast(FamilyTrainer, self.reader).collate(examples)
        return training_batch(self.query_encoder, self.network.head, examples, multiple=multiple)

    def __call__(self, batch: Batch) -> Output:
        """Return what the network makes of a batch."""
        output: Output = self.network(batch)
        return output

    def loss(self, batch: GoldRows) -> Float[Tensor, " example"]:
        """Return each example's loss; ``network.loss`` also weighs and smooths it otherwise."""
        return self.network.loss(batch)

    def with_heads(
        self,
        *,
        relations: bool = True,
        classes: bool = True,
        class_reading: Literal["joint", "apart"] | None = None,
    ) -> "GlinerMT":
        """Return a copy that also has an untrained relation head, class head, or both.

        What the copy finds of spans is what this model finds, to the bit. Heads that are there
        stay as they are, but a class head that is to read in another way (see ``ModelConfig``).

        Raises:
            ValueError: the model is of a family that reads queries in a way of its own.
        """
        if not isinstance(self.reader, NetworkReader):
            raise UsageError(
                f"heads cannot be added to a model that {type(self.reader).__name__} reads; start "
                "from one of glinermt's own or from a GLiNER checkpoint with a single encoder"
            )
        return GlinerMT(
            with_heads(
                self._parts, relations=relations, classes=classes, class_reading=class_reading
            ),
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
    def precision(self) -> Precision:
        """How products are computed; see ``from_pretrained``."""
        return self.fast.precision

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
        parts.source, parts.published = self.source, self.published
        return parts


def _check_device(device: str | torch.device | None) -> None:
    """Raise ValueError where torch cannot use the device."""
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # the latter where torch has no CUDA
        raise UsageError(f"device {device!r} cannot be used here: {error}") from error


def _weight_dtype(dtype: torch.dtype | str | None) -> torch.dtype | None:
    """Return the dtype that is meant; ValueError where it is not one of floating numbers."""
    found = getattr(torch, dtype, dtype) if isinstance(dtype, str) else dtype
    if found is None or (isinstance(found, torch.dtype) and found.is_floating_point):
        return found
    raise UsageError(f"dtype {dtype!r} is not one of weights, such as 'float32' or 'bfloat16'")
