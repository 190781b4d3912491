"""clients_e2e.py - programs that others wrote, as clients of vigie: prometheus-api-client from PyPI,
promtool of Debian's prometheus package, curl, and prometheus itself reading from vigie."""
# SPDX-License-Identifier: Apache-2.0
import json
import os
import shutil
import subprocess
import sys
import time
import venv

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import Suite, arguments, start_prometheus, start_vigie  # noqa: E402

STEPS = 120
CLIENT = '''
import datetime, json, sys
from prometheus_api_client import PrometheusConnect, PrometheusApiClientException
p = PrometheusConnect(url=sys.argv[1], disable_ssl=True)
at = datetime.datetime.fromtimestamp(float(sys.argv[2]))
out = {}
out["connected"] = p.check_prometheus_connection()
out["metrics"] = p.all_metrics()
out["label_names"] = p.get_label_names()
out["values"] = p.get_label_values("shop")
out["current"] = p.get_current_metric_value("sales_total", {"shop": "a"})
out["custom"] = p.custom_query("sum(sales_total)", params={"time": sys.argv[2]})
r = p.get_metric_range_data("stock", {"shop": "b"}, start_time=at - datetime.timedelta(minutes=10), end_time=at)
out["range_series"] = len(r)
out["points"] = len(r[0]["values"])
out["range"] = p.custom_query_range("rate(sales_total[5m])", at - datetime.timedelta(minutes=10), at, "60")
try:
    p.custom_query("sum(")
    out["error"] = ""
except PrometheusApiClientException as x:
    out["error"] = str(x)
print(json.dumps(out))
'''


def load(suite, server):
    """Two shops with a counter and a gauge, a sample each 15 s up to now."""
    now = int(time.time()) // 15 * 15
    series = []
    for i, shop in enumerate(("a", "b")):
        times = [(now - (STEPS - k) * 15) * 1000 for k in range(STEPS + 1)]
        series.append(({"__name__": "sales_total", "shop": shop}, [(t, 100.0 + 15 * (i + 1) * k) for k, t in enumerate(times)]))
        series.append(({"__name__": "stock", "shop": shop}, [(t, float(50 + (k * 7 + i) % 30)) for k, t in enumerate(times)]))
    suite.equal("samples are written", server.remote_write(series)[0], 204)
    return now


def run(args, timeout=60, **more):
    r = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=timeout, **more)
    return r.returncode, r.stdout, r.stderr


def api_client(suite, server, now):
    folder = suite.path("venv")
    try:
        venv.create(folder, with_pip=True)
        code, _, err = run([folder + "/bin/pip", "install", "-q", "--retries", "1", "--timeout", "15",
                            "prometheus-api-client"], 240)
    except (OSError, subprocess.SubprocessError) as x:
        code, err = 1, str(x)
    if code:
        return suite.skip("prometheus-api-client: PyPI is out of reach (%s)" % " ".join(err.split())[-120:])
    code, out, err = run([folder + "/bin/python", "-c", CLIENT, server.url, str(now)])
    if not suite.check("prometheus-api-client: runs", code == 0, err):
        return
    got = json.loads(out)
    suite.equal("prometheus-api-client: connected", got["connected"], True)
    suite.equal("prometheus-api-client: all_metrics", got["metrics"], ["sales_total", "stock"])
    suite.equal("prometheus-api-client: label names", sorted(got["label_names"]), ["__name__", "shop"])
    suite.equal("prometheus-api-client: label values", got["values"], ["a", "b"])
    suite.equal("prometheus-api-client: current value", [(s["metric"]["shop"], s["value"][1]) for s in got["current"]],
                [("a", str(100 + 15 * STEPS))])
    suite.equal("prometheus-api-client: custom_query", got["custom"][0]["value"], [now, str(200 + 45 * STEPS)])
    suite.equal("prometheus-api-client: range data", (got["range_series"], got["points"]), (1, 40))  # 3.x: the start of a range is open
    values = {round(float(v), 12) for s in got["range"] for _, v in s["values"]}
    suite.equal("prometheus-api-client: rates", sorted(values), [1.0, 2.0])
    suite.check("prometheus-api-client: errors arrive", "parse error" in got["error"], got["error"])


def promtool(suite, server, now):
    tool = shutil.which("promtool")
    if not tool:
        return suite.skip("promtool: Debian's prometheus is not installed")
    code, out, err = run([tool, "query", "instant", server.url, "sum by (shop) (sales_total)", "--time=%d" % now])
    suite.check("promtool query instant", code == 0 and '{shop="a"} => %d @[%d]' % (100 + 15 * STEPS, now) in out, out + err)
    code, out, err = run([tool, "query", "range", server.url, "stock", "--start=%d" % (now - 60), "--end=%d" % now, "--step=30s"])
    suite.check("promtool query range", code == 0 and out.count("@[") == 6, out + err)
    code, out, err = run([tool, "query", "series", server.url, "--match=stock", "--start=%d" % (now - 60), "--end=%d" % now])
    suite.check("promtool query series", code == 0 and '{__name__="stock", shop="a"}' in out and out.count("\n") >= 2, out + err)
    code, out, err = run([tool, "query", "labels", server.url, "shop"])
    suite.check("promtool query labels", code == 0 and out.split() == ["a", "b"], out + err)
    code, out, err = run([tool, "query", "instant", server.url, "sum("])
    suite.check("promtool: errors arrive", code == 1 and "parse error" in err, out + err)


def curl(suite, server, now):
    if not shutil.which("curl"):
        return suite.skip("curl is not installed")
    def answer(*args):
        code, out, err = run(["curl", "-sS", "--max-time", "20", *args])
        return out if code == 0 else "curl: %d %s" % (code, err)
    base = server.url + "/api/v1/query"
    want = {"status": "success", "data": {"resultType": "vector", "result": [
        {"metric": {"shop": "b"}, "value": [now, str(100 + 30 * STEPS)]}]}}
    args = ["-G", base, "--data-urlencode", 'query=sum by (shop) (sales_total{shop="b"})', "-d", "time=%d" % now]
    suite.equal("curl: GET", json.loads(answer(*args)), want)
    suite.equal("curl: POST form", json.loads(answer(*args[1:])), want)
    suite.equal("curl: gzip", json.loads(answer("--compressed", "-H", "Accept-Encoding: gzip", *args)), want)
    suite.equal("curl: HTTP/1.0", json.loads(answer("--http1.0", *args)), want)
    suite.equal("curl: keep-alive", answer("-o", "/dev/null", "-w", "%{num_connects} ", "-G", base, "-d", "query=1", "--next", "-sS", "-o",
                                           "/dev/null", "-w", "%{num_connects}", "-G", base, "-d", "query=2"), "1 0")
    suite.equal("curl: bad query is 400", answer("-o", "/dev/null", "-w", "%{http_code}", "-G", base, "-d", "query=sum("), "400")
    suite.equal("curl: unknown path is 404", answer("-o", "/dev/null", "-w", "%{http_code}", server.url + "/api/v1/nothing"), "404")
    head = answer("-D", "-", "-o", "/dev/null", "-H", "Origin: http://elsewhere", "-G", base, "-d", "query=1").lower()
    suite.check("curl: CORS and type", "access-control-allow-origin: http://elsewhere" in head and "content-type: application/json" in head, head)
    suite.check("curl: healthy and ready", "ealthy" in answer(server.url + "/-/healthy") and "eady" in answer(server.url + "/-/ready"))
    page = answer("-G", server.url + "/federate", "--data-urlencode", 'match[]={shop="a"}')
    suite.check("curl: federation", 'sales_total{shop="a"' in page and "# TYPE" in page, page)
    page = answer("-L", "-o", "/dev/null", "-w", "%{http_code} %{content_type} %{size_download}", server.url + "/").split()
    suite.check("curl: a page at /", page[0] == "200" and page[1].startswith("text/html") and int(page[-1]) > 100, page)


def remote_read(suite, server, now):
    """Debian's prometheus with vigie as remote_read, in chunks and in samples: what it answers is vigie's data."""
    reader = start_prometheus(suite, "remote_read:\n- url: %s/api/v1/read\n  read_recent: true\n" % server.url)
    if reader is None:
        return suite.skip("remote read: prometheus is not installed")
    for expr in ("stock", "sum(sales_total)", "rate(sales_total[5m])", 'max_over_time(stock{shop="b"}[10m])', 'stock{shop!~"a"}', "nothing",
                 "count({__name__=~'.+',shop!=''})"):
        suite.equal("remote read: %s" % expr, reader.series(expr, now + 1), server.series(expr, now + 1))
        q = {"query": expr, "start": now - 900 + 1, "end": now + 1, "step": 60}
        suite.equal("remote read: range %s" % expr,
                    sorted(map(str, reader.api_get("/query_range", q)["data"]["result"])),
                    sorted(map(str, server.api_get("/query_range", q)["data"]["result"])))
    q = {"match[]": "stock", "start": now - 900, "end": now}
    suite.equal("remote read: series", reader.api_get("/series", q)["data"], server.api_get("/series", q)["data"])
    suite.check("remote read: something was compared", len(server.series("stock", now + 1)) == 2)


def main():
    a = arguments("clients that others wrote", ("--only", {"help": "pypi, promtool, curl or read"}))
    suite = Suite("clients")
    server = start_vigie(suite, a.vigie, "global: {scrape_interval: 15s}\n")
    now = load(suite, server)
    for name, part in (("curl", curl), ("promtool", promtool), ("read", remote_read), ("pypi", api_client)):
        if a.only not in (None, name):
            continue
        try:
            part(suite, server, now)
        except Exception as x:  # the other parts still run
            import traceback
            traceback.print_exc(file=sys.stdout)
            suite.check("part %s ran to its end" % name, False, x)
    suite.alive(server)
    suite.equal("vigie stops", server.stop(), 0)
    suite.finish()


main()
