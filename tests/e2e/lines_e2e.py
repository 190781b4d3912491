"""lines_e2e.py - line protocols and files in, values read back equal, by curl and by sockets.

Where Debian's victoria-metrics is installed, the same bodies go to it and the exported series are compared.
"""
# SPDX-License-Identifier: Apache-2.0
import gzip
import json
import shutil
import socket
import struct
import subprocess
import time
import traceback
import zlib

import harness
from harness import Server, Suite, arguments, free_port, start_vigie

NOW = int(time.time()) - 60  # within reach of both


def curl(suite, url, data, *args):
    """The status of a POST by curl."""
    path = suite.path("body-%d" % (hash(data) & 0xFFFFFFFF))
    with open(path, "wb") as f:
        f.write(data if isinstance(data, bytes) else data.encode())
    r = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--data-binary",
                        "@" + path, url] + list(args), capture_output=True, text=True, timeout=30)
    return int(r.stdout or 0)


def instant(vigie, expr, at=NOW + 1):
    """{labels: value} as {'name{a=b,…}': value}."""
    out = {}
    for labels, value in vigie.series(expr, at).items():
        labels = dict(labels)
        name = labels.pop("__name__", "")
        out["%s{%s}" % (name, ",".join("%s=%s" % kv for kv in sorted(labels.items())))] = float(value)
    return out


def expect(suite, vigie, what, expr, want, at=NOW + 1):
    suite.eventually(what, lambda: instant(vigie, expr, at), want=want, seconds=10)


YEARS_AGO = 1500000000
DAYS = 40


# ---- InfluxDB ----

def influx(suite, v):
    for i, path in enumerate(["/write", "/api/v2/write", "/influx/write", "/api/v1/push/influx/write"]):
        body = "weather%d,location=us\\ midwest,sta\\,tion=a\\=b temperature=82.5,count=7i,ok=t,text=\"no, \\\"number\" %d000000000\n" % (i, NOW)
        suite.equal("%s is 204" % path, curl(suite, v.url + path + "?db=mine", body), 204)
        labels = "{db=mine,location=us midwest,sta,tion=a=b}"
        expect(suite, v, "%s reads back" % path, '{__name__=~"weather%d_.*"}' % i, {
            "weather%d_temperature%s" % (i, labels): 82.5, "weather%d_count%s" % (i, labels): 7,
            "weather%d_ok%s" % (i, labels): 1})
    for precision, t in (("s", NOW), ("ms", NOW * 1000), ("us", NOW * 10**6), ("ns", NOW * 10**9)):
        body = "precise,p=%s v=1 %d\n" % (precision, t)
        suite.equal("precision %s is taken" % precision,
                    curl(suite, "%s/write?precision=%s" % (v.url, precision), body), 204)
    expect(suite, v, "all precisions are one time", "timestamp(precise_v)",
           {"{p=%s}" % p: NOW for p in ("s", "ms", "us", "ns")})
    suite.equal("gzip is taken", curl(suite, v.url + "/write", gzip.compress(
        b"packed v=1 %d000000000\n" % NOW), "-H", "Content-Encoding: gzip"), 204)
    expect(suite, v, "gzip reads back", "packed_v", {"packed_v{}": 1})
    status, _, body = v.call("POST", "/write", ("good v=1 %d000000000\nbad line here\nalso v=2 %d000000000\n"
                                                % (NOW, NOW)).encode())
    suite.equal("a bad line is 400", status, 400)
    suite.check("which says where", b"line 2, column 9" in body, body)
    expect(suite, v, "good lines around it are stored", '{__name__=~"good_v|also_v"}',
           {"good_v{}": 1, "also_v{}": 2})
    body = "apart v=1 %d000000000\napart v=2 %d000000000\n" % (NOW, YEARS_AGO)
    suite.equal("one series, years apart, the newer first", curl(suite, v.url + "/write", body), 204)
    expect(suite, v, "the older sample", "apart_v", {"apart_v{}": 2}, at=YEARS_AGO + 1)
    expect(suite, v, "the newer sample", "apart_v", {"apart_v{}": 1})
    suite.equal("ping", v.get("/ping")[0], 204)
    suite.equal("a bad precision is 400", curl(suite, v.url + "/write?precision=x", "a v=1\n"), 400)


# ---- sockets ----

def send(port, data, udp=False):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM) as s:
        s.connect(("127.0.0.1", port))
        s.sendall(data.encode())


def sockets(suite, v, graphite, opentsdb, statsd):
    send(graphite, "web.requests.count;dc=eu;host=a 42.5 %d\nplain.name 7 %d\nhalf" % (NOW, NOW))
    send(graphite, "by.udp 9 %d" % NOW, udp=True)
    expect(suite, v, "Graphite by TCP and UDP", '{__name__=~"web[.].*|plain[.].*|by[.].*"}', {
        "web.requests.count{dc=eu,host=a}": 42.5, "plain.name{}": 7, "by.udp{}": 9})
    send(opentsdb, "version\nput sys.cpu.user %d 42.5 host=web01 cpu=0\nput tsdb.ms %d000 1 a=b\n" % (NOW, NOW))
    expect(suite, v, "OpenTSDB by telnet", '{__name__=~"sys.cpu.user|tsdb.ms"}', {
        "sys.cpu.user{cpu=0,host=web01}": 42.5, "tsdb.ms{a=b}": 1})
    big = "".join("many.lines;n=%d %d %d\n" % (i, i, NOW) for i in range(20000))
    send(graphite, big)
    expect(suite, v, "20,000 lines on one connection", "count({__name__='many.lines'})", {"{}": 20000})
    now = time.time() + 2
    send(statsd, "stat.requests:3|c\nstat.requests:2|c|@0.5\nstat.requests:1|c|#env:prod,v:1\n", udp=True)
    send(statsd, "stat.level:10|g\nstat.level:-3|g\nstat.level:+1|g\nstat.users:a|s\nstat.users:b|s\nstat.users:a|s\n", udp=True)
    send(statsd, "stat.took:250:250:500|ms\nstat.size:5|h\nstat.gone|c\n", udp=True)
    suite.eventually("statsd counters", lambda: instant(v, "stat_requests", time.time()), want={
        "stat_requests{}": 7, "stat_requests{env=prod,v=1}": 1})
    expect(suite, v, "statsd gauges", "stat_level", {"stat_level{}": 8}, at=now)
    suite.eventually("statsd timers are summaries in seconds",
                     lambda: instant(v, '{__name__=~"stat_took.*"}', time.time()), want={
                         "stat_took{quantile=0.5}": 0.25, "stat_took{quantile=0.9}": 0.5,
                         "stat_took{quantile=0.99}": 0.5, "stat_took_count{}": 3, "stat_took_sum{}": 1})
    suite.eventually("statsd distributions keep their unit",
                     lambda: instant(v, "stat_size_sum", time.time()), want={"stat_size_sum{}": 5})
    r = v.api_get("/query_range", {"query": "stat_users", "start": now - 60, "end": now + 60, "step": 1})
    values = {x[1] for s in r["data"]["result"] for x in s["values"]}
    suite.check("sets were 2 while members came", "2" in values, values)
    suite.equal("malformed lines are counted", v.get("/metrics")[2].decode().count(
        "vigie_statsd_malformed_lines_total 1\n"), 1)


# ---- JSON of others ----

def others(suite, v):
    suite.equal("OpenTSDB's /api/put", curl(suite, v.url + "/api/put", json.dumps([
        {"metric": "put.one", "timestamp": NOW, "value": 18.5, "tags": {"host": "a"}},
        {"metric": "put.two", "timestamp": NOW * 1000, "value": "9"}])), 204)
    expect(suite, v, "reads back", '{__name__=~"put.*"}', {"put.one{host=a}": 18.5, "put.two{}": 9})
    suite.equal("a point without value is 400", curl(suite, v.url + "/api/put", '{"metric":"x"}'), 400)
    series = {"series": [{"metric": "system.load-1", "host": "h1", "type": "gauge", "interval": 20,
                          "points": [[NOW, 0.5]], "tags": ["env:prod", "alone", "host:other"]}]}
    suite.equal("DataDog version 1", curl(suite, v.url + "/datadog/api/v1/series", json.dumps(series)), 202)
    v2 = {"series": [{"metric": "v2.metric", "type": 0, "points": [{"timestamp": NOW, "value": 3}],
                      "resources": [{"type": "host", "name": "h2"}], "tags": ["a:b"]}]}
    suite.equal("DataDog version 2, deflate", curl(suite, v.url + "/datadog/api/v2/series", zlib.compress(
        json.dumps(v2).encode()), "-H", "Content-Encoding: deflate", "-H", "Content-Type: application/json"), 202)
    f = harness.field
    proto = f(1, f(1, f(1, "host") + f(2, "h3")) + f(2, "v2.proto") + f(3, "a:b") +
              f(4, struct.pack("<Bd", 9, 4.5) + harness.field_int(2, NOW)))
    suite.equal("DataDog version 2, protobuf", curl(suite, v.url + "/datadog/api/v2/series", proto, "-H",
                                                    "Content-Type: application/x-protobuf"), 202)
    expect(suite, v, "read back", '{__name__=~"system.load.*|v2.*"}', {
        "system.load_1{alone=no_label_value,env=prod,exported_host=other,host=h1}": 0.5,
        "v2.metric{a=b,host=h2}": 3, "v2.proto{a=b,host=h3}": 4.5})


# ---- files ----


def files(suite, v):
    csv = 'GOOG,1.23,4.56,NYSE\n"MS""FT",,3.21,"NAS,DAQ"\nbad,x,1,y\n'
    suite.equal("CSV with a bad row is 400", curl(
        suite, v.url + "/api/v1/import/csv?format=2:metric:ask,3:metric:bid,1:label:ticker,4:label:market"
        "&extra_label=source=csv", csv), 400)
    expect(suite, v, "the good rows are stored", '{source="csv"}', {
        "ask{market=NYSE,source=csv,ticker=GOOG}": 1.23, "bid{market=NYSE,source=csv,ticker=GOOG}": 4.56,
        'bid{market=NAS,DAQ,source=csv,ticker=MS"FT}': 3.21}, at=time.time() + 5)
    for kind, t in (("unix_s", str(YEARS_AGO)), ("unix_ms", str(YEARS_AGO * 1000)),
                    ("unix_ns", str(YEARS_AGO * 10**9)), ("rfc3339", "2017-07-14T02:40:00Z")):
        suite.equal("CSV time %s" % kind, curl(
            suite, v.url + "/api/v1/import/csv?format=1:metric:old,2:time:%s,3:label:kind" % kind,
            "5,%s,%s\n" % (t, kind)), 204)
    expect(suite, v, "times of years ago", "timestamp(old)", {
        "{kind=%s}" % k: YEARS_AGO for k in ("unix_s", "unix_ms", "unix_ns", "rfc3339")}, at=YEARS_AGO + 1)
    series = []
    for i in range(20):
        series.append({"metric": {"__name__": "moved", "i": str(i), "odd": "a\"\\\n\u00e9"},
                       "values": [i * 1000 + k for k in range(DAYS)],
                       "timestamps": [(YEARS_AGO + 86400 * 3 * k) * 1000 + i for k in range(DAYS)]})
    lines = "".join(json.dumps(s) + "\n" for s in series)
    suite.equal("JSON lines over four months", curl(suite, v.url + "/api/v1/import", lines), 204)
    status, _, out = v.get("/api/v1/export", {"match[]": "moved"}, timeout=60)
    got = sorted((json.loads(x) for x in out.decode().splitlines()), key=lambda s: int(s["metric"]["i"]))
    suite.equal("come back by export as they were", (status, got == series), (200, True))
    status, _, out = v.get("/api/v1/export", {"match[]": 'moved{i="3"}', "start": YEARS_AGO + 86400 * 3,
                                              "end": YEARS_AGO + 86400 * 9 + 1})
    suite.equal("export by time", json.loads(out)["values"], [3001, 3002, 3003])
    special = {"metric": {"__name__": "special"}, "values": [None, "Infinity", "-Infinity", 1e300, -0.5],
               "timestamps": [1000 * (NOW + k) for k in range(5)]}
    suite.equal("NaN and infinities", curl(suite, v.url + "/api/v1/import", json.dumps(special) + "\n"), 204)
    out = json.loads(v.get("/api/v1/export", {"match[]": "special"})[2])
    suite.equal("come back", out, special)
    status, _, out = v.get("/api/v1/export/csv", {"match[]": 'moved{i="3"}', "end": YEARS_AGO + 86400 * 3 + 1,
                                                  "format": "__name__,i,odd,__value__,__timestamp__:unix_s"})
    suite.equal("CSV out", out.decode(), 'moved,3,"a""\\\n\u00e9",3000,%d\nmoved,3,"a""\\\n\u00e9",3001,%d\n'
                .replace('a""\\', 'a""\\') % (YEARS_AGO, YEARS_AGO + 86400 * 3))
    page = "# TYPE page counter\npage{a=\"b\"} 7 %d\npage{a=\"c\"} 8\nh_bucket{le=\"1\"} 3\n" % (YEARS_AGO * 1000)
    suite.equal("a text page", curl(suite, "%s/api/v1/import/prometheus?timestamp=%d" % (v.url, NOW * 1000),
                                    page), 204)
    expect(suite, v, "its own time", "page", {"page{a=b}": 7}, at=YEARS_AGO + 1)
    expect(suite, v, "the time of the request", "page", {"page{a=c}": 8})
    suite.equal("export without match[] is 400", v.get("/api/v1/export")[0], 400)
    suite.equal("a bad format is 400", curl(suite, v.url + "/api/v1/import/csv?format=1:x:y", "1\n"), 400)


# ---- beside victoria-metrics ----

def compare(suite, v):
    if not shutil.which("victoria-metrics"):
        suite.skip("victoria-metrics is not installed")
        return
    port = free_port()
    vm = Server(suite, "victoria-metrics",
                ["victoria-metrics", "-httpListenAddr=127.0.0.1:%d" % port, "-retentionPeriod=100y",
                 "-storageDataPath=%s" % suite.path("vm"), "-search.latencyOffset=0s"], port)
    suite.eventually("victoria-metrics answers", lambda: vm.get("/health")[0] == 200)
    bodies = [
        ("/write?db=d&precision=s", "vmc,t=1 a=1.5,b=2i,c=t,d=f %d\nvmc,t=\\ 2 a=-1e5 %d\n" % (NOW, NOW)),
        ("/influx/write?precision=ms&extra_label=x=y", "vmc2 value=3 %d\n" % (NOW * 1000)),
        ("/api/v1/import/csv?format=1:metric:vmc3,2:label:l,3:time:unix_s", "1.5,a b,%d\n2.5,\"q,\",%d\n" % (NOW, NOW)),
        ("/api/v1/import", '{"metric":{"__name__":"vmc4","l":"é"},"values":[1,2.25],"timestamps":[%d000,%d500]}\n' % (NOW, NOW)),
        ("/api/v1/import/prometheus?timestamp=%d" % (NOW * 1000), 'vmc5{a="b"} 5\nvmc5{a="c"} 6 %d\n' % (NOW * 1000 + 7)),
        ("/datadog/api/v1/series", json.dumps({"series": [{"metric": "vmc6.x_y", "host": "h", "points": [[NOW, 1]],
                                                           "tags": ["a:b", "c"]}]})),
    ]
    for path, body in bodies:
        got = curl(suite, v.url + path, body), curl(suite, vm.url + path, body)
        suite.equal("%s: status as victoria-metrics" % path.split("?")[0], got[0], got[1])

    def exported(s):
        out = s.get("/api/v1/export", {"match[]": '{__name__=~"vmc.*"}', "start": NOW - 100,
                                       "end": NOW + 100})[2]
        lines = [json.loads(x) for x in out.decode().splitlines()]
        return sorted(lines, key=lambda x: json.dumps(x["metric"], sort_keys=True))
    vm.get("/internal/force_flush")
    suite.eventually("victoria-metrics has all", lambda: len(exported(vm)), want=12)
    a, b = exported(v), exported(vm)
    suite.check("both export the same series", a == b, lambda: [(x, y) for x, y in zip(a, b) if x != y][:3] or (a, b))
    moved = vm.get("/api/v1/export", {"match[]": '{__name__=~"vmc.*"}', "start": NOW - 100, "end": NOW + 100})[2]
    suite.equal("what it exports goes in again",
                curl(suite, v.url + "/api/v1/import?extra_label=from=vm", moved), 204)
    suite.eventually("and is there", lambda: len(instant(v, '{from="vm"}')), want=len(b))
    vm.stop()


def main():
    a = arguments(__doc__)
    suite = Suite("lines")
    try:
        graphite, opentsdb, statsd = free_port(), free_port(), free_port()
        v = start_vigie(suite, a.vigie, args=[
            "--pushgateway.listen-address=", "--storage.tsdb.retention.time=100y",
            "--graphite.listen-address=127.0.0.1:%d" % graphite,
            "--opentsdb.listen-address=127.0.0.1:%d" % opentsdb,
            "--statsd.listen-address=127.0.0.1:%d" % statsd, "--statsd.flush-interval=1s"])
        influx(suite, v)
        others(suite, v)
        files(suite, v)
        sockets(suite, v, graphite, opentsdb, statsd)
        compare(suite, v)
        suite.equal("stops well", v.stop(), 0)
    except Exception:
        suite.check("runs to its end", False, traceback.format_exc())
    finally:
        suite.finish()


if __name__ == "__main__":
    main()
