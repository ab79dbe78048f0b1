"""The real engine, windows and passes included, over a network that says what the test wrote."""

from collections.abc import Callable
from pathlib import Path

import torch

from glinermt.config import TaskSettings
from glinermt.encoder import Batch
from glinermt.model import GlinerMT
from glinermt.network import Network, Output
from tests.tiny_models import tiny_model

Score = Callable[[str, str, set[str]], float]
"""(word, label without white space, words of the window) -> score of the word as a span."""


def scripted_model(
    folder: Path, score: Score, *, max_tokens: int = 64
) -> tuple[GlinerMT, list[int]]:
    """Return a model that reads so many tokens at a time, and the rows of each batch it will read.

    A word is known by its first token only; see the vocabulary in ``tiny_models``.
    """
    model = tiny_model(folder, kind="bert")
    model.query_encoder.max_tokens = max_tokens
    tokenizer = model.query_encoder.tokenizer
    tokens = [
        t.replace("##", "") for t in tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    ]
    batches: list[int] = []

    def output(network: Network, batch: Batch) -> Output:  # noqa: ARG001  nothing is computed
        batches.append(len(batch.input_ids))
        shape = (*batch.word_position.shape, batch.label_position.shape[1], 3)
        probability = torch.full(shape, 1e-6)
        for row, ids in enumerate(batch.input_ids):
            places = batch.word_position[row][batch.word_mask[row]]
            words = [tokens[i] for i in ids[places].tolist()]
            seen = set(words[batch.num_prompt_words[row] :])
            for i in range(int(batch.label_mask[row].sum())):
                start = int(batch.label_position[row, i]) + 1
                label_ids = ids[start : start + int(batch.label_length[row, i])]
                label = "".join(tokens[i] for i in label_ids.tolist())
                found = [max(score(word, label, seen), 1e-6) for word in words]
                probability[row, : len(words), i] = torch.tensor(found)[:, None]
        nothing = torch.zeros(len(batch.input_ids), 0)
        words = torch.zeros(*batch.word_position.shape, 0)
        return Output(probability.logit(), nothing, words, words[:, :0])

    # The paper's prompts, a token a letter, would fill the window.
    model.settings = TaskSettings(prompts={"relations": "in", "summarize": "in"})
    model.fast.output = output  # type: ignore[method-assign]
    return model, batches
