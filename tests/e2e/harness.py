"""harness.py - what the end-to-end and fault tests share; standard library only.

Processes are started on free loopback ports in a temporary directory and stopped by their pid;
readiness is polled, never slept for. Suite counts checks and prints the last line that ./test reads.
"""
# SPDX-License-Identifier: Apache-2.0
import argparse
import atexit
import gzip
import http.client
import http.server
import json
import math
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

STALE_BITS = 0x7FF0000000000002
STALE = struct.unpack("<d", struct.pack("<Q", STALE_BITS))[0]


# ---- counting ----

class Suite:
    """Counts checks; every failure prints what was expected and what came."""

    def __init__(self, name):
        self.name = name
        self.passed = self.failed = self.known = 0
        self.dir = tempfile.mkdtemp(prefix="vigie-%s-" % name)
        self.procs = []
        self.began = time.monotonic()
        atexit.register(self.reap)  # also when the script dies of an exception

    def reap(self):
        for p in self.procs:
            p.kill()

    def check(self, what, ok, detail=""):
        if ok:
            self.passed += 1
            print("ok %s" % what)
        else:
            self.failed += 1
            text = detail() if callable(detail) else detail
            print("FAILED: %s%s" % (what, ": %s" % str(text)[:1500] if text != "" else ""))
        sys.stdout.flush()
        return ok

    def equal(self, what, got, want):
        return self.check(what, got == want, "got %r, want %r" % (got, want))

    def known_failure(self, what, reason, ok, detail=""):
        """A check that is known to fail: counted when it passes, named when it does not."""
        if ok:
            return self.check(what, True)
        self.known += 1
        print("known failure: %s: %s (%s)" % (what, reason, str(detail)[:400]))
        return False

    def skip(self, what):
        print("skipped: %s" % what)

    def eventually(self, what, fn, seconds=15, want=True):
        """Polls fn until it answers true; fn may raise. The last answer is shown on failure."""
        end = time.monotonic() + seconds
        last = None
        while True:
            try:
                last = fn()
                if (last if want is True else last == want):
                    return self.check(what, True)
            except Exception as x:  # the thing polled may not be there yet
                last = "%s: %s" % (type(x).__name__, x)
            if time.monotonic() > end:
                return self.check(what, False, "after %d s: %r%s" % (
                    seconds, last, "" if want is True else ", want %r" % (want,)))
            time.sleep(0.1)

    def path(self, *names):
        p = os.path.join(self.dir, *names)
        os.makedirs(os.path.dirname(p), exist_ok=True)
        return p

    def write(self, name, text):
        p = self.path(name)
        with open(p + ".new", "w" if isinstance(text, str) else "wb") as f:
            f.write(text)
        os.rename(p + ".new", p)
        return p

    def alive(self, proc, what="process is alive"):
        return self.check("%s: %s" % (proc.name, what), proc.is_running(), proc.tail)

    def finish(self):
        self.reap()
        keep = os.environ.get("VIGIE_E2E_KEEP")
        if keep or self.failed:
            print("files are kept in %s" % self.dir)
        else:
            shutil.rmtree(self.dir, ignore_errors=True)
        if self.known:
            print("%d known failures" % self.known)
        print("took %.0f s" % (time.monotonic() - self.began))
        print("%d passed, %d failed" % (self.passed, self.failed))
        sys.exit(1 if self.failed else 0)


def arguments(about, *more):
    """Parses --vigie PATH and what `more` adds: (name, keywords of add_argument)."""
    p = argparse.ArgumentParser(description=about)
    p.add_argument("--vigie", required=True, help="the binary under test")
    for name, keywords in more:
        p.add_argument(name, **keywords)
    a = p.parse_args()
    a.vigie = os.path.abspath(a.vigie)
    return a


# ---- processes ----

def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Proc:
    """One process with its log file; ended by pid."""

    def __init__(self, suite, name, args, env=None, cwd=None):
        self.name = name
        self.log = suite.path("%s-%d.log" % (name, len(suite.procs)))
        out = open(self.log, "wb")
        self.p = subprocess.Popen(args, stdout=out, stderr=subprocess.STDOUT, cwd=cwd or suite.dir,
                                  stdin=subprocess.DEVNULL, env=dict(os.environ, **(env or {})))
        out.close()
        suite.procs.append(self)

    def is_running(self):
        return self.p.poll() is None

    def signal(self, sig):
        if self.is_running():
            self.p.send_signal(sig)

    def kill(self):
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGKILL)
        self.p.wait(10)

    def stop(self, seconds=20):
        """SIGTERM and the exit code; None when it had to be killed."""
        self.signal(signal.SIGTERM)
        try:
            return self.p.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return None

    def text(self):
        with open(self.log, errors="replace") as f:
            return f.read()

    def tail(self):
        return "exit %s; log ends: %s" % (self.p.poll(), self.text()[-1500:])


class Server(Proc):
    """vigie or prometheus: an address, readiness, and calls."""

    def __init__(self, suite, name, args, port, **more):
        self.port = port
        self.url = "http://127.0.0.1:%d" % port
        self.born = time.monotonic()
        super().__init__(suite, name, args, **more)

    def wait_ready(self, seconds=20):
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.is_running():
            try:
                if self.get("/-/ready", timeout=2)[0] == 200:
                    return True
            except OSError:
                pass
            except http.client.HTTPException:
                pass
            time.sleep(0.03)
        return False

    def call(self, method, path, body=None, headers=None, timeout=30):
        return http_call(self.port, method, path, body, headers, timeout)

    def get(self, path, params=None, **more):
        if params:
            path += "?" + urllib.parse.urlencode(params)
        return self.call("GET", path, **more)

    def api(self, path, params=None, timeout=30):
        """The parsed body of an API answer, of errors too."""
        status, _, body = self.call("POST" if params and len(str(params)) > 1500 else "GET",
                                    "/api/v1" + path, timeout=timeout, **form(path, params))
        return json.loads(body)

    def api_get(self, path, params=None, timeout=30):
        return json.loads(self.get("/api/v1" + path, params, timeout=timeout)[2])

    def query(self, expr, at=None, **more):
        params = dict({"query": expr}, **more)
        if at is not None:
            params["time"] = "%.3f" % at
        return self.api_get("/query", params)

    def value(self, expr, at=None):
        """The value of the only series of a result; None when it is empty."""
        r = self.query(expr, at)["data"]
        if r["resultType"] == "scalar":
            return float(r["result"][1])
        return float(r["result"][0]["value"][1]) if len(r["result"]) == 1 else None

    def series(self, expr, at=None):
        """{labels: value} of an instant vector, labels as a frozenset of pairs."""
        r = self.query(expr, at)["data"]["result"]
        return {frozenset(s["metric"].items()): s.get("value", [0, None])[1] for s in r}

    def targets(self):
        """{job: [active targets]}"""
        out = {}
        for t in self.api_get("/targets")["data"]["activeTargets"]:
            out.setdefault(t["scrapePool"], []).append(t)
        return out

    def remote_write(self, series, timeout=30, headers=None):
        """series: [({label: value}, [(t_ms, value)…])…]; the HTTP status and text."""
        h = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy",
             "X-Prometheus-Remote-Write-Version": "0.1.0", "User-Agent": "vigie-e2e"}
        h.update(headers or {})
        status, _, body = self.call("POST", "/api/v1/write", snappy(write_request(series)), h,
                                    timeout)
        return status, body.decode(errors="replace")


def form(path, params):
    if not params:
        return {}
    return {"body": urllib.parse.urlencode(params).encode(),
            "headers": {"Content-Type": "application/x-www-form-urlencoded"}}


def http_call(port, method, path, body=None, headers=None, timeout=30):
    """Status, headers (lower case), body of one exchange on a connection of its own."""
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        c.request(method, path, body, headers or {})
        r = c.getresponse()
        data = r.read()
        got = {k.lower(): v for k, v in r.getheaders()}
        if got.get("content-encoding") == "gzip":
            data = gzip.decompress(data)
        return r.status, got, data
    finally:
        c.close()


def start_vigie(suite, binary, config=None, args=(), data="data", env=None, ready=True, port=None,
                cwd=None, seconds=20):
    """vigie on a free port; config: the text of prometheus.yml, or None for a bare start."""
    port = port or free_port()
    words = [binary, "--web.listen-address=127.0.0.1:%d" % port,
             "--storage.tsdb.path=%s" % (data if os.path.isabs(data) else suite.path(data))]
    if config is not None:
        words.append("--config.file=%s" % suite.write("vigie-%d.yml" % port, config))
    s = Server(suite, "vigie", words + list(args), port, env=env, cwd=cwd)
    s.config = suite.path("vigie-%d.yml" % port)
    if ready and not s.wait_ready(seconds):
        suite.check("vigie becomes ready", False, s.tail)
    return s


def start_prometheus(suite, config="", args=(), data="prometheus-data"):
    """Debian's prometheus, or None where it is not installed."""
    if not shutil.which("prometheus"):
        return None
    port = free_port()
    words = ["prometheus", "--web.listen-address=127.0.0.1:%d" % port,
             "--storage.tsdb.path=%s" % suite.path(data), "--web.enable-lifecycle",
             "--config.file=%s" % suite.write("prometheus-%d.yml" % port, config)]
    s = Server(suite, "prometheus", words + list(args), port)
    if not s.wait_ready(30):
        suite.check("prometheus becomes ready", False, s.tail)
    return s


# ---- remote write ----

def varint(n):
    out = bytearray()
    n &= (1 << 64) - 1
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def field(number, payload):
    """A length-delimited protobuf field."""
    if isinstance(payload, str):
        payload = payload.encode()
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def field_int(number, n):
    return varint(number << 3) + varint(n)


def zigzag(n):
    return (n << 1) ^ (n >> 63)


def field_double(number, v):
    return varint(number << 3 | 1) + struct.pack("<d", v)


def write_request(series):
    out = bytearray()
    for labels, samples in series:
        body = bytearray()
        for name in sorted(labels):
            body += field(1, field(1, name) + field(2, labels[name]))
        for t, v in samples:
            body += field(2, field_double(1, v) + field_int(2, t))
        out += field(1, bytes(body))
    return bytes(out)


def snappy(data):
    """The block format, all literals."""
    out = bytearray(varint(len(data)))
    for i in range(0, len(data), 65536):
        piece = data[i:i + 65536]
        out += b"\xf4" + struct.pack("<H", len(piece) - 1) + piece
    return bytes(out)


# ---- pages to scrape ----

class Pages:
    """An HTTP server on loopback whose pages are functions of the request handler."""

    def __init__(self):
        self.pages = {}
        self.seen = {}
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                path = self.path.split("?")[0]
                outer.seen[path] = {"headers": dict(self.headers), "path": self.path,
                                    "count": outer.seen.get(path, {}).get("count", 0) + 1}
                page = outer.pages.get(path)
                try:
                    if page is None:
                        send(self, b"not here\n", status=404)
                    elif callable(page):
                        page(self)
                    else:
                        send(self, page)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            do_POST = do_GET

            def log_message(self, *args):
                pass

        class Quiet(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request, address):
                pass

        self.server = Quiet(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.address = "127.0.0.1:%d" % self.port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __setitem__(self, path, page):
        self.pages[path] = page

    def count(self, path):
        return self.seen.get(path, {}).get("count", 0)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PROTOBUF = ("application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; "
            "encoding=delimited")


def send(handler, body, content_type=TEXT, status=200, headers=None):
    """One whole answer; body: text or bytes."""
    if isinstance(body, str):
        body = body.encode()
    handler.send_response(status)
    if content_type:
        handler.send_header("Content-Type", content_type)
    for name, value in (headers or {}).items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


# ---- comparing ----

def same_number(a, b, tolerance=1e-12):
    """Two values as the API writes them, equal within a relative tolerance; NaN equals NaN."""
    if a == b:
        return True
    x, y = float(a), float(b)
    if math.isnan(x) or math.isnan(y):
        return math.isnan(x) and math.isnan(y)
    if math.isinf(x) or math.isinf(y):
        return x == y
    return abs(x - y) <= tolerance * max(abs(x), abs(y))
