"""The document encoder: a small BERT, a masked-LM head, and max pooling over tokens.

B documents, T tokens, H hidden (384), V vocabulary (30522), K kept terms per document.
Parameter names are those of Hugging Face's BertForMaskedLM, so a state dict is a checkpoint.
"""

import os
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

from losses import ACTIVATIONS
from tokens import CLS, PAD, SEP, SPECIAL_IDS

try:
    from torch.nn.attention.varlen import varlen_attn
except ImportError:  # Older torch: the padded path is slower and gives the same result.
    varlen_attn = None
if os.environ.get("WINNOW_PADDED"):
    varlen_attn = None


class Namespace(nn.Module):
    """A container that gives its children the dotted names of the published format."""

    def __init__(self, **children: nn.Module):
        super().__init__()
        for name, child in children.items():
            self.add_module(name, child)


Attend = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def masked_attention(mask: torch.Tensor) -> Attend:
    """Attention over padded rows: q, k, v [B, T, heads, d], mask [B, T] True for the tokens to attend to."""

    def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        q, k, v = (x.transpose(1, 2) for x in (q, k, v))
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None, :]).transpose(1, 2)

    return attend


def packed_attention(lengths: torch.Tensor, width: int) -> Attend:
    """Attention over rows laid end to end: q, k, v [M, heads, d]; lengths [B], none above `width`, sum to M."""
    edges = F.pad(lengths.cumsum(0), (1, 0)).int()
    return lambda q, k, v: varlen_attn(q, k, v, edges, edges, width, width)


class Layer(nn.Module):
    def __init__(self, hidden: int, intermediate: int, eps: float):
        super().__init__()
        norm = lambda: nn.LayerNorm(hidden, eps)  # noqa: E731
        self.attention = Namespace(
            self_=Namespace(
                query=nn.Linear(hidden, hidden), key=nn.Linear(hidden, hidden), value=nn.Linear(hidden, hidden)
            ),
            output=Namespace(dense=nn.Linear(hidden, hidden), LayerNorm=norm()),
        )
        # The published format needs an attribute named `self`, which no Python call can pass.
        self.attention._modules["self"] = self.attention._modules.pop("self_")
        self.intermediate = Namespace(dense=nn.Linear(hidden, intermediate))
        self.activate: Callable[[torch.Tensor], torch.Tensor] = F.gelu
        self.output = Namespace(dense=nn.Linear(intermediate, hidden), LayerNorm=norm())

    def forward(self, x: torch.Tensor, attend: Attend, heads: int) -> torch.Tensor:
        """x [..., H]; `attend` mixes q, k, v of shape [..., heads, H / heads]."""
        project = self.attention._modules["self"]
        parts = (project.query, project.key, project.value)
        qkv = F.linear(x, torch.cat([p.weight for p in parts]), torch.cat([p.bias for p in parts]))
        q, k, v = qkv.unflatten(-1, (3, heads, -1)).unbind(-3)
        mixed = attend(q, k, v).flatten(-2)
        out = self.attention.output
        x = out.LayerNorm(out.dense(mixed) + x)
        return self.output.LayerNorm(self.output.dense(self.activate(self.intermediate.dense(x))) + x)


class Bert(nn.Module):
    def __init__(self, config: dict):
        super().__init__()
        hidden, eps = config["hidden_size"], config["layer_norm_eps"]
        self.heads = config["num_attention_heads"]
        self.embeddings = Namespace(
            word_embeddings=nn.Embedding(config["vocab_size"], hidden),
            position_embeddings=nn.Embedding(config["max_position_embeddings"], hidden),
            token_type_embeddings=nn.Embedding(config["type_vocab_size"], hidden),
            LayerNorm=nn.LayerNorm(hidden, eps),
        )
        layers = [Layer(hidden, config["intermediate_size"], eps) for _ in range(config["num_hidden_layers"])]
        self.encoder = Namespace(layer=nn.ModuleList(layers))
        if config.get("pooler"):
            self.pooler = Namespace(dense=nn.Linear(hidden, hidden))

    def forward(self, ids: torch.Tensor, mask: torch.Tensor, types: torch.Tensor | None = None) -> torch.Tensor:
        """ids [B, T], mask [B, T] bool (True first, then False), types [B, T] 0 or 1 (all 0 if None) -> [B, T, H], undefined at padding.

        On a GPU in half precision the padding is removed first: a third of a batch is padding, and the attention kernel
        without a mask is three times faster.
        """
        batch, width = ids.shape
        if ids.is_cuda and self.embeddings.LayerNorm.weight.dtype != torch.float32 and varlen_attn is not None:
            kept = mask.flatten().nonzero().squeeze(1)
            kinds = None if types is None else types.flatten()[kept]
            x = self.layers(ids.flatten()[kept], kept % width, packed_attention(mask.sum(1), width), kinds)
            return torch.zeros(batch * width, x.shape[1], dtype=x.dtype, device=x.device).index_copy(0, kept, x).view(batch, width, -1)
        return self.layers(ids, torch.arange(width, device=ids.device), masked_attention(mask), types)

    def layers(self, ids: torch.Tensor, positions: torch.Tensor, attend: Attend, types: torch.Tensor | None = None) -> torch.Tensor:
        """ids, positions and types of any (broadcastable) shape -> that shape x H."""
        e = self.embeddings
        kind = e.token_type_embeddings.weight[0] if types is None else e.token_type_embeddings(types)
        x = e.LayerNorm(e.word_embeddings(ids) + e.position_embeddings(positions) + kind)
        for layer in self.encoder.layer:
            x = layer(x, attend, self.heads)
        return x


class SparseEncoder(nn.Module):
    """BertForMaskedLM whose pooled logits are term weights (SPLADE-doc, paper section 1.1)."""

    def __init__(self, config: dict):
        super().__init__()
        hidden = config["hidden_size"]
        self.config = config
        settings = config.get("winnow", {})
        self.activation = ACTIVATIONS[settings.get("activation", "log1p")]
        self.exponent = settings.get("exponent", 1.0)
        self.bert = Bert(config)
        transform = Namespace(dense=nn.Linear(hidden, hidden), LayerNorm=nn.LayerNorm(hidden, config["layer_norm_eps"]))
        self.cls = Namespace(predictions=Namespace(transform=transform))
        self.cls.predictions.bias = nn.Parameter(torch.zeros(config["vocab_size"]))

    def start_head(self, noise: float = 0.02) -> None:
        """A body without a masked-LM head gets the identity plus noise, since its states are already close to the embeddings."""
        transform = self.cls.predictions.transform
        with torch.no_grad():
            transform.dense.weight.copy_(torch.eye(transform.dense.weight.shape[0]))
            transform.dense.weight.add_(torch.randn_like(transform.dense.weight) * noise)
            transform.dense.bias.zero_()

    def head_states(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """[B, T] -> [B, T, H], what the decoder multiplies. Padding repeats [CLS], so it never changes the maximum over tokens."""
        return self.transformed(self.bert(ids, mask), mask)

    def transformed(self, body: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The body's last states [B, T, H] -> what the decoder multiplies, [B, T, H]."""
        transform = self.cls.predictions.transform
        states = transform.LayerNorm(F.gelu(transform.dense(body)))
        return torch.where(mask[:, :, None], states, states[:, :1])

    def decoder(self) -> torch.Tensor:
        """The tied word embeddings with zero rows up to a multiple of 64: [30528, H]. For other sizes the matrix
        kernel has a third of the speed."""
        embeddings = self.bert.embeddings.word_embeddings.weight
        return F.pad(embeddings, (0, 0, 0, -embeddings.shape[0] % 64))

    def pooled_logits(self, states: torch.Tensor, block: int = 64) -> torch.Tensor:
        """[B, T, H] -> [B, V]: max over tokens, special ids at -inf. No gradient: see `term_weights`."""
        bias = self.cls.predictions.bias
        with torch.no_grad():
            decoder = self.decoder().T
            pooled = torch.cat([(s @ decoder).amax(1) for s in states.split(block)])[:, : len(bias)] + bias
            pooled[:, list(SPECIAL_IDS)] = -torch.inf
        return pooled

    def logits_of(self, states: torch.Tensor, terms: torch.Tensor) -> torch.Tensor:
        """states [B, T, H], terms [B, K] -> pooled logits [B, K] with a gradient."""
        decoder, bias = self.bert.embeddings.word_embeddings, self.cls.predictions.bias
        scores = decoder(terms) @ states.transpose(1, 2)
        return scores.amax(2) + F.embedding(terms, bias[:, None]).squeeze(2)

    def top_logits(self, states: torch.Tensor, keep: int, also: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """[B, T, H] -> terms [B, K] and their pooled logits [B, K] float32 with a gradient: the K highest of each document.
        The terms `also` [B, M] (M <= K, special ids are ignored) come before all others."""
        pooled = self.pooled_logits(states)
        if also is not None:
            pooled = pooled.scatter(1, also, torch.inf)
            pooled[:, list(SPECIAL_IDS)] = -torch.inf
        # A document with fewer than K finite logits cannot occur (V - 5 > K); special ids are never among them.
        terms = pooled.topk(keep, dim=1).indices
        return terms, self.logits_of(states, terms).float()

    def term_weights(self, states: torch.Tensor, keep: int) -> torch.Tensor:
        """[B, T, H] -> [B, V] float32 weights, gradients only through the K highest logits of each document.

        Exact if a document has at most K terms on, since relu has no gradient for the others. Avoids the B x T x V buffer of
        the plain graph (8 GB for 512 x 256 tokens).
        """
        return self.spread(*self.top_logits(states, keep))

    def spread(self, terms: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        """terms [B, K] and logits [B, K] -> the weights of the whole vocabulary, [B, V] float32."""
        dense = torch.zeros(len(terms), self.config["vocab_size"], device=terms.device, dtype=torch.float32)
        return dense.scatter(1, terms, self.activation(logits))

    def scored(self, weights: torch.Tensor) -> torch.Tensor:
        """Activations -> the weights that a score adds up: activation^exponent. The power has no finite slope at 0, so none is used below .001."""
        return weights if self.exponent == 1 else torch.where(weights > 0, weights.clamp(min=1e-3).pow(self.exponent), 0.0)

    def encode(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """[B, T] -> [B, V] weights, no gradient: the output that evaluation and the engine use."""
        with torch.no_grad():
            return self.activation(self.pooled_logits(self.head_states(ids, mask)).float()).pow(self.exponent)


class TwoOutputEncoder(SparseEncoder):
    """The same body with a second output, a vector, to reorder the first hits.

    A document's vector comes from the pass that computes its weights. A query has two kinds: `query_vectors` runs it through the
    body (token type 1 marks a query); `token_vectors` adds up vectors of its tokens, so that no model runs at query time.
    """

    def __init__(self, config: dict):
        super().__init__(config)
        hidden = config["hidden_size"]
        self.dense = nn.Linear(hidden, hidden)
        # `token_table` numbers per vocabulary entry, or else a function of the word embeddings: 0.6 MB, and rare tokens profit from frequent ones.
        # 0: no token vectors.
        size = config.get("token_table")
        if size == 0:
            self.token = None
        elif size:
            self.token = Namespace(table=nn.Embedding(config["vocab_size"], size))
        else:
            self.token = Namespace(up=nn.Linear(hidden, 2 * hidden), down=nn.Linear(2 * hidden, hidden))
        with torch.no_grad():
            self.dense.weight.copy_(torch.eye(hidden))
            self.dense.bias.zero_()

    def pooled(self, body: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Last states [B, T, H] -> mean over tokens, linear map, float32 [B, H], not normalised."""
        kept = mask[:, :, None].to(body.dtype)
        return self.dense((body * kept).sum(1) / kept.sum(1)).float()

    def query_vectors(self, query_ids: torch.Tensor) -> torch.Tensor:
        """query_ids [Q, L] zero-padded -> [Q, H] float32, not normalised."""
        ids, mask = framed(query_ids)
        return self.pooled(self.bert(ids, mask, mask.long()), mask)

    def token_vectors(self, query_ids: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """query_ids, weights [Q, L] (0 at padding) -> [Q, H] float32: the weighted sum of the tokens' vectors, not normalised.
        With a `token_table` H is the number of its columns."""
        if hasattr(self.token, "table"):
            return (self.token.table(query_ids).float() * weights[:, :, None]).sum(1)
        # The embeddings serve the body and the decoder; this sum must not change them.
        embedded = F.embedding(query_ids, self.bert.embeddings.word_embeddings.weight.detach())
        vectors = self.token.down(F.gelu(self.token.up(embedded)))
        return (vectors.float() * weights[:, :, None]).sum(1)

    @torch.no_grad()
    def start_table(self, block: int = 4096) -> None:
        """Every entry of the token table becomes the unit vector of a query of that token alone."""
        table = self.token.table.weight
        for ids in torch.arange(len(table), device=table.device).split(block):
            vectors = self.query_vectors(ids[:, None].clamp(min=1))[:, : table.shape[1]]
            table[ids] = F.normalize(vectors, dim=1).to(table.dtype)


def framed(query_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """[Q, L] zero-padded -> ids and mask [Q, L + 2]: [CLS] query [SEP]."""
    lengths = (query_ids != PAD).sum(1)
    ids = F.pad(query_ids, (1, 1))
    ids[:, 0] = CLS
    column = torch.arange(ids.shape[1], device=ids.device)[None]
    return torch.where(column == lengths[:, None] + 1, SEP, ids), column <= lengths[:, None] + 1


class DenseTeacher(nn.Module):
    """A sentence encoder: [CLS] or mean pooling, L2 normalised."""

    def __init__(self, config: dict, pooling: str):
        super().__init__()
        self.bert = Bert(config)
        self.pooling = pooling

    @torch.no_grad()
    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """[B, T] -> [B, H], unit length."""
        states = self.bert(ids, mask).float()
        if self.pooling == "cls":
            return F.normalize(states[:, 0], dim=1)
        kept = mask[:, :, None].float()
        return F.normalize((states * kept).sum(1) / kept.sum(1), dim=1)


class CrossEncoder(nn.Module):
    """A BERT over [CLS] query [SEP] document [SEP]; the first token's state gives one score per pair, through `pooler` if the config has one."""

    def __init__(self, config: dict):
        super().__init__()
        self.bert = Bert(config)
        self.classifier = nn.Linear(config["hidden_size"], 1)

    def pooled(self, ids: torch.Tensor, mask: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
        """ids, mask, types [N, T] (tokens.pairs) -> [N, H] float32, what the classifier multiplies."""
        first = self.bert(ids, mask, types)[:, 0]
        if hasattr(self.bert, "pooler"):
            first = torch.tanh(self.bert.pooler.dense(first))
        return first.float()

    def classified(self, pooled: torch.Tensor) -> torch.Tensor:
        """[N, H] -> [N] float32 logits. The product is float32: bf16 scores have too many ties."""
        return F.linear(pooled, self.classifier.weight.float(), self.classifier.bias.float()).squeeze(1)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
        """ids, mask, types [N, T] (tokens.pairs) -> [N] float32 logits."""
        return self.classified(self.pooled(ids, mask, types))
