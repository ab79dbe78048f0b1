"""Layers beside the heads: the BiLSTM over word vectors, and encoders that mix their layers."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence


def resized(encoder: nn.Module, hidden_size: int) -> nn.Module:
    """Return the layer that brings an encoder's vectors to a size, or one that leaves them."""
    width = int(encoder.config.hidden_size)  # type: ignore[union-attr, arg-type]
    return nn.Linear(width, hidden_size) if width != hidden_size else nn.Identity()


# Each direction of a BiLSTM runs by itself, so cuDNN copies its few weights together each time.
warnings.filterwarnings("ignore", "RNN module weights are not part of single contiguous chunk")


class BiLSTM(nn.Module):
    """A bidirectional LSTM that keeps the width and never reads padding.

    ``lstm`` holds the weights under the names ``nn.LSTM`` gives them. The backward direction runs
    forward over each text reversed by its own length, so padding comes last for both directions
    and nothing has to be packed; the result is that of a packed sequence.
    """

    def __init__(self, hidden_size: int, num_layers: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.num_layers = num_layers
        self.dropout = nn.Dropout(dropout)
        self.lstm = nn.LSTM(
            hidden_size, hidden_size // 2, num_layers, batch_first=True, bidirectional=True
        )

    def forward(
        self, words: Float[Tensor, "batch word hidden"], mask: Bool[Tensor, "batch word"]
    ) -> Float[Tensor, "batch word hidden"]:
        backwards = reversed_order(mask)[:, :, None].expand_as(words)
        for layer in range(self.num_layers):
            if layer:
                words = self.dropout(words)
            ahead = self._run(words, f"l{layer}")
            back = self._run(words.gather(1, backwards), f"l{layer}_reverse")
            back = back.gather(1, backwards[:, :, : back.shape[2]])
            words = torch.cat([ahead, back], dim=-1)
        return words * mask[:, :, None]

    def over_rows(self, rows: Sequence[Float[Tensor, "_ hidden"]]) -> list[Tensor]:
        """Read rows of different lengths; each keeps its own."""
        padded = pad_sequence(list(rows), batch_first=True)
        lengths = torch.tensor([len(row) for row in rows], device=padded.device)
        mask = torch.arange(padded.shape[1], device=padded.device) < lengths[:, None]
        read = self(padded, mask)
        return [row[:length] for row, length in zip(read, lengths.tolist(), strict=True)]

    def _run(
        self, words: Float[Tensor, "batch word hidden"], which: str
    ) -> Float[Tensor, "batch word half"]:
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        weights = [getattr(self.lstm, f"{name}_{which}") for name in names]
        # Processors without AVX-512 have no bfloat16 LSTM, and it is short: autocast leaves it out.
        with torch.autocast(words.device.type, enabled=False):
            words = words.to(weights[0].dtype)
            start = words.new_zeros(1, words.shape[0], self.lstm.hidden_size)
            # args: has_biases, num_layers, dropout, train, bidirectional, batch_first
            output = torch.lstm(
                words, (start, start), weights, True, 1, 0.0, self.training, False, True
            )
        return output[0]


def reversed_order(mask: Bool[Tensor, "batch word"]) -> Tensor:
    """Give, per row, the real positions last to first, then the padding in place."""
    position = torch.arange(mask.shape[1], device=mask.device)[None, :]
    length = mask.sum(1, keepdim=True)
    return torch.where(position < length, length - 1 - position, position)


@dataclass(frozen=True, slots=True)
class FusedOutput:
    """What an encoder of transformers also has."""

    last_hidden_state: Float[Tensor, "batch token hidden"]


class FusedLayers(nn.Module):
    """Weighs layers by what they hold (squeeze and excitation), row by row.

    The means are of a row's own tokens; the package's are of its padding, too.
    """

    def __init__(self, encoder: nn.Module, num_layers: int, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.config: Any = encoder.config
        self.layers_fuser = nn.ModuleDict(
            {
                "squeeze": nn.Linear(size, 1),
                "W1": nn.Linear(num_layers, num_layers // 2),
                "W2": nn.Linear(num_layers // 2, num_layers),
                "output_projection": nn.Linear(size, size),
            }
        )

    def forward(
        self, input_ids: Int[Tensor, "batch token"], attention_mask: Int[Tensor, "batch token"]
    ) -> FusedOutput:
        found = self.encoder(
            input_ids=input_ids, attention_mask=attention_mask, output_hidden_states=True
        )
        layers = torch.stack(found.hidden_states[1:], dim=1)  # batch layer token hidden
        parts = self.layers_fuser
        mask = attention_mask[:, None].to(layers.dtype)
        squeezed = (parts["squeeze"](layers).squeeze(-1) * mask).sum(-1) / mask.sum(-1)
        weights = parts["W2"](parts["W1"](squeezed).relu()).sigmoid()
        mixed = torch.einsum("bl,blth->bth", weights, layers)
        return FusedOutput(parts["output_projection"](mixed))
