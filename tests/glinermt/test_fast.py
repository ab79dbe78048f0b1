"""The fast forward gives what the model's own forward gives, for every shape it takes."""

import copy
import pickle
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from transformers import (
    BertConfig,
    BertModel,
    DebertaV2Config,
    DebertaV2Model,
    DistilBertConfig,
    DistilBertModel,
    ModernBertConfig,
    ModernBertModel,
    MPNetConfig,
    MPNetModel,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    RobertaConfig,
    RobertaModel,
)

from glinermt.build import assemble, load_tokenizer, token_ids, with_ids
from glinermt.config import ModelConfig
from glinermt.encoder import Batch
from glinermt.fast.choose import FastPath
from glinermt.fast.encoder import fast_encoder
from glinermt.fast.linear import (
    MakeLinears,
    OneDnnLinear,
    PlainLinear,
    Precision,
    exact_linear,
    has_bf16,
    linears_for,
)
from glinermt.fast.network import FastForward
from glinermt.model import GlinerMT
from glinermt.types import Query
from glinermt.windows import plan_passes
from tests.glinermt.test_relation_head import all_pairs
from tests.tiny_models import save_tokenizer

SIZES: dict[str, Any] = {
    "vocab_size": 156,  # the tokenizer has 141, and a few special tokens join them
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "initializer_range": 0.3,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "max_position_embeddings": 256,
}
DEBERTA = SIZES | {
    "relative_attention": True,
    "position_buckets": 16,
    "pos_att_type": ["p2c", "c2p"],
    "position_biased_input": False,
    "share_att_key": True,
    "norm_rel_ebd": "layer_norm",
    "type_vocab_size": 0,
}
MODERN = {name: SIZES[name] for name in list(SIZES)[:6]} | {
    "num_hidden_layers": 3,
    "global_attn_every_n_layers": 2,
    "local_attention": 12,
    "max_position_embeddings": 256,
    "pad_token_id": 0,
}
ENCODERS: dict[str, tuple[type, type, dict[str, Any]]] = {
    "bert": (BertModel, BertConfig, SIZES),
    "bert-relu": (BertModel, BertConfig, SIZES | {"hidden_act": "relu"}),
    "roberta": (RobertaModel, RobertaConfig, SIZES),
    "mpnet": (MPNetModel, MPNetConfig, SIZES),
    "modernbert": (ModernBertModel, ModernBertConfig, MODERN),
    "modernbert-biased": (
        ModernBertModel, ModernBertConfig,
        MODERN | {"attention_bias": True, "mlp_bias": True, "norm_bias": True},
    ),
    "deberta": (DebertaV2Model, DebertaV2Config, DEBERTA),
    "deberta-c2p": (DebertaV2Model, DebertaV2Config, DEBERTA | {"pos_att_type": ["c2p"]}),
    "deberta-p2c": (DebertaV2Model, DebertaV2Config, DEBERTA | {"pos_att_type": ["p2c"]}),
    "deberta-own-keys": (DebertaV2Model, DebertaV2Config, DEBERTA | {"share_att_key": False}),
    "deberta-no-buckets": (
        DebertaV2Model, DebertaV2Config,
        DEBERTA | {"position_buckets": -1, "max_relative_positions": 20},
    ),
    "deberta-absolute-too": (
        DebertaV2Model, DebertaV2Config,
        DEBERTA | {"position_biased_input": True, "type_vocab_size": 2, "embedding_size": 16},
    ),
}  # fmt: skip
HEADS: dict[str, dict[str, Any]] = {
    "token": {"head": "token"},
    "token-mean": {"head": "token", "label_pooling": "mean", "hidden_size": 24},
    "token-no-rnn": {"head": "token", "num_rnn_layers": 0},
    "span": {"head": "span", "max_width": 5},
    "span-no-rnn": {"head": "span", "num_rnn_layers": 0, "label_pooling": "mean"},
    "span-old": {"head": "span", "max_width": 3, "span_mode": "marker", "num_rnn_layers": 2},
}
WORDS = ["the", "person", "founded", "a", "paris,", "état-major", "x", "​", "microsoft"]
texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=60).map(" ".join)
label_sets = st.lists(
    st.sampled_from(["person", "city", "an answer", "é"]), unique=True, min_size=1
)
queries = st.builds(
    lambda text, labels, prompt: Query(text, tuple(labels), prompt=prompt),
    texts,
    label_sets,
    st.sampled_from(["", "the person"]),
)


MARKERS = ["<<ENT>>", "<<SEP>>", "<<REL>>", "<<CLS>>"]
PLAIN = MakeLinears(PlainLinear, PlainLinear)
Tokenizer = PreTrainedTokenizerBase


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    folder = tmp_path_factory.mktemp("tokenizer")
    save_tokenizer(folder)
    loaded = load_tokenizer(folder)
    loaded.add_special_tokens({"additional_special_tokens": MARKERS})
    return loaded


def random_model(
    tokenizer: Tokenizer,
    encoder: str = "bert",
    head: str = "token",
    *,
    module: Any = None,
    more: bool = False,
    reading: Literal["joint", "apart"] = "joint",
) -> GlinerMT:
    """Return a model, with a relation head and a class head where there is to be ``more``."""
    torch.manual_seed(0)
    kind, config, sizes = ENCODERS[encoder]
    backbone: PreTrainedModel = module or kind(config(**sizes))
    ids = dict(zip(("ent", "sep", "rel", "cls"), token_ids(tokenizer, *MARKERS), strict=True))
    network = ModelConfig(
        encoder="random",
        dropout=0.0,
        relation_head=more,
        class_head=more,
        class_reading=reading,
        **HEADS[head],
    )
    network = with_ids(network, ids)
    return GlinerMT(assemble(network, backbone, tokenizer)).eval()


def collate(model: GlinerMT, asked: list[Query]) -> Batch:
    encoder = model.query_encoder
    tokenized = encoder.tokenize(asked)
    passes = [p for i, query in enumerate(tokenized) for p in plan_passes(encoder, query, i)]
    return Batch.from_rows(encoder.collate(tokenized, passes))


@torch.inference_mode()
def largest_difference(model: GlinerMT, batch: Batch, make: MakeLinears) -> float:
    encoder = fast_encoder(model.encoder.encoder, make)
    assert encoder is not None
    forward = FastForward(model.network, encoder, make)
    fast, plain = forward(batch), model(batch)
    labels, relations, _ = batch.by_kind(batch.label_mask)
    classes = batch.class_mask
    valid = model.head.valid(batch.word_mask, labels)
    differences = [(fast.spans.sigmoid() - plain.spans.sigmoid())[valid]]
    if classes.shape[1]:
        differences.append((fast.classes.sigmoid() - plain.classes.sigmoid())[classes])
    if relations.shape[1]:
        pairs = all_pairs(batch.text_mask.nonzero()[:, [0, 1, 1]] + torch.tensor([0, 0, 1]))
        asked = relations[pairs.row]
        related = (
            forward.relate(fast, pairs).sigmoid() - model.network.relate(plain, pairs).sigmoid()
        )
        differences.append(related[asked])
    return max(float(d.abs().max()) for d in differences if d.numel())


@pytest.mark.parametrize("encoder", ENCODERS)
@given(asked=st.lists(queries, min_size=1, max_size=4))
@settings(max_examples=8, deadline=None)
def test_every_encoder_scores_as_its_own_forward(
    tokenizer: Tokenizer, encoder: str, asked: list[Query]
) -> None:
    model = random_model(tokenizer, encoder)
    assert largest_difference(model, collate(model, asked), PLAIN) <= 1e-5


@pytest.mark.parametrize("encoder", ["mpnet", "modernbert"])
def test_a_long_text_scores_as_by_the_own_forward(tokenizer: Tokenizer, encoder: str) -> None:
    """Longer than a table of distances is at first, and than several windows of local attention."""
    model = random_model(tokenizer, encoder)
    asked = [Query("the person founded a city " * 30, ("person", "city")), Query("a", ("x",))]
    assert largest_difference(model, collate(model, asked), PLAIN) <= 1e-5
    if has_bf16():
        assert largest_difference(model, collate(model, asked), linears_for("bf16")) < 0.1


@pytest.mark.parametrize("head", HEADS)
@given(asked=st.lists(queries, min_size=1, max_size=4))
@settings(max_examples=8, deadline=None)
def test_every_head_scores_as_its_own_forward(
    tokenizer: Tokenizer, head: str, asked: list[Query]
) -> None:
    model = random_model(tokenizer, head=head)
    assert largest_difference(model, collate(model, asked), PLAIN) <= 1e-5


everything = st.builds(
    lambda text, spans, relations, classes, prompt: Query(
        text, tuple(spans), prompt, tuple(relations), tuple(classes)
    ),
    texts,
    label_sets,
    st.lists(st.sampled_from(["founded", "in", "é"]), unique=True, max_size=3),
    st.lists(st.sampled_from(["city", "an answer"]), unique=True, max_size=2),
    st.sampled_from(["", "the person"]),
)


@pytest.mark.parametrize("reading", ["joint", "apart"])
@pytest.mark.parametrize("head", ["token-mean", "span-no-rnn"])
@given(asked=st.lists(everything, min_size=1, max_size=4))
@settings(max_examples=8, deadline=None)
def test_relations_and_classes_score_as_their_own_forward(
    tokenizer: Tokenizer, head: str, reading: Literal["joint", "apart"], asked: list[Query]
) -> None:
    model = random_model(tokenizer, head=head, more=True, reading=reading)
    assert largest_difference(model, collate(model, asked), PLAIN) <= 1e-5


@pytest.mark.parametrize("encoder", ["bert", "deberta"])
def test_onednn_linears_score_the_same(tokenizer: Tokenizer, encoder: str) -> None:
    if not torch.backends.mkldnn.is_available():
        pytest.skip("this torch has no oneDNN")
    model = random_model(tokenizer, encoder)
    batch = collate(model, [Query("the person founded", ("person",)), Query("a", ("city", "x"))])
    assert largest_difference(model, batch, MakeLinears(OneDnnLinear, OneDnnLinear)) <= 1e-5


@pytest.mark.parametrize("precision", ["bf16", "int8"])
@pytest.mark.parametrize("encoder", ["bert", "deberta"])
@pytest.mark.parametrize("head", ["token", "span"])
def test_lower_precision_scores_nearly_the_same(
    tokenizer: Tokenizer, precision: Precision, encoder: str, head: str
) -> None:
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        pytest.skip("this torch has no oneDNN")
    if precision == "bf16" and not has_bf16():
        pytest.skip("this processor has no bfloat16 instructions")
    model = random_model(tokenizer, encoder, head)
    long = "the person founded a city " * 30
    batch = collate(model, [Query(long, ("person", "city")), Query("a city", ("person",))])
    assert 0 < largest_difference(model, batch, linears_for(precision)) < 0.1


def test_int8_scores_do_not_depend_on_what_is_read_beside(tokenizer: Tokenizer) -> None:
    model = random_model(tokenizer)
    make = linears_for("int8")
    encoder = fast_encoder(model.encoder.encoder, make)
    assert encoder is not None
    forward = FastForward(model.network, encoder, make)
    query = Query("the person founded a city", ("person", "city"))
    others = [Query("microsoft paris, " * number, ("x", "an answer")) for number in (1, 9, 30)]
    with torch.inference_mode():
        alone = forward(collate(model, [query])).spans[0].sigmoid()
        beside = forward(collate(model, [query, *others])).spans[0].sigmoid()
    length, labels, _ = alone.shape
    torch.testing.assert_close(beside[:length, :labels], alone, rtol=0, atol=1e-3)


@pytest.mark.parametrize("known", [True, False])
def test_auto_is_bf16_where_the_processor_has_it(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    monkeypatch.setattr("glinermt.fast.choose.has_bf16", lambda: known)
    network = random_model(tokenizer).network
    path = FastPath()
    path.choose_precision(network)
    assert path.precision == ("bf16" if known else "exact")
    path.choose_precision(network.to(torch.bfloat16))
    assert path.precision == "exact"  # such weights have no fast forward


def test_the_same_linear_is_chosen_in_every_process() -> None:
    chosen = exact_linear()
    exact_linear.cache_clear()
    assert exact_linear() is chosen


QUERIES = [Query("Bill Gates founded Microsoft in Paris.", ("person", "city"))]


def scores(model: GlinerMT) -> list[float]:
    (spans,) = model.extract(QUERIES, threshold=0.0, multi_label=True, overlap="nested")
    return [span.score for span in spans]


def test_changed_weights_change_the_answers_at_once(tokenizer: Tokenizer) -> None:
    model = random_model(tokenizer)
    before = scores(model)
    state = copy.deepcopy(model.state_dict())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    model(collate(model, QUERIES)).spans.sum().backward()
    optimizer.step()
    stepped = scores(model)
    model.load_state_dict(state)
    assert stepped != before
    assert scores(model) == before


def test_writing_past_torch_counts_after_a_change_of_mode(tokenizer: Tokenizer) -> None:
    model = random_model(tokenizer)
    before = scores(model)
    model.train()
    model.head.proj_token.weight.data *= 2  # type: ignore[union-attr]
    model.eval()
    assert scores(model) != before


def test_a_precision_is_never_dropped_in_silence(tokenizer: Tokenizer) -> None:
    model = random_model(tokenizer)
    model.fast.precision = "int8"
    assert scores(model)
    with (
        torch.autocast("cpu", torch.bfloat16),
        pytest.raises(ValueError, match=r"'int8' needs float32 weights .* under autocast"),
    ):
        scores(model)
    model.to(dtype=torch.float64)
    with pytest.raises(ValueError, match=r"'int8' needs float32 weights .* torch.float64"):
        scores(model)


def test_a_model_that_has_answered_can_be_copied_and_pickled(tokenizer: Tokenizer) -> None:
    model = random_model(tokenizer)
    before = scores(model)
    assert scores(copy.deepcopy(model)) == before
    assert scores(pickle.loads(pickle.dumps(model))) == before


def test_training_mode_uses_the_model_s_own_forward(tokenizer: Tokenizer) -> None:
    model = random_model(tokenizer).train()
    assert model.fast._forward(model.network) is None


def unknown_encoders() -> list[PreTrainedModel]:
    linear = BertModel(BertConfig(**SIZES))
    linear.encoder.layer[1].output.dense = nn.Sequential(nn.Linear(64, 32))  # type: ignore[assignment]
    activation = BertModel(BertConfig(**SIZES, hidden_act="gelu_new"))
    conv = DebertaV2Model(DebertaV2Config(**DEBERTA, conv_kernel_size=3))
    absolute = DebertaV2Model(DebertaV2Config(**DEBERTA | {"relative_attention": False}))
    other = DistilBertModel(
        DistilBertConfig(vocab_size=160, dim=32, hidden_dim=64, n_layers=1, n_heads=4)
    )
    return [linear, activation, conv, absolute, other]


@pytest.mark.parametrize("place", range(5))
def test_an_encoder_that_is_not_known_reads_with_its_own_forward(
    tokenizer: Tokenizer, place: int
) -> None:
    encoder = unknown_encoders()[place].eval()
    assert fast_encoder(encoder, PLAIN) is None
    assert scores(random_model(tokenizer, module=encoder))


def test_a_precision_is_refused_where_it_cannot_be_had(
    tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random_model(tokenizer).save_pretrained(tmp_path)
    assert scores(GlinerMT.from_pretrained(tmp_path, precision="int8"))
    with pytest.raises(ValueError, match="needs float32 weights on the cpu"):
        GlinerMT.from_pretrained(tmp_path, precision="int8", dtype="bfloat16")
    with pytest.raises(ValueError, match="precision"):
        GlinerMT.from_pretrained(tmp_path, precision="int7")  # type: ignore[arg-type]
    assert not has_bf16() or scores(GlinerMT.from_pretrained(tmp_path, precision="bf16"))
    monkeypatch.setattr("glinermt.fast.choose.has_bf16", lambda: False)
    with pytest.raises(ValueError, match="needs a processor with bfloat16 instructions"):
        GlinerMT.from_pretrained(tmp_path, precision="bf16")


def test_rows_to_fill_up_are_few_and_so_are_the_shapes_they_leave() -> None:
    make = MakeLinears(OneDnnLinear, OneDnnLinear)
    filled = {rows: rows + make.filler(rows) for rows in range(1, 1025)}
    assert all(rows <= whole <= rows * 17 / 16 for rows, whole in filled.items())
    assert len(set(filled.values())) < 120
