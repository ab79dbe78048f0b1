"""A relation head and a class head to train, for a model that was trained without them."""

import copy
from dataclasses import replace
from typing import Literal

import torch

from glinermt.build import Parts, assemble, empty_encoder, token_ids, with_ids


def with_heads(
    parts: Parts,
    *,
    relations: bool = True,
    classes: bool = True,
    class_reading: Literal["joint", "apart"] | None = None,
) -> Parts:
    """Return new parts that also have the heads asked for, with random weights.

    Their marker tokens join the vocabulary as copies of ``<<ENT>>``, which the encoder has learned
    to read a label behind. All other weights are copies: spans score as before.

    Args:
        parts: of a model whose network is ``Network``; left as they are.
        relations: whether the new parts have a relation head; one that is there stays.
        classes: the same for a class head.
        class_reading: see ``ModelConfig``; a class head that reads in another way is replaced, and
            None leaves it.
    """
    config = parts.config
    class_reading = class_reading or config.class_reading
    class_head = config.class_head or classes
    in_prompt = bool(class_head) and class_reading == "joint"
    tokenizer = copy.deepcopy(parts.query_encoder.tokenizer)
    wanted = {
        "rel": (relations and not config.relation_head, config.rel_token),
        "cls": (in_prompt and config.cls_token_id < 0, config.cls_token),
    }
    added = {name: token for name, (new, token) in wanted.items() if new}
    tokenizer.add_tokens(list(added.values()), special_tokens=True)
    ids = dict(zip(added, token_ids(tokenizer, *added.values()), strict=True))
    config = replace(
        with_ids(config, ids),
        relation_head=config.relation_head or relations,
        class_head=class_head,
        class_reading=class_reading,
    )
    old = parts.network.state_dict()
    encoder_config = parts.network.encoder.encoder.config.to_dict()  # type: ignore[union-attr, operator]
    vocab_size = max([encoder_config["vocab_size"], *(i + 1 for i in ids.values())])
    new = assemble(config, empty_encoder(encoder_config, vocab_size), tokenizer, parts.settings)
    new.query_encoder.split_words = parts.query_encoder.split_words
    new.query_encoder.plain = parts.query_encoder.plain
    device = parts.network.device
    new.network.to(device=device, dtype=next(parts.network.parameters()).dtype)
    with torch.no_grad():
        for name, weight in new.network.state_dict().items():
            if name not in old:
                continue  # a new head
            if weight.shape == old[name].shape:
                weight.copy_(old[name])
            else:  # the table of tokens
                weight[: len(old[name])] = old[name]
        table = new.network.encoder.encoder.get_input_embeddings().weight  # type: ignore[operator]
        for i in ids.values():
            table[i] = table[config.ent_token_id]
    return new
