"""Search-Adaptor and Matryoshka-Adaptor on problems whose answer was planted."""

import numpy as np
import pytest
import torch

from helpers import unit
from planted import misleading, rotated
from vecpress import losses
from vecpress.arrays import normalize
from vecpress.compressors import adaptors
from vecpress.compressors.adaptors import MatryoshkaAdaptor, SearchAdaptor
from vecpress.compressors.linear import PowerPCA, Truncation
from vecpress.compressors.residual import Residual
from vecpress.compressors.task import Ranked, Step, Task
from vecpress.errors import ConfigError
from vecpress.stages import TrainingSet

QUICK = {"epochs": 8, "batch_size": 32, "hidden": 16}


def found(head, training):
    hits = head.compress(training.queries) @ head.compress(training.documents).T
    return float((hits.argmax(axis=1) == training.positives[:, 1]).mean())


def kept(rows):
    return [row for row in rows if row["event"] == "kept"]


@pytest.mark.parametrize(
    ("method", "options"),
    [
        (SearchAdaptor, {"alpha": 0.01}),
        (SearchAdaptor, {"alpha": 0.01, "shared": True}),
        (SearchAdaptor, {"alpha": 0.01, "init": "identity"}),
        (MatryoshkaAdaptor, {"slower": 1.0, "alpha": 0.1, "beta": 0.1}),
        (MatryoshkaAdaptor, {"slower": 1.0, "alpha": 0.1, "beta": 0.1, "init": "identity"}),
    ],
)
def test_they_learn_what_only_judgements_can_teach(method, options):
    training, rows = rotated(), []
    options = QUICK | {"epochs": 40, "hidden": 64, "learning_rate": 1e-2, "patience": 40} | options
    head = method(dim=6, **options).fit(training, log=rows.append)
    assert kept(rows)[-1]["what"] == "trained"
    assert kept(rows)[-1]["held_out"] > kept(rows)[0]["start"] + 0.1
    assert found(head, training) > found(PowerPCA(dim=6).fit(training), training) + 0.2


@pytest.mark.parametrize("method", [SearchAdaptor, MatryoshkaAdaptor])
@pytest.mark.parametrize("init", ["pca", "identity"])
def test_training_that_only_harms_leaves_the_start(method, init):
    training, rows = rotated(hidden=False), []
    head = method(dim=10, init=init, learning_rate=10.0, **QUICK).fit(training, log=rows.append)
    assert {row["what"] for row in kept(rows)} == {"start"}
    start = (PowerPCA if init == "pca" else Truncation)(dim=10).fit(training)
    np.testing.assert_allclose(head.compress(unit(9, 12)), start.compress(unit(9, 12)), atol=1e-5)


def test_what_helps_at_other_widths_only_is_not_kept():
    training, rows = misleading(), []
    options = {"hidden": 64, "learning_rate": 1e-2, "slower": 1.0, "epochs": 15}
    MatryoshkaAdaptor(dim=4, nested_dims=(4,), alpha=0.1, beta=0.1, **options).fit(
        training, log=rows.append
    )
    assert {row["what"] for row in kept(rows)} == {"start"}


def shaken(width, rows, seed):
    """A residual map away from its start."""
    module = Residual(torch.eye(6)[:width], torch.eye(6), 4, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return module, module(rows)


@pytest.fixture
def small():
    """Three documents to keep the shape of, two queries and three candidates, graded."""
    given = TrainingSet(
        documents=unit(8, 6), queries=unit(4, 6, 1), positives=np.array([(q, q) for q in range(4)])
    )
    task = Task(given, share=0.25, held_out_by="query", negatives=1, seed=0,
                device=torch.device("cpu"))  # fmt: skip
    grades = torch.tensor([[2.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    ranked = Ranked(queries=torch.tensor([3, 0]), candidates=torch.tensor([1, 6, 4]),
                    grades=grades, drawn=grades > 0)  # fmt: skip
    return task, Step(documents=torch.tensor([5, 2, 7]), ranked=ranked)


def test_search_adaptors_loss_is_rank_and_recovery_and_prediction(small):
    task, step = small
    queries, documents = task.queries[[3, 0]], task.documents[[1, 6, 4]]
    module, asked = shaken(3, queries, 0)
    found = module(documents)
    predictor = Residual.predictor(3, 4, seed=1)
    method = SearchAdaptor(dim=3, alpha=0.5, beta=0.25, temperature=0.2)
    rank = losses.ranking(losses.cosines(asked, found), step.ranked.grades, 0.2)
    moved = (asked - queries[:, :3]).abs().mean() + (found - documents[:, :3]).abs().mean()
    # Query 0 is answered by candidates 0 (grade 2) and 2, query 1 by candidate 1.
    apart = [2 * (found[0] - asked[0]).abs().mean(), (found[2] - asked[0]).abs().mean(),
             (found[1] - asked[1]).abs().mean()]  # fmt: skip
    expected = rank + 0.5 * moved + 0.25 * sum(apart) / 4
    cost = method._loss(module, predictor, task, step.ranked)
    torch.testing.assert_close(cost, expected)


@pytest.mark.parametrize("ranked", [False, True])
def test_matryoshka_adaptors_loss_is_of_every_prefix(small, ranked):
    task, step = small
    rows, near = task.documents[[5, 2, 7]], torch.tensor([[0, 1], [3, 4], [6, 0]])
    wanted = (rows[:, None] * task.documents[near]).sum(dim=2)
    nearest = torch.zeros(8, 2, dtype=torch.int64), torch.zeros(8, 2)
    nearest[0][[5, 2, 7]], nearest[1][[5, 2, 7]] = near, wanted
    module, mapped = shaken(6, rows, 0)
    others = module(task.documents[near.flatten()]).view(3, 2, 6)
    asked, found = module(task.queries[[3, 0]]), module(task.documents[[1, 6, 4]])
    expected = 0.25 * (mapped - rows).abs().mean()
    for stop in (2, 6):
        expected += losses.neighbours(mapped[:, :stop], others[..., :stop], wanted)
        expected += 0.5 * losses.pairs(mapped[:, :stop], rows)
        if ranked:
            scores = losses.cosines(asked[:, :stop], found[:, :stop])
            expected += 0.75 * losses.ranking(scores, step.ranked.grades, 0.2)
    method = MatryoshkaAdaptor(dim=2, alpha=0.5, beta=0.25, ranking=0.75, temperature=0.2)
    cost = method._loss(module, task, step, nearest, (2, 6), ranked=ranked)
    torch.testing.assert_close(cost, expected)


def test_matryoshka_adaptor_trains_doublings_and_slows_down(monkeypatch):
    rates, seen = [], []
    monkeypatch.setattr(
        adaptors, "descend", lambda *_, schedule, **__: rates.append(schedule.learning_rate)
    )
    monkeypatch.setattr(losses, "pairs", lambda cut, raw: seen.append(cut.shape[1]) or cut.sum())
    MatryoshkaAdaptor(dim=6, learning_rate=0.01, slower=0.2).fit(rotated())
    np.testing.assert_allclose(rates, [0.01, 0.002])
    lessons = []
    monkeypatch.setattr(adaptors, "descend", lambda module, lesson, **_: lessons.append(lesson))
    wide = TrainingSet(documents=unit(50, 100))
    MatryoshkaAdaptor(dim=70).fit(wide)
    lessons[0].loss(next(iter(lessons[0].batches(1))))
    assert seen == [32, 64, 70, 100]


def test_search_adaptor_has_a_map_for_each_width():
    rows = []
    maker = SearchAdaptor(dim=6, nested_dims=(3, 6), **QUICK)
    head = maker.fit(rotated(), log=rows.append)
    assert head.dims == (6, 3)
    assert [row["stage"] for row in kept(rows)] == ["12 -> 6", "12 -> 3"]
    assert [w.shape for w in head.weights] == [(16, 12), (6, 16)]  # the predictor is gone
    shared = SearchAdaptor(dim=6, nested_dims=(3, 6), shared=True, **QUICK).fit(rotated())
    assert shared.dims == (6,)


def test_search_adaptor_needs_judgements():
    with pytest.raises(
        ConfigError,
        match=r"^search-adaptor learns from judged pairs, got none: give --pairs, or take "
        r"matryoshka-adaptor or smec, which need none$",
    ):
        SearchAdaptor(dim=4).fit(TrainingSet(documents=unit(20, 12)))


def test_matryoshka_adaptor_has_a_second_stage_for_judgements():
    for training, names in [
        (rotated(), ["unsupervised", "supervised"]),
        (TrainingSet(documents=unit(50, 12)), ["unsupervised"]),
    ]:
        rows = []
        head = MatryoshkaAdaptor(dim=6, nested_dims=(3, 6), **QUICK).fit(training, log=rows.append)
        assert [row["stage"] for row in kept(rows)] == [f"12 -> 6, {name}" for name in names]
        assert head.dims == (6,)


def test_the_head_is_the_module():
    rng = np.random.default_rng(0)
    rotation = torch.from_numpy(np.linalg.qr(rng.normal(size=(5, 5)))[0].astype(np.float32))
    module = Residual(rotation[:3], rotation, 7, seed=0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.from_numpy(rng.normal(size=parameter.shape).astype(np.float32)))
    x = unit(6, 5)
    expected = module(torch.from_numpy(x)).detach().numpy()
    slowly = x @ rotation[:3].numpy().T + module.last_bias.detach().numpy()
    hidden = np.maximum(
        x @ rotation.numpy().T @ module.first.detach().numpy().T
        + module.first_bias.detach().numpy(),
        0,
    )
    np.testing.assert_allclose(
        expected, slowly + hidden @ module.last.detach().numpy().T, atol=1e-5
    )
    np.testing.assert_allclose(module.head().compress(x), normalize(expected), atol=1e-5)


def test_it_starts_at_its_base():
    module, x = Residual(torch.eye(5)[:3], torch.eye(5), 7, seed=0), torch.from_numpy(unit(6, 5))
    np.testing.assert_array_equal(module(x).detach(), x[:, :3])
    predictor = Residual.predictor(5, 7, seed=0)
    np.testing.assert_array_equal(predictor(x).detach(), x)


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        (SearchAdaptor, {"hidden": 0}, "hidden must be at least 1, got 0"),
        (SearchAdaptor, {"beta": -1.0}, "beta must be at least 0, got -1.0"),
        (MatryoshkaAdaptor, {"slower": 0.0}, "slower must be above 0, got 0.0"),
        (MatryoshkaAdaptor, {"neighbours": 0}, "neighbours must be at least 1, got 0"),
        (MatryoshkaAdaptor, {"dim": 0}, "dim must be at least 1, got 0"),
    ],
)
def test_options_out_of_range_are_refused(method, options, message):
    with pytest.raises(ConfigError, match=f"^{message}$"):
        method(**{"dim": 4} | options)
