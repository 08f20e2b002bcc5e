"""A corpus coded part by part, into shards or an index: nothing of it stays in memory.

Each run goes on where the last one was, so encoders need not remember what they encode.
"""

from pathlib import Path

from vecpress.arrays import Array
from vecpress.corpus import Corpus
from vecpress.errors import ConfigError
from vecpress.index_writer import IndexWriter
from vecpress.limits import block_rows
from vecpress.pipeline import Pipeline
from vecpress.shard_writer import open_writer
from vecpress.shards import Format, Header, Manifest
from vecpress.stages import Codec, Progress, silent
from vecpress.streams import Block, Stream


def write_shards(
    pipeline: Pipeline,
    stream: Stream,
    folder: Path,
    *,
    floats: bool = False,
    format: Format = "npy",
    overwrite: bool = False,
    progress: Progress = silent,
) -> Manifest:
    """Write the codes of a stream, or its compressed embeddings, as shards; or go on writing them.

    However often it was interrupted, the folder ends as the same bytes.

    Args:
        pipeline: What makes the codes.
        stream: The documents.
        folder: New, empty, or what an interrupted run left.
        floats: Whether embeddings are written instead of codes.
        format: Of the shards: npy, with ids beside them, or parquet.
        overwrite: Whether shards of something else are replaced.
        progress: Told about the documents.

    Raises:
        ConfigError: the pipeline has no codec, or does not take what the stream gives.
        DataError: a document cannot be used.
        ArtifactError: the folder holds something else, is damaged, or cannot be written.
        MismatchError: it holds shards of something else, and `overwrite` is false.
    """
    source = stream.source
    header = Header(
        kind="embeddings" if floats else "codes",
        format=format,
        width=pipeline.dim if floats else _codec(pipeline).code_bytes,
        documents=source.documents,
        source=source.digest,
        press=pipeline.fingerprint,
    )
    with open_writer(folder, header, overwrite=overwrite) as writer:
        for block in stream.blocks(block_rows(pipeline.in_dim), writer.rows):
            embeddings = embed(pipeline, block)
            writer.append(embeddings if floats else pipeline.quantize(embeddings), block.ids)
            progress("encoding", block.rows.stop, source.documents)
        return writer.finish()


def write_index(
    pipeline: Pipeline,
    stream: Stream,
    folder: Path,
    *,
    overwrite: bool = False,
    progress: Progress = silent,
) -> int:
    """Index a stream, or go on with it; give the number of documents.

    Args:
        pipeline: What makes the codes; it is saved within the index.
        stream: The documents.
        folder: Where the index will be, once it is whole.
        overwrite: Whether what is there is replaced.
        progress: Told about the documents.

    Raises:
        ConfigError: the pipeline has no codec, or does not take what the stream gives.
        DataError: a document cannot be used.
        ArtifactError: the folder holds something else, or cannot be written.
    """
    source, codec = stream.source, _codec(pipeline)
    with IndexWriter.open(
        folder,
        codec,
        fine=pipeline.fine,
        fingerprint=pipeline.fingerprint,
        source=source.digest,
        overwrite=overwrite,
    ) as writer:
        for block in stream.blocks(block_rows(pipeline.in_dim), writer.rows):
            held = block.documents
            snippets = [str(item) for item in held.texts] if isinstance(held, Corpus) else None
            ids = [str(row) for row in range(block.rows.start, block.rows.stop)]
            embeddings = embed(pipeline, block)
            fine = None if pipeline.fine is None else pipeline.fine.quantize(embeddings)
            names = ids if block.ids is None else block.ids
            writer.append(codec.quantize(embeddings), names, snippets=snippets, fine=fine)
            progress("indexing", block.rows.stop, source.documents)
        pipeline.save(writer.draft / "press", overwrite=True)
        writer.finish()
    return source.documents


def _codec(pipeline: Pipeline) -> Codec:
    if pipeline.codec is None:
        raise ConfigError("this press has no quantizer, so it makes no codes: fit it with one")
    return pipeline.codec


def embed(pipeline: Pipeline, block: Block) -> Array:
    """Encode the texts of a block, or take its vectors, and compress them.

    Raises:
        DataError: a vector is not finite.
    """
    if isinstance(block.documents, Corpus):
        return pipeline.encode(block.documents.texts)
    return pipeline.compress(block.documents, taken=block.rows)
