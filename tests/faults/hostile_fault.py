"""hostile_fault.py - peers that mean harm: endless pages, clients that never end, lie or do not read.

Each case must leave the server answering others at once, and its resident memory under a bound:
the bound is stated per case and measured at the peak (VmHWM).
"""
# SPDX-License-Identifier: Apache-2.0
import os
import socket
import sys
import threading
import time
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))
from harness import Pages, Suite, arguments, start_vigie, varint  # noqa: E402

MB = 1 << 20
CONFIG = """global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs:
- job_name: good
  static_configs: [{targets: ["%(at)s"]}]
- job_name: bad
  body_size_limit: 8MB
  static_configs: [{targets: ["%(at)s"]}]
  relabel_configs: [{target_label: __metrics_path__, replacement: /%(page)s}]
"""


def peak_mb(server):
    """The most memory the process ever had resident."""
    with open("/proc/%d/status" % server.p.pid) as f:
        for line in f:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) // 1024
    return 0


def start(suite, binary, config=None, args=()):
    name = "data-%d" % len(suite.procs)
    return start_vigie(suite, binary, config, ["--web.read-timeout=2s"] + list(args), data=name)


def answers(suite, what, server, seconds=2.0):
    """A client that behaves is served, and soon."""
    began = time.monotonic()
    try:
        status = server.get("/api/v1/query", {"query": "1"}, timeout=15)[0]
    except OSError as x:
        status = repr(x)
    took = time.monotonic() - began
    suite.check("%s: others are served" % what, status == 200 and took < seconds,
                "%s after %.1f s" % (status, took))


def bounded(suite, what, server, limit_mb, done=True):
    suite.alive(server, what)
    peak = peak_mb(server)
    print("%s: peak %d MB" % (what, peak))
    suite.check("%s: memory stays below %d MB" % (what, limit_mb), peak < limit_mb, "%d MB" % peak)
    if done:
        suite.equal("%s: stops" % what, server.stop(), 0)


# ---- pages without an end ----

def endless(piece, content_type="text/plain", encoding=None):
    """A page that repeats a piece until the client leaves, at most 1 GB of it."""
    def page(handler):
        handler.send_response(200)
        handler.send_header("Content-Type", content_type)
        if encoding:
            handler.send_header("Content-Encoding", encoding)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        chunk = b"%x\r\n%s\r\n" % (len(piece), piece)
        for _ in range(1000 * MB // len(piece)):
            handler.wfile.write(chunk)
    return page


def dripping(handler):
    """Headers at once, then a byte now and then: never done within the timeout."""
    handler.send_response(200)
    handler.send_header("Content-Type", "text/plain")
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    for _ in range(100):
        handler.wfile.write(b"#")
        time.sleep(0.1)


def long_head(handler):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    line = b"x-filler: " + b"y" * 8000 + b"\r\n"
    for _ in range(20000):
        handler.wfile.write(line)


def bomb():
    """A gigabyte of spaces, gzipped by a thousand."""
    z = zlib.compressobj(9, zlib.DEFLATED, 31)
    out = b"".join(z.compress(b" " * MB) for _ in range(1000))
    return out + z.flush()


def page_cases():
    bombed = bomb()

    def inflating(handler):
        handler.send_response(200)
        handler.send_header("Content-Type", "text/plain")
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Content-Length", str(len(bombed)))
        handler.end_headers()
        handler.wfile.write(bombed)

    return (
        ("samples", endless(b"a_value{x=\"y\"} 1\n" * 4096)),
        ("line", endless(b"z" * 65536)),
        ("comment", endless(b"# a comment\n" * 4096)),
        ("bomb", inflating),
        ("drip", dripping),
        ("head", long_head),
    )


def pages_without_end(suite, binary):
    pages = Pages()
    pages["/metrics"] = "page_value 1\n"
    for name, page in page_cases():
        pages["/" + name] = page
        server = start(suite, binary, CONFIG % {"at": pages.address, "page": name})
        what = "page without an end: %s" % name

        def bad():
            t = server.targets().get("bad", [])
            return len(t) == 1 and t[0]["health"] == "down" and t[0]["lastError"] != ""

        suite.eventually("%s: the target is down, with the reason" % what, bad, 15)
        suite.eventually("%s: the other target is up" % what,
                         lambda: server.targets()["good"][0]["health"] == "up", 10)
        answers(suite, what, server)
        bounded(suite, what, server, 250)
    pages.close()


# ---- clients that never end ----

def connect(server, count):
    out = []
    for _ in range(count):
        s = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        out.append(s)
    return out


def is_closed(s):
    """Whether the server has ended the connection, whatever it said before."""
    s.settimeout(0.01)
    try:
        while True:
            if not s.recv(65536):
                return True
    except (TimeoutError, socket.timeout):
        return False
    except OSError:
        return True


def feed(socks, bytes_of, stop):
    """Sends each connection its next bytes every 50 ms until stopped."""
    def run():
        n = 0
        while not stop.wait(0.05):
            for s in socks:
                try:
                    s.settimeout(0.2)
                    s.send(bytes_of(n))
                except OSError:
                    pass
            n += 1
    t = threading.Thread(target=run, daemon=True)
    t.start()
    return t


def slow_clients(suite, binary):
    """Connections that send a byte of head, or of body, now and then."""
    cases = (
        ("a head in bytes", b"GET /api/v1/query?query=1 HTTP/1.1\r\nHost: x\r\nX-A: ", lambda n: b"a"),
        ("headers in lines", b"GET / HTTP/1.1\r\n", lambda n: b"X-%d: y\r\n" % n),
        ("a body in bytes", b"POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n",
         lambda n: b"b"),
        ("silence", b"", lambda n: b""),
    )
    server = start(suite, binary, args=["--web.max-connections=256"])
    for name, first, more in cases:
        what = "slow clients: %s" % name
        socks = connect(server, 200)
        for s in socks:
            s.sendall(first)
        stop = threading.Event()
        t = feed(socks, more, stop)
        answers(suite, what, server)
        suite.eventually("%s: all are ended" % what, lambda: all(is_closed(s) for s in socks), 20)
        stop.set()
        t.join(10)
        for s in socks:
            s.close()
        answers(suite, what + ", after", server)
    bounded(suite, "slow clients", server, 200)


def full_house(suite, binary):
    """More connections than are allowed: the rest wait or are refused, and it passes."""
    server = start(suite, binary, args=["--web.max-connections=64"])
    socks = connect(server, 200)
    suite.alive(server, "more connections than allowed")
    suite.eventually("more connections than allowed: passes by itself",
                     lambda: server.get("/-/ready", timeout=3)[0] == 200, 30)
    for s in socks:
        s.close()
    answers(suite, "more connections than allowed, after", server)
    bounded(suite, "more connections than allowed", server, 200)


# ---- requests that lie or are too large ----

def ask(server, data, seconds=10):
    """Sends raw bytes, as many as are taken; the status of the answer, 0 when closed without one."""
    s = socket.create_connection(("127.0.0.1", server.port), timeout=seconds)
    got = b""
    try:
        for piece in data:
            s.sendall(piece)
    except OSError:
        pass  # refused before the end: the answer may be there
    try:
        while b"\r\n" not in got:
            more = s.recv(65536)
            if not more:
                break
            got += more
    except (TimeoutError, socket.timeout):
        got = b"HTTP/1.1 999 no answer\r\n"
    except OSError:
        pass
    s.close()
    return int(got.split()[1]) if got.startswith(b"HTTP/") else 0


def write_head(*headers):
    return b"".join([b"POST /api/v1/write HTTP/1.1\r\nHost: x\r\n",
                     b"Content-Type: application/x-protobuf\r\n"] + [h + b"\r\n" for h in headers] + [b"\r\n"])


def snappy_bomb(mb):
    """Claims and holds so many megabytes of zeroes: one literal byte, then copies of 64."""
    return varint(mb * MB + 1) + b"\x00\0" + (b"\xfe\x01\x00" * (mb * MB // 64))


def request_cases():
    snap, length = b"Content-Encoding: snappy", b"Content-Length: %d"
    lie = varint((1 << 32) - 1) + b"\x00a"
    swollen, zipped = snappy_bomb(200), bomb()
    return (
        ("a line of 10 MB", [b"GET /"] + [b"a" * MB] * 10, (0, 400, 414, 431)),
        ("a header of 10 MB", [b"GET / HTTP/1.1\r\nHost: x\r\nX-A: "] + [b"a" * MB] * 10, (0, 400, 431)),
        ("a million headers", [b"GET / HTTP/1.1\r\n"] + [b"A: b\r\n" * 100000] * 10, (0, 400, 431)),
        ("a length of 10 GB", [write_head(snap, length % (10 << 30)), b"x" * 1000], (400, 413)),
        ("a length of 2^64", [write_head(snap, b"Content-Length: 18446744073709551616")], (400, 413)),
        ("chunks without an end", [write_head(snap, b"Transfer-Encoding: chunked")] +
         [b"100000\r\n" + b"c" * MB + b"\r\n"] * 200, (0, 400, 413)),
        ("a chunk of 2^60", [write_head(snap, b"Transfer-Encoding: chunked"), b"1000000000000000\r\n"],
         (400, 413)),
        ("snappy that claims 4 GB", [write_head(snap, length % len(lie)), lie], (400, 413)),
        ("snappy of 200 MB", [write_head(snap, length % len(swollen)), swollen], (400, 413)),
        ("gzip of 1 GB", [write_head(b"Content-Encoding: gzip", length % len(zipped)), zipped], (400, 413, 415)),
        ("a query of 9 MB", [b"POST /api/v1/query HTTP/1.1\r\nHost: x\r\nContent-Type: "
                             b"application/x-www-form-urlencoded\r\nContent-Length: 9000006\r\n\r\nquery="] +
         [b"(" * MB] * 8 + [b"(" * (9000000 - 8 * MB)], (400, 413, 422)),
    )


def lying_requests(suite, binary):
    server = start(suite, binary)
    for name, data, want in request_cases():
        status = ask(server, data)
        suite.check("request: %s: is refused" % name, status in want, "status %d" % status)
        suite.alive(server, name)
    answers(suite, "lying requests", server)
    bounded(suite, "lying requests", server, 400)


# ---- clients that do not read ----

def unread_answers(suite, binary):
    """Requests for large answers whose connection is never read."""
    server = start(suite, binary)
    labels = [({"__name__": "wide", "i": "%06d" % i, "pad": "x" * 100}, [(int(time.time() * 1000), 1.0)])
              for i in range(20000)]
    status, text = server.remote_write(labels)
    suite.equal("unread answers: data is written", (status, text), (204, ""))
    quiet = peak_mb(server)
    request = b"GET /api/v1/series?match[]=wide HTTP/1.1\r\nHost: x\r\n\r\n"
    socks = []
    for _ in range(40):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect(("127.0.0.1", server.port))
        s.sendall(request * 50)
        socks.append(s)
    answers(suite, "unread answers", server, 10.0)
    time.sleep(0.5)
    answers(suite, "unread answers, a little later", server, 10.0)
    suite.eventually("unread answers: connections are ended",
                     lambda: server.get("/-/ready")[0] == 200 and all(is_gone(server, s) for s in socks), 30)
    for s in socks:
        s.close()
    print("unread answers: %d MB before" % quiet)
    bounded(suite, "unread answers", server, quiet + 400)


def is_gone(server, s):
    """Whether the server has no connection with this socket any more; nothing is read."""
    local = s.getsockname()[1]
    with open("/proc/net/tcp") as f:
        for line in f:
            w = line.split()
            if w[1].endswith(":%04X" % server.port) and w[2].endswith(":%04X" % local):
                return w[3] != "01"  # ESTABLISHED
    return True


def main():
    a = arguments("vigie among hostile peers",
                  ("--only", {"help": "pages, slow, house, requests or unread"}))
    suite = Suite("hostile")
    try:
        for name, case in (("pages", pages_without_end), ("slow", slow_clients), ("house", full_house),
                           ("requests", lying_requests), ("unread", unread_answers)):
            if a.only in (None, name):
                case(suite, a.vigie)
    except Exception as x:  # a broken run is a failed run
        import traceback
        traceback.print_exc(file=sys.stdout)
        suite.check("the script ran to its end", False, repr(x))
    suite.finish()


main()
