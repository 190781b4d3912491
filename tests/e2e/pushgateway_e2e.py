"""pushgateway_e2e.py - the Pushgateway as its clients see it, beside Debian's, killed, and scraped by vigie.

The same requests go to Debian's prometheus-pushgateway and to vigie under the name pushgateway: the
statuses, the pages and the JSON must be the same once times are taken out.
"""
# SPDX-License-Identifier: Apache-2.0
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import traceback

import harness
from harness import Server, Suite, arguments, free_port, start_vigie


def start_gateway(suite, binary, args=(), name="pushgateway"):
    """vigie by the name pushgateway, or Debian's."""
    if name == "pushgateway":
        link = suite.path("bin/pushgateway")
        if not os.path.exists(link):
            os.symlink(binary, link)
        binary = link
    port = free_port()
    s = Server(suite, name, [binary, "--web.listen-address=127.0.0.1:%d" % port] + list(args), port)
    if not s.wait_ready():
        suite.check("%s becomes ready" % name, False, s.tail)
    return s


# ---- the same requests to both ----

HISTOGRAM = """# HELP lat Latency.
# TYPE lat histogram
lat_bucket{le="0.1"} 3
lat_bucket{le="1"} 5
lat_bucket{le="+Inf"} 6
lat_sum 2.5
lat_count 6
# TYPE q summary
q{quantile="0.5"} 1
q{quantile="0.99"} 3e+06
q_sum 17
q_count 8
"""


def proto_family(name, kind, metrics):
    """A delimited MetricFamily; metrics: [(labels, field number, body)]."""
    f = harness.field
    body = f(1, name) + harness.field_int(3, kind)
    for labels, number, value in metrics:
        body += f(4, b"".join(f(1, f(1, k) + f(2, v)) for k, v in labels.items()) + f(number, value))
    return harness.varint(len(body)) + body


PROTO = ("application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; "
         "encoding=delimited")
GAUGE = proto_family("pg", 1, [({"a": "b"}, 2, harness.field_double(1, 4.5)),
                               ({"a": "c"}, 2, harness.field_double(1, float("inf")))])
MIXED = proto_family("pm", 1, [({}, 3, harness.field_double(1, 1))])

REQUESTS = [
    ("POST", "/metrics/job/one", "a 1\n"),
    ("POST", "/metrics/job/one/", "a 2\n"),
    ("PUT", "/metrics/job/one/instance/i1", "a 3\nb{x=\"y\\\"z\\\\\\n\"} -4.5e-7\n"),
    ("POST", "/metrics/job/one/instance/i1", "b 7\n"),
    ("POST", "/metrics/job/one/instance/i1", "a{instance=\"other\",job=\"mine\",k=\"v\"} NaN\n"),
    ("PUT", "/metrics/job/hist", HISTOGRAM),
    ("POST", "/metrics/job/hist2/z/1", HISTOGRAM),
    ("POST", "/metrics/job/bad", "lat_count 1\n"),
    ("POST", "/metrics/job/bad", "# TYPE a counter\na 1\n"),
    ("POST", "/metrics/job/bad", "a 1 1395066363000\n"),
    ("POST", "/metrics/job/bad", "a 1\na 1\n"),
    ("POST", "/metrics/job/bad", "a 1"),
    ("POST", "/metrics/job/bad", "a{ 1\n"),
    ("POST", "/metrics/job/bad", "a{x=y} 1\n"),
    ("POST", "/metrics/job/bad", "# TYPE a foo\na 1\n"),
    ("POST", "/metrics/job/bad", "# TYPE c counter\n# TYPE c counter\nc 1\n"),
    ("POST", "/metrics/job/bad", "c one\n"),
    ("POST", "/metrics/job/bad", "c{__x=\"1\"} 1\n"),
    ("POST", "/metrics/job/bad", "c{a=\"1\",a=\"2\"} 1\n"),
    ("POST", "/metrics/job/bad2", "push_time_seconds 5\n# TYPE d gauge\nd 1\n"),
    ("POST", "/metrics/job/bad2", "push_failure_time_seconds 5\nd 1\n"),
    ("POST", "/metrics/job/help", "# HELP e Something.\n# TYPE e gauge\ne 2\n"),
    ("PUT", "/metrics/job/empty", ""),
    ("POST", "/metrics/job/empty", "# HELP nothing at all\n"),
    ("PUT", "/metrics/job@base64/b25l/dir@base64/L3Zhci90bXA", "a 9\n"),
    ("PUT", "/metrics/job@base64/b25l/dir@base64/=", "a 10\n"),
    ("PUT", "/metrics/job/one/odd", "a 1\n"),
    ("PUT", "/metrics/job/one/a-b/c", "a 1\n"),
    ("PUT", "/metrics/job/one/__a/c", "a 1\n"),
    ("PUT", "/metrics/job@base64/!!/a/b", "a 1\n"),
    ("PUT", "/metrics/job@base64/=", "a 1\n"),
    ("PUT", "/metrics/job//a/b", "a 1\n"),
    ("PUT", "/metrics/job", "a 1\n"),
    ("PATCH", "/metrics/job/one", "a 1\n"),
    ("GET", "/metrics/job/one", None),
    ("PUT", "/metrics/job/tw%20o/na%C3%AFve/x", None),
    ("PUT", "/metrics/job/two/l%2Fm/n", "a 1\n"),
    ("POST", "/metrics/job/proto", GAUGE, {"Content-Type": PROTO}),
    ("POST", "/metrics/job/proto", MIXED, {"Content-Type": PROTO}),
    ("POST", "/metrics/job/proto", GAUGE[:-3], {"Content-Type": PROTO}),
    ("POST", "/metrics/job/gz", gzip.compress(b"z 1\n"), {"Content-Encoding": "gzip"}),
    ("POST", "/metrics/job/gz", b"not gzip at all and long enough", {"Content-Encoding": "gzip"}),
    ("POST", "/metrics/job/cr", "a 1\r\n"),
    ("POST", "/metrics/job/self", "# TYPE process_open_fds counter\nprocess_open_fds 1\n"),
    ("POST", "/metrics/job/self", "# TYPE process_max_fds gauge\nprocess_max_fds 1\n"),
    ("DELETE", "/metrics/job/hist2/z/1", None),
    ("DELETE", "/metrics/job/not/there/yet", None),
    ("DELETE", "/metrics/job/nothere", None),
    ("GET", "/-/healthy", None),
    ("GET", "/-/ready", None),
    ("PUT", "/-/quit", None),
    ("GET", "/-/quit", None),
    ("GET", "/api/v1/nothing", None),
    ("OPTIONS", "/api/v1/metrics", None),
    ("POST", "/api/v1/metrics", None),
    ("GET", "/nothing", None),
]

# Texts that upstream writes in an order or spelling of its own.
OWN_WORDS = re.compile(r"collected metric|proto:|unexpected EOF|gzip|protobuf|malformed")


def normal_page(text):
    """Pushed families of a page, times of pushes reduced to 0 or T."""
    out = []
    for line in text.splitlines():
        name = re.split(r"[ {]", line[7:] if line.startswith("#") else line)[0]
        if name.startswith(("go_", "process_", "pushgateway_", "promhttp_")) and "job=" not in line:
            continue
        if line.startswith("push_"):
            line = re.sub(r" [0-9.e+]+$", lambda m: m.group(0) if float(m.group(0)) < 10 else " T",
                          line)
        out.append(line)
    return out


def normal_json(text):
    groups = json.loads(text)["data"]
    for g in groups:
        for name, f in g.items():
            if isinstance(f, dict) and "time_stamp" in f:
                f["time_stamp"] = bool(re.match(r"\d{4}-\d\d-\d\dT", f["time_stamp"]))
                if name.startswith("push_"):
                    for m in f["metrics"]:
                        m["value"] = "0" if m["value"] == "0" else "T"
    return sorted(groups, key=lambda g: json.dumps(g["labels"], sort_keys=True))


def differential(suite, vigie):
    if not shutil.which("prometheus-pushgateway"):
        suite.skip("Debian's prometheus-pushgateway is not installed")
        return
    ours = start_gateway(suite, vigie, ["--web.enable-admin-api"])
    theirs = start_gateway(suite, "prometheus-pushgateway",
                           ["--web.enable-admin-api",
                            "--persistence.file=%s" % suite.path("theirs.data")], "debian")
    for request in REQUESTS:
        method, path, body = request[:3]
        headers = request[3] if len(request) > 3 else {}
        got = [s.call(method, path, body.encode() if isinstance(body, str) else body,
                      dict(headers)) for s in (ours, theirs)]
        what = "%s %s %r" % (method, path, (body or "")[:40])
        suite.equal("%s: status" % what, got[0][0], got[1][0])
        texts = [g[2].decode(errors="replace") for g in got]
        if got[1][0] != 301 and not OWN_WORDS.search(texts[1]):
            suite.equal("%s: text" % what, texts[0], texts[1])
    pages = [normal_page(s.get("/metrics")[2].decode()) for s in (ours, theirs)]
    suite.check("the page is long enough to compare", len(pages[1]) > 50, pages[1])
    for a, b in zip(pages[0], pages[1]):
        if a != b:
            break
    suite.check("/metrics is the same", pages[0] == pages[1],
                lambda: sorted(set(pages[0]) ^ set(pages[1])) or (a, b))
    both = [normal_json(s.get("/api/v1/metrics")[2]) for s in (ours, theirs)]
    suite.check("/api/v1/metrics is the same", both[0] == both[1],
                lambda: [(x, y) for x, y in zip(*both) if x != y][:1] or both)
    status = [json.loads(s.get("/api/v1/status")[2])["data"] for s in (ours, theirs)]
    suite.equal("/api/v1/status has the same keys", sorted(status[0]), sorted(status[1]))
    suite.equal("flags of theirs are ours, too",
                sorted(set(status[1]["flags"]) - set(status[0]["flags"])), [])
    for s in (ours, theirs):
        suite.equal("%s: wipe" % s.name, s.call("PUT", "/api/v1/admin/wipe")[0], 202)
        suite.eventually("%s: nothing is left" % s.name,
                         lambda: "push_time" not in s.get("/metrics")[2].decode())
    ours.stop()
    theirs.stop()


# ---- clients ----

CLIENT = """
import sys
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary
from prometheus_client import push_to_gateway, pushadd_to_gateway, delete_from_gateway
at = sys.argv[1]
r = CollectorRegistry()
Gauge('job_last_success_unixtime', 'Last success.', registry=r).set(1234.5)
c = Counter('records', 'Records.', ['kind'], registry=r)
c.labels('good').inc(7)
c.labels('b"ad\\n').inc()
h = Histogram('took_seconds', 'Took.', buckets=(1, 5), registry=r)
h.observe(0.5); h.observe(7)
push_to_gateway(at, job='batch', registry=r)
push_to_gateway(at, job='a/b', grouping_key={'dir': '/tmp', 'empty': ''}, registry=r)
one = CollectorRegistry()
Gauge('added', 'Added.', registry=one).set(3)
pushadd_to_gateway(at, job='batch', registry=one)
push_to_gateway(at, job='gone', registry=one)
delete_from_gateway(at, job='gone')
"""


def clients(suite, gateway):
    for python in (sys.executable, "/usr/bin/python3"):  # Debian's modules are for the latter
        r = subprocess.run([python, "-c", CLIENT, "127.0.0.1:%d" % gateway.port],
                           capture_output=True, text=True, timeout=60)
        if "No module named" not in r.stderr:
            break
    if "No module named" in r.stderr:
        suite.skip("python3-prometheus-client is not installed")
        return False
    suite.check("prometheus_client pushes", r.returncode == 0, r.stderr)
    page = gateway.get("/metrics")[2].decode().splitlines()
    for line in ('job_last_success_unixtime{instance="",job="batch"} 1234.5',
                 'records_total{instance="",job="batch",kind="good"} 7',
                 'records_total{instance="",job="batch",kind="b\\"ad\\n"} 1',
                 'took_seconds_bucket{instance="",job="batch",le="5"} 1',
                 'took_seconds_bucket{instance="",job="batch",le="+Inf"} 2',
                 'took_seconds_sum{instance="",job="batch"} 7.5',
                 'added{instance="",job="batch"} 3',
                 'job_last_success_unixtime{dir="/tmp",empty="",instance="",job="a/b"} 1234.5'):
        suite.check("page has %s" % line, line in page, lambda: "\n".join(page))
    suite.check("what was deleted is gone", not any('job="gone"' in p for p in page))
    if shutil.which("curl"):
        at = "%s/metrics/job/curl/instance/c" % gateway.url
        r = subprocess.run("echo 'from_curl 42' | curl -sf --data-binary @- %s" % at, shell=True,
                           timeout=30)
        suite.equal("curl pushes", r.returncode, 0)
        suite.check("what curl pushed is there",
                    'from_curl{instance="c",job="curl"} 42' in gateway.get("/metrics")[2].decode())
    return True


# ---- persistence ----

def persistence(suite, vigie):
    args = ["--persistence.file=%s" % suite.path("kept.data"), "--persistence.interval=200ms"]
    g = start_gateway(suite, vigie, args)
    g.call("PUT", "/metrics/job/kept", HISTOGRAM.encode())
    g.call("PUT", "/metrics/job/kept2/a/b", b"x 1\n")
    suite.eventually("the file is written within the interval",
                     lambda: b"kept2" in open(suite.path("kept.data"), "rb").read())
    before = normal_page(g.get("/metrics")[2].decode())
    g.kill()
    g = start_gateway(suite, vigie, args)
    suite.equal("kill -9 loses nothing that is older than the interval",
                normal_page(g.get("/metrics")[2].decode()), before)
    g.call("PUT", "/metrics/job/last", b"x 2\n")
    suite.equal("a stop ends well", g.stop(), 0)
    g = start_gateway(suite, vigie, args + ["--web.enable-lifecycle"])
    suite.check("a stop saves", 'x{instance="",job="last"} 2' in g.get("/metrics")[2].decode())
    suite.equal("quit is obeyed", g.call("PUT", "/-/quit")[0], 200)
    suite.eventually("quit ends the process", lambda: not g.is_running())


def takeover(suite, vigie):
    """The file that Debian's Pushgateway left is read, once, and kept."""
    if not shutil.which("prometheus-pushgateway"):
        return
    args = ["--persistence.file=%s" % suite.path("taken.data")]
    theirs = start_gateway(suite, "prometheus-pushgateway", args, "debian")
    for i in range(300):
        theirs.call("PUT", "/metrics/job/many/n/%d" % i, b"m %d\n" % i)
    theirs.call("PUT", "/metrics/job/h/a@base64/L3g", HISTOGRAM.encode())
    before = theirs.get("/metrics")[2].decode(), theirs.get("/api/v1/metrics")[2]
    theirs.stop()
    for run in ("first", "second"):
        ours = start_gateway(suite, vigie, args)
        suite.equal("%s start: the page is that of before" % run, normal_page(ours.get("/metrics")[2].decode()),
                    normal_page(before[0]))
        suite.equal("%s start: groups are those of before" % run, normal_json(ours.get("/api/v1/metrics")[2]),
                    normal_json(before[1]))
        ours.stop()
    suite.check("the file is kept", os.path.exists(suite.path("taken.data.gob")))


def flags(suite, vigie):
    g = start_gateway(suite, vigie, ["--push.disable-consistency-check",
                                     "--web.telemetry-path=/page", "--push.enable-utf8-names"])
    suite.equal("unchecked pushes are 202", g.call("POST", "/metrics/job/x", b"a 1\n")[0], 202)
    g.call("POST", "/metrics/job/x/U__a_2e_b/c", b'{"m.n","l.m"="1"} 1\n')
    page = g.get("/page")[2].decode()
    suite.check("names of any characters", '{"m.n","a.b"="c",instance="",job="x","l.m"="1"} 1' in page,
                page)
    g.call("POST", "/metrics/job/y", b"# TYPE a counter\na 1\n")
    suite.equal("an inconsistent page is refused", g.get("/page")[0], 500)
    page = g.get("/")[2].decode()
    suite.check("the page for people names the groups", "<h1>Pushgateway" in page and "job=" in page)
    g.stop()
    link = suite.path("bin/pushgateway")
    port = free_port()
    g = Server(suite, "pushgateway", [link, "--web.listen-address=127.0.0.1:%d" % port,
                                      "--web.external-url=http://x/some/where/"], port)
    suite.eventually("the path of the external URL is the prefix",
                     lambda: g.get("/some/where/-/ready")[0] == 200)
    suite.equal("pushes go below it", g.call("PUT", "/some/where/metrics/job/x", b"a 1\n")[0], 200)
    g.stop()


# ---- inside vigie ----

def bare(suite, vigie):
    port = free_port()
    v = start_vigie(suite, vigie, args=["--pushgateway.listen-address=127.0.0.1:%d" % port])
    g = Server.__new__(Server)
    g.port, g.url, g.name = port, "http://127.0.0.1:%d" % port, "inside"
    suite.equal("vigie takes pushes", g.call("PUT", "/metrics/job/night/instance/i",
                                             b"inside_vigie 42\n")[0], 200)
    g.call("PUT", "/metrics/job/noinstance", b"inside_vigie 43\n")
    suite.eventually("and scrapes them with honor_labels", lambda: v.series("inside_vigie") == {
        frozenset({"__name__": "inside_vigie", "job": "night", "instance": "i"}.items()): "42",
        frozenset({"__name__": "inside_vigie", "job": "noinstance"}.items()): "43",
    }, seconds=40)
    suite.equal("its own target is up", v.value('up{job="pushgateway"}'), 1)
    v.stop()
    v = start_vigie(suite, vigie, args=["--pushgateway.listen-address=127.0.0.1:%d" % port])
    suite.check("a restart keeps what was pushed",
                'inside_vigie{instance="i",job="night"} 42' in g.get("/metrics")[2].decode())
    v.stop()


def main():
    a = arguments(__doc__)
    suite = Suite("pushgateway")
    try:
        differential(suite, a.vigie)
        g = start_gateway(suite, a.vigie)
        clients(suite, g)
        g.stop()
        persistence(suite, a.vigie)
        takeover(suite, a.vigie)
        flags(suite, a.vigie)
        bare(suite, a.vigie)
    except Exception:
        suite.check("runs to its end", False, traceback.format_exc())
    finally:
        suite.finish()


if __name__ == "__main__":
    main()
