"""The BiLSTM for inference: weights packed once, which takes longer than to read a short text."""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from glinermt.layers import BiLSTM, reversed_order

LSTM = 2
"""How oneDNN's layer names the kind of its cells."""


class FastBiLSTM:
    """``BiLSTM`` in evaluation mode."""

    def __init__(self, rnn: BiLSTM) -> None:
        self.layers = [
            (PackedLstm(rnn, f"l{layer}"), PackedLstm(rnn, f"l{layer}_reverse"))
            for layer in range(rnn.num_layers)
        ]

    def __call__(
        self, words: Float[Tensor, "batch word hidden"], mask: Bool[Tensor, "batch word"]
    ) -> Float[Tensor, "batch word hidden"]:
        backwards = reversed_order(mask)[:, :, None].expand_as(words)
        for forwards, back in self.layers:
            behind = back(words.gather(1, backwards))
            behind = behind.gather(1, backwards[:, :, : behind.shape[2]])
            words = torch.cat([forwards(words), behind], dim=-1)
        return words * mask[:, :, None]


class PackedLstm:
    """One direction of a layer, by oneDNN, as ``torch.lstm`` would compute it."""

    def __init__(self, rnn: BiLSTM, which: str) -> None:
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        inputs, hidden, *self.biases = (
            getattr(rnn.lstm, f"{name}_{which}").detach() for name in names
        )
        self.size = rnn.lstm.hidden_size
        # args: hidden_size, reverse, has_biases, batch_first
        self.weights = torch.ops.mkldnn._reorder_mkldnn_rnn_layer_weight(
            inputs, hidden, self.size, False, True, True
        )

    def __call__(
        self, words: Float[Tensor, "batch word hidden"]
    ) -> Float[Tensor, "batch word half"]:
        start = words.new_zeros(1, words.shape[0], self.size)
        steps = words.transpose(0, 1).contiguous()
        # args: reverse, batch_sizes, mode, hidden_size, num_layers, has_biases, bidirectional,
        # batch_first, train
        output: Tensor = torch.ops.aten.mkldnn_rnn_layer(
            steps, *self.weights, *self.biases, start, start,
            False, [], LSTM, self.size, 1, True, False, False, False,
        )[0]  # fmt: skip
        return output.transpose(0, 1)


def fast_rnn(rnn: BiLSTM) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the fast form of a BiLSTM, or its own forward where torch has no oneDNN."""
    if torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return FastBiLSTM(rnn)
    return rnn
