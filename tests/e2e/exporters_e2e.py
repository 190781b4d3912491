#!/usr/bin/env python3
"""exporters_e2e.py - vigie's exporters beside Debian's, on the same host and servers.

For each exporter: every family of theirs is looked for in ours (name, TYPE, HELP, label names), and
the CPU that both took per scrape is measured. Prints a table; what is missing is named, and must be
in the list of known differences of this file.
"""
# SPDX-License-Identifier: Apache-2.0
import http.server
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request

from harness import Proc, Suite, arguments, free_port

# Families of Debian's exporters that ours leaves out on purpose: of their own process and runtime.
OWN = re.compile(r"^(go_|process_|promhttp_|.*_exporter_build_info$|redis_exporter_|"
                 r"redis_target_scrape_request_errors_total$|pg_exporter_|namedprocess_scrape_)")

SAMPLE = re.compile(r'^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+\S+)?$')
LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"')


def parse(text):
    """name -> {type, help, labels: set of label-name tuples, values: {labels: value}}"""
    out = {}

    def family(name):
        return out.setdefault(name, {"type": "untyped", "help": None, "labels": set(), "values": {}})

    for line in text.split("\n"):
        if line.startswith("# HELP "):
            _, _, name, help_text = (line + " ").split(" ", 3)
            family(name)["help"] = help_text.strip()
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ", 3)
            family(name)["type"] = kind
        elif line and not line.startswith("#"):
            m = SAMPLE.match(line)
            if not m:
                raise ValueError("not a sample: %r" % line)
            base = m.group(1)
            for suffix in ("_bucket", "_sum", "_count"):
                cut = base[:-len(suffix)] if base.endswith(suffix) else None
                if cut in out and out[cut]["type"] in ("histogram", "summary"):
                    base = cut
            labels = dict(LABEL.findall(m.group(2) or ""))
            f = family(base)
            f["labels"].add(tuple(sorted(k for k in labels if labels[k] != "")))
            f["values"][tuple(sorted((k, v) for k, v in labels.items() if v != ""))] = float(m.group(3))
    return out


def get(port, path, timeout=20, headers=None):
    q = urllib.request.Request("http://127.0.0.1:%d%s" % (port, path), headers=headers or {})
    try:
        with urllib.request.urlopen(q, timeout=timeout) as r:
            return r.status, r.read().decode()
    except urllib.error.HTTPError as x:
        return x.code, x.read().decode()


def cpu_seconds(pid):
    with open("/proc/%d/stat" % pid) as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_bytes(pid):
    with open("/proc/%d/statm" % pid) as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Bench:
    def __init__(self, suite, vigie):
        self.s = suite
        self.vigie = vigie
        self.rows = []

    def start(self, name, args, port, path="/metrics", env=None):
        p = Proc(self.s, name, args, env=env)
        self.s.eventually("%s answers" % name, lambda: get(port, path)[0] < 500, 10)
        return p

    def both(self, kind, debian, our_args, their_args, env=None, path="/metrics", their_env=None):
        """Starts ours and Debian's; None when Debian's is not installed."""
        ours_port, theirs_port = free_port(), free_port()
        ours = self.start("vigie-" + kind, [self.vigie, "export", kind] + our_args(ours_port), ours_port,
                          "/", env=env)
        if not shutil.which(debian):
            self.s.skip("%s is not installed" % debian)
            return (ours, ours_port), None
        theirs = self.start(debian, [debian] + their_args(theirs_port), theirs_port, "/",
                            env=their_env if their_env is not None else env)
        return (ours, ours_port), (theirs, theirs_port)

    def compare(self, kind, ours, theirs, path="/metrics", known=(), known_help=None, types_known=(), scrapes=40,
                values=(), labels_drop=()):
        if not theirs:
            return
        get(ours[1], path), get(theirs[1], path)
        a, b = parse(get(ours[1], path)[1]), parse(get(theirs[1], path)[1])
        for f in b.values():
            f["labels"] = {tuple(k for k in t if k not in labels_drop) for t in f["labels"]}
        mine = {n for n in a if not OWN.match(n)}
        want = {n for n in b if not OWN.match(n)}
        missing = sorted(n for n in want - mine if n not in known)
        types = sorted(n for n in want & mine if a[n]["type"] != b[n]["type"] and n not in types_known)
        helps = sorted(n for n in want & mine if a[n]["help"] != b[n]["help"] and not (known_help and known_help.match(n)))
        labels = sorted(n for n in want & mine if a[n]["labels"] and not all(  # later releases add some
            any(set(t) <= set(o) for o in a[n]["labels"]) for t in b[n]["labels"]))
        cost = []
        for proc, port in (ours, theirs):
            before = cpu_seconds(proc.p.pid)
            for _ in range(scrapes):
                get(port, path)
            cost.append((cpu_seconds(proc.p.pid) - before) / scrapes)
        ratio = cost[0] / cost[1] if cost[1] else float("nan")
        self.rows.append((kind, len(want), len(want & mine), len(want - mine), len(mine - want),
                          cost[0] * 1e3, cost[1] * 1e3, ratio,
                          rss_bytes(ours[0].p.pid) >> 20, rss_bytes(theirs[0].p.pid) >> 20))
        if missing:
            print("missing in ours: %s" % " ".join(missing))
        self.s.equal("%s: no family is missing" % kind, missing, [])
        self.s.equal("%s: types agree" % kind, types, [])
        self.s.check("%s: label names agree" % kind, not labels,
                     lambda: [(n, sorted(b[n]["labels"] - a[n]["labels"])[:3]) for n in labels])
        self.s.check("%s: help agrees" % kind, not helps,
                     lambda: [(n, a[n]["help"], b[n]["help"]) for n in helps[:5]])
        for name in values:
            va, vb = a.get(name, {}).get("values", {}), b.get(name, {}).get("values", {})
            near = set(va) >= set(vb) and all(abs(va[k] - vb[k]) <= 0.05 * abs(vb[k]) + 2 for k in vb)
            self.s.check("%s: %s has the same values" % (kind, name), near, lambda: (va, vb))

    def cost(self, kind, ours, theirs, path, scrapes=20):
        """A row of the table for exporters whose pages are compared one by one."""
        if not theirs:
            return
        pages = [parse(get(port, path)[1]) for _, port in (ours, theirs)]
        mine, want = set(pages[0]), set(pages[1])
        row = [kind, len(want), len(want & mine), len(want - mine), len(mine - want)]
        cost = []
        for proc, port in (ours, theirs):
            before = cpu_seconds(proc.p.pid)
            for _ in range(scrapes):
                get(port, path)
            cost.append((cpu_seconds(proc.p.pid) - before) / scrapes)
        self.rows.append(tuple(row + [cost[0] * 1e3, cost[1] * 1e3, cost[0] / cost[1] if cost[1] else 0,
                                      rss_bytes(ours[0].p.pid) >> 20, rss_bytes(theirs[0].p.pid) >> 20]))

    def table(self):
        print("\n%-14s %6s %6s %8s %6s %10s %10s %6s %8s %8s" % (
            "exporter", "theirs", "same", "missing", "extra", "ours ms", "theirs ms", "ratio", "ours MB", "their MB"))
        for r in self.rows:
            print("%-14s %6d %6d %8d %6d %10.2f %10.2f %6.2f %8d %8d" % r)
        print()


# ---- node ----

def test_node(b):
    ours, theirs = b.both("node", "prometheus-node-exporter",
                          lambda p: ["--web.listen-address=127.0.0.1:%d" % p],
                          lambda p: ["--web.listen-address=127.0.0.1:%d" % p])
    b.compare("node", ours, theirs, known=NODE_KNOWN)
    code, text = get(ours[1], "/metrics?collect[]=cpu&collect[]=loadavg")
    got = {n for n in parse(text) if n.startswith("node_")}
    b.s.check("node: collect[] limits the page", "node_load1" in got and "node_memory_MemTotal_bytes" not in got)
    b.s.equal("node: an unknown collector is refused", get(ours[1], "/metrics?collect[]=nope")[0], 400)


NODE_KNOWN = ()


# ---- blackbox ----

class Target(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body, status, headers = b"hello world\n", 200, {}
        if self.path == "/redirect":
            status, headers["Location"], body = 302, "/final", b""
        elif self.path == "/loop":
            status, headers["Location"], body = 302, "/loop", b""
        elif self.path == "/error":
            status = 500
        elif self.path == "/modified":
            headers["Last-Modified"] = "Sun, 06 Nov 1994 08:49:37 GMT"
        elif self.path == "/auth":
            status = 200 if self.headers.get("Authorization") == "Basic YTpi" else 401
        elif self.path == "/slow":
            self.close_connection = True
            time.sleep(3)  # longer than the probe's patience
            return
        elif self.path == "/chunked":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")
            return
        self.send_response(status)
        for k, v in headers.items():
            self.send_header(k, v)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *args):
        pass


BLACKBOX_YML = """
modules:
  http_2xx: { prober: http, timeout: 5s, http: { preferred_ip_protocol: ip4 } }
  http_ipv6: { prober: http, http: { preferred_ip_protocol: ip6, ip_protocol_fallback: false } }
  http_post: { prober: http, http: { preferred_ip_protocol: ip4, method: POST, body: 'x=1' } }
  http_status: { prober: http, http: { preferred_ip_protocol: ip4, valid_status_codes: [500, 302] } }
  http_version: { prober: http, http: { preferred_ip_protocol: ip4, valid_http_versions: ['HTTP/2.0'] } }
  http_no_redirect: { prober: http, http: { preferred_ip_protocol: ip4, follow_redirects: false, valid_status_codes: [302] } }
  http_body: { prober: http, http: { preferred_ip_protocol: ip4, fail_if_body_not_matches_regexp: ['hello'] } }
  http_body_bad: { prober: http, http: { preferred_ip_protocol: ip4, fail_if_body_matches_regexp: ['hello'] } }
  http_header_bad:
    prober: http
    http:
      preferred_ip_protocol: ip4
      fail_if_header_not_matches: [{ header: Content-Type, regexp: text }]
  http_auth:
    prober: http
    http: { preferred_ip_protocol: ip4, basic_auth: { username: a, password: b } }
  http_ssl: { prober: http, http: { preferred_ip_protocol: ip4, fail_if_not_ssl: true, tls_config: { insecure_skip_verify: true } } }
  http_ssl_verify: { prober: http, http: { preferred_ip_protocol: ip4 } }
  http_ssl_ca: { prober: http, http: { preferred_ip_protocol: ip4, tls_config: { ca_file: CA } } }
  http_limit: { prober: http, http: { preferred_ip_protocol: ip4, body_size_limit: 4B } }
  tcp_connect: { prober: tcp, tcp: { preferred_ip_protocol: ip4 } }
  tcp_tls: { prober: tcp, tcp: { preferred_ip_protocol: ip4, tls: true, tls_config: { insecure_skip_verify: true } } }
  tcp_banner:
    prober: tcp
    timeout: 2s
    tcp:
      preferred_ip_protocol: ip4
      query_response:
      - expect: '^220 ([a-z]+) (.*)$'
      - send: 'EHLO prober'
      - expect: '^250 ok (\\d+)$'
        send: 'GOT ${1}'
      - expect: '^bye'
  dns_a: { prober: dns, dns: { preferred_ip_protocol: ip4, query_name: example.test, query_type: A } }
  dns_tcp: { prober: dns, dns: { preferred_ip_protocol: ip4, query_name: example.test, query_type: A, transport_protocol: tcp } }
  dns_soa: { prober: dns, dns: { preferred_ip_protocol: ip4, query_name: example.test, query_type: SOA } }
  dns_match:
    prober: dns
    dns:
      preferred_ip_protocol: ip4
      query_name: example.test
      query_type: A
      validate_answer_rrs: { fail_if_not_matches_regexp: ['^example\\.test\\.\\t\\d+\\tIN\\tA\\t192\\.0\\.2\\.1$'] }
  dns_mismatch:
    prober: dns
    dns:
      preferred_ip_protocol: ip4
      query_name: example.test
      query_type: A
      validate_answer_rrs: { fail_if_matches_regexp: ['192'] }
  dns_nx: { prober: dns, dns: { preferred_ip_protocol: ip4, query_name: nx.test, query_type: A } }
  dns_nx_ok: { prober: dns, dns: { preferred_ip_protocol: ip4, query_name: nx.test, query_type: A, valid_rcodes: [NXDOMAIN] } }
  icmp: { prober: icmp, icmp: { preferred_ip_protocol: ip4 } }
  grpc_plain: { prober: grpc, grpc: { preferred_ip_protocol: ip4 } }
"""


def dns_answer(q):
    name_end = q.index(b"\0", 12) + 5
    question = q[12:name_end]
    kind = int.from_bytes(question[-4:-2], "big")
    if question.startswith(b"\x02nx"):
        return q[:2] + b"\x81\x83" + b"\0\1\0\0\0\0\0\0" + question
    if kind == 6:
        rdata = (b"\x02ns\x04test\0" + b"\x05admin\x04test\0" +
                 b"".join(n.to_bytes(4, "big") for n in (2026112101, 3600, 600, 86400, 300)))
    else:
        rdata = bytes([192, 0, 2, 1])
    record = b"\xc0\x0c" + kind.to_bytes(2, "big") + b"\0\1" + (300).to_bytes(4, "big") + len(rdata).to_bytes(2, "big") + rdata
    return q[:2] + b"\x81\x80" + b"\0\1\0\1\0\0\0\0" + question + record


def serve_dns():
    """A name server on UDP and TCP at one free port."""
    while True:
        port = free_port()
        udp, tcp = socket.socket(type=socket.SOCK_DGRAM), socket.socket()
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            udp.bind(("127.0.0.1", port))
            tcp.bind(("127.0.0.1", port))
            break
        except OSError:
            udp.close()
            tcp.close()
    tcp.listen()

    def run_udp():
        while True:
            q, peer = udp.recvfrom(4096)
            udp.sendto(dns_answer(q), peer)

    def run_tcp():
        while True:
            c, _ = tcp.accept()
            with c:
                q = c.recv(4096)
                if len(q) > 2:
                    a = dns_answer(q[2:])
                    c.sendall(len(a).to_bytes(2, "big") + a)

    for run in (run_udp, run_tcp):
        threading.Thread(target=run, daemon=True).start()
    return port


def serve_banner():
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    s.listen()

    def run():
        while True:
            c, _ = s.accept()
            with c:
                try:
                    c.sendall(b"220 mail ready here\r\n")
                    c.recv(100)
                    c.sendall(b"250-one\r\n250 ok 42\r\n")
                    c.sendall(b"bye\r\n" if c.recv(100) == b"GOT 42\n" else b"what\r\n")
                except OSError:
                    pass

    threading.Thread(target=run, daemon=True).start()
    return s.getsockname()[1]


def serve_http(tls=None):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Target)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def make_cert(s):
    key, cert = s.path("key.pem"), s.path("cert.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-keyout", key, "-out",
                    cert, "-subj", "/O=Vigie Tests/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return cert, context


# Differences from Debian's 0.23 that are meant: names that came later, Go's HTTP/2.
PROBE_EXTRA = {"probe_timeout_seconds", "probe_tls_cipher_info", "probe_dns_query_succeeded", "probe_failed_due_to_bytes"}
# What it shows although it never came so far; later releases do not.
PROBE_MISSING = {("tcp_connect", "probe_failed_due_to_regex"), ("grpc_plain", "probe_ssl_earliest_cert_expiry")}


def same_probe(b, ours, theirs, module, target, want):
    path = "/probe?" + urllib.parse.urlencode({"module": module, "target": target})
    code, text = get(ours[1], path)
    a = parse(re.sub(',?serialnumber="[^"]*"', "", text)) if code == 200 else {}  # a later label
    ok = a.get("probe_success", {}).get("values", {}).get((), -1)
    b.s.check("blackbox: %s %s" % (module, target.split("/")[-1]), ok == want,
              lambda: get(ours[1], path + "&debug=true")[1])
    if not theirs or code != 200:
        return
    t = parse(get(theirs[1], path)[1])
    missing = sorted(n for n in set(t) - set(a) if (module, n) not in PROBE_MISSING)
    types = sorted(n for n in set(t) & set(a) if (t[n]["type"], t[n]["help"]) != (a[n]["type"], a[n]["help"]))
    labels = sorted(n for n in set(t) & set(a) if t[n]["labels"] != a[n]["labels"])
    exact = [n for n in set(t) & set(a) if not re.search("seconds$|_hash$|version$", n) or "expiry" in n]
    values = sorted(n for n in exact if t[n]["values"] != a[n]["values"])
    b.s.equal("blackbox: %s: families, types, labels, values as upstream" % module,
              [missing, types, labels, [(n, t[n]["values"], a[n]["values"]) for n in values]], [[], [], [], []])
    extra = sorted(set(a) - set(t) - PROBE_EXTRA)
    b.s.equal("blackbox: %s: no family more" % module, extra, [])


def test_blackbox(b):
    s = b.s
    cert, context = make_cert(s)
    config = s.write("blackbox.yml", BLACKBOX_YML.replace("CA }", "%s }" % cert))
    args = lambda p: ["--config.file", config, "--web.listen-address=127.0.0.1:%d" % p]
    ours, theirs = b.both("blackbox", "prometheus-blackbox-exporter", args, args)
    h, t, dns, banner = serve_http(), serve_http(context), serve_dns(), serve_banner()
    url, tls = "http://127.0.0.1:%d" % h, "https://127.0.0.1:%d" % t
    closed = "127.0.0.1:%d" % free_port()
    for module, target, want in (
            ("http_2xx", url + "/", 1), ("http_2xx", url + "/error", 0), ("http_2xx", url + "/redirect", 1),
            ("http_2xx", url + "/chunked", 1), ("http_2xx", url + "/modified", 1), ("http_2xx", url + "/loop", 0),
            ("http_2xx", "http://localhost:%d/" % h, 1), ("http_2xx", closed, 0), ("http_2xx", "127.0.0.1:%d" % h, 1),
            ("http_ipv6", url, 0), ("http_post", url, 1), ("http_status", url + "/error", 1),
            ("http_status", url + "/", 0), ("http_version", url, 0), ("http_no_redirect", url + "/redirect", 1),
            ("http_body", url, 1), ("http_body_bad", url, 0), ("http_header_bad", url, 0),
            ("http_auth", url + "/auth", 1), ("http_2xx", url + "/auth", 0), ("http_ssl", tls, 1), ("http_ssl", url, 0),
            ("http_ssl_verify", tls, 0), ("http_ssl_ca", tls, 1), ("http_limit", url, 0),
            ("tcp_connect", "127.0.0.1:%d" % h, 1), ("tcp_connect", closed, 0), ("tcp_connect", "nonsense", 0),
            ("tcp_tls", "127.0.0.1:%d" % t, 1), ("tcp_banner", "127.0.0.1:%d" % banner, 1),
            ("dns_a", "127.0.0.1:%d" % dns, 1), ("dns_tcp", "127.0.0.1:%d" % dns, 1), ("dns_soa", "127.0.0.1:%d" % dns, 1),
            ("dns_match", "127.0.0.1:%d" % dns, 1), ("dns_mismatch", "127.0.0.1:%d" % dns, 0),
            ("dns_nx", "127.0.0.1:%d" % dns, 0), ("dns_nx_ok", "127.0.0.1:%d" % dns, 1), ("icmp", "127.0.0.1", 1),
            ("grpc_plain", closed, 0)):
        same_probe(b, ours, theirs, module, target, want)
    began = time.monotonic()
    code, text = get(ours[1], "/probe?module=http_2xx&target=" + url + "/slow",
                     headers={"X-Prometheus-Scrape-Timeout-Seconds": "1.5"})
    s.check("blackbox: a slow target ends by the scrape's timeout", "probe_success 0" in text and
            time.monotonic() - began < 2, text)
    s.check("blackbox: the timeout is shown", "probe_timeout_seconds 1\n" in text, text)
    s.equal("blackbox: an unknown module", get(ours[1], "/probe?module=x&target=y"), (400, 'Unknown module "x"\n'))
    s.equal("blackbox: no target", get(ours[1], "/probe?module=icmp"), (400, "Target parameter is missing\n"))
    code, text = get(ours[1], "/probe?module=http_auth&target=" + url + "/auth&debug=true")
    s.check("blackbox: debug shows logs, metrics, module", "Logs for the probe:" in text and "probe_success 1" in text
            and "Module configuration:" in text and "prober: http" in text, text)
    s.check("blackbox: debug masks the password", "password: <secret>" in text and "password: b" not in text, text)
    s.check("blackbox: history", "Recent Probes" in get(ours[1], "/")[1] and "Logs for the probe" in get(ours[1], "/logs?id=0")[1])
    s.check("blackbox: /config", "http_2xx:" in get(ours[1], "/config")[1] and "password: b" not in get(ours[1], "/config")[1])
    s.write("blackbox.yml", "modules:\n  a:\n    prober: htp\n")
    q = urllib.request.Request("http://127.0.0.1:%d/-/reload" % ours[1], method="POST")
    try:
        urllib.request.urlopen(q)
        s.check("blackbox: a bad file is refused", False)
    except urllib.error.HTTPError as x:
        s.check("blackbox: a bad file is refused", x.code == 500 and "prober 'htp' is not valid" in x.read().decode())
    s.equal("blackbox: the old configuration stays", get(ours[1], "/probe?module=tcp_connect&target=127.0.0.1:%d" % h)[0], 200)
    port = free_port()
    b.start("vigie-blackbox-allow", [b.vigie, "export", "blackbox", "--web.listen-address=127.0.0.1:%d" % port,
                                     "--probe.allow=10.0.0.0/8", "--config.file", s.write("allow.yml", BLACKBOX_YML)],
            port, "/")
    text = get(port, "/probe?module=http_2xx&debug=true&target=" + url)[1]
    s.check("blackbox: --probe.allow keeps other networks out", "is not allowed" in text and "probe_success 0" in text, text)
    b.cost("blackbox", ours, theirs, "/probe?module=http_ssl&target=" + tls)


# ---- redis ----

class Resp:
    """The few commands that the test needs."""

    def __init__(self, port, password=None):
        self.s = socket.create_connection(("127.0.0.1", port), 5)
        self.f = self.s.makefile("rb")
        if password:
            self.call("AUTH", password)

    def call(self, *words):
        self.s.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w.encode()) for w in words))
        return self.read()

    def read(self):
        line = self.f.readline()
        if line[:1] == b"$" and line[1:2] != b"-":
            return self.f.read(int(line[1:]) + 2)[:-2]
        if line[:1] == b"*":
            return [self.read() for _ in range(int(line[1:]))]
        return line[1:-2]


def test_redis(b):
    s = b.s
    if not shutil.which("redis-server"):
        s.skip("redis-server is not installed")
        return
    port = free_port()
    os.makedirs(s.path("redis"), exist_ok=True)
    Proc(s, "redis-server", ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", s.path("redis"),
                             "--save", "", "--requirepass", "secret-word"])
    s.eventually("redis answers", lambda: Resp(port, "secret-word").call("PING") == b"PONG")
    r = Resp(port, "secret-word")
    for i in range(20):
        r.call("SET", "k%d" % i, str(i), "EX", "1000")
    for words in (("GET", "k1"), ("GET", "nope"), ("LPUSH", "list", "a", "b"), ("HSET", "h", "f", "v"), ("NOPE",),
                  ("CONFIG", "SET", "slowlog-log-slower-than", "0"), ("LATENCY", "RESET")):
        r.call(*words)
    url = "redis://127.0.0.1:%d" % port
    env = {"REDIS_ADDR": url, "REDIS_PASSWORD": "secret-word"}
    more = ["-check-single-keys", "db0=k7,db0=list", "-count-keys", "db0=k*", "-include-config-metrics", "-export-client-list"]
    ours, theirs = b.both("redis", "prometheus-redis-exporter",
                          lambda p: ["-web.listen-address=127.0.0.1:%d" % p] + more,
                          lambda p: ["-web.listen-address=127.0.0.1:%d" % p] + more, env=env)
    b.compare("redis", ours, theirs, known=REDIS_KNOWN, types_known=REDIS_TYPES, values=(
        "redis_up", "redis_db_keys", "redis_db_keys_expiring", "redis_key_size", "redis_key_value", "redis_keys_count",
        "redis_config_maxclients", "redis_connected_slaves", "redis_memory_max_bytes"))
    page = get(ours[1], "/metrics")[1]
    s.check("redis: the password is nowhere", "secret-word" not in page + ours[0].text())
    got = parse(page)
    s.check("redis: commands are counted", got["redis_commands_total"]["values"].get((("cmd", "set"),), 0) >= 20)
    s.check("redis: a latency histogram per command", "redis_commands_latencies_usec" in got)
    code, text = get(ours[1], "/scrape?target=127.0.0.1:%d" % free_port())
    s.check("redis: a dead target is down, not an error", code == 200 and "redis_up 0" in text, text)
    s.equal("redis: /scrape wants a target", get(ours[1], "/scrape")[0], 400)
    silent = socket.socket()
    silent.bind(("127.0.0.1", 0))
    silent.listen()
    began = time.monotonic()
    text = get(ours[1], "/scrape?target=127.0.0.1:%d" % silent.getsockname()[1],
               headers={"X-Prometheus-Scrape-Timeout-Seconds": "1"})[1]
    s.check("redis: a silent server costs no more than the scrape's timeout",
            "redis_up 0" in text and time.monotonic() - began < 1.5, text)
    wrong = free_port()
    b.start("vigie-redis-wrong", [b.vigie, "export", "redis", "--web.listen-address=127.0.0.1:%d" % wrong, "--redis.addr",
                                  "redis://:wrong-word@127.0.0.1:%d" % port], wrong, "/")
    text = get(wrong, "/metrics")[1]
    s.check("redis: a wrong password is down and stays unseen", "redis_up 0" in text and "wrong-word" not in text, text[-500:])


# Their release shows these as gauges; INFO's counters, and so the newest release.
REDIS_TYPES = {"redis_expired_time_cap_reached_total"}
REDIS_KNOWN = {"redis_connected_clients_details"}  # became redis_connected_client_info and its relatives


# ---- postgres ----

def postgres_bin():
    root = "/usr/lib/postgresql"
    versions = sorted(os.listdir(root), key=int) if os.path.isdir(root) else []
    return "%s/%s/bin" % (root, versions[-1]) if versions else None


def start_postgres(s):
    """A server of its own in the suite's folder: its port, or None when there is none to start."""
    bin_dir = postgres_bin()
    if not bin_dir:
        s.skip("postgresql is not installed")
        return None
    as_user = [] if os.getuid() else ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    home = s.path("postgres", "x")[:-2]
    os.chmod(s.dir, 0o755)
    password = s.write("postgres-password", "secret-word\n")
    if as_user:
        shutil.chown(home, "postgres", "postgres")
        os.chmod(password, 0o644)
    port = free_port()
    subprocess.run(as_user + [bin_dir + "/initdb", "-D", home + "/data", "-U", "watcher", "-A", "scram-sha-256",
                              "--pwfile", password], check=True, stdout=subprocess.DEVNULL, cwd="/")
    Proc(s, "postgres", as_user + [bin_dir + "/postgres", "-D", home + "/data", "-p", str(port), "-k", home,
                                   "-c", "listen_addresses=127.0.0.1"], cwd="/")
    env = dict(os.environ, PGPASSWORD="secret-word")
    psql = [bin_dir + "/psql", "-h", "127.0.0.1", "-p", str(port), "-U", "watcher", "postgres", "-qAt", "-c"]
    s.eventually("postgres answers", lambda: subprocess.run(psql + ["SELECT 1"], env=env, stdout=subprocess.PIPE,
                                                           stderr=subprocess.DEVNULL).stdout == b"1\n", 20)
    subprocess.run(psql + ["CREATE TABLE t(a int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 100)"], env=env,
                   check=True)
    return port


def test_postgres(b):
    s = b.s
    port = start_postgres(s)
    if not port:
        return
    env = {"DATA_SOURCE_URI": "127.0.0.1:%d/postgres?sslmode=disable" % port, "DATA_SOURCE_USER": "watcher",
           "DATA_SOURCE_PASS": "secret-word"}
    queries = s.write("queries.yaml", """
answer:
  query: "SELECT 'x' AS kind, 42 AS value, 7 AS hidden, 8 AS dropped"
  metrics:
  - kind: { usage: LABEL, description: which }
  - value: { usage: GAUGE, description: the answer }
  - dropped: { usage: DISCARD, description: not shown }
""")
    args = lambda p: ["--web.listen-address=127.0.0.1:%d" % p, "--extend.query-path=" + queries]
    ours, theirs = b.both("postgres", "prometheus-postgres-exporter", args, args, env=env)
    b.compare("postgres", ours, theirs, known=PG_KNOWN, known_help=PG_HELP, labels_drop=("server",), scrapes=20, values=())
    page = get(ours[1], "/metrics")[1]
    got = parse(page)
    s.check("postgres: pg_up", got["pg_up"]["values"] == {(): 1.0})
    s.check("postgres: the password is nowhere", "secret-word" not in page + ours[0].text())
    s.check("postgres: a query of one's own", "answer_value{kind=\"x\"} 42" in page and "answer_hidden" in page)
    states = {dict(k).get("state") for k in got["pg_stat_activity_count"]["values"]}
    s.check("postgres: all six states are there", {"active", "idle", "disabled"} <= states and len(states) == 6, states)
    s.check("postgres: tables", any(("relname", "t") in k for k in got["pg_stat_user_tables_n_tup_ins"]["values"]))
    s.check("postgres: every collector succeeded", set(got["pg_scrape_collector_success"]["values"].values()) == {1.0},
            got["pg_scrape_collector_success"]["values"])
    s.check("postgres: both names of the background writer", "pg_stat_bgwriter_checkpoints_timed" in got and
            "pg_stat_bgwriter_checkpoints_timed_total" in got)
    config = s.write("postgres_exporter.yml", "auth_modules:\n  one:\n    type: userpass\n    userpass: "
                     "{ username: watcher, password: secret-word }\n    options: { sslmode: disable }\n")
    multi = free_port()
    b.start("vigie-postgres-probe", [b.vigie, "export", "postgres", "--config.file", config,
                                     "--web.listen-address=127.0.0.1:%d" % multi], multi, "/")
    text = get(multi, "/probe?target=127.0.0.1:%d/postgres&auth_module=one" % port)[1]
    s.check("postgres: /probe with auth_module", "pg_up 1" in text and "pg_locks_count" in text, text[:500])
    s.check("postgres: a wrong auth_module", get(multi, "/probe?target=x&auth_module=two")[0] == 400)
    text = get(multi, "/probe?target=127.0.0.1:%d" % free_port())[1]
    s.check("postgres: a dead server is down", "pg_up 0" in text, text[:500])
    silent = socket.socket()
    silent.bind(("127.0.0.1", 0))
    silent.listen()
    began = time.monotonic()
    text = get(multi, "/probe?target=127.0.0.1:%d" % silent.getsockname()[1],
               headers={"X-Prometheus-Scrape-Timeout-Seconds": "1"})[1]
    s.check("postgres: a silent server costs no more than the scrape's timeout", "pg_up 0" in text and
            time.monotonic() - began < 1.5, text[:500])


# Columns of PostgreSQL 12 and 14 that their release shows as unknown, and no other does.
PG_KNOWN = {"pg_stat_database_" + n for n in (
    "active_time", "checksum_failures", "checksum_last_failure", "idle_in_transaction_time", "session_time", "sessions",
    "sessions_abandoned", "sessions_fatal", "sessions_killed")}
# Their release takes the help of settings from the server, later ones do not; some texts were mended since.
PG_HELP = re.compile(r"^pg_(settings_|stat_bgwriter_|stat_database_|stat_archiver_|database_size_bytes|static|up$)")


# ---- nginx ----

NGINX_CONF = """
worker_processes 1;
daemon off;
pid %(dir)s/nginx.pid;
error_log %(dir)s/error.log;
events { worker_connections 64; }
http {
  log_format timed '$remote_addr [$time_local] "$request" $status $body_bytes_sent $request_time';
  access_log %(dir)s/access.log timed;
  client_body_temp_path %(dir)s/body; proxy_temp_path %(dir)s/proxy; fastcgi_temp_path %(dir)s/fcgi;
  uwsgi_temp_path %(dir)s/uwsgi; scgi_temp_path %(dir)s/scgi;
  server {
    listen 127.0.0.1:%(port)d;
    location = /stub_status { stub_status; access_log off; }
    location = /teapot { return 418 short; }
    location / { return 200 "hello\n"; }
  }
}
"""


def test_nginx(b):
    s = b.s
    if not shutil.which("nginx") and not os.path.exists("/usr/sbin/nginx"):
        s.skip("nginx is not installed")
        return
    port = free_port()
    home = os.path.dirname(s.path("nginx", "x"))
    os.chmod(s.dir, 0o755)
    os.chmod(home, 0o777)
    conf = s.write("nginx/nginx.conf", NGINX_CONF % {"dir": home, "port": port})
    server = Proc(s, "nginx", [shutil.which("nginx") or "/usr/sbin/nginx", "-c", conf, "-p", home,
                               "-e", home + "/error.log"])
    s.eventually("nginx answers", lambda: get(port, "/stub_status")[0] == 200)
    uri = "http://127.0.0.1:%d/stub_status" % port
    fmt = '$remote_addr [$time_local] "$request" $status $body_bytes_sent $request_time'
    ours, theirs = b.both("nginx", "prometheus-nginx-exporter",
                          lambda p: ["-web.listen-address=127.0.0.1:%d" % p, "-nginx.scrape-uri=" + uri,
                                     "--nginx.access-log", home + "/access.log", "--nginx.access-log-format", fmt],
                          lambda p: ["-web.listen-address=127.0.0.1:%d" % p, "-nginx.scrape-uri=" + uri])
    for path, n in (("/", 7), ("/teapot", 3)):
        for _ in range(n):
            get(port, path)
    b.compare("nginx", ours, theirs, known={"nginxexporter_build_info"}, values=("nginx_up", "nginx_connections_reading"))
    got = parse(get(ours[1], "/metrics")[1])
    counts = got["nginx_http_response_count_total"]["values"]
    s.equal("nginx: the access log is followed", (counts.get((("method", "GET"), ("status", "200"))),
                                                  counts.get((("method", "GET"), ("status", "418")))), (7.0, 3.0))
    s.check("nginx: times of requests", "nginx_http_response_time_seconds" in got)
    os.rename(home + "/access.log", home + "/access.log.1")
    get(port, "/")
    server.signal(signal.SIGUSR1)
    s.eventually("nginx opens its log again", lambda: os.path.exists(home + "/access.log"))
    get(port, "/teapot")
    s.eventually("nginx: a rotated log is followed", lambda: {k: v for k, v in parse(get(ours[1], "/metrics")[1])[
        "nginx_http_response_count_total"]["values"].items()} == {(("method", "GET"), ("status", "200")): 8.0,
                                                                  (("method", "GET"), ("status", "418")): 4.0})
    server.stop()
    text = get(ours[1], "/metrics")[1]
    s.check("nginx: a dead server is down", "nginx_up 0" in text, text[:300])


# ---- process, cgroup ----

def test_process(b):
    ours, theirs = b.both("process", "prometheus-process-exporter",
                          lambda p: ["-web.listen-address=127.0.0.1:%d" % p, "-procnames=bash,python3"],
                          lambda p: ["-web.listen-address", "127.0.0.1:%d" % p, "-procnames", "bash,python3"])
    b.compare("process", ours, theirs, known=PROCESS_KNOWN)


# Per thread, and of the exporter itself.
PROCESS_KNOWN = {"namedprocess_namegroup_thread_" + n for n in (
    "context_switches_total", "count", "cpu_seconds_total", "io_bytes_total", "major_page_faults_total",
    "minor_page_faults_total")} | {"namedprocess_namegroup_threads_wchan"} | {
        "namedprocess_scrape_errors", "namedprocess_scrape_partial_errors", "namedprocess_scrape_procread_errors"}


def test_cgroup(b):
    if not os.path.isdir("/sys/fs/cgroup/memory") and not os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        b.s.skip("there are no control groups here")
        return
    port = free_port()
    b.start("vigie-cgroup", [b.vigie, "export", "cgroup", "--web.listen-address=127.0.0.1:%d" % port], port, "/")
    got = parse(get(port, "/metrics")[1])
    b.s.check("cgroup: groups and machine", {"container_last_seen", "machine_cpu_cores", "machine_memory_bytes"} <= set(got), sorted(got))
    b.s.check("cgroup: the root group is there", any(dict(k).get("id") == "/" for k in got["container_last_seen"]["values"]))


# ---- inside the server, without a port ----

NATIVE_YML = """
global: { scrape_interval: 1s }
scrape_configs:
- job_name: redis
  scheme: vigie
  metrics_path: /redis
  static_configs: [{ targets: ['127.0.0.1:%(redis)d'] }]
- job_name: probes
  scheme: vigie
  metrics_path: /probe
  params: { module: [http_2xx] }
  static_configs: [{ targets: ['127.0.0.1:%(http)d', '127.0.0.1:%(closed)d'] }]
  relabel_configs:
  - { source_labels: [__address__], target_label: __param_target }
  - { source_labels: [__param_target], target_label: instance }
"""


def test_native(b):
    s = b.s
    if not shutil.which("redis-server"):
        s.skip("redis-server is not installed")
        return
    redis, port, closed = free_port(), free_port(), free_port()
    os.makedirs(s.path("native-redis"), exist_ok=True)
    Proc(s, "redis-native", ["redis-server", "--port", str(redis), "--bind", "127.0.0.1", "--dir",
                             s.path("native-redis"), "--save", ""])
    h = serve_http()
    conf = s.write("native.yml", NATIVE_YML % {"redis": redis, "http": h, "closed": closed})
    b.start("vigie-native", [b.vigie, "--config.file", conf, "--web.listen-address=127.0.0.1:%d" % port,
                             "--storage.tsdb.path", s.path("native-data")], port, "/-/ready")

    def value(query):
        r = json.loads(get(port, "/api/v1/query?query=" + urllib.parse.quote(query))[1])
        return {x["metric"].get("instance"): x["value"][1] for x in r["data"]["result"]}

    s.eventually("native: redis is asked in place", lambda: value("redis_up") == {"127.0.0.1:%d" % redis: "1"}, 20)
    s.eventually("native: targets are probed in place",
                 lambda: value("probe_success") == {"127.0.0.1:%d" % h: "1", "127.0.0.1:%d" % closed: "0"}, 20)
    s.check("native: all targets are up", set(value("up").values()) == {"1"}, lambda: value("up"))


def main():
    a = arguments("vigie's exporters beside Debian's", ("--only", {"default": "", "help": "names, comma-separated"}))
    s = Suite("exporters")
    b = Bench(s, a.vigie)
    tests = {n[5:]: f for n, f in globals().items() if n.startswith("test_")}
    try:
        for name, test in tests.items():
            if not a.only or name in a.only.split(","):
                test(b)
    finally:
        b.table()
        s.finish()


if __name__ == "__main__":
    main()
