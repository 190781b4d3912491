#!/usr/bin/env python3
"""Remote write: vigie to vigie and to Debian's Prometheus through a gate that refuses, stalls and
counts; kills in between; Debian's Prometheus to vigie; an agent."""
# SPDX-License-Identifier: Apache-2.0
import http.server
import os
import signal
import threading
import time

from harness import (Pages, Suite, arguments, free_port, http_call, start_prometheus, start_vigie)


# ---- reading requests ----

def unsnappy(data):
    """The block format."""
    at = shift = size = 0
    while True:
        b = data[at]
        at += 1
        size |= (b & 127) << shift
        shift += 7
        if b < 128:
            break
    out = bytearray()
    while at < len(data):
        tag = data[at]
        at += 1
        if tag & 3 == 0:
            n = tag >> 2
            if n >= 60:
                k = n - 59
                n = int.from_bytes(data[at:at + k], "little")
                at += k
            out += data[at:at + n + 1]
            at += n + 1
            continue
        if tag & 3 == 1:
            n, back = 4 + (tag >> 2 & 7), (tag >> 5) << 8 | data[at]
            at += 1
        else:
            k = 2 if tag & 3 == 2 else 4
            n, back = 1 + (tag >> 2), int.from_bytes(data[at:at + k], "little")
            at += k
        for _ in range(n):
            out.append(out[-back])
    assert len(out) == size
    return bytes(out)


def fields(data):
    at = 0

    def number():
        nonlocal at
        n = shift = 0
        while True:
            b = data[at]
            at += 1
            n |= (b & 127) << shift
            shift += 7
            if b < 128:
                return n
    while at < len(data):
        key = number()
        if key & 7 == 0:
            yield key >> 3, number()
        elif key & 7 == 1:
            yield key >> 3, data[at:at + 8]
            at += 8
        else:
            n = number()
            yield key >> 3, data[at:at + n]
            at += n


def samples_1(body):
    """(name and i, time) of each sample of a request of 1.0, in order."""
    out = []
    for n, series in fields(unsnappy(body)):
        if n != 1:
            continue
        labels, times = {}, []
        for k, v in fields(series):
            if k == 1:
                pair = dict(fields(v))
                labels[pair[1].decode()] = pair[2].decode()
            elif k == 2:
                times.append(dict(fields(v))[2])
        out += [((labels["__name__"], labels.get("i", ""), labels.get("from", "")), t)
                for t in times]
    return out


class Gate:
    """Stands before a receiver: passes requests on, or answers by itself; keeps what was accepted."""

    def __init__(self, suite):
        self.port = free_port()
        self.target = None
        self.mode = "pass"       # or a status, or "slow"
        self.refusals = 0        # how many requests a status is for; then pass
        self.accepted, self.headers, self.answered = [], {}, []
        self.lock = threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.headers = dict(self.headers)
                status, text, headers = outer.answer(self, body)
                try:
                    self.send_response(status)
                    for k, v in headers.items():
                        self.send_header(k, v)
                    self.send_header("Content-Length", str(len(text)))
                    self.end_headers()
                    self.wfile.write(text)
                except OSError:
                    self.close_connection = True

            def log_message(self, *args):
                pass

        class Quiet(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, address):
                pass

        self.server = Quiet(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, handler, body):
        with self.lock:
            mode = self.mode
            if isinstance(mode, int):
                self.refusals -= 1
                if self.refusals == 0:
                    self.mode = "pass"
        if isinstance(mode, int):
            self.answered.append((time.monotonic(), mode))
            return mode, b"not now\n", {"Retry-After": "1"} if mode == 429 else {}
        if mode == "slow":
            time.sleep(0.3)
        try:
            status, headers, text = http_call(self.target, "POST", "/api/v1/write", body,
                                              {k: v for k, v in handler.headers.items()
                                               if k.lower() not in ("host", "content-length")})
        except OSError:
            return 503, b"no receiver\n", {}
        if status // 100 == 2:
            with self.lock:
                self.accepted.append(body)
        self.answered.append((time.monotonic(), status))
        return status, text, {k: v for k, v in headers.items() if k.startswith("x-")}

    @property
    def url(self):
        return "http://127.0.0.1:%d/api/v1/write" % self.port

    def samples(self):
        with self.lock:
            return [s for body in self.accepted for s in samples_1(body)]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


QUEUE = """
  queue_config: {batch_send_deadline: 200ms, min_backoff: 30ms, max_backoff: 300ms,
                 max_samples_per_send: 100, retry_on_http_429: true}
  metadata_config: {send: false}
"""


def config(*urls, more=""):
    out = "global: {external_labels: {from: here}}\nremote_write:\n"
    for i, url in enumerate(urls):
        out += "- url: %s\n  name: to%d%s" % (url, i, QUEUE)
        out += """  write_relabel_configs:
  - {source_labels: [__name__], regex: secret.*, action: drop}
"""
    return out + more


class Load:
    """Pushes samples of known values into a sender and knows what must arrive."""

    def __init__(self, suite, start_ms):
        self.suite, self.t_ms, self.sent = suite, start_ms, {}

    def push(self, sender, steps, series=50):
        for _ in range(steps):
            self.t_ms += 1000
            rows = [({"__name__": "load", "i": str(i)}, [(self.t_ms, self.t_ms % 997 + i)])
                    for i in range(series)]
            rows.append(({"__name__": "secret_thing", "i": "0"}, [(self.t_ms, 1)]))
            status, text = sender.remote_write(rows)
            if status // 100 != 2:
                self.suite.check("the sender takes a push", False, "%s %s" % (status, text))
            for i in range(series):
                self.sent.setdefault(str(i), []).append((self.t_ms / 1000, self.t_ms % 997 + i))

    def read_back(self, receiver):
        r = receiver.api_get("/query", {"query": "load{from=\"here\"}[2h]",
                                        "time": "%.3f" % (self.t_ms / 1000 + 1)})
        return {s["metric"]["i"]: [(t, float(v)) for t, v in s["values"]]
                for s in r["data"]["result"]}

    def arrives(self, what, receiver, seconds=20):
        want = self.sent

        def got():
            have = self.read_back(receiver)
            if have == want:
                return "all"
            return "%d of %d samples" % (sum(len(v) for v in have.values()),
                                         sum(len(v) for v in want.values()))
        self.suite.eventually(what, got, seconds=seconds, want="all")


def metric(server, expr):
    """A value of the server's own /metrics."""
    for line in server.get("/metrics")[2].decode().splitlines():
        if line.startswith(expr):
            return float(line.rsplit(" ", 1)[1])
    return None


def each_once(suite, what, gate, slack=0):
    seen = {}
    order_ok = True
    last = {}
    for key, t in gate.samples():
        seen[key, t] = seen.get((key, t), 0) + 1
        if seen[key, t] == 1:
            order_ok &= last.get(key, 0) < t
            last[key] = t
    again = sum(n - 1 for n in seen.values())
    suite.check("%s: sent at most once more than not acknowledged" % what, again <= slack,
                "%d samples came again, %d allowed" % (again, slack))
    suite.check("%s: in order per series" % what, order_ok)


# ---- tests ----

def forwarding(suite, a):
    gates = [Gate(suite), Gate(suite)]
    store = start_vigie(suite, a.vigie, "", data="receiver")
    gates[0].target = store.port
    prom = start_prometheus(suite, args=["--web.enable-remote-write-receiver"])
    if prom:
        gates[1].target = prom.port
    else:
        suite.skip("prometheus is not installed")
    urls = [g.url for g in gates[:2 if prom else 1]]
    sender = start_vigie(suite, a.vigie, config(*urls), data="sender")
    load = Load(suite, int(time.time()) * 1000 - 1200 * 1000)

    def arrives(what):
        load.arrives("%s: all is in vigie" % what, store)
        if prom:
            load.arrives("%s: all is in prometheus" % what, prom)

    load.push(sender, 10)
    arrives("plain")
    suite.check("dropped by relabelling", not store.series("secret_thing"))
    suite.equal("version header", gates[0].headers.get("X-Prometheus-Remote-Write-Version"),
                "0.1.0")
    sent = metric(sender, 'prometheus_remote_storage_samples_total{remote_name="to0"')
    suite.check("sent samples are counted", sent == 500, sent)

    gates[0].mode, gates[0].refusals = 429, 2
    before = len(gates[0].answered)
    load.push(sender, 10)
    arrives("after two 429")
    refused = [t for t, s in gates[0].answered[before:] if s == 429]
    after = [t for t, s in gates[0].answered[before:] if s // 100 == 2]
    suite.check("Retry-After is obeyed", len(refused) == 2 and refused[1] - refused[0] > 0.9 and
                after[-1] - refused[1] > 0.9, (refused, after))
    gates[0].mode, gates[0].refusals = 500, 3
    load.push(sender, 10)
    arrives("after three 500")

    gates[0].mode = "slow"
    load.push(sender, 20)
    arrives("slow receiver")
    gates[0].mode = "pass"
    each_once(suite, "without kills", gates[0])

    # The receivers are away, the sender is killed, comes back, is killed again amidst sending.
    gates[0].mode = gates[1].mode = 503
    gates[0].refusals = gates[1].refusals = 1 << 30
    load.push(sender, 30)
    sender.kill()
    port = sender.port
    sender = start_vigie(suite, a.vigie, config(*urls), data="sender", port=port)
    load.push(sender, 30)
    gates[0].mode = "slow"
    gates[1].mode = "pass"
    time.sleep(0.7)
    sender.kill()
    gates[0].mode = "pass"
    sender = start_vigie(suite, a.vigie, config(*urls), data="sender", port=port)
    arrives("away, and two kills")
    each_once(suite, "two kills", gates[0], slack=200)

    # A clean stop amidst a queue, and what came while nobody took it.
    gates[0].mode, gates[0].refusals = 503, 1 << 30
    load.push(sender, 20)
    suite.equal("stops in time while a receiver is away", sender.stop(), 0)
    gates[0].mode = "pass"
    sender = start_vigie(suite, a.vigie, config(*urls), data="sender", port=port)
    arrives("clean stop")
    each_once(suite, "clean stop", gates[0], slack=400)

    # Final refusals: dropped and counted, and what comes after passes.
    gates[0].mode, gates[0].refusals = 400, 1
    load.push(sender, 1)
    suite.eventually("refused samples are counted", lambda: metric(
        sender, 'prometheus_remote_storage_samples_failed_total{remote_name="to0"') == 50)
    if prom:
        load.arrives("after a 400: all is in prometheus", prom)
    load.push(sender, 2)
    for v in load.sent.values():
        del v[-3]
    load.arrives("after a 400: the rest is in vigie", store)

    # Reload: one entry changes, the other goes on undisturbed.
    with open(sender.config, "w") as f:
        f.write(config(*urls).replace("max_backoff: 300ms", "max_backoff: 400ms", 1))
    sender.signal(signal.SIGHUP)
    load.push(sender, 5)
    load.arrives("after a reload", store)
    each_once(suite, "after a reload", gates[0], slack=500)
    suite.alive(sender)
    for g in gates:
        g.close()
    for s in (sender, store, prom):
        if s:
            s.kill()


def version_2(suite, a):
    store = start_vigie(suite, a.vigie, "", data="receiver2")
    pages = Pages()
    now = time.time()
    pages["/metrics"] = lambda h: __import__("harness").send(h, (
        "# HELP app_requests Requests.\n# TYPE app_requests counter\n"
        "app_requests_total{code=\"200\"} 17 # {trace_id=\"abc\"} 1.5 %.3f\n"
        "app_requests_created{code=\"200\"} %.3f\n# EOF\n" % (now, now - 100)),
        "application/openmetrics-text; version=1.0.0; charset=utf-8")
    sender = start_vigie(suite, a.vigie, """
scrape_configs:
- job_name: app
  scrape_interval: 1s
  static_configs: [{targets: ['%s']}]
remote_write:
- url: %s/api/v1/write
  protobuf_message: io.prometheus.write.v2.Request
  send_exemplars: true
  send_native_histograms: true
  queue_config: {batch_send_deadline: 200ms}
""" % (pages.address, store.url), data="sender2")
    suite.eventually("2.0: a sample arrives", lambda: store.value("app_requests_total") == 17)
    suite.eventually("2.0: metadata arrives", lambda: store.api_get(
        "/metadata", {"metric": "app_requests"})["data"] != {} or store.api_get(
        "/metadata", {"metric": "app_requests_total"})["data"] != {})
    suite.eventually("2.0: exemplars arrive", lambda: store.api_get(
        "/query_exemplars", {"query": "app_requests_total", "start": now - 3600,
                             "end": now + 3600})["data"] != [])
    sender.kill()
    store.kill()
    pages.close()


def prometheus_sends(suite, a):
    store = start_vigie(suite, a.vigie, "", data="receiver3")
    pages = Pages()
    pages["/metrics"] = "# TYPE a gauge\n" + "".join("a{i=\"%d\"} %d\n" % (i, i * i)
                                                     for i in range(200))
    prom = start_prometheus(suite, """
scrape_configs:
- job_name: page
  scrape_interval: 1s
  static_configs: [{targets: ['%s']}]
remote_write:
- url: %s/api/v1/write
  queue_config: {batch_send_deadline: 200ms}
""" % (pages.address, store.url), data="prometheus3")
    if not prom:
        suite.skip("prometheus is not installed")
    else:
        suite.eventually("prometheus sends to vigie", lambda: store.value(
            "count(count_over_time(a[10m]) >= 3)") == 200)
        suite.equal("its values", store.value("sum(a)"), float(sum(i * i for i in range(200))))
        prom.kill()
        at = time.time()
        q = {"query": "a[10m]", "time": "%.3f" % at}
        suite.check("its samples", len(store.api_get("/query", q)["data"]["result"]) == 200)
    store.kill()
    pages.close()


def agent(suite, a):
    store = start_vigie(suite, a.vigie, "", data="receiver4")
    pages = Pages()
    pages["/metrics"] = "# TYPE b gauge\nb 42\n"
    text = """
scrape_configs:
- job_name: page
  scrape_interval: 1s
  static_configs: [{targets: ['%s']}]
remote_write:
- url: %s/api/v1/write
  queue_config: {batch_send_deadline: 200ms}
""" % (pages.address, store.url)
    one = start_vigie(suite, a.vigie, text, args=["--agent"], data="agent")
    suite.eventually("an agent sends", lambda: store.value("b") == 42)
    suite.check("an agent answers no queries", one.query("b").get("status") == "error",
                lambda: one.query("b"))
    suite.check("an agent lists targets", len(one.targets().get("page", [])) == 1)
    suite.equal("an agent stops", one.stop(), 0)
    for folder, _, files in os.walk(suite.path("agent")):
        suite.check("an agent keeps no part that was sent", not [f for f in files
                                                                 if f.endswith(".part")], folder)
    store.kill()
    pages.close()


def main():
    a = arguments(__doc__)
    suite = Suite("remote_write")
    forwarding(suite, a)
    version_2(suite, a)
    prometheus_sends(suite, a)
    agent(suite, a)
    suite.finish()


main()
