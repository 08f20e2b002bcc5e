"""A hub on this machine: what huggingface_hub asks for when it uploads a folder or downloads one."""

import base64
import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

TOKEN = "hf_of_the_test"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """What it holds, and what it was asked.

    Attributes:
        repos: Id -> whether it is private.
        files: (id, branch) -> path -> bytes.
        asked: Method and path of every request, in order.
        messages: Of the commits.
        status: What every request is answered with instead, if it is set.
    """

    def __init__(self):
        self.repos = {}
        self.files = {}
        self.asked = []
        self.messages = []
        self.large = {}
        self.status = None
        self.url = ""

    def write(self, folder, repo_id, branch="main"):
        """Put what arrived into a folder, as a download would."""
        for path, content in self.files[repo_id, branch].items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
        return folder


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Say nothing on stderr."""

    def _body(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _answer(self, value, status=200):
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def do_GET(self):
        self._serve()

    def do_HEAD(self):
        self._serve()

    def do_POST(self):
        self._serve()

    def do_PUT(self):
        self._serve()

    def _serve(self):
        hub, path, body = self.server.hub, unquote(self.path.partition("?")[0]), self._body()
        hub.asked.append(f"{self.command} {path}")
        if path.startswith("/large/"):  # a signed address: no token is sent there
            name = path.removeprefix("/large/")
            assert hashlib.sha256(body).hexdigest() == name
            hub.large[name] = body
            return self._answer({})
        if hub.status is not None:
            return self._answer({"error": "so it was asked for"}, hub.status)
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._answer({"error": "Invalid username or password."}, 401)
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        if path == "/api/validate-yaml":
            assert json.loads(body)["repoType"] == "model"
            return self._answer({"errors": [], "warnings": [{"message": "empty or missing yaml"}]})
        if path.endswith(".git/info/lfs/objects/batch"):
            return self._batch(json.loads(body))
        if "/resolve/" in path:
            return self._file(*path.strip("/").partition("/resolve/")[::2])
        return self._in_repo(path.strip("/").split("/"), body)

    def _file(self, repo, place):
        files, path = self.server.hub.files[repo, "main"], place.partition("/")[2]
        if path not in files:
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        self.send_response(200)
        self.send_header("ETag", f'"{hashlib.sha256(files[path]).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(files[path])))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(files[path])

    def _in_repo(self, parts, body):
        hub, repo = self.server.hub, "/".join(parts[2:4])
        if repo not in hub.repos:
            return self._answer({"error": "Repository not found"}, 404)
        if len(parts) == 4 or parts[4] == "revision":
            files = [{"rfilename": path} for path in hub.files[repo, "main"]]
            about = {"id": repo, "private": hub.repos[repo], "sha": COMMIT}
            return self._answer(about | {"siblings": files})
        if parts[4] == "tree":
            files = hub.files[repo, "main"].items()
            return self._answer(
                [{"type": "file", "path": p, "size": len(data), "oid": COMMIT} for p, data in files]
            )
        if parts[4] == "branch":
            hub.files[repo, parts[5]] = dict(hub.files.get((repo, "main"), {}))
            return self._answer({})
        if (repo, parts[5]) not in hub.files:
            return self._answer({"error": f"Invalid rev id: {parts[5]}"}, 404)
        if parts[4] == "preupload":
            return self._preupload(json.loads(body))
        return self._commit(repo, parts[5], body)

    def _create(self, asked):
        repo = f"{asked['organization']}/{asked['name']}"
        url = f"{self.server.hub.url}/{repo}"
        if repo in self.server.hub.repos:
            return self._answer({"error": "You already created this model repo", "url": url}, 409)
        self.server.hub.repos[repo] = asked.get("visibility") == "private"
        self.server.hub.files[repo, "main"] = {}
        return self._answer({"url": url})

    def _preupload(self, asked):
        large = (".safetensors", ".onnx")
        modes = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["path"].endswith(large) else "regular",
                "shouldIgnore": False,
            }
            for file in asked["files"]
        ]
        return self._answer({"files": modes})

    def _batch(self, asked):
        objects = [
            wanted
            | {"actions": {"upload": {"href": f"{self.server.hub.url}/large/{wanted['oid']}"}}}
            for wanted in asked["objects"]
        ]
        return self._answer({"transfer": "basic", "objects": objects})

    def _commit(self, repo, branch, body):
        files = self.server.hub.files[repo, branch]
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "header":
                self.server.hub.messages.append(value["summary"])
            elif line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.server.hub.large[value["oid"]]
        url = f"{self.server.hub.url}/{repo}/commit/{COMMIT}"
        return self._answer({"success": True, "commitOid": COMMIT, "commitUrl": url})


@contextmanager
def serve():
    """Give a hub that answers until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.hub = Hub()
    server.hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
