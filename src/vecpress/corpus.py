"""Texts, images and judgements from files: BEIR folders, tables, lines, folders of images."""

import hashlib
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vecpress.errors import DataError
from vecpress.images import check_image, find_images, image_digest
from vecpress.qrels import Qrels, read_qrels
from vecpress.records import Record, lines_or_json, read_records, text_lines
from vecpress.stages import Image, Item

_READABLE = "a BEIR folder, a folder of images, or a .jsonl, .jsonl.gz, .csv, .parquet or .txt file"


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Texts or images and their ids, in one order: documents or queries.

    Attributes:
        ids: Unique names.
        texts: What is encoded, perhaps images; a document's title comes before its text.
        name: Where they came from, for messages.
    """

    ids: tuple[str, ...]
    texts: tuple[Item, ...]
    name: str = field(default="the corpus", compare=False)

    def __post_init__(self) -> None:
        if len(self.ids) != len(self.texts):
            counts = f"{len(self.ids)} ids and {len(self.texts)} texts"
            raise DataError(f"{self.name} needs one id per text, got {counts}")
        if not self.ids:
            raise DataError(f"{self.name} is empty: it must hold at least one text")
        if len(set(self.ids)) != len(self.ids):
            twice = next(i for i, count in Counter(self.ids).items() if count > 1)
            raise DataError(f"{self.name} uses the id {twice!r} twice: ids must be unique")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def digest(self) -> str:
        """Changes whenever an id, a text or the bytes of an image change.

        Raises:
            DataError: an image cannot be read.
        """
        digest = hashlib.sha256()
        self.add_to(digest)
        return digest.hexdigest()[:32]

    def add_to(self, digest: "hashlib._Hash") -> None:
        """Go on with the digest of a corpus that these documents are a part of.

        Raises:
            DataError: an image cannot be read.
        """
        for id_, item in zip(self.ids, self.texts, strict=True):
            part = {"image": image_digest(item)} if isinstance(item, Image) else item
            digest.update(json.dumps((id_, part)).encode())

    @classmethod
    def from_records(
        cls,
        records: Iterable[Mapping[str, Any]],
        *,
        name: str = "the corpus",
        folder: str | Path = "",
        start: int = 0,
    ) -> "Corpus":
        """Take `_id` (or `id`), `title` and `text` from mappings, such as the rows of a HF dataset.

        Instead of a text a record may have an `image`: the path of a file. Records without an id
        are numbered from 0.

        Args:
            records: What to take them from.
            name: Where they came from, for messages.
            folder: What the paths of images start from.
            start: How many records came before these.

        Raises:
            DataError: a record has neither text nor image, or both, or one that cannot be read, or
                there are no records.
        """
        ids, items = [], []
        for number, record in enumerate(records, start):
            given = (record.get(key) for key in ("_id", "id"))
            ids.append(str(next((id_ for id_ in given if id_ is not None), number)))
            items.append(_item(record, f"record {number + 1} of {name}", Path(folder)))
        return cls(ids=tuple(ids), texts=tuple(items), name=name)


def _item(record: Record, where: str, folder: Path) -> Item:
    """Give the image, or else the text, of a record."""
    image = record.get("image")
    if image is None or (isinstance(image, str) and not image):
        return _text(record, where)
    if not isinstance(image, str):
        raise DataError(
            f"{where} needs the path of a file in the field 'image', got {str(image)[:60]!r}"
        )
    for field_ in ("text", "title"):
        if words := str(record.get(field_) or "").strip():
            raise DataError(
                f"{where} has the image {image!r} and the {field_} {words[:40]!r}: a model "
                "encodes one or the other, so leave one out"
            )
    found = Image(str(folder / image))
    check_image(found, where=f" of {where}")
    return found


def _text(record: Record, where: str) -> str:
    """Give the text of a record, after its title."""
    text = record.get("text")
    if not isinstance(text, str):
        raise DataError(
            f"{where} needs a string in the field 'text', or the path of an image in 'image', got "
            f"{text!r} among the fields {sorted(map(str, record))}"
        )
    joined = f"{record.get('title') or ''} {text}".strip()
    if not _is_unicode(joined):
        raise DataError(
            f"{where} holds half of a surrogate pair, which no model reads: remove it, got "
            f"{joined[:60]!r}"
        )
    return joined


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """A corpus, queries, and judgements of which documents answer them."""

    name: str
    corpus: Corpus
    queries: Corpus
    qrels: Qrels

    def own_documents(self) -> frozenset[str]:
        """Find the queries that are documents of the corpus (ArguAna): same id and same text.

        Such a query's own document is no answer to it and must not be ranked. The document's
        title, which its text here begins with, may be missing from the query. An image is the
        same if its file has the same bytes.
        """
        documents = dict(zip(self.corpus.ids, self.corpus.texts, strict=True))
        pairs = zip(self.queries.ids, self.queries.texts, strict=True)
        return frozenset(i for i, item in pairs if i in documents and _repeats(item, documents[i]))


def _repeats(query: Item, document: Item) -> bool:
    """Whether a query is this document."""
    if isinstance(query, str) and isinstance(document, str):
        return query != "" and f" {document}".endswith(f" {query}")
    if isinstance(query, Image) and isinstance(document, Image):
        return image_digest(query) == image_digest(document)
    return False


def read_corpus(path: str | Path) -> Corpus:
    """Read documents from a file, a BEIR folder's corpus, a folder of images, or stdin (`-`).

    In a file or on stdin a record may name an image, from the file's folder or the current one.
    Of a folder of images the ids are the paths in it, with slashes, in alphabetical order; names
    that begin with a dot do not count.

    Raises:
        DataError: it is absent, empty, of another kind, or not what its name says.
        MissingExtraError: there are images, and Pillow is not installed.
    """
    if str(path) == "-":
        try:
            return Corpus.from_records(lines_or_json(sys.stdin), name="stdin")
        except UnicodeDecodeError as error:
            raise DataError(f"stdin is not UTF-8 text ({error}): is it binary?") from error
    path = Path(path)
    if path.is_dir() and _find(path, "corpus") is None:
        return _read_images(path)
    file = corpus_file(path)
    return Corpus.from_records(text_records(file), name=str(file), folder=file.parent)


def corpus_file(path: Path) -> Path:
    """Find the file of texts that a path names: itself, or the corpus of a BEIR folder.

    Raises:
        DataError: it is absent, empty, or of another kind.
    """
    file = (_find(path, "corpus") or path) if path.is_dir() else path
    if not file.exists():
        raise DataError(f"{file} does not exist: give {_READABLE}")
    if _kind(file) not in ("jsonl", "csv", "parquet", "txt"):
        raise DataError(f"cannot read texts from {file}: give {_READABLE}")
    if file.stat().st_size == 0:
        raise DataError(f"{file} is empty: it must hold at least one text")
    return file


def text_records(file: Path) -> Iterator[Record]:
    """Give what stands in a file of texts, one record after the other."""
    return text_lines(file) if _kind(file) == "txt" else read_records(file)


def _read_images(folder: Path) -> Corpus:
    names = find_images(folder)
    if not names:
        raise DataError(
            f"{folder} has no corpus.jsonl and no images: a BEIR folder holds corpus, queries and "
            "qrels/"
        )
    images = []
    for name in names:
        if not _is_unicode(name):
            raise DataError(
                f"the image {name!r} in {folder} has a name that is not UTF-8: rename it"
            )
        images.append(Image(str(folder / name)))
        check_image(images[-1])
    return Corpus(ids=tuple(names), texts=tuple(images), name=str(folder))


def read_benchmark(folder: str | Path, *, split: str = "test") -> Benchmark:
    """Read a BEIR folder: corpus.jsonl, queries.jsonl, qrels/SPLIT.tsv.

    Only queries judged in the split are kept.

    Raises:
        DataError: a part is missing or damaged, or a judged query is not among the queries.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder} is not a BEIR folder (corpus.jsonl, queries.jsonl, qrels/)")
    qrels = read_qrels(folder, split=split)
    queries = read_corpus(_inside(folder, "queries"))
    unknown = qrels.keys() - set(queries.ids)
    if unknown:
        raise DataError(
            f"{folder}/qrels judges {len(unknown)} queries that are not among its queries, "
            f"such as {min(unknown)!r}"
        )
    kept = [(i, t) for i, t in zip(queries.ids, queries.texts, strict=True) if i in qrels]
    ids, texts = zip(*kept, strict=True)
    return Benchmark(
        name=folder.resolve().name,
        corpus=read_corpus(folder),
        queries=Corpus(ids=ids, texts=texts, name=queries.name),
        qrels=qrels,
    )


def write_benchmark(folder: Path, benchmark: Benchmark, *, split: str = "test") -> None:
    """Write a BEIR folder into an existing folder; images are named where they are, not copied."""
    for name, part in [("corpus", benchmark.corpus), ("queries", benchmark.queries)]:
        with (folder / f"{name}.jsonl").open("w", encoding="utf-8") as file:
            for id_, item in zip(part.ids, part.texts, strict=True):
                is_image = isinstance(item, Image)
                held = {"image": str(Path(item.path).absolute())} if is_image else {"text": item}
                file.write(json.dumps({"_id": id_, **held}, ensure_ascii=False) + "\n")
    (folder / "qrels").mkdir(exist_ok=True)
    rows = [(q, d, s) for q, judged in benchmark.qrels.items() for d, s in judged.items()]
    with (folder / "qrels" / f"{split}.tsv").open("w", encoding="utf-8") as file:
        file.write("query-id\tcorpus-id\tscore\n")
        file.writelines(f"{q}\t{d}\t{s}\n" for q, d, s in rows)


def _inside(folder: Path, name: str) -> Path:
    found = _find(folder, name)
    if found is None:
        raise DataError(
            f"{folder} has no {name}.jsonl: a BEIR folder holds corpus, queries and qrels/"
        )
    return found


def _find(folder: Path, name: str) -> Path | None:
    files = (folder / f"{name}{kind}" for kind in (".jsonl", ".jsonl.gz", ".parquet"))
    return next((file for file in files if file.exists()), None)


def _kind(file: Path) -> str:
    return file.name.removesuffix(".gz").rpartition(".")[2]


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
