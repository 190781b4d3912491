#!/usr/bin/env python3
"""push_e2e.py - pushing into a running vigie: remote write 1.0 and 2.0, tenants, limits, HA pairs.

  push_e2e.py --vigie build/release/vigie
"""
# SPDX-License-Identifier: Apache-2.0
import ctypes
import ctypes.util
import json
import time

from harness import (Suite, arguments, field, field_double, field_int, snappy, start_vigie, varint,
                     write_request)

V2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request"
LIMITS = """limits:
  ingestion_rate: 1000000
overrides:
  small:
    max_global_series_per_user: 2
    max_global_series_per_metric: 1
  slow:
    ingestion_rate: 1
    ingestion_burst_size: 5
  narrow:
    max_label_names_per_series: 2
    max_label_value_length: 10
  pair:
    accept_ha_samples: true
  late:
    out_of_order_time_window: 1h
  asks:
    max_fetched_series_per_query: 2
    max_total_query_length: 1h
    max_query_lookback: 10m
    max_query_expression_size_bytes: 40
"""


def now_ms():
    return int(time.time() * 1000)


def push(server, series, tenant=None, path="/api/v1/write", headers=None):
    h = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
    if tenant is not None:
        h["X-Scope-OrgID"] = tenant
    h.update(headers or {})
    status, got, body = server.call("POST", path, snappy(write_request(series)), h)
    return status, got, body.decode(errors="replace").strip()


def one(name, t, v, **labels):
    return [(dict(labels, __name__=name), [(t, v)])]


def ask(server, expr, tenant=None, path="/api/v1/query", **params):
    h = {} if tenant is None else {"X-Scope-OrgID": tenant}
    status, _, body = server.get(path, dict(params, query=expr), headers=h)
    try:
        return status, json.loads(body)
    except ValueError:
        return status, body.decode(errors="replace")


def values(server, expr, tenant=None):
    status, answer = ask(server, expr, tenant)
    if status != 200:
        return status, answer
    return {tuple(sorted(s["metric"].items())): s["value"][1] for s in answer["data"]["result"]}


def key(name, **labels):
    return tuple(sorted(dict(labels, __name__=name).items()))


# ---- remote write 2.0 ----

class Request2:
    def __init__(self):
        self.symbols, self.body = [""], b""

    def symbol(self, s):
        if s not in self.symbols:
            self.symbols.append(s)
        return self.symbols.index(s)

    def series(self, labels, samples, kind=0, help="", start=0, refs=None):
        refs = refs or [self.symbol(s) for n in sorted(labels) for s in (n, labels[n])]
        m = field(1, b"".join(varint(r) for r in refs))
        for t, v in samples:
            m += field(2, field_double(1, v) + field_int(2, t) + (field_int(3, start) if start else b""))
        if kind:
            m += field(5, field_int(1, kind) + field_int(3, self.symbol(help)))
        self.body += field(5, m)

    def histogram(self, labels, t, count, total):
        refs = [self.symbol(s) for n in sorted(labels) for s in (n, labels[n])]
        # sum, schema 0, one span of one bucket with `count` in it
        h = field_int(1, count) + field_double(3, total) + field_int(4, 0)
        h += field(11, field_int(1, 0) + field_int(2, 1)) + field(12, varint(count << 1)) + field_int(15, t)
        self.body += field(5, field(1, b"".join(varint(r) for r in refs)) + field(3, h))

    def bytes(self):
        return b"".join(field(4, s) for s in self.symbols) + self.body


def push2(server, request, body=None, encoding="snappy", **headers):
    h = {"Content-Type": V2, "Content-Encoding": encoding, "X-Prometheus-Remote-Write-Version": "2.0.0"}
    h.update(headers)
    status, got, text = server.call("POST", "/api/v1/write", body or snappy(request.bytes()), h)
    return status, got, text.decode(errors="replace").strip()


def written(got):
    return tuple(got.get("x-prometheus-remote-write-%s-written" % k) for k in ("samples", "histograms", "exemplars"))


def zstd(data):
    """None where the library is not installed."""
    name = ctypes.util.find_library("zstd")
    if not name:
        return None
    lib = ctypes.CDLL(name)
    lib.ZSTD_compressBound.restype = lib.ZSTD_compress.restype = ctypes.c_size_t
    room = lib.ZSTD_compressBound(ctypes.c_size_t(len(data)))
    out = ctypes.create_string_buffer(room)
    n = lib.ZSTD_compress(out, ctypes.c_size_t(room), data, ctypes.c_size_t(len(data)), 1)
    return out.raw[:n]


# ---- without tenants ----

def test_versions(s, v):
    t = now_ms() - 60000
    s.equal("1.0 is taken", push(v, one("a", t, 1, i="1"))[0], 204)
    s.equal("the header of tenants is not looked at", push(v, one("a", t + 1000, 2, i="1"), "nobody")[0], 204)
    s.equal("read back", values(v, "a"), {key("a", i="1"): "2"})
    s.equal("Mimir's path says 200", push(v, one("b", t, 1), path="/api/v1/push")[0], 200)
    s.equal("Cortex's path says 200", push(v, one("b", t + 1, 1), path="/api/prom/push")[0], 200)
    s.equal("queries have Mimir's prefix too", ask(v, "b", path="/prometheus/api/v1/query")[0], 200)
    status, _, text = push(v, one("a", t, 3, i="1") + one("c", t, 3))
    s.check("what is out of order is 400 and the rest is stored", status == 400 and "out of order" in text, (status, text))
    s.equal("stored beside it", values(v, "c"), {key("c"): "3"})
    status, _, text = push(v, one("c", t, 4))
    s.check("a duplicate is told with both values", status == 400 and "existing 3, new value 4" in text, (status, text))
    s.equal("the same again is fine", push(v, one("c", t, 3))[0], 204)
    s.equal("no name: 1.0 drops it in silence", push(v, [({"x": "1"}, [(t, 1)])])[0], 204)
    status, _, text = push(v, [({"x": "1"}, [(t, 1)])] + one("d", t, 1), path="/api/v1/push")
    s.check("no name: Mimir's path says so", status == 400 and "invalid metric name" in text, (status, text))
    s.equal("and keeps the good one", values(v, "d"), {key("d"): "1"})
    status, _, text = v.call("POST", "/api/v1/write", b"nonsense", {"Content-Encoding": "snappy"})
    s.equal("nonsense is 400", status, 400)
    s.equal("an unknown message is 415", v.call("POST", "/api/v1/write", b"", {
        "Content-Type": "application/x-protobuf;proto=x"})[0], 415)
    s.equal("an unknown coding is 415", v.call("POST", "/api/v1/write", b"", {"Content-Encoding": "br"})[0], 415)
    packed = zstd(write_request(one("z", t, 5)))
    if packed is None:
        s.skip("no libzstd")
    else:
        s.equal("zstd is taken", v.call("POST", "/api/v1/write", packed, {"Content-Encoding": "zstd"})[0], 204)
        s.equal("read back from zstd", values(v, "z"), {key("z"): "5"})


def test_version_2(s, v):
    t = now_ms() - 60000
    r = Request2()
    r.series({"__name__": "two_total", "job": "j"}, [(t, 1), (t + 1000, 2)], kind=1, help="Twos.", start=t - 5000)
    r.histogram({"__name__": "two_hist"}, t, 4, 10.0)
    status, got, text = push2(v, r)
    s.check("2.0 is taken", status == 204, (status, text))
    s.equal("counts written", written(got), ("2", "1", "0"))
    s.equal("read back", values(v, "two_total"), {key("two_total", job="j"): "2"})
    s.equal("the histogram too", values(v, "histogram_sum(two_hist)"), {(): "10"})
    meta = json.loads(v.get("/api/v1/metadata", {"metric": "two_total"})[2])
    s.equal("metadata", meta["data"].get("two_total"), [{"type": "counter", "help": "Twos.", "unit": ""}])
    r = Request2()
    r.series({"__name__": "two_total", "job": "j"}, [(t - 9000, 1), (t + 2000, 3)])
    r.series({}, [(t, 1)], refs=[1, 99])
    status, got, text = push2(v, r)
    s.check("2.0 names what is wrong and counts what is right", status == 400 and text and written(got) == ("1", "0", "0"),
            (status, got, text))
    s.equal("the good one is there", values(v, "two_total"), {key("two_total", job="j"): "3"})
    s.equal("a malformed one stores nothing", (push2(v, None, snappy(b"\x2a\x05abc"))[0],), (400,))


# ---- with tenants ----

def test_tenants(s, v):
    t = now_ms() - 60000
    status, _, text = push(v, one("up", t, 1))
    s.check("without a tenant: 401", status == 401 and "no org id" in text, (status, text))
    s.equal("queries too", ask(v, "up")[0], 401)
    s.equal("a name that cannot be: 400", push(v, one("up", t, 1), "a/b")[0], 400)
    s.equal("two tenants cannot be written to", push(v, one("up", t, 1), "pods|nodes")[0], 400)
    s.equal("one can", push(v, one("up", t, 1, i="1"), "pods", path="/api/v1/push")[0], 200)
    s.equal("the other", push(v, one("up", t, 2, i="1"), "nodes")[0], 204)
    s.equal("each sees its own", values(v, "up", "pods"), {key("up", i="1"): "1"})
    s.equal("and nobody else's", values(v, "up", "nodes"), {key("up", i="1"): "2"})
    s.equal("a tenant of whom nothing is known", values(v, "up", "nobody"), {})
    both = {key("up", __tenant_id__="pods", i="1"): "1", key("up", __tenant_id__="nodes", i="1"): "2"}
    s.equal("both at once", values(v, "up", "pods|nodes"), both)
    s.equal("chosen by label", values(v, 'up{__tenant_id__="pods"}', "nodes|pods"),
            {key("up", __tenant_id__="pods", i="1"): "1"})
    s.equal("summed", values(v, "sum(up)", "nodes|pods"), {(): "3"})
    h = {"X-Scope-OrgID": "pods|nodes"}
    names = json.loads(v.get("/prometheus/api/v1/label/__tenant_id__/values", headers=h)[2])["data"]
    s.equal("values of the tenants' label", names, ["nodes", "pods"])
    series = json.loads(v.get("/api/v1/series", {"match[]": "up"}, headers=h)[2])["data"]
    s.equal("series of both", len(series), 2)
    s.equal("health needs no tenant", v.get("/-/healthy")[0], 200)
    stats = json.loads(v.get("/api/v1/user_stats", headers={"X-Scope-OrgID": "pods"})[2])
    s.check("figures of a tenant", stats["numSeries"] == 1 and stats["ingestionRate"] > 0, stats)
    card = json.loads(v.get("/prometheus/api/v1/cardinality/label_names", headers={"X-Scope-OrgID": "pods"})[2])
    s.equal("cardinality of names", card, {"label_values_count_total": 2, "label_names_count": 2, "cardinality": [
        {"label_name": "__name__", "label_values_count": 1}, {"label_name": "i", "label_values_count": 1}]})
    card = json.loads(v.get("/api/v1/cardinality/label_values", {"label_names[]": "i"}, headers={"X-Scope-OrgID": "pods"})[2])
    s.equal("cardinality of values", card, {"series_count_total": 1, "labels": [
        {"label_name": "i", "label_values_count": 1, "series_count": 1,
         "cardinality": [{"label_value": "1", "series_count": 1}]}]})


def test_limits(s, v):
    t = now_ms() - 60000
    status, got, text = push(v, one("a", t, 1) + one("b", t, 1) + one("c", t, 1), "small")
    s.check("too many series: 429 with the limit and its value",
            status == 429 and "max_global_series_per_user" in text and " 2 " in text and got.get("retry-after"), (status, text))
    s.equal("those before it are stored", len(values(v, '{__name__=~"a|b|c"}', "small")), 2)
    s.equal("and go on", push(v, one("a", t + 1000, 1) + one("b", t + 1000, 1), "small")[0], 204)
    status, got, text = push(v, [({"__name__": "x"}, [(t + k, k) for k in range(6)])], "slow")
    s.check("too fast: 429 and nothing stored", status == 429 and "ingestion_rate is 1 " in text and got.get("retry-after")
            and values(v, "x", "slow") == {}, (status, text))
    status, _, text = push(v, one("n", t, 1, x="1", y="1"), "narrow")
    s.check("too many labels: 400", status == 400 and "max_label_names_per_series is 2" in text, (status, text))
    status, _, text = push(v, one("n", t, 1, x="0123456789a") + one("m", t, 1), "narrow")
    s.check("a long value: 400", status == 400 and "max_label_value_length is 10" in text, (status, text))
    s.equal("the good one of them is stored", values(v, "m", "narrow"), {key("m"): "1"})
    s.equal("late samples are one tenant's right", (push(v, one("l", t, 1), "late")[0], push(v, one("l", t - 60000, 1), "late")[0]),
            (204, 204))
    limits = json.loads(v.get("/api/v1/user_limits", headers={"X-Scope-OrgID": "small"})[2])
    s.equal("limits are told", (limits["max_global_series_per_user"], limits["ingestion_rate"]), (2, 1000000))
    s.check("all of them too", "max_global_series_per_user: 2" in v.get("/runtime_config")[2].decode())


def test_query_limits(s, v):
    t = now_ms() - 60000
    push(v, one("q", t, 1, i="1") + one("q", t, 2, i="2") + one("q", t, 3, i="3"), "asks")
    status, answer = ask(v, "q", "asks")
    s.check("too many series of a query: 422", status == 422 and "max_fetched_series_per_query is 2" in answer["error"],
            (status, answer))
    s.equal("fewer are fine", values(v, 'q{i="1"}', "asks"), {key("q", i="1"): "1"})
    status, answer = ask(v, "1", "asks", path="/api/v1/query_range", start=t / 1000 - 7200, end=t / 1000, step=60)
    s.check("too long a range: 422", status == 422 and "max_total_query_length is 1h" in answer["error"], (status, answer))
    status, answer = ask(v, "sum(" * 10 + "q" + ")" * 10, "asks")
    s.check("too long a query: 422", status == 422 and "max_query_expression_size_bytes is 40" in answer["error"], (status, answer))


def test_pairs(s, v):
    t = now_ms() - 60000

    def send(replica, at, value):
        return push(v, one("h", at, value, cluster="c", __replica__=replica) + one("g", at, value, cluster="c", __replica__=replica), "pair")

    s.equal("the first replica is listened to", send("r1", t, 1)[0], 204)
    status, _, text = send("r2", t + 1000, 2)
    s.check("the other one is not, and need not send again", status == 202 and "replica=r2, elected=r1" in text, (status, text))
    s.equal("the first goes on", send("r1", t + 2000, 3)[0], 204)
    s.equal("one series, without the replica", values(v, 'last_over_time(h[1h])', "pair"), {key("h", cluster="c"): "3"})
    s.equal("all samples of one replica", values(v, "count_over_time(g[1h])", "pair"), {(("cluster", "c"),): "2"})
    tracker = json.loads(v.get("/distributor/ha_tracker")[2])["elected"]
    s.equal("the pairs are told", [(e["userID"], e["cluster"], e["replica"]) for e in tracker], [("pair", "c", "r1")])


def test_reload(s, v, path):
    t = now_ms() - 30000
    s.equal("before the change", push(v, one("d", t, 1), "small")[0], 429)
    s.write(path, LIMITS.replace("max_global_series_per_user: 2", "max_global_series_per_user: 3"))
    s.eventually("a changed file acts by itself", lambda: push(v, one("d", t, 1), "small")[0], seconds=20, want=204)
    s.write(path, "limits:\n  ingestion_rat: 1\n")
    s.eventually("a wrong file is named in the log", lambda: "ingestion_rat not found" in v.text(), seconds=20)
    s.equal("and changes nothing", push(v, one("d", t + 1000, 1), "small")[0], 204)


def main():
    a = arguments(__doc__)
    s = Suite("push")
    v = start_vigie(s, a.vigie, "global: {}\n")
    test_versions(s, v)
    test_version_2(s, v)
    s.alive(v)
    v.stop()
    path = s.write("limits.yml", LIMITS)
    args = ["--auth.multitenancy-enabled", "--limits.file=%s" % path]
    v = start_vigie(s, a.vigie, "global: {}\n", args, data="tenants")
    test_tenants(s, v)
    test_limits(s, v)
    test_query_limits(s, v)
    test_pairs(s, v)
    test_reload(s, v, "limits.yml")
    s.alive(v)
    s.equal("stops in order", v.stop(), 0)
    v = start_vigie(s, a.vigie, "global: {}\n", ["--auth.multitenancy-enabled"], data="tenants")
    s.equal("tenants are there after a restart", values(v, "last_over_time(up[1h])", "nodes"), {key("up", i="1"): "2"})
    s.finish()


if __name__ == "__main__":
    main()
