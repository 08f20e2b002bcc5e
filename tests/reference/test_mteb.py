"""Our scores against MTEB's own, and pipelines as its models. The one file that imports mteb."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import datasets
import mteb
import numpy as np
import pytest
from mteb.mocks import mock_run as grid
from mteb.mocks.mock_run import ALL_MOCK_TASK_TEST_GRID
from mteb.types import PromptType

import toys
from helpers import unit
from vecpress import cli
from vecpress.compressors.linear import PCA
from vecpress.corpus import Benchmark, Corpus, write_benchmark
from vecpress.encoders.combine import Concat
from vecpress.errors import ArtifactError, ConfigError, DataError
from vecpress.evaluate import evaluate, raw_embeddings, score_rescored
from vecpress.official.doors import EncoderDoor, SearchDoor, rescored
from vecpress.official.run import open_door, run_tasks
from vecpress.official.tasks import FolderTask, find_tasks
from vecpress.pipeline import Pipeline
from vecpress.quantizers.scalar import LloydMax, Percentile
from vecpress.recipe import Recipe
from vecpress.stages import Image

TASK = ALL_MOCK_TASK_TEST_GRID[0].metadata  # of texts; which one makes no difference
CONTEXT = {"task_metadata": TASK, "hf_split": "test", "hf_subset": "default", "encode_kwargs": {}}


class Told:
    """Remembers what it was asked to encode."""

    def __init__(self):
        self.inner, self.seen = toys.A(), []
        self.dim, self.fingerprint = self.inner.dim, self.inner.fingerprint

    def encode(self, texts, *, role="document"):
        self.seen.append((role, list(texts)))
        return self.inner.encode(texts, role=role)


TWO_BITS = Percentile(bits=2)


def press(*, quantizer=TWO_BITS, dim=6, documents=None, told=None):
    recipe = Recipe(models=("toys:A",), head=PCA(dim=dim), quantizer=quantizer)
    made = Pipeline.fit(recipe, documents or toys.corpus())
    return made if told is None else replace(made, encoder=told)


def folder(path, data):
    path.mkdir()
    write_benchmark(path, data)
    return str(path)


def measures(result, task=0):
    row = result.task_results[task].scores["test"][0]
    return [row["ndcg_at_10"], row["recall_at_100"], row["mrr_at_10"]]


def means(scores):
    return [scores["ndcg@10"], scores["recall@100"], scores["mrr@10"]]


def run(model, task):
    return mteb.evaluate(model, task, cache=None, co2_tracker=False, show_progress_bar=False)


@pytest.mark.parametrize("quantizer", [Percentile(bits=2), LloydMax(bits=1, rotate=True)])
def test_the_search_door_scores_as_evaluate_does(quantizer, tmp_path):
    data = toys.benchmark(150, queries=40)
    pipeline = press(quantizer=quantizer, documents=data.corpus)
    ours = evaluate(pipeline, data)
    theirs = run_tasks(open_door(pipeline, "search"), [folder(tmp_path / "stories", data)])
    np.testing.assert_allclose(measures(theirs), means(ours.to_dict()), atol=1e-4)
    assert 0.1 < measures(theirs)[0] < 0.9, "a score that a mistake would move"


@pytest.mark.parametrize("dim", [None, 3])
def test_the_encoder_door_scores_as_float_evaluation_does(dim, tmp_path):
    data = toys.benchmark(150, queries=40)
    pipeline = press(documents=data.corpus)
    floats = pipeline.truncate(6 if dim is None else dim)
    theirs = run_tasks(open_door(pipeline, "encoder", dim=dim), [folder(tmp_path / "x", data)])
    np.testing.assert_allclose(measures(theirs), means(evaluate(floats, data).to_dict()), atol=1e-4)


def test_rescoring_is_ours():
    data = toys.benchmark(150, queries=40)
    pipeline = press(documents=data.corpus, quantizer=Percentile(bits=1))
    raw = raw_embeddings(pipeline, data)
    theirs = measures(run(SearchDoor(pipeline, rescore=20), FolderTask(data)))
    ours = score_rescored(pipeline, *raw, data, depth=20)
    assert theirs[0] == pytest.approx(ours.ndcg.mean(), abs=1e-4)
    assert theirs[0] > evaluate(pipeline, data).scores.ndcg.mean() + 0.05
    assert theirs[1] > ours.recall.mean(), "what is beyond the depth still answers"


def test_what_is_not_rescored_stays_below():
    codes = np.array([0.9, 0.8, 0.7, 0.6], np.float32)
    made = rescored(codes, np.array([0.1, 0.5], np.float32))
    np.testing.assert_allclose(made, [0.1, 0.5, 0.1 - 1e-6, -1e-6], atol=2e-7)
    assert made[2] < made[0]
    np.testing.assert_array_equal(rescored(codes, codes[::-1]), codes[::-1])
    np.testing.assert_allclose(rescored(codes, np.array([1], np.float32))[1:], codes[1:], atol=2e-6)


def arguana():
    """Query d0 is the document d0; query d1 only has its id, and d1 is what answers it."""
    documents = toys.corpus(40)
    first, second = documents.texts[0], " ".join(documents.texts[1].split()[:6])
    return Benchmark(
        name="arguana",
        corpus=documents,
        queries=Corpus(ids=("d0", "d1", "query d1"), texts=(first, second, documents.texts[2])),
        qrels={"d0": {"d7": 1}, "d1": {"d1": 1}, "query d1": {"d2": 1}},
    )


def test_a_query_that_is_a_document_does_not_answer_itself():
    data = arguana()
    assert data.own_documents() == {"d0"}
    pipeline = press(documents=data.corpus)
    ours = evaluate(pipeline, data)
    theirs = run(SearchDoor(pipeline), FolderTask(data))
    np.testing.assert_allclose(measures(theirs), means(ours.to_dict()), atol=1e-4)
    assert measures(theirs)[0] > 0.6, "d1 and d2 are found"
    kept = FolderTask(data)
    kept.ignore_identical_ids = False
    assert measures(run(SearchDoor(pipeline), kept))[2] < measures(theirs)[2]


def test_titles_stand_before_texts_as_everywhere_here(tmp_path):
    told = Told()
    rows = [
        {"_id": "a", "title": "On rivers", "text": "water runs "},
        {"_id": "b", "title": "", "text": " money lends"},
        {"_id": "c", "title": " ", "text": "boats sail"},
    ]
    expected = list(Corpus.from_records(rows).texts)
    assert expected == ["On rivers water runs", "money lends", "boats sail"]
    door = SearchDoor(press(told=told))
    door.index(datasets.Dataset.from_list([{**r, "id": r["_id"]} for r in rows]), **CONTEXT,
               num_proc=None)  # fmt: skip
    assert told.seen == [("document", expected)]
    home = tmp_path / "beir"
    (home / "qrels").mkdir(parents=True)
    (home / "corpus.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (home / "queries.jsonl").write_text('{"_id": "q", "text": "water"}')
    (home / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\ta\t1\n")
    told.seen.clear()
    run_tasks(open_door(press(told=told), "search"), [str(home)])
    assert told.seen == [("document", expected), ("query", ["water"])]


def test_mtebs_own_tasks_are_loaded_run_and_freed(monkeypatch):
    """As the hub gives ArguAna: titles apart, and a task that leaves out the query's own id."""
    data, given = arguana(), []

    def load_data(task, num_proc=None, **context):
        titled = [text.split(" ", 1) for text in data.corpus.texts]
        rows = zip(data.corpus.ids, titled, strict=True)
        asked = zip(data.queries.ids[::2], data.queries.texts[::2], strict=True)
        corpus = [{"id": id_, "title": title, "text": text} for id_, (title, text) in rows]
        task.dataset = {"default": {"test": {
            "corpus": datasets.Dataset.from_list(corpus),
            "queries": datasets.Dataset.from_list([{"id": i, "text": t} for i, t in asked]),
            "relevant_docs": {q: dict(data.qrels[q]) for q in data.queries.ids[::2]},
            "top_ranked": None,
        }}}  # fmt: skip
        task.data_loaded = True
        given.append(task)

    monkeypatch.setattr(mteb.abstasks.AbsTaskRetrieval, "load_data", load_data)
    pipeline = press(documents=data.corpus)
    theirs = run_tasks(open_door(pipeline, "search"), ["ArguAna"])
    ids, texts = data.queries.ids[::2], data.queries.texts[::2]
    two = replace(data, queries=Corpus(ids=ids, texts=texts), qrels={q: data.qrels[q] for q in ids})
    assert [task.data_loaded for task in given] == [False]
    np.testing.assert_allclose(
        measures(theirs), means(evaluate(pipeline, two).to_dict()), atol=1e-4
    )
    assert theirs.task_results[0].task_name == "ArguAna"


def indexed(told=None, **options):
    data = toys.benchmark(30)
    rows = [{"id": i, "text": t} for i, t in zip(data.corpus.ids, data.corpus.texts, strict=True)]
    door = SearchDoor(press(told=told), **options)
    door.index(datasets.Dataset.from_list(rows), **CONTEXT, num_proc=None)
    asked = [
        {"id": i, "text": t} for i, t in zip(data.queries.ids, data.queries.texts, strict=True)
    ]
    return door, datasets.Dataset.from_list(asked), data


def test_a_corpus_is_encoded_once_and_answers_are_cut():
    told = Told()
    door, queries, data = indexed(told)
    for k in (3, 1000):
        answers = door.search(queries, top_k=k, **CONTEXT, num_proc=None)
        assert {len(found) for found in answers.values()} == {min(k, 30)}
    assert [role for role, _ in told.seen] == ["document", "query", "query"]
    pipeline = press()
    index = pipeline.index(data.corpus)
    hits = pipeline.search(index, list(data.queries.texts), 30)
    for query, ids, scores in zip(data.queries.ids, hits.ids, hits.scores, strict=True):
        assert list(answers[query]) == list(ids)
        np.testing.assert_allclose(list(answers[query].values()), scores, atol=1e-6)


def test_reranking_orders_the_candidates_alone():
    door, queries, _ = indexed()
    whole = door.search(queries, top_k=30, **CONTEXT, num_proc=None)["q0"]
    ranked = {"q0": ["d9", "d3", "d9", "d0"], "q1": []}
    few = door.search(queries, top_k=2, top_ranked=ranked, **CONTEXT, num_proc=None)
    best = sorted(("d9", "d3", "d0"), key=lambda id_: -whole[id_])[:2]
    assert list(few["q0"]) == best
    assert few["q0"] == pytest.approx({id_: whole[id_] for id_ in best})
    assert few["q1"] == few["q2"] == {}
    with pytest.raises(DataError, match=r"'d77', which is not among the 30 of its corpus"):
        door.search(queries, top_k=2, top_ranked={"q0": ["d77"]}, **CONTEXT, num_proc=None)


@pytest.mark.parametrize("candidates", [None, [f"d{i}" for i in range(25)]])
def test_rescoring_looks_deeper_than_it_answers(candidates):
    """All 30 are rescored, so the 3 answers are those of the raw embeddings alone."""
    door, queries, data = indexed(rescore=30)
    ranked = candidates and dict.fromkeys(data.queries.ids, candidates)
    answers = door.search(queries, top_k=3, top_ranked=ranked, **CONTEXT, num_proc=None)
    raw = toys.A().encode(data.queries.texts) @ toys.A().encode(data.corpus.texts).T
    for row, id_ in zip(raw[:, : len(candidates or raw[0])], data.queries.ids, strict=True):
        best = np.argsort(-row)[:3]
        assert list(answers[id_]) == [f"d{i}" for i in best]
        np.testing.assert_allclose(list(answers[id_].values()), row[best], atol=1e-6)


def test_prompt_types_are_roles():
    told = Told()
    door = EncoderDoor(press(told=told))
    batches = [{"text": ["a b", "c"]}, {"text": ["d e"]}]
    for prompt in (PromptType.query, PromptType.document, None):
        rows = door.encode(batches, prompt_type=prompt, task_metadata=TASK)
    assert told.seen == [(role, ["a b", "c", "d e"]) for role in ("query", "document", "document")]
    assert (rows.dtype, rows.shape) == (np.float32, (3, 6))
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(door.similarity(rows, rows[:2]), rows @ rows[:2].T, atol=1e-6)
    np.testing.assert_allclose(door.similarity_pairwise(rows, rows), 1, atol=1e-5)
    assert door.encode([], task_metadata=TASK).shape == (0, 6)


def test_the_meta_says_what_is_known_and_nothing_else():
    pipeline = press()
    meta = SearchDoor(pipeline, rescore=9).mteb_model_meta
    assert (meta.name, meta.revision, meta.embed_dim) == (
        "vecpress/toys-A",
        pipeline.fingerprint,
        6,
    )
    assert (meta.framework, meta.similarity_fn_name.value) == (["NumPy"], "cosine")
    settings = {"dim": 6, "bits": 2, "code_bytes": 2, "quantizer": "percentile"}
    assert meta.experiment_kwargs == settings | {"rescore": 9}
    unknown = (meta.max_tokens, meta.license, meta.languages, meta.training_datasets)
    assert unknown == (None, None, None, None)
    floats = EncoderDoor(pipeline, dim=3, name="me/mine").mteb_model_meta
    assert (floats.name, floats.embed_dim, floats.experiment_kwargs) == ("me/mine", 3, {"dim": 3})
    assert floats.revision == pipeline.truncate(3).fingerprint != pipeline.fingerprint
    bits = SearchDoor(press(quantizer=LloydMax(bits=1))).mteb_model_meta.experiment_kwargs
    assert (bits["bits"], bits["quantizer"]) == (1, "lloyd-max")


def test_the_shortest_model_says_how_many_tokens_are_read():
    one, other = toys.A(), toys.B()
    one.max_length, other.max_length = 99, 30
    recipe = Recipe(models=("static:/models/one", "static:org/two words"))
    named = replace(press(), encoder=Concat(encoders=(one, other)), recipe=recipe)
    meta = EncoderDoor(named).mteb_model_meta
    assert (meta.name, meta.max_tokens) == ("vecpress/one+two-words", 30)
    del other.max_length
    assert EncoderDoor(named).mteb_model_meta.max_tokens is None


def test_results_are_mtebs_own_files_and_are_not_made_twice(tmp_path, monkeypatch):
    told = Told()
    pipeline, out = press(told=told), tmp_path / "results"
    given = folder(tmp_path / "beir", toys.benchmark(30))
    first = run_tasks(open_door(pipeline, "search"), [given], out=out)
    (file,) = out.rglob("local-beir.json")
    assert "bits_2__code_bytes_2__dim_6__quantizer_percentile" in str(file)
    read = mteb.results.TaskResult.from_disk(file)
    assert read.get_score() == measures(first)[0]
    assert read.dataset_revision == FolderTask(toys.benchmark(30)).metadata.revision
    meta = json.loads((file.parent / "model_meta.json").read_text())
    assert (meta["revision"], meta["embed_dim"]) == (pipeline.fingerprint, 6)
    told.seen.clear()
    with monkeypatch.context() as patch:
        patch.setattr(FolderTask, "load_data", None)  # not even data is fetched
        again = run_tasks(open_door(pipeline, "search"), [given], out=out)
    assert told.seen == []
    np.testing.assert_allclose(measures(again), measures(first), atol=1e-6)
    run_tasks(open_door(pipeline, "encoder"), [given], out=out)
    assert len(list(out.rglob("local-beir.json"))) == 2
    (tmp_path / "other").mkdir()
    moved = folder(tmp_path / "other" / "beir", toys.benchmark(31))
    with pytest.raises(
        ArtifactError, match=r"local-beir on other data, revision \w+ and not \w+: choose"
    ):
        run_tasks(open_door(pipeline, "search"), [moved], out=out)
    file.write_text("{")
    with pytest.raises(ArtifactError, match=r"local-beir.json is damaged: remove it"):
        run_tasks(open_door(pipeline, "search"), [given], out=out)
    with pytest.raises(ArtifactError, match=r"cannot write MTEB's results to .*local-beir.json"):
        run_tasks(open_door(pipeline, "search"), [given], out=file)


@pytest.mark.parametrize(
    ("words", "options", "message"),
    [
        (["scifact"], {}, r"'scifact' is neither a task of MTEB nor a folder: did you mean SciFact"),
        (["qqqqqqqq"], {}, r"nor a folder: A local BEIR folder is given by its path"),
        (["STS12"], {}, r"'STS12' is of type STS, which searching does not answer: add --door enc"),
        (["CIFAR10"], {"door": "encoder"}, r"'CIFAR10' holds image, but a press is measured on"),
        (["SciFact"], {"split": "dev"}, r"'SciFact' has splits of its own, got split 'dev'"),
        (["SciFact", "SciFact"], {}, r"two of the tasks are called 'SciFact': give it once"),
        ([], {}, r"at least one MTEB task, such as SciFact"),
        (["SciFact"], {"dim": 3}, r"takes the codes as they are, got dim 3: a codec does not fit"),
        (["SciFact"], {"door": "encoder", "dim": 9}, r"dim must be between 1 and 6, got 9"),
        (["SciFact"], {"door": "encoder", "rescore": 5}, r"floats, which need no rescoring, got res"),
        (["SciFact"], {"door": "back"}, r"a door is search or encoder, got 'back'"),
    ],
)  # fmt: skip
def test_what_cannot_be_run_is_refused_before_anything_runs(words, options, message, tmp_path):
    told = Told()

    def attempt(split="test", door="search", **others):
        opened = open_door(press(told=told), door, **others)
        run_tasks(opened, words, split=split, out=tmp_path / "out")

    with pytest.raises(ConfigError, match=message):
        attempt(**options)
    assert (told.seen, list(tmp_path.iterdir())) == ([], [])


def test_without_the_hub_it_says_what_to_do(tmp_path):
    """HF_HUB_OFFLINE is set for all tests."""
    told = Told()
    with pytest.raises(DataError) as caught:
        run_tasks(open_door(press(told=told), "search"), ["SciFact"], out=tmp_path / "out")
    assert str(caught.value) == (
        "the data of the MTEB task 'SciFact' cannot be had (Couldn't reach 'mteb/scifact' on the "
        "Hub (OfflineModeIsEnabled)): run this where the Hugging Face hub can be reached, or give "
        "a BEIR folder that you have with the same flag: --mteb path/to/scifact"
    )
    assert (told.seen, list(tmp_path.iterdir())) == ([], [])


def test_a_press_that_fits_no_door_says_why():
    vectors = Pipeline.fit(Recipe(quantizer=Percentile(bits=2)), unit(40, 8))
    for door in ("search", "encoder"):
        with pytest.raises(
            ConfigError, match=r"fitted on precomputed vectors, but MTEB hands over"
        ):
            open_door(vectors, door)
    with pytest.raises(ConfigError, match=r"no quantizer, so there are no codes to search: fit it"):
        open_door(press(quantizer=None), "search")
    with pytest.raises(ConfigError, match=r"rescore must be at least 1, got 0"):
        SearchDoor(press(), rescore=0)
    with pytest.raises(ConfigError, match="scans one code, and this press keeps a finer one to"):
        SearchDoor(replace(press(), fine=press().codec))
    with pytest.raises(ConfigError, match=r"names a model 'organization/model', got 'mine'"):
        EncoderDoor(press(), name="mine")
    with pytest.raises(ConfigError, match=r"call index before search"):
        SearchDoor(press()).search([], top_k=3, **CONTEXT, num_proc=None)


def test_a_folder_of_images_is_refused():
    data = toys.benchmark(5, queries=2)
    shown = replace(data.corpus, texts=(Image("cat.png"), *data.corpus.texts[1:]))
    with pytest.raises(
        DataError, match=r"stories holds images such as cat.png, but is to be an MT"
    ):
        FolderTask(replace(data, corpus=shown))


def test_the_revision_of_a_folder_is_all_of_its_content():
    data = toys.benchmark(5, queries=2)
    asked = replace(data.queries, texts=("other", *data.queries.texts[1:]))
    judged = data.qrels | {"q0": {"d0": 2}}
    changed = [
        replace(data, queries=asked),
        replace(data, qrels=judged),
        toys.benchmark(6, queries=2),
    ]
    revisions = {FolderTask(one).metadata.revision for one in [data, *changed]}
    assert len(revisions) == 4
    assert FolderTask(replace(data, name="moved")).metadata.revision in revisions


def test_a_name_of_mtebs_is_its_task_even_where_a_folder_has_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder(Path("SciFact"), toys.benchmark(5, queries=2))
    official, own = find_tasks(["SciFact", "./SciFact"])
    write_benchmark(Path("SciFact"), toys.benchmark(5, queries=1), split="dev")
    (other,) = find_tasks(["./SciFact"], split="dev")
    assert (other.metadata.name, other.metadata.eval_splits) == ("local-SciFact-dev", ["dev"])
    assert official.metadata.dataset["path"] == "mteb/scifact"
    assert (own.metadata.name, own.metadata.eval_splits) == ("local-SciFact", ["test"])
    assert len(own.metadata.revision) == 32


def shorter_grid():
    """One task of each kind: the multilingual ones ask nothing else of a model."""
    return [t for t in ALL_MOCK_TASK_TEST_GRID if "ultilingual" not in t.metadata.name]


@pytest.mark.filterwarnings("ignore")  # scikit-learn's and torch's, about the mock data
@pytest.mark.parametrize(("door", "tasks"), [("search", 5), ("encoder", 15)])
def test_mtebs_own_check_of_a_model_passes(door, tasks, monkeypatch):
    monkeypatch.setattr(grid, "ALL_MOCK_TASK_TEST_GRID", shorter_grid())
    result = mteb.mock_run(open_door(press(), door))
    ran = {name: type(status).__name__ for name, status in result.items() if status is not None}
    assert set(ran.values()) == {"TaskResult"}, ran
    assert len(ran) == tasks


def test_the_command_prints_mtebs_record(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    data = toys.benchmark(30)
    folder(Path("beir"), data)
    recipe = Recipe(models=("lexical:8",), head=PCA(dim=6), quantizer=TWO_BITS)
    pipeline = Pipeline.fit(recipe, data.corpus)
    pipeline.save("p")

    def typed(*words):
        argv = ["vecpress", "evaluate", "p", "--mteb", "beir", "--cache", "cache", *words]
        monkeypatch.setattr(sys, "argv", argv)
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert end.value.code == 0
        return capsys.readouterr()

    out, err = typed("--json", "--out", "results")
    printed = json.loads(out)
    assert (err, out.count("\n"), printed["model_name"]) == ("", 1, "vecpress/lexical-8")
    (row,) = printed["task_results"][0]["scores"]["test"]
    assert row["ndcg_at_10"] == pytest.approx(evaluate(pipeline, data).scores.ndcg.mean(), abs=1e-4)
    (file,) = Path("results").rglob("local-beir.json")
    assert json.loads(file.read_text())["task_name"] == "local-beir"
    shown = typed("--door", "encoder", "--dim", "3")[0]
    assert "vecpress/lexical-8 on MTEB" in shown
    assert "local-beir" in shown
    floats = evaluate(pipeline.truncate(3), data).scores.ndcg.mean()
    assert f"{floats:.4f}" in shown
