"""The verb serve: a press, and perhaps an index, behind HTTP."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from vecpress import options, registry
from vecpress.index import Index
from vecpress.limits import parse_memory
from vecpress.pipeline import Pipeline
from vecpress.serve.settings import Settings

_PACKAGES = ("starlette", "uvicorn", "pydantic", "prometheus_client")

_Index = Annotated[Path | None, typer.Option(help="What `index` made with this press.")]
_Key = Annotated[
    list[str] | None,
    typer.Option(
        envvar="VECPRESS_API_KEY",
        help="Answer only who sends it as a bearer token; may be given several times. Others on "
        "this machine can read a command line, but not a variable: there, spaces between keys.",
    ),
]
_Origin = Annotated[
    list[str] | None,
    typer.Option(
        "--cors-origin", help="A web page that may ask, such as https://example.com, or *."
    ),
]
_Name = Annotated[
    str, typer.Option(help="What `model` is to be.", show_default="name of PRESS's folder")
]


def serve(
    press: options.Press,
    index: _Index = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 for any that is free.")] = 8000,
    api_key: _Key = None,
    name: _Name = "",
    cors_origin: _Origin = None,
    max_batch: Annotated[int, typer.Option(help="Texts the models are given at a time.")] = 64,
    max_inputs: Annotated[int, typer.Option(help="Texts in a request.")] = 2048,
    max_queue: Annotated[int, typer.Option(help="Texts that may wait.")] = 8192,
    max_body: Annotated[str, typer.Option(help="Length of a request.")] = "16MB",
    timeout: Annotated[float, typer.Option(help="Seconds a request may take.")] = 60.0,
    grace: Annotated[float, typer.Option(help="Seconds to finish when told to stop.")] = 30.0,
    log_format: Annotated[Literal["json", "text"], typer.Option(help="Of stderr.")] = "json",
) -> None:
    """Answer over HTTP: embeddings in the shape of OpenAI's API, and search."""
    settings = Settings(
        name=name or press.resolve().name,
        api_keys=tuple(api_key or ()),
        origins=tuple(cors_origin or ()),
        max_batch=max_batch,
        max_inputs=max_inputs,
        max_queue=max_queue,
        max_body=parse_memory(max_body, name="--max-body"),
        timeout=timeout,
        grace=grace,
    )
    for package in _PACKAGES:
        registry.require(package, extra="serve")
    from vecpress.serve.answers import Answers
    from vecpress.serve.logs import write_logs
    from vecpress.serve.run import run

    answers = Answers(
        pipeline=Pipeline.load(press),
        index=None if index is None else Index.load(index),
        settings=settings,
        created=int((press / "config.json").stat().st_mtime),
    )
    write_logs(log_format)
    run(answers, host=host, port=port)
