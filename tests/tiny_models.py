"""Models of a few kilobytes, made on the spot: the same layouts as the real ones."""

import json
import shutil

import numpy as np
import onnx
import safetensors.numpy
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_KNOWN = "the a cat dog bird fish sat ran on under mat tree and or very red blue query passage"
_PIECES = "##s ##ing ##er : . ? !"
WORDS = [*SPECIAL, *_KNOWN.split(), *_PIECES.split(), *"bcdefghijklmnopqrstuvwxyz"]
HIDDEN = 32
PIXELS = 16
TEXTS = [
    "the cat sat on the mat.",
    "a very blue fish",
    "dogs ran under the red tree and the bird sat on a tree and the cat ran and ran",
    "",
    "cat",
    "fish or bird? the dog!",
    "zzyzx xylophone",
]


def wordpiece(folder, *, pad_to=None):
    """Write tokenizer.json of a lower-casing WordPiece tokenizer with BERT's special tokens."""
    vocabulary = {word: i for i, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordPiece(vocab=vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=ends
    )
    tokenizer.add_special_tokens(SPECIAL)
    if pad_to is not None:  # as all-MiniLM-L6-v2 is published
        tokenizer.enable_padding(length=pad_to)
        tokenizer.enable_truncation(pad_to)
    tokenizer.save(str(folder / "tokenizer.json"))
    return tokenizer


def bert_folder(folder, *, pooling="mean", prompts=None, seed=0, normalize=False):
    """Save a random BERT of two layers as sentence-transformers does, and return the folder."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Normalize
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=HIDDEN,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.3,  # so that texts differ
    )
    raw = folder / "raw"
    raw.mkdir(parents=True)
    BertModel(config).save_pretrained(raw)
    wordpiece(raw)
    BertTokenizerFast(tokenizer_file=str(raw / "tokenizer.json")).save_pretrained(raw)
    modules = [Transformer(str(raw)), Pooling(HIDDEN, pooling), *([Normalize()] * normalize)]
    SentenceTransformer(modules=modules, prompts=prompts).save(str(folder / "model"))
    shutil.rmtree(raw)
    return folder / "model"


def roberta_folder(folder, *, seed=0):
    """Save a random RoBERTa, whose positions begin behind the number of its padding token."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import PreTrainedTokenizerFast, RobertaConfig, RobertaModel

    torch.manual_seed(seed)
    config = RobertaConfig(
        vocab_size=len(WORDS),
        hidden_size=HIDDEN,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=65,
        pad_token_id=WORDS.index("[PAD]"),
        type_vocab_size=1,
        initializer_range=0.3,
    )
    raw = folder / "raw"
    raw.mkdir(parents=True)
    RobertaModel(config).save_pretrained(raw)
    wordpiece(raw)
    names = {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(raw / "tokenizer.json"), **names)
    tokenizer.save_pretrained(raw)
    modules = [Transformer(str(raw), max_seq_length=64), Pooling(HIDDEN, "mean")]
    SentenceTransformer(modules=modules).save(str(folder / "model"))
    shutil.rmtree(raw)
    return folder / "model"


def clip_folder(folder, *, seed=0, legacy=False):
    """Save a random CLIP of 16 x 16 pixels as sentence-transformers does, or did before 5.4."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor, CLIPTokenizer

    torch.manual_seed(seed)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*letters, *(f"{c}</w>" for c in letters), "<|startoftext|>", "<|endoftext|>"]
    side = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": HIDDEN}
    side["initializer_factor"] = 20.0  # so that texts and images differ
    ends = {"bos_token_id": len(words) - 2, "eos_token_id": len(words) - 1}
    ends["pad_token_id"] = ends["eos_token_id"]
    config = CLIPConfig(
        text_config=side | ends | {"vocab_size": len(words), "intermediate_size": 64},
        vision_config=side | {"image_size": PIXELS, "patch_size": 4, "intermediate_size": 64},
        projection_dim=HIDDEN,
    )
    raw = folder / ("model/0_CLIPModel" if legacy else "raw")
    raw.mkdir(parents=True)
    CLIPModel(config).save_pretrained(raw)
    tokenizer = CLIPTokenizer(vocab={w: i for i, w in enumerate(words)}, merges=[])
    tokenizer.model_max_length = 77
    crop = {"height": PIXELS, "width": PIXELS}
    images = CLIPImageProcessor(size={"shortest_edge": PIXELS}, crop_size=crop)
    CLIPProcessor(image_processor=images, tokenizer=tokenizer).save_pretrained(raw)
    if legacy:
        module = {"idx": 0, "name": "0", "path": "0_CLIPModel"}
        module["type"] = "sentence_transformers.models.CLIPModel"
        (folder / "model" / "modules.json").write_text(json.dumps([module]))
        return folder / "model"
    SentenceTransformer(modules=[Transformer(str(raw))]).save(str(folder / "model"))
    shutil.rmtree(raw)
    return folder / "model"


class _Graph:
    """ONNX nodes written as calls: `graph("Add", a, b)` gives the name of the sum."""

    def __init__(self, weights):
        self.weights = weights
        self.nodes = []
        self.tensors = []

    def __call__(self, op, *inputs, **attributes):
        output = f"t{len(self.nodes)}"
        self.nodes.append(onnx.helper.make_node(op, list(inputs), [output], **attributes))
        return output

    def keep(self, values):
        name = f"c{len(self.tensors)}"
        self.tensors.append(onnx.numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def norm(self, name, x):
        parts = [self.keep(self.weights[f"{name}.LayerNorm.{part}"]) for part in ("weight", "bias")]
        return self("LayerNormalization", x, *parts, epsilon=1e-12)

    def linear(self, name, x):
        product = self("MatMul", x, self.keep(self.weights[f"{name}.weight"].T))
        return self("Add", product, self.keep(self.weights[f"{name}.bias"]))

    def heads(self, name, x):
        split = self("Reshape", self.linear(name, x), self.keep(np.array([0, 0, 2, HIDDEN // 2])))
        return self("Transpose", split, perm=[0, 2, 1, 3])


def bert_graph(weights, *, output="last_hidden_state", pooled=False):
    """Write BERT's equations (Devlin et al. 2019, arXiv:1810.04805) as an ONNX model."""
    g = _Graph(weights)
    table = {k: g.keep(weights[f"embeddings.{k}_embeddings.weight"])
             for k in ("word", "position", "token_type")}  # fmt: skip
    zero, one, two = (g.keep(np.array([i])) for i in range(3))
    length = g("Slice", g("Shape", "input_ids"), one, two)
    words = g("Gather", table["word"], "input_ids")
    types = g("Gather", table["token_type"], "token_type_ids")
    places = g("Slice", table["position"], zero, length)
    h = g.norm("embeddings", g("Add", g("Add", words, types), places))
    padding = g("Sub", g.keep(np.float32(1)), g("Cast", "attention_mask", to=1))
    away = g("Unsqueeze", g("Mul", padding, g.keep(np.float32(-1e9))), g.keep(np.array([1, 2])))
    for layer in ("encoder.layer.0", "encoder.layer.1"):
        q, k, v = (g.heads(f"{layer}.attention.self.{n}", h) for n in ("query", "key", "value"))
        scores = g("MatMul", q, g("Transpose", k, perm=[0, 1, 3, 2]))
        scaled = g("Mul", scores, g.keep(np.float32((HIDDEN // 2) ** -0.5)))
        mixed = g("MatMul", g("Softmax", g("Add", scaled, away), axis=-1), v)
        joined = g("Transpose", mixed, perm=[0, 2, 1, 3])
        joined = g("Reshape", joined, g.keep(np.array([0, 0, HIDDEN])))
        attended = g("Add", g.linear(f"{layer}.attention.output.dense", joined), h)
        h = g.norm(f"{layer}.attention.output", attended)
        inner = g("Gelu", g.linear(f"{layer}.intermediate.dense", h))
        h = g.norm(f"{layer}.output", g("Add", g.linear(f"{layer}.output.dense", inner), h))
    if pooled:
        h = g("Squeeze", g("Slice", h, zero, one, one), one)
    g.nodes.append(onnx.helper.make_node("Identity", [h], [output]))
    return _model(g, output, ["b", HIDDEN] if pooled else ["b", "s", HIDDEN])


def _model(g, output, shape):
    names = ("input_ids", "attention_mask", "token_type_ids")
    info = onnx.helper.make_tensor_value_info
    inputs = [info(name, onnx.TensorProto.INT64, ["b", "s"]) for name in names]
    outputs = [info(output, onnx.TensorProto.FLOAT, shape)]
    graph = onnx.helper.make_graph(g.nodes, "bert", inputs, outputs, g.tensors)
    opset = onnx.helper.make_opsetid("", 20)
    return onnx.helper.make_model(graph, opset_imports=[opset], ir_version=9)


def onnx_folder(folder, bert, *, pooling=None, **options):
    """Export the BERT of `bert_folder`: model.onnx, tokenizer.json and, if told, 1_Pooling."""
    folder.mkdir(parents=True)
    weights = safetensors.numpy.load_file(bert / "model.safetensors")
    onnx.save(bert_graph(weights, **options), folder / "model.onnx")
    wordpiece(folder, pad_to=8)  # which must not matter
    if pooling is not None:
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    return folder


def static_folder(folder, *, seed=0, mapping=False, weights=False, dtype=np.float32, dim=24):
    """Write a model2vec folder: a row per token, or per cluster of tokens, perhaps weighted."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    rows = 20 if mapping else len(WORDS)
    tensors = {"embeddings": rng.normal(size=(rows, dim)).astype(dtype)}
    if mapping:
        tensors["mapping"] = rng.integers(0, rows, size=len(WORDS))
    if weights:
        tensors["weights"] = rng.uniform(0.1, 2, size=len(WORDS))
    safetensors.numpy.save_file(tensors, folder / "model.safetensors")
    wordpiece(folder, pad_to=8)
    (folder / "config.json").write_text(json.dumps({"normalize": True}))
    return folder
