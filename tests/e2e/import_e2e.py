"""import_e2e.py - a Prometheus's data directory and snapshot become vigie's: every sample, nothing deleted.

Debian's promtool makes blocks of the past, Debian's prometheus takes floats and native histograms by
remote write and deletes some of both; what it answers is what vigie must answer after the import.
"""
# SPDX-License-Identifier: Apache-2.0
import json
import math
import os
import shutil
import struct
import subprocess
import time
import traceback

import harness
from harness import Suite, arguments, field, field_double, field_int, start_prometheus, start_vigie, zigzag

NOW = int(time.time()) // 60 * 60
PAST = NOW - 3 * 86400  # where the blocks begin
HOURS = 30


def past_samples():
    """{labels: [(t, v)]} for promtool."""
    out = {}
    for i in range(6):
        series = []
        for k in range(HOURS * 60):
            t = PAST + 60 * k + i
            v = [k * 1.5 + i, math.sin(k / 50), float("nan") if k % 97 == 0 else k, -k, 1e300, float("inf")][i]
            if i == 3 and k % 7 == 3:
                continue
            series.append((t, v))
        out['old{i="%d",text="é \\"q\\""}' % i] = series
    return out


def number(v):
    return "NaN" if v != v else "+Inf" if v == math.inf else repr(v)


def make_blocks(suite, data):
    page = ["# TYPE old gauge"]
    for labels, series in past_samples().items():
        page += ["%s %s %d" % (labels, number(v), t) for t, v in series]
    path = suite.write("past.om", "\n".join(page) + "\n# EOF\n")
    r = subprocess.run(["promtool", "tsdb", "create-blocks-from", "openmetrics", path, data],
                       capture_output=True, text=True, timeout=120)
    suite.check("promtool makes blocks", r.returncode == 0, r.stderr)


def packed(number, values):
    return field(number, b"".join(harness.varint(v) for v in values))


def histogram(t_ms, k, gauge=False, floats=False):
    """A prompb.Histogram with spans on both sides."""
    span = lambda offset, n: field_int(1, zigzag(offset)) + field_int(2, n)
    pos, neg = [k, k + 2, 3 * k, 1], [k, k + 2]
    out = b""
    if floats:
        counts = lambda n, v: field(n, struct.pack("<%dd" % len(v), *[x / 2 for x in v]))
        out += field_double(2, (sum(pos) + sum(neg) + 7) / 2) + field_double(7, 3.5)
    else:
        counts = lambda n, v: packed(n, [zigzag(b - a) for a, b in zip([0] + v, v)])
        out += field_int(1, sum(pos) + sum(neg) + 7) + field_int(6, 7)
    out += field_double(3, k * 1.25) + field_int(4, zigzag(3)) + field_double(5, 1e-128)
    out += field(8, span(-2, 2)) + counts(10 if floats else 9, neg)
    out += field(11, span(0, 3)) + field(11, span(4, 1)) + counts(13 if floats else 12, pos)
    return out + field_int(14, 3 if gauge else 0) + field_int(15, t_ms)


def write_histograms(server, labels, histograms):
    body = b"".join(field(1, field(1, n) + field(2, labels[n])) for n in sorted(labels))
    body += b"".join(field(4, h) for h in histograms)
    return server.call("POST", "/api/v1/write", harness.snappy(field(1, body)), {
        "Content-Type": "application/x-protobuf", "Content-Encoding": "snappy",
        "X-Prometheus-Remote-Write-Version": "0.1.0"})[0]


def fill(suite, prom):
    start = NOW - 2400
    rows = []
    for i in range(20):
        rows.append(({"__name__": "new", "i": str(i)}, [((start + 15 * k) * 1000 + i, k * i + 0.25) for k in range(150)]))
    for k in range(0, 150, 10):
        status = prom.remote_write([(labels, s[k:k + 10]) for labels, s in rows])
        if status[0] not in (200, 204):
            suite.check("remote write of floats", False, status)
    stale = prom.remote_write([({"__name__": "new", "i": "5"}, [((start + 15 * 151) * 1000, harness.STALE)])])
    suite.check("remote write of a marker", stale[0] in (200, 204), stale)
    for kind, more in (("int", {}), ("gauge", {"gauge": True}), ("float", {"floats": True})):
        got = write_histograms(prom, {"__name__": "hist", "kind": kind}, [
            histogram((start + 15 * k) * 1000, k, **more) for k in range(1, 70)])
        suite.check("remote write of %s histograms" % kind, got in (200, 204), got)
    for match, a, b in (("old{i=\"1\"}", PAST + 3600, PAST + 7200), ("new{i=\"7\"}", start + 300, start + 600),
                        ("new{i=\"8\"}", 0, NOW + 3600)):
        got = prom.call("POST", "/api/v1/admin/tsdb/delete_series?match[]=%s&start=%d&end=%d" % (
            harness.urllib.parse.quote(match), a, b))[0]
        suite.equal("delete %s" % match, got, 204)


QUERIES = ["old[4d]", "new[4d]", "hist @ %d" % (NOW - 2000), "hist @ %d" % (NOW - 1500), "count_over_time(old[4d])", "histogram_sum(rate(hist{kind=\"int\"}[40m]))", "histogram_count(rate(hist{kind=\"float\"}[40m]))",
           "new offset 10m", "sum(new)", "{__name__=~\".+\"}"]


def answers(server):
    out = {}
    for q in QUERIES:
        r = server.query(q, NOW + 5, timeout="60s")
        if r["status"] != "success":
            out[q] = r
            continue
        out[q] = {json.dumps(s["metric"], sort_keys=True): {k: s[k] for k in s if k != "metric"}
                  for s in r["data"]["result"] if s["metric"].get("__name__") not in ("up",)
                  and not str(s["metric"].get("__name__", "")).startswith(("scrape_", "vigie", "prometheus_"))}
    return out


def run_import(suite, vigie, source, target, want=0, args=()):
    r = subprocess.run([vigie, "import", "prometheus", source, "--storage.tsdb.path=%s" % target] + list(args),
                       capture_output=True, text=True, timeout=120)
    suite.check("import of %s ends well" % os.path.basename(source), r.returncode == want,
                "%d: %s" % (r.returncode, r.stderr[-1500:]))
    return r.stderr


EMPTY = "global:\n  scrape_interval: 1h\n"


def compare(suite, vigie, target, want, what):
    v = start_vigie(suite, vigie, EMPTY, ["--storage.tsdb.retention.time=100y"], data=target)
    got = answers(v)
    for q in QUERIES:
        a, b = got[q], want[q]
        suite.check("%s: %s is the same (%d series)" % (what, q, len(b)), a == b and len(b) > 0, lambda: next(
            ((k, str(a.get(k))[:500], str(b.get(k))[:500]) for k in sorted(set(a) | set(b)) if a.get(k) != b.get(k)), (a, b)))
    # Debian's Prometheus mixes up histograms in ranges: these are compared with what was sent.
    for kind, half in (("int", 1), ("gauge", 1), ("float", 2)):
        r = v.query('hist{kind="%s"}[4d]' % kind, NOW + 5)["data"]["result"]
        suite.equal("%s: %s histograms" % (what, kind), [(h[1]["count"], h[1]["sum"]) for h in r[0]["histograms"]],
                    [(plain((7 * k + 12) / half), plain(1.25 * k)) for k in range(1, 70)])
    v.stop()


def plain(v):
    return repr(v)[:-2] if repr(v).endswith(".0") else repr(v)


def damage(suite, vigie, source):
    """Files cut and flipped: named, and what is whole comes in."""
    for name in os.listdir(source):
        if len(name) == 26:
            path = os.path.join(source, name, "chunks", "000001")
            with open(path, "r+b") as f:
                f.seek(200)
                f.write(b"\xff\xff")
            break
    err = run_import(suite, vigie, source, suite.path("damaged"), want=3)
    suite.check("damage is named", "damaged chunk" in err, err)
    with open(os.path.join(source, name, "index"), "r+b") as f:
        f.truncate(100)
    err = run_import(suite, vigie, source, suite.path("damaged2"), want=3)
    suite.check("a block without an index is left out", name in err, err)


def export(suite, vigie, target):
    r = subprocess.run([vigie, "export", "metrics", "--match=new{i=~\"1|2\"}", "--storage.tsdb.path=%s" % target],
                       capture_output=True, text=True, timeout=60)
    lines = [json.loads(x) for x in r.stdout.splitlines()]
    suite.equal("export writes the series", sorted(x["metric"]["i"] for x in lines), ["1", "2"])
    suite.equal("with all samples", [len(x["values"]) for x in lines], [150, 150])
    r = subprocess.run([vigie, "export", "metrics", "--match=old", "--format=csv", "--start=%d" % PAST, "--end=%d" % (PAST + 59),
                        "--columns=__name__,i,__value__,__timestamp__:unix_s", "--storage.tsdb.path=%s" % target],
                       capture_output=True, text=True, timeout=60)
    suite.check("export writes CSV", "old,0,0,%d\n" % PAST in r.stdout and len(r.stdout.splitlines()) == 6, r.stdout + r.stderr)


def through_http(suite, vigie, source, want):
    """All of a data directory as JSON lines, into another server: histograms too."""
    r = subprocess.run([vigie, "export", "metrics", "--storage.tsdb.path=%s" % source], capture_output=True, timeout=60)
    v = start_vigie(suite, vigie, EMPTY, ["--storage.tsdb.retention.time=100y"], data="through-http")
    status, _, body = v.call("POST", "/api/v1/import", r.stdout, timeout=60)
    suite.check("JSON lines of everything", status == 204, body)
    got = answers(v)
    for q in QUERIES:
        if q in ("sum(new)", QUERIES[-1]):
            continue  # markers of staleness are not exported
        a, b = got[q], {k: x for k, x in want[q].items()}
        suite.check("through JSON lines: %s is the same" % q, a == b, lambda: next(
            ((k, str(a.get(k))[:500], str(b.get(k))[:500]) for k in sorted(set(a) | set(b)) if a.get(k) != b.get(k)), ""))
    v.stop()


def main():
    a = arguments(__doc__)
    suite = Suite("import")
    try:
        if not shutil.which("prometheus") or not shutil.which("promtool"):
            suite.skip("Debian's prometheus is not installed")
            return
        data = suite.path("prometheus-data", "x")[:-2]
        make_blocks(suite, data)
        prom = start_prometheus(suite, EMPTY, ["--web.enable-remote-write-receiver", "--web.enable-admin-api",
                                               "--enable-feature=native-histograms", "--storage.tsdb.retention.time=90d"])
        fill(suite, prom)
        want = answers(prom)
        status, _, body = prom.call("POST", "/api/v1/admin/tsdb/snapshot")
        suite.check("snapshot", status == 200, body)
        snapshot = os.path.join(data, "snapshots", json.loads(body)["data"]["name"])
        prom.stop()
        log = run_import(suite, a.vigie, data, suite.path("from-data"))
        compare(suite, a.vigie, suite.path("from-data"), want, "data directory")
        log = run_import(suite, a.vigie, data, suite.path("from-data"))
        suite.check("a second run leaves finished blocks alone", log.count("imported before") >= 2, log)
        compare(suite, a.vigie, suite.path("from-data"), want, "after a second run")
        run_import(suite, a.vigie, snapshot, suite.path("from-snapshot"))
        compare(suite, a.vigie, suite.path("from-snapshot"), want, "snapshot")
        through_http(suite, a.vigie, suite.path("from-data"), want)
        export(suite, a.vigie, suite.path("from-data"))
        damage(suite, a.vigie, snapshot)
    except Exception:
        suite.check("runs to its end", False, traceback.format_exc())
    finally:
        suite.finish()


if __name__ == "__main__":
    main()
