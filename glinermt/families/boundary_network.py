"""The network of GLiNER2.5 boundary checkpoints, under the names of its weights (gliner2 2.1.0)."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from glinermt.families.base import FamilyNetwork
from glinermt.families.boundary_layers import (
    BoundaryEncoder,
    BoundaryQueries,
    BoundarySettings,
    CandidateAttention,
    QueryAttention,
    SpanContent,
)
from glinermt.families.boundary_records import RecordDecoder


class BoundaryNetwork(FamilyNetwork):
    """The encoder, the heads for spans, relations and classes."""

    family = "GLiNER2.5"

    def __init__(self, encoder: nn.Module, settings: BoundarySettings) -> None:
        super().__init__()
        size = int(encoder.config.hidden_size)  # type: ignore[union-attr, arg-type]
        self.settings = settings
        self.encoder = encoder
        dropped = [nn.Dropout(settings.dropout)] if settings.dropout else []
        self.classifier = nn.Sequential(
            nn.Linear(size, 2 * size), nn.ReLU(), *dropped, nn.Linear(2 * size, 1)
        )
        self.boundary_head = BoundaryHead(size, settings)
        if settings.enable_relations:
            self.relation_scorer = RelationScorer(size, settings)
        self.record_decoder = None
        if settings.enable_records:
            self.record_decoder = RecordDecoder(
                size, settings.record_dim, settings.record_instance_queries
            )

    def class_logits(self, labels: Float[Tensor, "label hidden"]) -> Float[Tensor, " label"]:
        """Return a logit for each label of a classification, from its marker's vector."""
        logits: Tensor = self.classifier(labels).squeeze(-1)
        return logits / self.settings.classification_temperature


class BoundaryHead(nn.Module):
    """Proposes spans of a text once for all queries, and scores each for each query."""

    def __init__(self, size: int, settings: BoundarySettings) -> None:
        super().__init__()
        self.settings = settings
        self.boundary_encoder = BoundaryEncoder(size, settings)
        self.boundary_query_head = BoundaryQueries(size, settings.boundary_dim)
        self.shared_pool_builder = SpanPool(settings)
        self.shared_pool_scorer = PoolScorer(size, settings)
        if settings.enable_abstention:
            self.null_projection = nn.Linear(size, 1)
        if settings.enable_records:
            self.candidate_encoder = nn.Linear(2 * settings.boundary_dim, size)

    def forward(
        self,
        words: Float[Tensor, "word hidden"],
        queries: Float[Tensor, "query hidden"],
        wanted: Int[Tensor, "wanted 2"] | None = None,
    ) -> tuple[Int[Tensor, "span 2"], Float[Tensor, "query span"]]:
        """Return the proposed spans (words, end exclusive) and their logits.

        Args:
            words: vectors of the words.
            queries: vectors of what is sought.
            wanted: spans that must be among the proposed ones, put first.
        """
        boundaries = self.boundary_encoder(words)
        start, end, inside = self.boundary_query_head(boundaries, words, queries)
        spans, prior = self.shared_pool_builder(boundaries, start, end, wanted)
        logits = self.shared_pool_scorer(boundaries, words, queries, spans, prior)
        logits = logits + start[:, spans[:, 0]] + end[:, spans[:, 1]]
        if self.settings.use_inside_evidence:
            total = nn.functional.pad(inside.double().cumsum(1), (1, 0))
            length = (spans[:, 1] - spans[:, 0]).sqrt()
            evidence = (total[:, spans[:, 1]] - total[:, spans[:, 0]]) / length
            logits = logits + evidence.to(logits.dtype)
        return spans, logits

    def span_vectors(
        self, words: Float[Tensor, "word hidden"], spans: Int[Tensor, "span 2"]
    ) -> Float[Tensor, "span hidden"]:
        """Return the vectors from which records are formed; only where they are enabled."""
        boundaries = self.boundary_encoder(words)
        ends = [boundaries[spans[:, 0]], boundaries[spans[:, 1]]]
        vectors: Tensor = self.candidate_encoder(torch.cat(ends, dim=-1))
        return vectors

    def is_silent(self, queries: Float[Tensor, "query hidden"]) -> Tensor:
        """Say which queries the network takes to have no span in the text."""
        if not self.settings.enable_abstention:
            return torch.zeros(len(queries), dtype=torch.bool, device=queries.device)
        null: Tensor = self.null_projection(queries).squeeze(-1)
        return null.sigmoid() > self.settings.abstention_threshold


class SpanPool(nn.Module):
    """Chooses the spans that are scored at all."""

    def __init__(self, settings: BoundarySettings) -> None:
        super().__init__()
        self.settings = settings
        self.start_projection = nn.Linear(settings.boundary_dim, settings.boundary_dim)
        self.end_projection = nn.Linear(settings.boundary_dim, settings.boundary_dim)

    def forward(
        self,
        boundaries: Float[Tensor, "boundary dim"],
        start: Float[Tensor, "query boundary"],
        end: Float[Tensor, "query boundary"],
        wanted: Int[Tensor, "wanted 2"] | None,
    ) -> tuple[Int[Tensor, "span 2"], Float[Tensor, " span"]]:
        """Return spans, and how well the two boundaries of each fit together.

        Each query's best spans come first, rank by rank, then those best for any query.
        """
        spans = self._pairs(start, end)
        firsts, lasts = self.start_projection(boundaries), self.end_projection(boundaries)
        scale = math.sqrt(boundaries.shape[-1])
        fit = (firsts[spans[:, 0]] * lasts[spans[:, 1]]).sum(-1) / scale
        own = start[:, spans[:, 0]] + end[:, spans[:, 1]] + fit
        quota = min(self.settings.min_pool_per_query, len(spans))
        best = own.argsort(dim=-1, descending=True, stable=True)[:, :quota].T.flatten()
        total = fit + start.amax(0)[spans[:, 0]] + end.amax(0)[spans[:, 1]]
        order = torch.cat([best, total.argsort(descending=True, stable=True)])
        spans = spans[order]
        if wanted is not None:
            spans = torch.cat([wanted, spans])
        spans = _distinct(spans, len(boundaries))[: self.settings.pool_size]
        return spans, (firsts[spans[:, 0]] * lasts[spans[:, 1]]).sum(-1) / scale

    def _pairs(
        self, start: Float[Tensor, "query boundary"], end: Float[Tensor, "query boundary"]
    ) -> Int[Tensor, "span 2"]:
        count = min(self.settings.pool_boundary_top_k, start.shape[1])
        first, last = (
            logits.amax(0).argsort(descending=True, stable=True)[:count] for logits in (start, end)
        )
        pairs = torch.cartesian_prod(first, last)
        return pairs[pairs[:, 1] > pairs[:, 0]]


class PoolScorer(nn.Module):
    """Scores the pool's spans for all queries; what boundaries and words add comes later."""

    def __init__(self, size: int, settings: BoundarySettings) -> None:
        super().__init__()
        dim, heads = settings.pair_dim, settings.candidate_attention_heads
        self.start_projection = nn.Linear(settings.boundary_dim, dim)
        self.end_projection = nn.Linear(settings.boundary_dim, dim)
        self.length_projection = nn.Linear(3, dim)
        self.prior_projection = nn.Linear(1, dim)
        self.content_pooler = None
        if settings.enable_span_content:
            self.content_pooler = SpanContent(
                size, settings.content_dim, soft_max=settings.content_soft_max_pool
            )
            self.content_projection = nn.Linear(self.content_pooler.output_dim, dim)
        self.candidate_norm = nn.LayerNorm(dim)
        self.candidate_layers = nn.ModuleList(
            CandidateAttention(dim, heads) for _ in range(settings.candidate_attention_layers)
        )
        self.query_projection = nn.Linear(size, dim)
        self.query_layers = nn.ModuleList(
            QueryAttention(dim, heads) for _ in range(settings.query_attention_layers)
        )
        self.film = nn.Linear(dim, 2 * dim)
        self.film_output = nn.Sequential(
            nn.Linear(dim, 64), nn.GELU(), nn.Dropout(0.0), nn.Linear(64, 1)
        )

    def forward(
        self,
        boundaries: Float[Tensor, "boundary dim"],
        words: Float[Tensor, "word hidden"],
        queries: Float[Tensor, "query hidden"],
        spans: Int[Tensor, "span 2"],
        prior: Float[Tensor, " span"],
    ) -> Float[Tensor, "query span"]:
        start, end = spans.unbind(1)
        length = (end - start).to(boundaries.dtype)
        shape = torch.stack([length.log1p(), length / len(words), length.rsqrt()], dim=-1)
        states = self.start_projection(boundaries)[start] + self.end_projection(boundaries)[end]
        states = states + self.length_projection(shape) + self.prior_projection(prior[:, None])
        if self.content_pooler is not None:
            states = states + self.content_projection(self.content_pooler(words, spans))
        states = self.candidate_norm(states)
        for layer in self.candidate_layers:
            states = layer(states, spans)
        query = self.query_projection(queries)
        for layer in self.query_layers:
            query = layer(query, states)
        gamma, beta = self.film(query)[:, None].chunk(2, dim=-1)
        logits: Tensor = query @ states.T / math.sqrt(states.shape[-1])
        conditioned: Tensor = self.film_output(states * (1 + gamma) + beta).squeeze(-1)
        return logits + conditioned


class RelationScorer(nn.Module):
    """Scores pairs of spans for a relation, from the words at their ends."""

    def __init__(self, size: int, settings: BoundarySettings) -> None:
        super().__init__()
        relation = 2 * size if settings.directional_relation_states else size
        self.has_content = settings.relation_biaffine_content
        self.temperature = settings.relation_temperature
        self.mlp = nn.Sequential(
            nn.Linear(4 * size + relation + 2, size),
            nn.GELU(),
            nn.Dropout(settings.dropout),
            nn.Linear(size, 1),
        )
        if self.has_content:
            self.head_content_projection = nn.Linear(size, size)
            self.tail_content_projection = nn.Linear(size, size)
            self.relation_content_gate = nn.Linear(relation, size)
            self.content_linear = nn.Linear(2 * size + relation, 1)

    def forward(
        self,
        words: Float[Tensor, "word hidden"],
        relation: Float[Tensor, " relation"],
        head: Int[Tensor, "pair 2"],
        tail: Int[Tensor, "pair 2"],
    ) -> Float[Tensor, " pair"]:
        """Return the logits of pairs of spans (words, end exclusive)."""
        query = relation.expand(len(head), -1)
        away = (tail[:, 0] - head[:, 0]).to(words.dtype)
        ends = [words[head[:, 0]], words[head[:, 1] - 1], words[tail[:, 0]], words[tail[:, 1] - 1]]
        place = [away.sign()[:, None], (away.abs() / len(words))[:, None]]
        logits: Tensor = self.mlp(torch.cat([*ends, query, *place], dim=-1)).squeeze(-1)
        if self.has_content:
            h = self.head_content_projection(_means(words, head))
            t = self.tail_content_projection(_means(words, tail))
            gate = self.relation_content_gate(query).sigmoid()
            logits = logits + (h * gate * t).sum(-1) / math.sqrt(words.shape[-1])
            logits = logits + self.content_linear(torch.cat([h, t, query], dim=-1)).squeeze(-1)
        return logits / self.temperature


def _means(
    words: Float[Tensor, "word hidden"], spans: Int[Tensor, "span 2"]
) -> Float[Tensor, "span hidden"]:
    total = nn.functional.pad(words.double().cumsum(0), (0, 0, 1, 0))
    means = (total[spans[:, 1]] - total[spans[:, 0]]) / (spans[:, 1] - spans[:, 0])[:, None]
    return means.to(words.dtype)


def _distinct(spans: Int[Tensor, "span 2"], num_boundaries: int) -> Int[Tensor, "kept 2"]:
    """Return each span where it stands first."""
    keys = (spans[:, 0] * num_boundaries + spans[:, 1]).tolist()
    first = {key: i for i, key in reversed(list(enumerate(keys)))}
    return spans[torch.tensor(sorted(first.values()), dtype=torch.long, device=spans.device)]
