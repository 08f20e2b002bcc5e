"""The verb `push`: a press, or an export of one, to the Hugging Face hub."""

from pathlib import Path
from typing import Annotated

import typer

from vecpress import options, screen
from vecpress.exports.push import check_repo_id, open_parcel
from vecpress.exports.push import push as send


def push(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="A press, or what `export` made of one.")
    ],
    repo_id: Annotated[
        str, typer.Argument(metavar="REPO_ID", help="Owner and name, such as me/small-search.")
    ],
    private: Annotated[bool, typer.Option("--private", help="Let nobody else see it.")] = False,
    revision: Annotated[
        str, typer.Option(metavar="BRANCH", help="Made if it is not there.", show_default="main")
    ] = "",
    message: Annotated[str, typer.Option(help="Of the commit.")] = "",
    token: Annotated[
        str, typer.Option(help="Of the hub.", show_default="HF_TOKEN, or that of `hf auth login`")
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List what would be sent, and send nothing.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Put a press, or an export of one, on the Hugging Face hub; HF_ENDPOINT names another hub."""
    check_repo_id(repo_id)
    parcel = open_parcel(folder)
    about = {"repo_id": repo_id, "kind": parcel.kind, "bytes": parcel.size}
    if dry_run:
        if json:
            screen.dump({**about, "files": dict(parcel.files), "url": None})
            return
        for path, size in parcel.files:
            screen.say(f"{size:>14,}  {path}")
        screen.say(f"{parcel.size:>14,}  in all, which --dry-run does not send to {repo_id}")
        return
    with screen.progress() as progress:
        progress("sending", 0, 1)
        url = send(
            parcel,
            repo_id,
            private=private,
            revision=revision or None,
            message=message,
            token=token or None,
        )
        progress("sending", 1, 1)
    if json:
        screen.dump({**about, "files": dict(parcel.files), "url": url})
    else:
        screen.say(f"{len(parcel.files)} files, {parcel.size / 1e6:.1f} MB: {url}")
