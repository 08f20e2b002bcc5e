"""The graph of BERT against torch's own model, state by state."""

import numpy as np
import onnxruntime
import pytest
import torch
from transformers import BertConfig, BertModel, RobertaConfig, RobertaModel

from vecpress.encoders.bert_graph import bert_graph

SMALL = {
    "vocab_size": 90,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 40,
    "initializer_range": 0.3,
}


def model(kind, config):
    torch.manual_seed(3)
    made = kind(config, add_pooling_layer=False).eval()
    with torch.no_grad():
        for parameter in made.parameters():  # biases and norms are all 0 or 1 when made
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return made


def states(made, ids, **options):
    weights = {name: tensor.numpy() for name, tensor in made.state_dict().items()}
    graph = bert_graph(made.config.to_dict(), weights, **options)
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    return session.run(["states"], {"ids": ids})[0]


def by_torch(made, ids):
    with torch.inference_mode():
        return made(torch.from_numpy(ids).long()).last_hidden_state.numpy()


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (3, 7), (2, 40)])
def test_it_is_bert(rng, shape):
    made = model(BertModel, BertConfig(**SMALL, type_vocab_size=2))
    ids = rng.integers(0, 90, shape).astype(np.int32)
    np.testing.assert_allclose(states(made, ids, int8=False), by_torch(made, ids), atol=2e-5)


@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (2, 38)])
def test_roberta_counts_positions_from_behind_its_padding(rng, shape):
    made = model(RobertaModel, RobertaConfig(**SMALL, type_vocab_size=1, pad_token_id=1))
    ids = rng.integers(2, 90, shape).astype(np.int32)
    ours = states(made, ids, int8=False, first_position=2)
    np.testing.assert_allclose(ours, by_torch(made, ids), atol=2e-5)
    assert np.abs(states(made, ids, int8=False) - ours).max() > 0.1


def test_epsilon_is_the_models(rng):
    made = model(BertModel, BertConfig(**SMALL, layer_norm_eps=0.1))
    ids = rng.integers(0, 90, (2, 5)).astype(np.int32)
    np.testing.assert_allclose(states(made, ids, int8=False), by_torch(made, ids), atol=2e-5)


def test_in_8_bits_the_states_point_nearly_the_same_way(rng):
    made = model(BertModel, BertConfig(**SMALL))
    ids = rng.integers(0, 90, (1, 30)).astype(np.int32)
    rounded, full = states(made, ids, int8=True)[0], by_torch(made, ids)[0]
    cosines = (
        (rounded * full).sum(1) / np.linalg.norm(rounded, axis=1) / np.linalg.norm(full, axis=1)
    )
    assert 0.99 < cosines.min() < 0.99999  # rounded, and in the right places


def test_8_bits_take_a_quarter_of_the_room():
    made = model(BertModel, BertConfig(**SMALL | {"vocab_size": 3000}))
    weights = {name: tensor.numpy() for name, tensor in made.state_dict().items()}
    sizes = [bert_graph(made.config.to_dict(), weights, int8=i).ByteSize() for i in (False, True)]
    assert sizes[1] < 0.35 * sizes[0]
