"""Weights from the network: a server on this machine that also breaks off, stalls and lies."""

import hashlib
import json
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from conftest import LIMIT, read_hdf5

ENTRY = {
    "name": "small.best",
    "architecture": "resnet10_small",
    "megabytes": 1.2,
    "resize": 40,
    "crop": 32,
    "interpolation": "bicubic",
    "mean": [0.5, 0.4, 0.3],
    "std": [0.2, 0.2, 0.3],
    "top1": 71.5,
    "top5": 90.0,
    "licence": "BSD-3-Clause",
    "default": True,
}


class Server(ThreadingHTTPServer):
    """Serves `body` under every path; the path says how: /cut/2/w breaks off twice."""

    daemon_threads = True

    def __init__(self, body):
        self.body, self.requests, self.served = body, [], 0
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self, path):
        return f"http://127.0.0.1:{self.server_port}/{path}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, body=b"", length=None, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        server, body = self.server, self.server.body
        kind, _, rest = self.path.lstrip("/").partition("/")
        wanted = self.headers.get("Range")
        server.requests.append((self.path, wanted))
        begin = int(wanted.split("=")[1].split("-")[0]) if wanted else 0
        ranged = {"Content_Range": f"bytes {begin}-{len(body) - 1}/{len(body)}"}
        if kind == "missing":
            return self.answer(404, b"no such file")
        if kind == "broken":
            return self.answer(503)
        if kind == "away":
            return self.answer(302, Location=server.url(rest))
        if kind == "round":
            return self.answer(302, Location=server.url("round/" + rest))
        if kind == "elsewhere":
            return self.answer(302, Location="file:///etc/passwd")
        if kind == "norange":
            return self.answer(200, body)
        if kind == "liar":  # says that it goes on, and begins again
            return self.answer(206, body, Content_Range=f"bytes 0-{len(body) - 1}/{len(body)}")
        if kind == "html":
            return self.answer(200, b"<html>please log in</html>")
        if begin >= len(body):
            return self.answer(416, Content_Range=f"bytes */{len(body)}")
        part = body[begin:]
        status, headers = (206, ranged) if wanted else (200, {})
        if kind == "stall":
            self.answer(status, part[: len(part) // 2], len(part), **headers)
            time.sleep(30)
            self.close_connection = True
        elif kind == "cut" and server.served < int(rest.split("/")[0]):
            server.served += 1
            self.answer(status, part[: len(part) // 2], len(part), **headers)
            self.close_connection = True
        else:
            self.answer(status, part, **headers)


@pytest.fixture
def server(start_weights):
    server = Server(start_weights[0].read_bytes())
    yield server
    server.shutdown()


@pytest.fixture
def pull(graft, server, tmp_path):
    def run(path, code=0, sha256=None, stall=5, wait=True):
        hashed = sha256 or hashlib.sha256(server.body).hexdigest()
        entry = ENTRY | {"url": server.url(path), "sha256": hashed}
        (tmp_path / "catalogue.json").write_text(json.dumps([entry]))
        args = ["pull", "small.best", "--catalogue", "catalogue.json", "--cache", "cache"]
        args += ["--out", "small.h5", "--stall", stall]
        return graft(*args, code=code) if wait else graft.start(*args)

    run.part = lambda: list((tmp_path / "cache").glob("*.part"))
    run.out = tmp_path / "small.h5"
    return run


def test_it_becomes_a_model_file(graft, pull, server, start_weights):
    assert "71.5 % on ImageNet" in pull("plain/w").out
    values = read_hdf5(pull.out)
    assert values["tensors/fc.weight"].tolist() == start_weights[1]["fc.weight"].tolist()
    about = graft("inspect", "small.h5", "--json").json
    assert about["architecture"] == "resnet10_small"
    origin = about["origin"]
    assert origin["source"] == server.url("plain/w") and origin["licence"] == "BSD-3-Clause"
    assert origin["sha256"] == hashlib.sha256(server.body).hexdigest()
    assert graft("verify", "small.h5", "--json").json["golden_difference"] < 1e-5
    assert not pull.part()


def test_its_preprocessing_is_the_catalogues(graft, pull):
    pull("plain/w")
    h5py = pytest.importorskip("h5py")
    with h5py.File(pull.out) as file:
        about = dict(file["preprocess"].attrs)
    assert (about["resize"], about["crop"]) == (40, 32)
    assert about["interpolation"] in ("bicubic", b"bicubic")
    assert about["mean"].tolist() == pytest.approx([0.5, 0.4, 0.3])


def test_a_second_pull_asks_nobody(pull, server):
    pull("plain/w")
    pull.out.unlink()
    pull("plain/w")
    assert len(server.requests) == 1 and pull.out.exists()


def test_a_short_prefix_of_the_hash_serves(pull, server):
    pull("plain/w", sha256=hashlib.sha256(server.body).hexdigest()[:8])


@pytest.mark.parametrize("hashed", ["", "12345", "XYZ45678", "0" * 65])
def test_no_hash_no_download(pull, server, hashed):
    pull("plain/w", sha256=hashed or "-", code=65)
    assert not server.requests


def test_a_broken_connection_goes_on_where_it_broke(pull, server):
    pull("cut/2/w")
    ranges = [wanted for _, wanted in server.requests]
    assert ranges[0] is None and len(ranges) == 3
    assert ranges[1] == f"bytes={len(server.body) // 2}-"


def test_a_later_run_goes_on(pull, server):
    message = pull("cut/99/w", code=75).message
    assert "are kept" in message and "try again" in message
    assert not pull.out.exists() and len(pull.part()) == 1
    have = pull.part()[0].stat().st_size
    assert 0 < have < len(server.body)
    server.requests.clear()
    pull("plain/w")
    assert server.requests[0][1] == f"bytes={have}-"


def test_a_stall_ends(pull):
    begin = time.time()
    message = pull("stall/w", code=75, stall=1).message
    assert "try again" in message and time.time() - begin < 60


@pytest.mark.parametrize("kind", ["norange", "liar"])
def test_a_server_that_cannot_go_on(pull, server, kind):
    pull("cut/99/w", code=75)
    server.served = 0
    pull(f"{kind}/w")


def test_a_whole_part_needs_only_its_hash(pull, server):
    pull("missing/w", code=69)
    digits = hashlib.sha256(server.body).hexdigest()
    (pull.out.parent / "cache" / f"{digits}.pth.part").write_bytes(server.body)
    server.requests.clear()
    pull("missing/w")
    assert not server.requests


def test_a_part_of_another_file_is_thrown_away(pull, server):
    pull("missing/w", code=69)
    digits = hashlib.sha256(server.body).hexdigest()
    for junk in (b"x" * 1000, b"x" * (len(server.body) + 10)):
        (pull.out.parent / "cache" / f"{digits}.pth").unlink(missing_ok=True)
        (pull.out.parent / "cache" / f"{digits}.pth.part").write_bytes(junk)
        pull("plain/w")


def test_other_bytes_than_promised(pull):
    message = pull("plain/w", sha256="a" * 64, code=65).message
    assert "SHA-256" in message and "nothing was kept" in message
    assert not pull.out.exists() and not pull.part()
    message = pull("html/w", code=65).message
    assert "SHA-256" in message and not pull.part()


def test_redirects(pull, server):
    pull("away/away/plain/w")
    assert len(server.requests) == 3


def test_redirects_without_end(pull, server):
    assert "redirect" in pull("round/w", code=69).message.lower()
    assert len(server.requests) < 10


def test_a_redirect_to_a_local_file(pull):
    pull("elsewhere/w", code=69)
    assert not pull.out.exists()


def test_not_there(pull):
    assert "404" in pull("missing/w", code=69).message
    assert not pull.part()


def test_a_server_in_trouble(pull, server):
    assert "503" in pull("broken/w", code=75).message
    assert len(server.requests) == 4


def test_nobody_answers(graft, server, tmp_path):
    server.shutdown()
    server.server_close()
    entry = ENTRY | {"url": server.url("plain/w"), "sha256": "a" * 64}
    (tmp_path / "c.json").write_text(json.dumps([entry]))
    graft("pull", "resnet10_small", "--catalogue", "c.json", "--cache", "cache", code=75)


def test_two_at_once(pull, graft, server):
    first = pull("stall/w", stall=20, wait=False)
    end = time.time() + LIMIT
    while not pull.part() or not pull.part()[0].stat().st_size:
        assert time.time() < end
        time.sleep(0.01)
    assert "another program" in pull("plain/w", code=75).message
    first.kill()
    first.communicate()
    pull("plain/w")


def test_names(graft):
    assert "resnet50" in graft("pull", "resnet5", code=64).message
    assert "vgg16" in graft("pull", "vgg16.imagenet1k_v7", code=64).message
    table = graft("models", "--pretrained", "--json").json
    assert len(table) > 50
    best = [row["architecture"] for row in table if row["preferred"]]
    assert len(set(best)) == len(best) and "resnet50" in best


@pytest.mark.parametrize(
    "text", ["", "{}", "[1]", "[{}]", '[{"name": 3}]', json.dumps([ENTRY | {"crop": -1}])]
)
def test_a_catalogue_that_is_none(graft, tmp_path, text):
    (tmp_path / "c.json").write_text(text)
    graft("pull", "small.best", "--catalogue", "c.json", "--cache", "cache", code=65)
    assert not (tmp_path / "cache").exists()


def test_no_cache_folder(graft, server):
    env = {k: v for k, v in os.environ.items() if k not in ("HOME", "XDG_CACHE_HOME", "GRAFT_CACHE")}
    assert "--cache" in graft("pull", "resnet18", env=env, code=64).message
