"""scrape_e2e.py - scraping as a whole: a bare start, the node exporter, every knob of a job, reloads,
staleness, service discovery, and targets that mean harm."""
# SPDX-License-Identifier: Apache-2.0
import gzip
import json
import os
import shutil
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import (OPENMETRICS, PROTOBUF, Pages, Proc, Suite, arguments, field, field_double,  # noqa: E402
                       field_int, free_port, http_call, send, start_vigie, varint, zigzag)


def labels_of(result):
    return [dict(s["metric"]) for s in result["data"]["result"]]


# ---- a bare start ----

def bare(suite, binary):
    began = time.monotonic()
    server = start_vigie(suite, binary, data="bare")
    print("ready after %.0f ms" % ((time.monotonic() - began) * 1000))
    left = 20 - (time.monotonic() - began)
    suite.eventually("bare: metrics of its own",
                     lambda: server.value('prometheus_build_info') == 1, left)
    left = 20 - (time.monotonic() - began)
    suite.eventually("bare: metrics of its host",
                     lambda: server.value("node_memory_MemTotal_bytes") > 1e6, max(left, 1))
    for name in ("node_cpu_seconds_total", "node_filesystem_size_bytes", "node_disk_reads_completed_total",
                 "node_network_receive_bytes_total", "node_load1", "node_uname_info",
                 "node_boot_time_seconds", "node_time_seconds"):
        suite.check("bare: %s" % name, len(server.series(name)) > 0 or
                    (name.startswith("node_disk") and not os.path.exists("/sys/block")))
    suite.check("bare: all its targets are up", len(server.series("up")) >= 2 and
                set(server.series("up").values()) == {"1"}, lambda: server.series("up"))
    suite.equal("bare: stops on SIGTERM", server.stop(), 0)


def node_exporter(suite, binary):
    if not shutil.which("prometheus-node-exporter"):
        return suite.skip("node exporter: prometheus-node-exporter is not installed")
    port = free_port()
    exporter = Proc(suite, "node-exporter",
                    ["prometheus-node-exporter", "--web.listen-address=127.0.0.1:%d" % port])
    server = start_vigie(suite, binary, """
global: {scrape_interval: 1s, scrape_timeout: 1s, external_labels: {site: here}}
scrape_configs:
- job_name: node
  static_configs: [{targets: ['127.0.0.1:%d'], labels: {rack: r1}}]
""" % port, data="node")
    suite.eventually("node exporter: up", lambda: server.value('up{job="node"}') == 1)
    status, _, page = http_call(port, "GET", "/metrics")
    families = {line.split()[2] for line in page.decode().splitlines() if line.startswith("# TYPE")}
    suite.check("node exporter: answers", status == 200 and len(families) > 100, len(families))
    suite.eventually("node exporter: load is stored", lambda: server.value("node_load1") is not None)
    names = set(server.api_get("/label/__name__/values")["data"])
    lost = [f for f in families if not any(f + s in names for s in ("", "_count", "_sum"))]
    suite.check("node exporter: every family is stored", not lost, lost[:10])
    suite.equal("node exporter: target labels", {(m["job"], m["rack"], m["instance"]) for m in
                                                 labels_of(server.query("node_load1"))},
                {("node", "r1", "127.0.0.1:%d" % port)})
    meta = server.api_get("/metadata", {"metric": "node_load1"})["data"]
    suite.equal("node exporter: metadata", meta.get("node_load1"),
                [{"type": "gauge", "help": "1m load average.", "unit": ""}])
    samples = server.value('scrape_samples_scraped{job="node"}')
    suite.check("node exporter: scrape_samples_scraped", samples and samples > 300, samples)
    exporter.kill()
    suite.eventually("node exporter: gone, up is 0", lambda: server.value('up{job="node"}') == 0)
    suite.equal("node exporter: gone, its series are stale", server.series("node_load1"), {})
    error = server.targets()["node"][0]["lastError"]
    suite.check("node exporter: the error says refused", "connection refused" in error, error)
    suite.equal("node exporter: stops", server.stop(), 0)


# ---- every knob of a job ----

JOBS = """
global:
  scrape_interval: 1s
  scrape_timeout: 900ms
scrape_configs:
- job_name: plain
  metrics_path: /plain
  static_configs: [{targets: ['%(at)s'], labels: {zone: eu, job2: x}}]
- job_name: honest
  metrics_path: /labels
  honor_labels: true
  static_configs: [{targets: ['%(at)s'], labels: {zone: eu}}]
- job_name: clash
  metrics_path: /labels
  static_configs: [{targets: ['%(at)s'], labels: {zone: eu}}]
- job_name: relabelled
  metrics_path: /plain
  static_configs: [{targets: ['%(at)s', 'drop.invalid:1'], labels: {shard: a1}}]
  relabel_configs:
  - {source_labels: [__address__], regex: 'drop\\..*', action: drop}
  - {source_labels: [shard], regex: '([a-z])(\\d)', target_label: cell, replacement: '$2-$1'}
  - {source_labels: [__address__], target_label: instance, replacement: 'renamed'}
  - {regex: shard, action: labeldrop}
- job_name: filtered
  metrics_path: /plain
  static_configs: [{targets: ['%(at)s']}]
  metric_relabel_configs:
  - {source_labels: [__name__], regex: 'plain_(gauge|counter_total)', action: keep}
  - {source_labels: [code], regex: '5..', action: drop}
  - {source_labels: [__name__], regex: 'plain_gauge', target_label: __name__, replacement: 'renamed_gauge'}
- job_name: few
  metrics_path: /many
  sample_limit: 10
  static_configs: [{targets: ['%(at)s']}]
- job_name: enough
  metrics_path: /many
  sample_limit: 50
  static_configs: [{targets: ['%(at)s']}]
- job_name: small
  metrics_path: /many
  body_size_limit: 500B
  static_configs: [{targets: ['%(at)s']}]
- job_name: label_count
  metrics_path: /plain
  label_limit: 3
  static_configs: [{targets: ['%(at)s']}]
- job_name: label_name
  metrics_path: /plain
  label_name_length_limit: 8
  static_configs: [{targets: ['%(at)s']}]
- job_name: label_value
  metrics_path: /plain
  label_value_length_limit: 60
  static_configs: [{targets: ['%(at)s']}]
- job_name: targets
  metrics_path: /plain
  target_limit: 1
  static_configs: [{targets: ['%(at)s', '%(at2)s']}]
- job_name: basic
  metrics_path: /basic
  basic_auth: {username: ann, password: 'p:w'}
  static_configs: [{targets: ['%(at)s']}]
- job_name: bearer
  metrics_path: /bearer
  authorization: {credentials_file: token}
  static_configs: [{targets: ['%(at)s']}]
- job_name: params
  metrics_path: /params
  params: {module: [a, b], q: ['x y&z']}
  static_configs: [{targets: ['%(at)s']}]
- job_name: gzip
  metrics_path: /gzip
  static_configs: [{targets: ['%(at)s']}]
- job_name: identity
  metrics_path: /gzip
  enable_compression: false
  static_configs: [{targets: ['%(at)s']}]
- job_name: chunked
  metrics_path: /chunked
  static_configs: [{targets: ['%(at)s']}]
- job_name: openmetrics
  metrics_path: /openmetrics
  static_configs: [{targets: ['%(at)s']}]
- job_name: native
  metrics_path: /native
  scrape_native_histograms: true
  static_configs: [{targets: ['%(at)s']}]
- job_name: native_and_classic
  metrics_path: /native
  scrape_native_histograms: true
  always_scrape_classic_histograms: true
  static_configs: [{targets: ['%(at)s']}]
- job_name: no_native
  metrics_path: /native
  scrape_protocols: [PrometheusProto, PrometheusText0.0.4]
  static_configs: [{targets: ['%(at)s']}]
- job_name: redirect
  metrics_path: /redirect
  static_configs: [{targets: ['%(at)s']}]
- job_name: no_redirect
  metrics_path: /redirect
  follow_redirects: false
  static_configs: [{targets: ['%(at)s']}]
- job_name: stamps
  metrics_path: /stamps
  static_configs: [{targets: ['%(at)s']}]
- job_name: no_stamps
  metrics_path: /stamps
  honor_timestamps: false
  static_configs: [{targets: ['%(at)s']}]
- job_name: utf8
  metrics_path: /utf8
  static_configs: [{targets: ['%(at)s']}]
- job_name: legacy
  metrics_path: /utf8
  metric_name_validation_scheme: legacy
  static_configs: [{targets: ['%(at)s']}]
- job_name: extra
  metrics_path: /many
  extra_scrape_metrics: true
  sample_limit: 77
  static_configs: [{targets: ['%(at)s']}]
- job_name: comes_and_goes
  metrics_path: /comes_and_goes
  static_configs: [{targets: ['%(at)s']}]
- job_name: fails_at_times
  metrics_path: /fails_at_times
  static_configs: [{targets: ['%(at)s']}]
- job_name: broken
  metrics_path: /status500
  static_configs: [{targets: ['%(at)s']}]
- job_name: files
  metrics_path: /plain
  file_sd_configs: [{files: ['sd/*.json', 'sd/*.yml'], refresh_interval: 1s}]
- job_name: web
  metrics_path: /plain
  http_sd_configs: [{url: 'http://%(at)s/sd', refresh_interval: 1s}]
"""

PLAIN = """# HELP plain_gauge A gauge.
# TYPE plain_gauge gauge
plain_gauge{code="200"} 1.5
plain_gauge{code="500"} 2
# TYPE plain_counter_total counter
plain_counter_total{a_long_label_name="v",long="%s"} 7
plain_untyped 3
""" % ("v" * 64)

OPENMETRICS_PAGE = """# TYPE om_requests counter
# UNIT om_requests_seconds seconds
# HELP om_requests Requests.
om_requests_total{path="/"} 17 # {trace_id="abc123"} 0.67
om_requests_created{path="/"} 1700000000
# TYPE om_latency histogram
om_latency_bucket{le="0.1"} 8 # {trace_id="small"} 0.054
om_latency_bucket{le="+Inf"} 10 # {trace_id="big",span_id="s"} 9.8
om_latency_count 10
om_latency_sum 12.5
# EOF
"""


def histogram_page():
    """A family of one native histogram, schema 0, with classic buckets beside it."""
    h = field_int(1, 12) + field_double(2, 18.4)
    h += b"".join(field(3, field_int(1, c) + field_double(2, le))
                  for c, le in ((4, 1.0), (9, 2.0), (12, float("inf"))))
    h += varint(5 << 3) + varint(zigzag(0)) + field_double(6, 0.001) + field_int(7, 3)
    h += field(12, varint(1 << 3) + varint(zigzag(0)) + field_int(2, 2))
    h += field(12, varint(1 << 3) + varint(zigzag(1)) + field_int(2, 2))
    h += b"".join(varint(13 << 3) + varint(zigzag(d)) for d in (1, 2, -1, 1))
    metric = field(1, field(1, "route") + field(2, "/x")) + field(7, h)
    family = field(1, "latency_seconds") + field(2, "Latency.") + field_int(3, 4) + field(4, metric)
    gauge = field(1, "proto_gauge") + field_int(3, 1) + field(4, field(2, field_double(1, 2.5)))
    counter = field(1, "proto_total") + field_int(3, 0) + field(4, field(3, field_double(1, 42.0)))
    return b"".join(varint(len(f)) + f for f in (family, gauge, counter))


def guarded(want):
    def page(h):
        if h.headers.get("Authorization") == want:
            send(h, "guarded_gauge 1\n")
        else:
            send(h, "who are you?\n", status=401)
    return page


def gzip_page(h):
    if "gzip" in h.headers.get("Accept-Encoding", ""):
        send(h, gzip.compress(b"zipped_gauge 1\n"), headers={"Content-Encoding": "gzip"})
    else:
        send(h, "zipped_gauge 0\n")


def chunked_page(h):
    h.send_response(200)
    h.send_header("Content-Type", "text/plain")
    h.send_header("Transfer-Encoding", "chunked")
    h.end_headers()
    for piece in ("chunk", "ed_gau", "ge 4\nchunked_other 5\n"):
        h.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece.encode()))
        h.wfile.flush()
        time.sleep(0.02)
    h.wfile.write(b"0\r\n\r\n")


def set_up_pages(pages):
    pages["/plain"] = PLAIN
    pages["/labels"] = 'clashing{zone="us",job="mine",instance="i",exported_zone="old"} 1\nno_clash 2\n'
    pages["/many"] = "".join('many{n="%d"} %d\n' % (i, i) for i in range(40))
    pages["/basic"] = guarded("Basic YW5uOnA6dw==")
    pages["/bearer"] = guarded("Bearer secret-token")
    pages["/params"] = lambda h: send(h, 'asked{url="%s"} 1\n' % h.path)
    pages["/gzip"] = gzip_page
    pages["/chunked"] = chunked_page
    pages["/openmetrics"] = lambda h: send(h, OPENMETRICS_PAGE, OPENMETRICS)
    native = histogram_page()
    pages["/native"] = lambda h: send(h, native, PROTOBUF) if "protobuf" in h.headers["Accept"] else \
        send(h, "proto_gauge 1\n")
    pages["/redirect"] = lambda h: send(h, "", status=302, headers={"Location": "/plain"})
    pages["/stamps"] = lambda h: send(h, "stamped 1 %d\n" % ((int(time.time()) - 60) * 1000))
    pages["/utf8"] = '{"name.with.dots",label="ü"} 1\n{"other","la.bel"="x"} 2\n'
    pages["/comes_and_goes"] = 'fleeting{n="1"} 1\nfleeting{n="2"} 2\n'
    pages["/fails_at_times"] = "moody 1\n"
    pages["/status500"] = lambda h: send(h, "no\n", status=500)
    pages["/sd"] = lambda h: send(h, "[]", "application/json")


def check_labels(suite, server):
    m = labels_of(server.query('plain_gauge{job="plain",code="200"}'))
    suite.check("plain: labels", len(m) == 1 and m[0]["zone"] == "eu" and m[0]["job2"] == "x", m)
    m = labels_of(server.query('clashing{job="mine"}'))
    suite.check("honor_labels: the page wins", len(m) == 1 and m[0]["zone"] == "us" and
                m[0]["instance"] == "i", m)
    m = labels_of(server.query('no_clash{job="honest"}'))
    suite.check("honor_labels: target labels are added", len(m) == 1 and m[0]["zone"] == "eu", m)
    m = labels_of(server.query('clashing{job="clash"}'))
    suite.check("without honor_labels: moved aside", len(m) == 1 and m[0]["zone"] == "eu" and
                m[0]["exported_job"] == "mine" and m[0]["exported_instance"] == "i" and
                sorted(v for k, v in m[0].items() if k.endswith("exported_zone")) == ["old", "us"], m)
    m = labels_of(server.query('up{job="relabelled"}'))
    suite.check("relabel_configs", len(m) == 1 and m[0]["cell"] == "1-a" and "shard" not in m[0] and
                m[0]["instance"] == "renamed", m)
    dropped = server.api_get("/targets", {"state": "dropped"})["data"]
    suite.check("relabel_configs: dropped target is listed",
                any(t["discoveredLabels"]["__address__"] == "drop.invalid:1"
                    for t in dropped["droppedTargets"]) and
                dropped["droppedTargetCounts"]["relabelled"] == 1, dropped)
    m = {(x["__name__"], x.get("code")) for x in labels_of(server.query('{job="filtered",__name__=~"plain.*|renamed.*"}'))}
    suite.equal("metric_relabel_configs", m, {("renamed_gauge", "200"), ("plain_counter_total", None)})
    suite.equal("metric_relabel_configs: counted",
                (server.value('scrape_samples_scraped{job="filtered"}'),
                 server.value('scrape_samples_post_metric_relabeling{job="filtered"}')), (4.0, 2.0))


def check_limits(suite, server, targets):
    def down(job, *words):
        t = targets[job][0]
        suite.check("%s: down" % job, t["health"] == "down" and all(w in t["lastError"] for w in words),
                    (t["health"], t["lastError"]))
        suite.equal("%s: up is 0" % job, server.value('up{job="%s"}' % job), 0.0)
    down("few", "sample limit exceeded")
    suite.equal("few: no sample is stored", server.series('many{job="few"}'), {})
    suite.equal("enough: all samples", len(server.series('many{job="enough"}')), 40)
    down("small", "body size limit exceeded")
    down("label_count", "label_limit exceeded")
    down("label_name", "label_name_length_limit exceeded")
    down("label_value", "label_value_length_limit exceeded")
    down("no_redirect", "302")
    down("broken", "server returned HTTP status 500 Internal Server Error")
    suite.check("target_limit: both targets are down and say so",
                len(targets.get("targets", [])) == 2 and
                all("target_limit exceeded" in t["lastError"] for t in targets["targets"]),
                [t["lastError"] for t in targets.get("targets", [])])
    names = {m["__name__"]: v for m, v in
             ((dict(k), v) for k, v in server.series('{job="extra",__name__=~"scrape_.*"}').items())}
    suite.check("extra_scrape_metrics", names.get("scrape_sample_limit") == "77" and
                names.get("scrape_timeout_seconds") == "0.9" and
                float(names.get("scrape_body_size_bytes", 0)) > 300, names)


def check_formats(suite, server, pages):
    suite.equal("basic auth", server.value('guarded_gauge{job="basic"}'), 1.0)
    suite.equal("bearer", server.value('guarded_gauge{job="bearer"}'), 1.0)
    url = labels_of(server.query('asked'))[0]["url"]
    suite.check("params", "module=a" in url and "module=b" in url and
                ("q=x+y%26z" in url or "q=x%20y%26z" in url), url)
    suite.equal("gzip", server.value('zipped_gauge{job="gzip"}'), 1.0)
    suite.equal("enable_compression: false", server.value('zipped_gauge{job="identity"}'), 0.0)
    suite.equal("chunked body", server.value('chunked_gauge'), 4.0)
    suite.equal("redirect is followed", server.value('plain_untyped{job="redirect"}'), 3.0)
    head = pages.seen["/plain"]["headers"]
    suite.check("request headers", "openmetrics" in head.get("Accept", "") and
                head.get("X-Prometheus-Scrape-Timeout-Seconds") == "0.9" and
                "gzip" in head.get("Accept-Encoding", ""), head)
    suite.equal("openmetrics: counter", server.value('om_requests_total'), 17.0)
    suite.check("openmetrics: buckets", server.value('om_latency_bucket{le="+Inf"}') == 10)
    now = time.time()
    ex = server.api_get("/query_exemplars", {"query": '{job="openmetrics"}', "start": now - 60, "end": now})
    got = {(e["labels"]["trace_id"], float(e["value"])) for s in ex["data"] for e in s["exemplars"]}
    suite.equal("openmetrics: exemplars", got, {("abc123", 0.67), ("small", 0.054), ("big", 9.8)})
    r = server.query('latency_seconds{job="native"}')["data"]["result"]
    suite.check("protobuf: native histogram", len(r) == 1 and r[0]["histogram"][1]["count"] == "12" and
                r[0]["metric"]["route"] == "/x" and len(r[0]["histogram"][1]["buckets"]) == 5, r)
    suite.equal("protobuf: histogram_sum", server.value('histogram_sum(latency_seconds{job="native"})'), 18.4)
    suite.equal("protobuf: no classic buckets beside", server.series('latency_seconds_bucket{job="native"}'), {})
    suite.equal("protobuf: both kinds where asked",
                (len(server.series('latency_seconds_bucket{job="native_and_classic"}')),
                 server.value('histogram_count(latency_seconds{job="native_and_classic"})')), (3, 12.0))
    suite.equal("protobuf: classic only without native histograms",
                (len(server.series('latency_seconds_bucket{job="no_native"}')),
                 server.series('latency_seconds{job="no_native"}')), (3, {}))
    suite.equal("protobuf: gauge and counter", (server.value('proto_gauge{job="native"}'),
                                                server.value('proto_total{job="native"}')), (2.5, 42.0))
    suite.check("honor_timestamps", (server.value('time() - timestamp(stamped{job="stamps"})') or 0) > 50)
    suite.check("honor_timestamps: false",
                (server.value('time() - timestamp(stamped{job="no_stamps"})') or 99) < 10)
    suite.equal("utf-8 names", server.value('{"name.with.dots",label="ü",job="utf8"}'), 1.0)
    suite.equal("utf-8 names: refused by the legacy scheme", server.value('up{job="legacy"}'), 0.0)


def check_staleness(suite, server, pages):
    suite.eventually("stale: both are there", lambda: len(server.series("fleeting")) == 2)
    pages["/comes_and_goes"] = 'fleeting{n="2"} 2\n'
    suite.eventually("stale: a series that left the page is gone at once",
                     lambda: [dict(k)["n"] for k in server.series("fleeting")], 5, ["2"])
    pages["/comes_and_goes"] = 'fleeting{n="1"} 1\nfleeting{n="2"} 2\n'
    suite.eventually("stale: back again", lambda: len(server.series("fleeting")) == 2, 5)
    suite.eventually("stale: moody is there", lambda: server.value("moody") == 1, 5)
    pages["/fails_at_times"] = lambda h: send(h, "broken page {\n")
    suite.eventually("stale: a failed scrape makes all stale", lambda: server.series("moody") == {}, 5)
    suite.equal("stale: up says so", server.value('up{job="fails_at_times"}'), 0.0)
    pages["/fails_at_times"] = "moody 2\n"
    suite.eventually("stale: and back", lambda: server.value("moody") == 2, 5)


def check_discovery(suite, server, pages):
    def instances(job):
        return sorted(dict(k)["instance"] for k in server.series('up{job="%s"} == 1' % job))
    at, by_name = pages.address, "localhost:%d" % pages.port
    suite.write("sd/a.json", json.dumps([{"targets": [at], "labels": {"from": "a"}}]))
    suite.eventually("file_sd: a target comes", lambda: instances("files"), 6, [at])
    suite.write("sd/b.yml", "- targets: ['%s']\n  labels: {from: b}\n" % by_name)
    suite.eventually("file_sd: a second file", lambda: instances("files"), 6, sorted([at, by_name]))
    m = server.targets()["files"][0]["discoveredLabels"]
    suite.check("file_sd: __meta_filepath", m["__meta_filepath"].endswith(("sd/a.json", "sd/b.yml")), m)
    suite.write("sd/a.json", "[{\"targets\": [")
    time.sleep(2.5)
    suite.equal("file_sd: a broken file keeps its targets", instances("files"), sorted([at, by_name]))
    suite.write("sd/a.json", "[]")
    suite.eventually("file_sd: target loss makes stale", lambda: instances("files"), 6, [by_name])
    suite.eventually("file_sd: also its series",
                     lambda: len(server.series('plain_gauge{job="files"}')) == 2, 4)
    pages["/sd"] = lambda h: send(h, json.dumps([{"targets": [at], "labels": {"__metrics_path__": "/many"}}]),
                                  "application/json")
    suite.eventually("http_sd: a target comes", lambda: len(server.series('many{job="web"}')) == 40, 6)
    pages["/sd"] = lambda h: send(h, "sorry", "text/plain", status=500)
    time.sleep(2)
    suite.equal("http_sd: an error keeps the targets", instances("web"), [at])
    pages["/sd"] = lambda h: send(h, "[]", "application/json")
    suite.eventually("http_sd: gone", lambda: instances("web") == [], 6)


def check_reload(suite, server, pages, text):
    def reload_by_post():
        return server.call("POST", "/-/reload", timeout=30)
    before = pages.count("/plain")
    gaps = []
    suite.equal("reload: POST", reload_by_post()[0], 200)
    end = time.monotonic() + 1.5
    while time.monotonic() < end:  # unchanged targets feel nothing
        missing = {"plain", "files", "basic"} - {dict(k)["job"] for k in server.series("up")}
        gaps += sorted(missing)
        time.sleep(0.03)
    for job in ("plain", "basic", "files"):
        suite.check("reload: targets of the unchanged job %s are undisturbed" % job, job not in gaps, gaps[:5])
    suite.check("reload: scrapes go on", pages.count("/plain") > before)
    with open(server.config, "w") as f:
        f.write(text + "- job_name: later\n  metrics_path: /plain\n  static_configs: [{targets: ['%s']}]\n"
                % pages.address)
    server.signal(signal.SIGHUP)
    suite.eventually("reload: SIGHUP brings a new job", lambda: server.value('up{job="later"}') == 1, 6)
    with open(server.config, "w") as f:
        f.write(text.replace("job_name: honest", "job_nam: honest"))
    status, _, body = reload_by_post()
    words = body.decode()
    suite.check("reload: a bad file is refused with its place", status == 500 and "job_nam" in words and
                "line 9" in words, (status, words))
    suite.check("reload: the log has line and column", "%s:9:3: " % server.config in server.text(), server.tail)
    server.signal(signal.SIGHUP)
    suite.eventually("reload: the metric says so",
                     lambda: b"prometheus_config_last_reload_successful 0" in server.get("/metrics")[2], 5)
    suite.equal("reload: the old configuration stays", server.value('up{job="later"}'), 1.0)
    suite.check("reload: status/config is the old one",
                "job_name: later" in server.api_get("/status/config")["data"]["yaml"])
    with open(server.config, "w") as f:
        f.write(text)
    suite.equal("reload: good again", reload_by_post()[0], 200)
    suite.eventually("reload: the job that left is stale", lambda: server.series('up{job="later"}') == {}, 6)
    suite.check("reload: the metric says good",
                b"prometheus_config_last_reload_successful 1" in server.get("/metrics")[2])


def jobs(suite, binary):
    pages = Pages()
    set_up_pages(pages)
    suite.write("token", "secret-token\n")
    text = JOBS % {"at": pages.address, "at2": "localhost:%d" % pages.port}
    server = start_vigie(suite, binary, text, ["--web.enable-lifecycle"], data="jobs")
    suite.eventually("every target was scraped", lambda: all(
        t["health"] != "unknown" for pool in server.targets().values() for t in pool), 8)
    time.sleep(0.3)
    targets = server.targets()
    for job, pool in sorted(targets.items()):
        down = [t["lastError"] for t in pool if t["health"] != "up"]
        if job not in ("few", "small", "label_count", "label_name", "label_value", "targets", "broken",
                       "no_redirect", "legacy"):
            suite.check("%s: up" % job, not down, down)
    check_labels(suite, server)
    check_limits(suite, server, targets)
    check_formats(suite, server, pages)
    check_staleness(suite, server, pages)
    check_discovery(suite, server, pages)
    check_reload(suite, server, pages, text)
    suite.equal("jobs: stops", server.stop(), 0)
    pages.close()


def bad_start(suite, binary):
    for what, text, place in (
            ("unknown key", "global:\n  scrape_intervall: 15s\n", ":2:3: "),
            ("bad duration", "scrape_configs:\n- job_name: a\n  scrape_interval: 5x\n", ":3:20: "),
            ("bad regex", "scrape_configs:\n- job_name: a\n  relabel_configs:\n  - {regex: '(', action: drop, source_labels: [a]}\n", ":4:"),
            ("two jobs of a name", "scrape_configs:\n- job_name: a\n- job_name: a\n", ":3:"),
            ("bad YAML", "global: [\n", ":")):
        server = start_vigie(suite, binary, text, data="bad", ready=False)
        try:
            code = server.p.wait(10)
        except Exception:
            code = None
            server.kill()
        suite.check("start with %s: exit 1 and the place" % what,
                    code == 1 and server.config + place in server.text(), server.tail)
    server = start_vigie(suite, binary, "global: {}\n", data="no-lifecycle")
    status, _, body = server.call("POST", "/-/reload")
    suite.check("without --web.enable-lifecycle: reload is forbidden", status == 403, (status, body))
    suite.equal("stops", server.stop(), 0)


# ---- targets that mean harm ----

def endless(piece, pause=0.0):
    def page(h):
        h.send_response(200)
        h.send_header("Content-Type", "text/plain")
        h.send_header("Connection", "close")
        h.end_headers()
        while True:
            h.wfile.write(piece)
            h.wfile.flush()
            if pause:
                time.sleep(pause)
    return page


def raw(head, body=b""):
    """An answer as bytes; the connection is closed behind it."""
    def page(h):
        h.wfile.write(head + body)
        h.wfile.flush()
        h.close_connection = True
    return page


def slow_headers(h):
    for c in b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" * 50:
        h.wfile.write(bytes([c]))
        h.wfile.flush()
        time.sleep(0.1)


def hang(h):
    time.sleep(5)


OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
BOMB = gzip.compress(b"\n" * (64 << 20))

HOSTILE = {  # path: (page, words of lastError; None: it is up)
    "endless_slow": (endless(b"endless 1\n", 0.05), ("deadline",)),
    "endless_limit": (endless(b"endless 1\n" * 5000), ("body size limit",)),
    "torn_length": (raw(OK + b"Content-Length: 1000\r\n\r\n", b"torn_a 1\n"), ()),
    "torn_chunk": (raw(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"9\r\ntorn_a 1\n\r\n50\r\ntorn"), ()),
    "torn_line": (lambda h: send(h, "torn_b 1\ntorn_c{a=\"x"), ()),
    "bad_chunk": (raw(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"zz\r\nx\r\n"), ()),
    "no_http": (raw(b"SSH-2.0-OpenSSH_9.2\r\n"), ()),
    "empty": (raw(b""), ()),
    "header_flood": (raw(OK + b"X-A: " + b"a" * (8 << 20) + b"\r\n\r\n"), ()),
    "many_headers": (raw(OK + b"X-A: a\r\n" * 100000 + b"\r\n"), ()),
    "json": (lambda h: send(h, '{"up": 1}', "application/json"), ("application/json",)),
    "html": (lambda h: send(h, "<html></html>", "text/html"), ("text/html",)),
    "blank_type": (lambda h: send(h, "blank_type 1\n", None), ("Content-Type",)),
    "garbage": (lambda h: send(h, bytes(range(1, 256)) * 40), ()),
    "bad_gzip": (lambda h: send(h, b"\x1f\x8b not gzip", headers={"Content-Encoding": "gzip"}), ()),
    "torn_gzip": (lambda h: send(h, gzip.compress(b"zz 1\n" * 1000)[:40], headers={"Content-Encoding": "gzip"}), ()),
    "gzip_bomb": (lambda h: send(h, BOMB, headers={"Content-Encoding": "gzip"}), ("body size limit",)),
    "too_big_number": (lambda h: send(h, "big 1e400\n"), ()),
    "hex_number": (lambda h: send(h, "hex 0x1p3\n"), ()),
    "bad_utf8": (lambda h: send(h, b'bad{a="\xff\xfe"} 1\n'), ()),
    "no_value": (lambda h: send(h, "novalue\n"), ()),
    "bad_proto": (lambda h: send(h, b"\x05\x0a\x03ab", PROTOBUF), ()),
    "huge_proto": (lambda h: send(h, b"\xff\xff\xff\xff\x7f\x0a\x03ab", PROTOBUF), ()),
    "no_eof": (lambda h: send(h, "# TYPE a gauge\na 1\n", OPENMETRICS), ()),
    "slow_headers": (slow_headers, ("deadline",)),
    "hang": (hang, ("deadline",)),
    "redirect_loop": (lambda h: send(h, "", status=302, headers={"Location": "/redirect_loop"}), ("redirect",)),
    "odd_numbers": (lambda h: send(h, "odd{n=\"nan\"} NaN\nodd{n=\"inf\"} +Inf\nodd{n=\"minus\"} -Inf\n"
                                      "odd{n=\"max\"} 1.7976931348623157e308\nodd{n=\"min\"} 5e-324\nodd{n=\"zero\"} -0\n"), None),
    "twice": (lambda h: send(h, "twice 1\ntwice 2\ntwice 1\nonce 1\n"), None),
    "long_line": (lambda h: send(h, 'long{a="%s"} 1\n' % ("x" * (4 << 20))), ("limit",)),
    "labels_100k": (lambda h: send(h, "wide{%s} 1\n" % ",".join('l%d="v%d"' % (i, i) for i in range(100000))), ("labels", "limit")),
    "future": (lambda h: send(h, "future 1 %d\nnow 1\n" % ((time.time() + 86400) * 1000)), None),
    "comments": (lambda h: send(h, "#\n# x\n#TYPE\n\n\n  \n# HELP\n"), None),
}


def hostile(suite, binary):
    pages = Pages()
    config = "global: {scrape_interval: 2s, scrape_timeout: 1500ms}\nscrape_configs:\n"
    for name, (page, _) in HOSTILE.items():
        pages["/" + name] = page
        config += "- job_name: %s\n  metrics_path: /%s\n  static_configs: [{targets: ['%s']}]\n" % (
            name, name, pages.address)
        if name in ("endless_limit", "gzip_bomb"):
            config += "  body_size_limit: 2MB\n"
    config += "- job_name: refused\n  static_configs: [{targets: ['127.0.0.1:%d']}]\n" % free_port()
    config += "- job_name: no_host\n  static_configs: [{targets: ['no-such-host.invalid:80']}]\n"
    config += ("- job_name: fallback\n  metrics_path: /blank_type\n  fallback_scrape_protocol: PrometheusText0.0.4\n"
               "  static_configs: [{targets: ['%s']}]\n" % pages.address)
    server = start_vigie(suite, binary, config, data="hostile")
    suite.eventually("hostile: every target was tried", lambda: all(
        t["health"] != "unknown" for pool in server.targets().values() for t in pool), 20)
    time.sleep(4)  # a second round over what the first left behind
    server_targets = server.targets()
    for name, (_, words) in HOSTILE.items():
        t = server_targets[name][0]
        if words is None:
            suite.check("hostile %s: up" % name, t["health"] == "up", t["lastError"])
        else:
            suite.check("hostile %s: down, and why" % name, t["health"] == "down" and t["lastError"] and
                        all(w in t["lastError"] for w in words), (t["health"], t["lastError"]))
    for name, words in (("refused", "refused"), ("no_host", "no-such-host.invalid")):
        t = server_targets[name][0]
        suite.check("hostile %s" % name, t["health"] == "down" and words in t["lastError"], t["lastError"])
    suite.equal("fallback_scrape_protocol", server.value('blank_type{job="fallback"}'), 1.0)
    suite.equal("hostile: nothing of torn pages is stored", server.series('{__name__=~"torn_.|zz|endless|a"}'), {})
    odd = {dict(k)["n"]: v for k, v in server.series("odd").items()}
    suite.equal("odd numbers", odd, {"nan": "NaN", "inf": "+Inf", "minus": "-Inf", "zero": "-0",
                                     "max": "1.7976931348623157e+308", "min": "5e-324"})
    suite.equal("twice: the first wins", server.value("twice"), 1.0)
    suite.equal("twice: the rest is stored", server.value("once"), 1.0)
    suite.check("twice: counted", (server.get("/metrics")[2].decode().split(
        "\nprometheus_target_scrapes_sample_duplicate_timestamp_total ")[1].split("\n")[0]) != "0")
    suite.equal("future: out of bounds", server.series("future"), {})
    suite.equal("future: the rest is stored", server.value("now"), 1.0)
    suite.alive(server)
    with open("/proc/%d/status" % server.p.pid) as f:
        peak = [int(line.split()[1]) / 1024 for line in f if line.startswith("VmHWM")][0]
    print("hostile: peak memory %.0f MiB" % peak)
    suite.check("hostile: bounded memory", peak < 600, "%.0f MiB" % peak)
    suite.equal("hostile: stops", server.stop(), 0)
    pages.close()


def endless_fast(suite, binary):
    """No limit is set, and a target that sends as fast as it can."""
    pages = Pages()
    pages["/metrics"] = endless(b"endless_fast 1\n" * 70000)
    server = start_vigie(suite, binary, "global: {scrape_interval: 3s, scrape_timeout: 2s}\nscrape_configs:\n"
                         "- job_name: fast\n  static_configs: [{targets: ['%s']}]\n" % pages.address, data="endless")
    suite.eventually("endless body without a limit: down",
                     lambda: server.targets()["fast"][0]["health"] == "down", 15)
    suite.check("endless body without a limit: why", server.targets()["fast"][0]["lastError"] != "")
    with open("/proc/%d/status" % server.p.pid) as f:
        peak = [int(line.split()[1]) / 1024 for line in f if line.startswith("VmHWM")][0]
    suite.check("endless body without a limit: bounded memory", peak < 2200, "%.0f MiB" % peak)
    suite.equal("endless: stops", server.stop(), 0)
    pages.close()


def main():
    a = arguments("vigie scrapes", ("--only", {"help": "bare, node, jobs, start, hostile or endless"}))
    suite = Suite("scrape")
    parts = {"bare": bare, "node": node_exporter, "jobs": jobs, "start": bad_start, "hostile": hostile,
             "endless": endless_fast}
    for name, part in parts.items():
        if a.only not in (None, name):
            continue
        try:
            part(suite, a.vigie)
        except Exception as x:  # the other parts still run
            import traceback
            traceback.print_exc(file=sys.stdout)
            suite.check("part %s ran to its end" % name, False, x)
        for p in suite.procs:
            p.kill()
    suite.finish()


main()
