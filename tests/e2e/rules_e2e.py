"""rules_e2e.py - Debian's prometheus and vigie evaluate the same rule files over the same targets.

ALERTS, recorded series and /api/v1/rules must be equal after times are taken out; both send to a
recorder, and what they send must be equal; Debian's prometheus-alertmanager takes what vigie sends.
A restart and a kill keep `for` going; a reload keeps what did not change.
"""
# SPDX-License-Identifier: Apache-2.0
import http.server
import json
import os
import re
import shutil
import signal
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from harness import Server, Suite, arguments, free_port, start_prometheus, start_vigie  # noqa: E402

RULES = r"""groups:
- name: records
  interval: 1s
  rules:
  - record: job:requests:sum
    expr: sum by (job) (app_requests)
    labels: {team: a, job: "again"}
  - record: job:requests:double
    expr: job:requests:sum * 2
  - record: instance:requests:all
    expr: app_requests
  - record: scalar:one
    expr: 1
  - record: bad:same
    expr: app_requests * 0
    labels: {path: x, instance: y}
- name: alerts
  interval: 1s
  rules:
  - alert: Hot
    expr: app_temperature > 30
    for: 2s
    labels: {severity: "{{ if gt $value 50.0 }}page{{ else }}ticket{{ end }}", room: "{{ $labels.room | toUpper }}"}
    annotations:
      summary: 'Room {{ $labels.room }} has {{ $value | humanize }} degrees ({{ printf "%.2f" $value }})'
      link: '{{ externalURL }}{{ pathPrefix }} {{ graphLink "up" }} {{ $externalLabels.dc }}'
      query: '{{ with query "sum(app_requests)" }}{{ . | first | value | humanize1024 }}{{ end }}'
      list: '{{ range query "app_temperature" | sortByLabel "room" }}{{ .Labels.room }}={{ .Value }};{{ end }}'
  - alert: Waiting
    expr: app_temperature > 0
    for: 1h
    annotations: {since: '{{ $labels.instance | stripPort }} {{ humanizeDuration 3725 }} {{ 0.123 | humanizePercentage }}'}
  - alert: Held
    expr: app_requests{path="/gone"} > 0
    keep_firing_for: 4s
  - alert: Quiet
    expr: app_temperature > 1000
  - alert: Broken
    expr: vector(1)
    annotations: {a: '{{ $labels.x.y }}', b: '{{ .ExternalURL.z }}', c: '{{ template "none" }}'}
  - alert: Meta
    expr: count(ALERTS{alertname="Hot",alertstate="firing"}) > 0
- name: limited
  interval: 1s
  limit: 1
  rules:
  - alert: TooMany
    expr: app_requests > 0
  - record: too:many
    expr: app_requests
"""

CONFIG = """global:
  scrape_interval: 1s
  evaluation_interval: 1s
  external_labels: {dc: eu, replica: r1}
rule_files: [%s]
alerting:
  alert_relabel_configs:
  - {action: labeldrop, regex: replica}
  - {source_labels: [alertname], regex: Meta, action: drop}
  alertmanagers:
  - path_prefix: %s
    static_configs: [{targets: ['127.0.0.1:%d']}]
scrape_configs:
- job_name: app
  static_configs: [{targets: ['127.0.0.1:%d']}]
  relabel_configs: [{target_label: instance, replacement: 'app:80'}]
"""

HOT = """app_requests{path="/a"} 10
app_requests{path="/b"} 20
app_requests{path="/gone"} 1
app_temperature{room="attic"} 55.5
app_temperature{room="hall"} 31
"""
COOL = """app_requests{path="/a"} 10
app_requests{path="/b"} 20
app_temperature{room="attic"} 12
app_temperature{room="hall"} 13
"""


class Pages(http.server.BaseHTTPRequestHandler):
    """The target, and an Alertmanager that writes down what arrives below each prefix."""

    def do_GET(self):
        body = self.server.page.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        for a in json.loads(body):
            key = (self.path.split("/")[1], json.dumps(a["labels"], sort_keys=True))
            with self.server.lock:
                self.server.alerts.setdefault(key, []).append(a)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def start_pages():
    s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    s.page, s.alerts, s.lock = HOT, {}, threading.Lock()
    threading.Thread(target=s.serve_forever, daemon=True).start()
    return s


# ---- what is compared ----

def normal_alert(a):
    return {"labels": a["labels"], "annotations": a["annotations"], "state": a["state"],
            "value": a["value"]}


def normal_error(text):
    return re.sub(r"\s+", " ", text)


def normal_rule(r):
    out = {k: r.get(k) for k in ("type", "name", "query", "duration", "labels", "health", "state",
                                 "annotations")}
    out["labels"] = r.get("labels") or {}
    out["annotations"] = r.get("annotations") or {}
    out["lastError"] = normal_error(r.get("lastError", ""))
    out["alerts"] = sorted((normal_alert(a) for a in r.get("alerts") or []),
                           key=lambda a: json.dumps(a, sort_keys=True))
    return out


def rules_of(server):
    groups = server.api_get("/rules")["data"]["groups"]
    return {g["name"]: [normal_rule(r) for r in g["rules"]] for g in groups}


def series_of(server):
    got = server.series('{__name__=~"ALERTS|.+:.+"}')
    return {tuple(sorted(k)): v for k, v in got.items()}


def differences(a, b):
    """The first place where two rule lists differ, for the log."""
    for name in sorted(set(a) | set(b)):
        for x, y in zip(a.get(name, []), b.get(name, [])):
            for k in x:
                if x[k] != y[k]:
                    return "%s %s %s: vigie %r, prometheus %r" % (name, x["name"], k, x[k], y[k])
        if len(a.get(name, [])) != len(b.get(name, [])):
            return "%s: rules missing" % name
    return ""


def compare(suite, what, ours, theirs, seconds=15):
    """Polled: the two are not evaluated at the same moment."""
    end = time.monotonic() + seconds
    while True:
        rules, series = (rules_of(ours), rules_of(theirs)), (series_of(ours), series_of(theirs))
        if (rules[0] == rules[1] and series[0] == series[1]) or time.monotonic() > end:
            break
        time.sleep(0.3)
    suite.check("%s: /api/v1/rules" % what, rules[0] == rules[1], lambda: differences(*rules))
    only = [set(series[0].items()) - set(series[1].items()),
            set(series[1].items()) - set(series[0].items())]
    suite.check("%s: recorded series and ALERTS" % what, series[0] == series[1],
                lambda: "only vigie %r; only prometheus %r" % (only[0], only[1]))


def state_of(server, alertname):
    """The states of an alert's instances."""
    alerts = server.api_get("/alerts")["data"]["alerts"]
    return sorted(a["state"] for a in alerts if a["labels"]["alertname"] == alertname)


def active_at(server, alertname, **labels):
    for a in server.api_get("/alerts")["data"]["alerts"]:
        if a["labels"]["alertname"] == alertname and labels.items() <= a["labels"].items():
            return a["activeAt"]
    return None


def seconds_of(text):
    m = re.fullmatch(r"(\d+-\d+-\d+T\d+:\d+:\d+)(\.\d+)?Z", text)
    import calendar
    return calendar.timegm(time.strptime(m.group(1), "%Y-%m-%dT%H:%M:%S")) + float(m.group(2) or 0)


def sent(pages, prefix):
    """What arrived below a prefix: labels → annotations and generator URL of the first."""
    with pages.lock:
        return {k[1]: (v[0].get("annotations", {}), v[0]["generatorURL"])
                for k, v in pages.alerts.items() if k[0] == prefix}


# ---- the parts ----

def differential(suite, pages, ours, theirs):
    suite.eventually("vigie: Hot fires", lambda: state_of(ours, "Hot"), want=["firing"] * 2)
    suite.eventually("prometheus: Hot fires", lambda: state_of(theirs, "Hot"), want=["firing"] * 2)
    suite.eventually("vigie: Meta fires", lambda: state_of(ours, "Meta"), want=["firing"])
    suite.eventually("prometheus: Meta fires", lambda: state_of(theirs, "Meta"), want=["firing"])
    compare(suite, "hot", ours, theirs)
    end = time.monotonic() + 10
    while sent(pages, "vigie") != sent(pages, "prom") and time.monotonic() < end:
        time.sleep(0.2)
    a, b = sent(pages, "vigie"), sent(pages, "prom")
    suite.check("both sent the same alerts", a and a == b,
                lambda: [(k, a.get(k), b.get(k)) for k in {**a, **b} if a.get(k) != b.get(k)])
    suite.check("relabelling dropped Meta and the replica",
                not any('"Meta"' in k or '"replica"' in k for k in sent(pages, "vigie")))
    pages.page = COOL
    suite.eventually("vigie: Held goes on", lambda: state_of(ours, "Hot") == [] and
                     state_of(ours, "Held") == ["firing"], seconds=6)
    suite.eventually("vigie: Held ends", lambda: state_of(ours, "Held"), want=[])
    suite.eventually("prometheus: Held ends", lambda: state_of(theirs, "Held"), want=[])
    compare(suite, "cool", ours, theirs)

    def resolved(prefix):
        with pages.lock:
            return sorted(k[1] for k, v in pages.alerts.items() if k[0] == prefix and
                          '"Hot"' in k[1] and seconds_of(v[-1]["endsAt"]) < time.time())
    suite.eventually("both sent the same resolved alerts",
                     lambda: len(resolved("vigie")) == 2 and resolved("vigie") == resolved("prom"))
    pages.page = HOT


def restart(suite, args, pages):
    """`for` goes on over a stop and a kill."""
    rules = suite.write("long.yml", "groups:\n- name: g\n  interval: 1s\n  rules:\n"
                        "  - {alert: Long, expr: app_temperature > 0, for: 1h}\n")
    config = CONFIG % (rules, "/restart", pages.server_port, pages.server_port)
    hows = ("stop", "kill -9")

    def start(how):
        return start_vigie(suite, args.vigie, config, ["--rules.alert.for-grace-period=1m"],
                           data="restart-%s" % how[:4])
    servers, before, down = {how: start(how) for how in hows}, {}, {}
    for how in hows:
        v = servers[how]
        suite.eventually("%s: Long is pending" % how, lambda: state_of(v, "Long"),
                         want=["pending"] * 2)
        suite.eventually("%s: its state is stored" % how,
                         lambda: len(v.series("ALERTS_FOR_STATE")), want=2)
        before[how] = min(map(float, v.series("ALERTS_FOR_STATE").values()))
    time.sleep(max(0, max(before.values()) + 8 - time.time()))  # so long that a new start shows
    for how in hows:
        down[how] = time.time()
        servers[how].stop() if how == "stop" else servers[how].kill()
    for how in hows:
        v = start(how)
        outage = time.time() - down[how]
        # Time without evaluations does not count: it moves by the length of the outage.
        low, high = before[how] - 1, before[how] + outage + 5
        suite.eventually("%s: `for` goes on from where it was" % how, lambda: low <= seconds_of(
            active_at(v, "Long", room="hall")) <= high, seconds=20)
        v.stop()


def reload(suite, ours, path):
    """Groups that did not change go on; renamed ones come and go."""
    since = active_at(ours, "Waiting", room="hall")
    suite.write(os.path.basename(path), RULES.replace("name: limited", "name: renamed").replace(
        "summary: 'Room", "summary: 'The room"))
    ours.signal(signal.SIGHUP)
    suite.eventually("reload: the new group is there", lambda: "renamed" in rules_of(ours) and
                     "limited" not in rules_of(ours))
    suite.equal("reload: state of unchanged rules stays", active_at(ours, "Waiting", room="hall"),
                since)
    suite.eventually("reload: changed annotations are used", lambda: any(
        a["annotations"].get("summary", "").startswith("The room")
        for a in ours.api_get("/alerts")["data"]["alerts"]))
    suite.write(os.path.basename(path), "groups:\n- name: x\n  rules:\n  - {alert: A, expr: 'up ='}\n")
    ours.signal(signal.SIGHUP)
    suite.eventually("reload: a bad file is refused", lambda: ours.value(
        "prometheus_config_last_reload_successful") == 0 or b"last_reload_successful 0" in
        ours.get("/metrics")[2])
    suite.check("reload: the rules of before go on", "renamed" in rules_of(ours))
    suite.check("reload: the log names file and line", re.search(
        r"problem in a rule file.*line=4", ours.text()) is not None, ours.tail)


def alertmanager(suite, args, pages, rules):
    """Debian's Alertmanager takes what vigie sends."""
    binary = shutil.which("prometheus-alertmanager")
    if not binary:
        suite.skip("no prometheus-alertmanager here")
        return
    port = free_port()
    config = suite.write("am.yml", "route: {receiver: none}\nreceivers: [{name: none}]\n")
    am = Server(suite, "alertmanager", [
        binary, "--config.file=%s" % config, "--storage.path=%s" % suite.path("am"),
        "--web.listen-address=127.0.0.1:%d" % port, "--cluster.listen-address="], port)
    if not suite.check("alertmanager becomes ready", am.wait_ready(), am.tail):
        return
    pages.page = HOT
    text = CONFIG % (rules, "/", port, pages.server_port)
    v = start_vigie(suite, args.vigie, text, ["--rules.alert.resend-delay=1s"], data="am-data")

    def arrived():
        alerts = json.loads(am.get("/api/v2/alerts")[2])
        return {a["labels"]["room"]: a for a in alerts if a["labels"]["alertname"] == "Hot"}
    suite.eventually("alertmanager: Hot arrives twice", lambda: len(arrived()), want=2, seconds=20)
    hot = arrived().get("ATTIC", {})
    suite.equal("alertmanager: labels", hot.get("labels"), {
        "alertname": "Hot", "dc": "eu", "instance": "app:80", "job": "app", "room": "ATTIC",
        "severity": "page"})
    suite.equal("alertmanager: summary", hot.get("annotations", {}).get("summary"),
                "Room attic has 55.5 degrees (55.50)")
    pages.page = COOL
    suite.eventually("alertmanager: Hot is resolved", lambda: arrived() == {}, seconds=15)
    got = json.loads(v.get("/api/v1/alertmanagers")[2])["data"]["activeAlertmanagers"]
    suite.equal("alertmanager: listed", got, [{"url": "http://127.0.0.1:%d/api/v2/alerts" % port}])
    metrics = v.get("/metrics")[2].decode()
    suite.check("alertmanager: counted", re.search(
        r'prometheus_notifications_sent_total\{alertmanager="[^"]+"\} [1-9]', metrics) is not None)
    suite.check("rules: counted", re.search(
        r'prometheus_rule_evaluations_total\{rule_group="[^"]+;alerts"\} [1-9]', metrics) is not None)
    v.stop()
    am.stop()


def main():
    args = arguments(__doc__)
    suite = Suite("rules")
    pages = start_pages()
    rules = suite.write("rules.yml", RULES)
    # What prometheus sends before it has found its Alertmanager is lost: it must send again soon.
    flags = ["--web.external-url=http://watch.example:9090/", "--web.route-prefix=/",
             "--rules.alert.resend-delay=2s"]
    ours = start_vigie(suite, args.vigie, CONFIG % (rules, "/vigie/", pages.server_port,
                                                    pages.server_port), flags)
    theirs = start_prometheus(suite, CONFIG % (rules, "/prom/", pages.server_port,
                                               pages.server_port), flags)
    if theirs:
        differential(suite, pages, ours, theirs)
        theirs.stop()
    else:
        suite.skip("no prometheus here")
    reload(suite, ours, rules)
    ours.stop()
    pages.page = HOT
    suite.write("rules.yml", RULES)
    alertmanager(suite, args, pages, rules)
    pages.page = HOT
    restart(suite, args, pages)
    suite.finish()


main()
