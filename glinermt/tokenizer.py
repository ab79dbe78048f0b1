"""A fast tokenizer without transformers, whose import takes longer than all else at start-up."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from tokenizers import Tokenizer as Backend

from glinermt.errors import CheckpointError

_SPECIAL = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
_SETTINGS = frozenset(
    [f"{name}_token" for name in _SPECIAL]
    + "extra_special_tokens additional_special_tokens model_max_length padding_side "
    "truncation_side".split()
)


class Tokenizer(Protocol):
    """What this library asks of a tokenizer; the fast ones of transformers have it."""

    @property
    def backend_tokenizer(self) -> Any: ...

    @property
    def pad_token_id(self) -> int | None: ...

    @property
    def cls_token_id(self) -> int | None: ...

    @property
    def sep_token_id(self) -> int | None: ...

    @property
    def bos_token_id(self) -> int | None: ...

    @property
    def eos_token_id(self) -> int | None: ...

    @property
    def model_max_length(self) -> int: ...

    def get_vocab(self) -> dict[str, int]: ...

    def get_added_vocab(self) -> dict[str, int]: ...

    def add_tokens(self, tokens: Any, /, special_tokens: bool = False) -> int: ...

    def save_pretrained(self, folder: Any, /) -> Any: ...


class FastTokenizer:
    """The tokenizer of a ``tokenizer.json``, with the settings beside it.

    Attributes have the names that transformers gives them.

    Args:
        backend: what tokenises.
        settings: special tokens and limits, as in ``tokenizer_config.json``.
    """

    def __init__(self, backend: Any, settings: Mapping[str, Any]) -> None:
        self.backend_tokenizer = backend
        self.settings = {name: value for name, value in settings.items() if name in _SETTINGS}
        self.model_max_length = int(settings.get("model_max_length") or 10**30)

    @classmethod
    def from_folder(cls, folder: Path) -> "FastTokenizer":
        """Read ``tokenizer.json`` and ``tokenizer_config.json`` as they stand.

        Raises:
            CheckpointError: one of them is missing or damaged.
        """
        path, about = folder / "tokenizer.json", folder / "tokenizer_config.json"
        try:
            backend = Backend.from_file(str(path))
            settings = json.loads(about.read_text(encoding="utf-8"))
        except Exception as error:  # tokenizers raises bare Exception for whatever is wrong
            raise CheckpointError(f"{path}: no tokenizer could be loaded: {error}") from error
        if not isinstance(settings, dict):
            raise CheckpointError(f"{about}: expected an object, got {type(settings).__name__}")
        return cls(backend, settings)

    @property
    def pad_token_id(self) -> int | None:
        return self._id("pad")

    @property
    def cls_token_id(self) -> int | None:
        return self._id("cls")

    @property
    def sep_token_id(self) -> int | None:
        return self._id("sep")

    @property
    def bos_token_id(self) -> int | None:
        return self._id("bos")

    @property
    def eos_token_id(self) -> int | None:
        return self._id("eos")

    def _id(self, name: str) -> int | None:
        token = self.settings.get(f"{name}_token")
        if isinstance(token, Mapping):
            token = token.get("content")
        found: int | None = None if token is None else self.backend_tokenizer.token_to_id(token)
        return found

    def get_vocab(self) -> dict[str, int]:
        """Return all tokens with their ids, added ones included."""
        vocabulary: dict[str, int] = self.backend_tokenizer.get_vocab(with_added_tokens=True)
        return vocabulary

    def get_added_vocab(self) -> dict[str, int]:
        """Return the tokens that were added to the vocabulary, with their ids."""
        added = self.backend_tokenizer.get_added_tokens_decoder()
        return {token.content: number for number, token in added.items()}

    def add_tokens(self, tokens: Sequence[str], special_tokens: bool = False) -> int:
        """Add what is not there yet; return how many these were."""
        add = self.backend_tokenizer.add_special_tokens
        number: int = (add if special_tokens else self.backend_tokenizer.add_tokens)(list(tokens))
        return number

    def __len__(self) -> int:
        size: int = self.backend_tokenizer.get_vocab_size(with_added_tokens=True)
        return size

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the files that ``AutoTokenizer`` reads."""
        from transformers import PreTrainedTokenizerFast

        whole = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
            tokenizer_object=self.backend_tokenizer, **self.settings
        )
        whole.save_pretrained(folder)
