"""otlp_e2e.py - OpenTelemetry's own SDKs (Python: HTTP and gRPC; JavaScript: HTTP) and curl over HTTP/2
push metrics into vigie; the values are read back equal."""
# SPDX-License-Identifier: Apache-2.0
import gzip
import json
import os
import shutil
import subprocess
import sys
import time
import venv

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import Suite, arguments, free_port, http_call, start_vigie  # noqa: E402

PYTHON_PACKAGES = ["opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http",
                   "opentelemetry-exporter-otlp-proto-grpc"]
PYTHON_CLIENT = '''
import sys
from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import MeterProvider, Counter, Histogram
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader, AggregationTemporality
from opentelemetry.sdk.metrics.view import View, ExponentialBucketHistogramAggregation
from opentelemetry.sdk.resources import Resource
kind, endpoint, service, temporality = sys.argv[1:5]
delta = {Counter: AggregationTemporality.DELTA, Histogram: AggregationTemporality.DELTA}
more = {"preferred_temporality": delta} if temporality == "delta" else {}
if kind == "http":
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http import Compression
    exporter = OTLPMetricExporter(endpoint=endpoint, compression=Compression.Gzip, **more)
else:
    import grpc
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    exporter = OTLPMetricExporter(endpoint=endpoint, insecure=True, compression=grpc.Compression.Gzip, **more)
reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3600000)
provider = MeterProvider(
    resource=Resource({"service.name": service, "service.namespace": "shop", "service.instance.id": "i-1",
                       "deployment.environment": "test"}),
    metric_readers=[reader],
    views=[View(instrument_name="exp.*", aggregation=ExponentialBucketHistogramAggregation())])
meter = provider.get_meter("e2e", "1.0")
requests = meter.create_counter("http.requests", unit="1", description="Requests seen.")
stock = meter.create_up_down_counter("stock.items", unit="{item}")
latency = meter.create_histogram("request.latency", unit="ms", explicit_bucket_boundaries_advisory=[1, 5, 10])
size = meter.create_histogram("exp.size", unit="By")
meter.create_observable_gauge("temperature", callbacks=[lambda options: [Observation(21.25, {"room": "1"})]], unit="Cel")
ok = True
for round in range(3):
    for i in range(10):
        requests.add(2, {"http.method": "GET"})
        requests.add(1, {"http.method": "POST"})
        stock.add(3 if i % 2 else -1, {"kind": "apple"})
        latency.record(i)
        size.record(2.0 ** i)
    ok = provider.force_flush(20000) and ok
provider.shutdown()
print("ok" if ok else "failed")
'''
GRPC_CLIENT = '''
import json, sys, grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as s, metrics_service_pb2_grpc as g
from opentelemetry.proto.metrics.v1 import metrics_pb2 as m
import time
address = sys.argv[1]
out = {}
channel = grpc.insecure_channel(address, options=[("grpc.max_send_message_length", 64 << 20)])
stub = g.MetricsServiceStub(channel)
def request(name, points, t):
    r = s.ExportMetricsServiceRequest()
    metric = r.resource_metrics.add().scope_metrics.add().metrics.add(name=name)
    for i in range(points):
        p = metric.gauge.data_points.add(time_unix_nano=t, as_int=i)
        p.attributes.add(key="i").value.string_value = str(i)
    return r
now = time.time_ns()
out["empty"] = str(stub.Export(s.ExportMetricsServiceRequest()))
out["partial"] = stub.Export(request("old", 1, 1).__class__.FromString(
    request("old", 1, 1).SerializeToString() + request("new", 1, now).SerializeToString())).partial_success.rejected_data_points
def code(call):
    try:
        call()
        return "OK"
    except grpc.RpcError as x:
        return x.code().name
out["all_old"] = code(lambda: stub.Export(request("old", 1, 1)))
out["unknown"] = code(lambda: channel.unary_unary("/nobody.Service/Method")(b""))
out["garbage"] = code(lambda: channel.unary_unary("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export")(b"\\xff\\xff"))
out["too_large"] = code(lambda: channel.unary_unary("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export")(bytes(33 << 20)))
out["large"] = code(lambda: stub.Export(request("large", 20000, now)))
futures = [stub.Export.future(request("many_%d" % i, 10, now)) for i in range(200)]
out["many"] = sum(f.exception() is None for f in futures)
print(json.dumps(out))
'''
JS_PACKAGES = ["@opentelemetry/sdk-metrics", "@opentelemetry/exporter-metrics-otlp-http", "@opentelemetry/resources"]
JS_CLIENT = '''
const { MeterProvider, PeriodicExportingMetricReader } = require("@opentelemetry/sdk-metrics");
const { OTLPMetricExporter } = require("@opentelemetry/exporter-metrics-otlp-http");
const { resourceFromAttributes } = require("@opentelemetry/resources");
async function main() {
  const reader = new PeriodicExportingMetricReader({
    exporter: new OTLPMetricExporter({ url: process.argv[2] }), exportIntervalMillis: 3600000 });
  const provider = new MeterProvider({
    resource: resourceFromAttributes({ "service.name": "js", "os.type": "linux" }), readers: [reader] });
  const meter = provider.getMeter("e2e");
  const orders = meter.createCounter("orders", { description: "Orders." });
  const latency = meter.createHistogram("latency", { unit: "s", advice: { explicitBucketBoundaries: [0.1, 1] } });
  meter.createObservableGauge("queue.length").addCallback((r) => r.observe(17, { queue: "a" }));
  for (let i = 0; i < 5; i++) { orders.add(1.5, { "shop.id": "x" }); latency.record(i / 2); }
  await provider.forceFlush();
  await provider.shutdown();
  console.log("ok");
}
main().catch((e) => { console.error(e); process.exit(1); });
'''


def run(args, timeout=60, **more):
    r = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=timeout, **more)
    return r.returncode, r.stdout, r.stderr


def request(name, value, kind="gauge", t=None, **attributes):
    """An ExportMetricsServiceRequest in JSON."""
    data = {"dataPoints": [{"timeUnixNano": str(t or time.time_ns()), "asDouble": value, "attributes": [
        {"key": k, "value": {"stringValue": v}} for k, v in attributes.items()]}]}
    if kind == "sum":
        data.update(aggregationTemporality=2, isMonotonic=True)
    return {"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": name, kind: data}]}]}]}


class Ports:
    def __init__(self):
        self.grpc, self.http = free_port(), free_port()
        self.flags = ["--otlp.grpc-listen-address=127.0.0.1:%d" % self.grpc,
                      "--otlp.http-listen-address=127.0.0.1:%d" % self.http]


# ---- HTTP/2 ----

def curl(*args):
    code, out, err = run(["curl", "-sS", "--max-time", "20", "-w", "\n%{http_version} %{http_code}"] + list(args))
    body, _, line = out.rpartition("\n")
    return (line if code == 0 else "curl %d: %s" % (code, err.strip())), body


def http2(suite, server):
    if "HTTP2" not in run(["curl", "--version"])[1]:
        return suite.skip("HTTP/2: this curl cannot speak it")
    suite.equal("h2c: /-/ready", curl("--http2-prior-knowledge", server.url + "/-/ready")[0], "2 200")
    suite.equal("HTTP/1.1 on the same port", curl("--http1.1", server.url + "/-/ready")[0], "1.1 200")
    line, body = curl("--http2-prior-knowledge", "--data-urlencode", "query=1+1", server.url + "/api/v1/query")
    suite.equal("h2c: a query", (line, json.loads(body)["data"]["result"][1]), ("2 200", "2"))
    suite.equal("h2c: unknown path", curl("--http2-prior-knowledge", server.url + "/nowhere")[0], "2 404")
    line, body = curl("--http2-prior-knowledge", "--compressed", server.url + "/metrics")
    suite.check("h2c: /metrics compressed", line == "2 200" and "prometheus_http_requests_total" in body, line)


def tls(suite, binary):
    if not shutil.which("openssl"):
        return suite.skip("TLS: no openssl to make a certificate")
    key, cert = suite.path("tls", "key.pem"), suite.path("tls", "cert.pem")
    code, _, err = run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert,
                        "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
    if not suite.check("a certificate is made", code == 0, err):
        return
    for name, more, version in (("on", "", "2"), ("off", "http_server_config:\n  http2: false\n", "1.1")):
        web = suite.write("tls/web-%s.yml" % name, "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n" + more)
        server = start_vigie(suite, binary, config="", args=["--web.config.file=" + web], data="tls-" + name, ready=False)
        url = "https://localhost:%d/-/ready" % server.port
        suite.eventually("TLS: ALPN with http2 %s" % name,
                         lambda: curl("--cacert", cert, "--http2", url)[0], want=version + " 200")
        suite.equal("TLS: HTTP/1.1 with http2 %s" % name, curl("--cacert", cert, "--http1.1", url)[0], "1.1 200")
        if not more:
            # curl 7.88 reuses a connection of HTTP/2 under TLS only.
            urls = ["-o", "/dev/null", "https://localhost:%d/api/v1/status/buildinfo" % server.port] * 50
            code, out, err = run(["curl", "-sS", "--max-time", "30", "-Z", "--cacert", cert, "-w",
                                  "%{http_version} %{http_code} %{num_connects}\n"] + urls)
            lines = [line for line in out.split("\n") if line]
            suite.check("TLS: many at once on one connection",
                        code == 0 and len(lines) == 50 and {x[:5] for x in lines} == {"2 200"} and
                        sum(int(x[6:]) for x in lines) == 1, out + err)
        server.stop()


# ---- requests by hand ----

def by_hand(suite, server, ports):
    def post(port, path, body, **headers):
        h = {"Content-Type": "application/json"}
        h.update({k.replace("_", "-"): v for k, v in headers.items()})
        return http_call(port, "POST", path, body, h)

    body = json.dumps(request("by.hand", 1.5, a_b="c")).encode()
    status, headers, answer = post(ports.http, "/v1/metrics", body)
    suite.equal("JSON on :4318", (status, headers.get("content-type"), answer), (200, "application/json", b"{}"))
    body = gzip.compress(json.dumps(request("zipped", 2.5, "sum")).encode())
    suite.equal("gzip on the main port", post(server.port, "/api/v1/otlp/v1/metrics", body, Content_Encoding="gzip")[0], 200)
    suite.equal("Mimir's path", post(server.port, "/otlp/v1/metrics", json.dumps(request("mimir", 3)).encode())[0], 200)
    suite.equal("values are there", [server.value("by_hand{a_b='c'}"), server.value("zipped_total"), server.value("mimir")],
                [1.5, 2.5, 3.0])
    both = request("old", 1, t=1)
    both["resourceMetrics"] += request("good", 4)["resourceMetrics"]
    status, _, answer = post(ports.http, "/v1/metrics", json.dumps(both).encode())
    suite.equal("partial success", (status, json.loads(answer)["partialSuccess"]["rejectedDataPoints"]), (200, "1"))
    suite.equal("the good part is stored", server.value("good"), 4.0)
    status, _, answer = post(ports.http, "/v1/metrics", json.dumps(request("old", 1, t=1)).encode())
    suite.equal("nothing good", (status, json.loads(answer)["code"]), (400, 3))
    suite.equal("not JSON", post(ports.http, "/v1/metrics", b"{")[0], 400)
    suite.equal("not gzip", post(ports.http, "/v1/metrics", b"{}", Content_Encoding="gzip")[0], 400)
    suite.equal("unknown type", post(ports.http, "/v1/metrics", b"{}", Content_Type="text/plain")[0], 415)
    suite.equal("GET is not for this", http_call(ports.http, "GET", "/v1/metrics")[0], 405)


def strategies(suite, binary):
    """The otlp section of prometheus.yml, and a reload of it."""
    server = start_vigie(suite, binary, data="strategies", args=["--web.enable-lifecycle"], config="""
otlp:
  translation_strategy: NoUTF8EscapingWithSuffixes
  promote_resource_attributes: [deployment.environment]
""")

    def post(value):
        r = request("disk.free", value)
        r["resourceMetrics"][0]["resource"] = {"attributes": [
            {"key": "deployment.environment", "value": {"stringValue": "test"}}]}
        return server.call("POST", "/api/v1/otlp/v1/metrics", json.dumps(r).encode(), {"Content-Type": "application/json"})[0]

    suite.equal("configured: taken", post(1), 200)
    suite.equal("configured: UTF-8 and promoted", server.value('{"disk.free", "deployment.environment"="test"}'), 1.0)
    with open(server.config, "w") as f:
        f.write("otlp:\n  translation_strategy: UnderscoreEscapingWithoutSuffixes\n")
    suite.equal("reload", server.call("POST", "/-/reload")[0], 200)
    suite.equal("reloaded: taken", post(2), 200)
    suite.equal("reloaded: escaped", server.series("disk_free"), {frozenset({("__name__", "disk_free")}): "2"})
    server.stop()


def tenants(suite, binary):
    server = start_vigie(suite, binary, config="", data="tenants", args=["--auth.multitenancy-enabled"])

    def post(value, **headers):
        h = {"Content-Type": "application/json"}
        h.update({k.replace("_", "-"): v for k, v in headers.items()})
        return server.call("POST", "/otlp/v1/metrics", json.dumps(request("t", value)).encode(), h)[0]

    def read(tenant):
        body = server.get("/api/v1/query", {"query": "t"}, headers={"X-Scope-OrgID": tenant})[2]
        return [r["value"][1] for r in json.loads(body)["data"]["result"]]

    suite.equal("tenants: one must be named", post(1), 401)
    suite.equal("tenants: each takes its own", [post(1, X_Scope_OrgID="a"), post(2, X_Scope_OrgID="b")], [200, 200])
    suite.equal("tenants: each has its own", [read("a"), read("b")], [["1"], ["2"]])
    server.stop()


# ---- SDKs ----

def check_python(suite, server, what, job, rounds):
    n = 10 * rounds
    sel = '{job="shop/%s", instance="i-1"}' % job

    def value(expr):
        return server.value(expr.replace("{}", sel))

    suite.equal(what + ": counter", [value("http_requests_total{} and on (http_method) label_replace(vector(1), 'http_method', '%s', '', '')" % m)
                                     for m in ("GET", "POST")], [2.0 * n, 1.0 * n])
    suite.equal(what + ": up-down counter", value("stock_items{}"), 1.0 * n)
    suite.equal(what + ": gauge", value("temperature_celsius{}"), 21.25)
    suite.equal(what + ": histogram", [value("request_latency_milliseconds_%s{}" % p) for p in ("count", "sum")],
                [1.0 * n, 45.0 * rounds])
    buckets = {dict(k)["le"]: v for k, v in server.series("request_latency_milliseconds_bucket" + sel).items()}
    suite.equal(what + ": buckets", buckets, {"1": str(2 * rounds), "5": str(6 * rounds), "10": str(n), "+Inf": str(n)})
    suite.equal(what + ": exponential histogram", [value("histogram_%s(exp_size_bytes{})" % p) for p in ("count", "sum")],
                [1.0 * n, 1023.0 * rounds])
    suite.check(what + ": native buckets", abs(value("histogram_quantile(1, exp_size_bytes{})") - 512) <= 40,
                lambda: value("histogram_quantile(1, exp_size_bytes{})"))
    suite.equal(what + ": target_info", value('target_info{} and target_info{deployment_environment="test"}'), 1.0)


def python_sdk(suite, server, ports):
    folder = suite.path("venv")
    try:
        venv.create(folder, with_pip=True)
        code, _, err = run([folder + "/bin/pip", "install", "-q", "--retries", "1", "--timeout", "15"] + PYTHON_PACKAGES, 240)
    except (OSError, subprocess.SubprocessError) as x:
        code, err = 1, str(x)
    if code:
        return suite.skip("opentelemetry-sdk: PyPI is out of reach (%s)" % " ".join(err.split())[-120:])
    python = folder + "/bin/python"
    for kind, endpoint, temporality in (
            ("http", "http://127.0.0.1:%d/v1/metrics" % ports.http, "cumulative"),
            ("grpc", "127.0.0.1:%d" % ports.grpc, "cumulative"),
            ("http", server.url + "/api/v1/otlp/v1/metrics", "delta")):
        what = "Python SDK, %s, %s" % (kind, temporality)
        job = kind + "-" + temporality
        code, out, err = run([python, "-c", PYTHON_CLIENT, kind, endpoint, job, temporality], 90)
        if suite.check(what + ": pushes", code == 0 and out.strip() == "ok", out + err):
            check_python(suite, server, what, job, 3)
    code, out, err = run([python, "-c", GRPC_CLIENT, "127.0.0.1:%d" % ports.grpc], 90)
    if suite.check("gRPC client runs", code == 0, err):
        got = json.loads(out)
        suite.equal("gRPC: answers", got, {
            "empty": "", "partial": 1, "all_old": "INVALID_ARGUMENT", "unknown": "UNIMPLEMENTED",
            "garbage": "INVALID_ARGUMENT", "too_large": "RESOURCE_EXHAUSTED", "large": "OK", "many": 200})
        suite.equal("gRPC: large request", server.value("sum(large)"), sum(range(20000)) * 1.0)
        suite.equal("gRPC: many requests", server.value('count({__name__=~"many_.*"})'), 2000.0)


def js_sdk(suite, ports):
    if not shutil.which("npm") or not shutil.which("node"):
        return suite.skip("JavaScript SDK: no node and npm")
    folder = os.path.dirname(suite.path("js", "package.json"))
    suite.write("js/package.json", '{"name":"client","private":true}')
    try:
        code, _, err = run(["npm", "install", "--no-audit", "--no-fund", "--fetch-retries=1", "--fetch-timeout=15000"] + JS_PACKAGES,
                           240, cwd=folder)
    except (OSError, subprocess.SubprocessError) as x:
        code, err = 1, str(x)
    if code:
        return suite.skip("JavaScript SDK: npm's registry is out of reach (%s)" % " ".join(err.split())[-120:])
    suite.write("js/client.js", JS_CLIENT)
    code, out, err = run(["node", "client.js", "http://127.0.0.1:%d/v1/metrics" % ports.http], 60, cwd=folder)
    return suite.check("JavaScript SDK: pushes", code == 0 and out.strip() == "ok", out + err)


def check_js(suite, server):
    suite.equal("JavaScript SDK: counter", server.value('orders_total{job="js", shop_id="x"}'), 7.5)
    suite.equal("JavaScript SDK: gauge", server.value('queue_length{queue="a"}'), 17.0)
    suite.equal("JavaScript SDK: histogram", [server.value('latency_seconds_%s{job="js"}' % p) for p in ("count", "sum")], [5.0, 5.0])
    suite.equal("JavaScript SDK: buckets", server.value('latency_seconds_bucket{le="1"}'), 3.0)
    suite.equal("JavaScript SDK: resource", server.value('target_info{job="js", os_type="linux"}'), 1.0)


def main():
    a = arguments(__doc__)
    suite = Suite("otlp")
    ports = Ports()
    server = start_vigie(suite, a.vigie, config="", args=ports.flags)
    http2(suite, server)
    tls(suite, a.vigie)
    by_hand(suite, server, ports)
    strategies(suite, a.vigie)
    tenants(suite, a.vigie)
    python_sdk(suite, server, ports)
    if js_sdk(suite, ports):
        check_js(suite, server)
    suite.alive(server)
    suite.equal("vigie stops cleanly", server.stop(), 0)
    suite.finish()


if __name__ == "__main__":
    main()
