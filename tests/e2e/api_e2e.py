#!/usr/bin/env python3
"""Replays the recorded answers of a real Prometheus against this build, as the program `prometheus`.

usage: api_e2e.py --vigie PATH [--only NAME] [--match REGEXP] [--headers] [--details]

Starts one server per recording (fixed, live, plain, agent, prefix) on free loopback ports with
its data in a temporary directory, asks what the recording asked and compares. Recordings lie in
$VIGIE_CORPUS (default: ../shared/corpus beside the repository); without them nothing is tested.
Last line: "N passed, N failed". Standard library only. SPDX-License-Identifier: Apache-2.0
"""
import argparse
import http.client
import http.server
import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CORPUS = os.environ.get("VIGIE_CORPUS", os.path.join(ROOT, "..", "shared", "corpus"))
GOLDEN = os.path.join(CORPUS, "api-golden", "prometheus")
REPLAY = os.path.join(CORPUS, "..", "tools", "replay_golden.py")
RECORDINGS = ("fixed", "live", "plain", "agent", "prefix")
SETTLE_S = {"live": 15}  # scraping must have come to rest

# Differences that are known, by (recording, id as a regular expression): counted as skipped.
CREATION = "upstream cuts names in order of creation, then sorts: which it gives is an accident"
GO_PROTO = "the wording of Go's protobuf; ours says what is malformed and where"
KNOWN = [
    ("fixed", r"search/(names-limit|batch)", CREATION),
    ("fixed", r"(write|read)/(v2-)?bad-proto", GO_PROTO),
    ("fixed", r"mgmt/version", "the version is ours; the record marks parts of a text as volatile"),
    ("fixed", r"series/single-in-range", "series of the partition without rows in the range, too"),
]


def known(name, ident):
    for recording, pattern, reason in KNOWN:
        if recording == name and re.fullmatch(pattern, ident):
            return reason
    return None


def load_replay():
    spec = importlib.util.spec_from_file_location("replay_golden", REPLAY)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Pages(http.server.BaseHTTPRequestHandler):
    """Pages that the live recording scrapes, and the Alertmanager that takes everything."""

    protocol_version = "HTTP/1.1"

    def answer(self, status, content_type, body):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        page = self.server.pages.get(self.path.partition("?")[0])
        if page is None:
            self.answer(404, "text/plain; charset=utf-8", b"404 page not found\n")
            return
        self.answer(page["status"], page["content_type"], page["bytes"])

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.answer(200, "text/plain; charset=utf-8", b"")

    def log_message(self, *_):
        pass


def serve_pages(setup):
    index = os.path.join(setup, "pages", "index.json")
    with open(index, encoding="utf-8") as f:
        pages = json.load(f)
    for page in pages.values():
        if "file" in page:
            with open(os.path.join(setup, page["file"]), "rb") as f:
                page["bytes"] = f.read()
        else:
            page["bytes"] = page["body"].encode()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    server.daemon_threads = True
    server.pages = pages
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


class Scene:
    """One recording's servers and files; everything ends with it."""

    def __init__(self, vigie, name):
        self.name = name
        self.dir = tempfile.mkdtemp(prefix="vigie-api-")
        self.process = None
        self.pages = []
        self.port = free_port()
        self.setup = os.path.join(GOLDEN, "setup")
        self.vigie = os.path.abspath(vigie)
        self.var = {}

    def __enter__(self):
        for entry in os.listdir(self.setup):
            if entry != "pages" and not entry.endswith((".flags", ".jsonl")):
                shutil.copy(os.path.join(self.setup, entry), self.dir)
                os.chmod(os.path.join(self.dir, entry), 0o644)
        if self.name == "live":
            self.pages = [serve_pages(self.setup), serve_pages(self.setup)]
            for key, server in zip(("T1", "AM"), self.pages):
                self.var[key] = "127.0.0.1:%d" % server.server_address[1]
            self.var["DEAD"] = "127.0.0.1:%d" % free_port()
            for key in ("T1", "AM", "DEAD"):
                self.var[key + "PORT"] = self.var[key].rpartition(":")[2]
            self.fill("live.yml")
        self.start()
        return self

    def fill(self, file):
        path = os.path.join(self.dir, file)
        with open(path, encoding="utf-8") as f:
            text = f.read()
        for key, value in self.var.items():
            text = text.replace("{%s}" % key, value)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)

    def flags(self):
        with open(os.path.join(self.setup, self.name + ".flags"), encoding="utf-8") as f:
            lines = [line.strip() for line in f if line.startswith("--")]
        return [x.replace("{PORT}", str(self.port)).replace("{DIR}", self.dir) for x in lines]

    def start(self):
        program = os.path.join(self.dir, "prometheus")
        os.symlink(self.vigie, program)
        argv = [program, *self.flags(), "--web.listen-address=127.0.0.1:%d" % self.port]
        if self.name != "agent":
            argv.append("--storage.tsdb.path=" + os.path.join(self.dir, "data"))
        self.log = open(os.path.join(self.dir, "log"), "wb")
        self.process = subprocess.Popen(argv, cwd=self.dir, stdout=self.log, stderr=self.log)
        for _ in range(300):
            if self.process.poll() is not None:
                break
            if self.is_ready():
                return
            time.sleep(0.1)
        raise RuntimeError("the server did not become ready:\n" + self.tail())

    def is_ready(self):
        for path in ("/-/ready", "/prom/-/ready"):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            try:
                connection.request("GET", path)
                if connection.getresponse().status == 200:
                    return True
            except OSError:
                return False
            finally:
                connection.close()
        return False

    def tail(self):
        with open(os.path.join(self.dir, "log"), encoding="utf-8", errors="replace") as f:
            return "".join(f.readlines()[-15:])

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()
        for server in self.pages:
            server.shutdown()
            server.server_close()
        shutil.rmtree(self.dir, ignore_errors=True)


class Score:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0


def replay(replay_golden, scene, options, score):
    base = "http://127.0.0.1:%d" % scene.port
    var = {**scene.var, "HOST": base[7:], "BASE": base}
    if scene.name == "fixed":
        replay_golden.load(os.path.join(scene.setup, "samples.jsonl"), base)
    time.sleep(SETTLE_S.get(scene.name, 0))
    with open(os.path.join(GOLDEN, scene.name + ".jsonl"), encoding="utf-8") as f:
        records = [json.loads(line) for line in f]
    for record in records:
        if options.match and not re.search(options.match, record["id"]):
            continue
        time.sleep(record.get("sleep", 0))
        try:
            answer = replay_golden.ask(base, record, var)
            problems = replay_golden.compare(record, answer, headers=options.headers)
            replay_golden.capture(record, answer, var)
        except Exception as e:  # a broken answer is a failed record, not the end of the run
            problems = ["%s: %s" % (type(e).__name__, e)]
        judge(scene.name, record, problems, options, score)


def judge(name, record, problems, options, score):
    reason = known(name, record["id"])
    if not problems:
        score.passed += 1
        return
    if reason:
        score.skipped += 1
        return
    score.failed += 1
    query = "?" + record["query"][:300] if record.get("query") else ""
    print("FAIL %s %s: %s %s%s" % (name, record["id"], record["method"], record["path"], query))
    for line in problems[: 12 if options.details else 3]:
        print("     " + line[: 2000 if options.details else 400])


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--vigie", required=True)
    parser.add_argument("--only", choices=RECORDINGS)
    parser.add_argument("--match", help="only records whose id matches")
    parser.add_argument("--headers", action="store_true", help="compare more response headers")
    parser.add_argument("--details", action="store_true")
    options = parser.parse_args()
    if not os.path.isdir(GOLDEN) or not os.path.isfile(REPLAY):
        print("skipped: the recordings or their replay tool are not here (VIGIE_CORPUS)")
        print("0 passed, 0 failed")
        return 0
    replay_golden = load_replay()
    total = Score()
    for name in RECORDINGS if not options.only else (options.only,):
        score = Score()
        try:
            with Scene(options.vigie, name) as scene:
                replay(replay_golden, scene, options, score)
                if scene.process.poll() is not None:
                    raise RuntimeError("the server ended by itself:\n" + scene.tail())
        except RuntimeError as e:
            print("FAIL %s: %s" % (name, e))
            score.failed += 1
        print("%s: %d passed, %d failed, %d skipped as known differences"
              % (name, score.passed, score.failed, score.skipped))
        total.passed += score.passed
        total.failed += score.failed
    print("%d passed, %d failed" % (total.passed, total.failed))
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
