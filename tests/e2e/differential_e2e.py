"""differential_e2e.py - Debian's prometheus and vigie get the same samples and the same queries.

Both are fed by remote write; then generated queries (fixed seed) and the fitting expressions of the
corpus are asked as instant and range queries, and answers compared label set by label set within a
relative 1e-12. An error must be an error on both sides.

Debian has Prometheus 2.42, vigie follows 3.x. Where these differ on purpose, the data or the queries
are chosen so that the difference cannot show; each such choice carries the word AVOIDS below.
"""
# SPDX-License-Identifier: Apache-2.0
import json
import os
import random
import re
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from harness import STALE, Suite, arguments, same_number, start_prometheus, start_vigie  # noqa: E402

INTERVAL_MS = 15000
STEPS = 360
# AVOIDS left-open ranges and look-back of 3.x: samples lie at 3.456 s beyond each quarter minute,
# queries at 7.123 s beyond a minute and subquery steps on full seconds: no boundary meets a sample.
SAMPLE_SHIFT_MS = 3456
QUERY_SHIFT_MS = 7123


# ---- data ----

class Data:
    """Series by labels, each with its samples on the common beat."""

    def __init__(self, seed, start_ms):
        self.rng = random.Random(seed)
        self.start_ms = start_ms
        self.series = []

    def time(self, k):
        return self.start_ms + k * INTERVAL_MS

    def add(self, labels, values):
        """values: (step, value) pairs."""
        self.series.append((labels, [(self.time(k), v) for k, v in values]))

    def counter(self, labels, rate, resets=0, begin=0, end=STEPS):
        # AVOIDS the order of 3.x in extrapolating towards zero: counters begin, and begin again
        # after a reset, far above their increase over any window. Increments are fine binary
        # fractions: sums are exact, and ties, whose winner nobody promises, do not happen.
        rng, v = self.rng, float(rng_base(self.rng))
        at = set(rng.sample(range(begin + 1, end), resets)) if resets else ()
        out = []
        for k in range(begin, end):
            v = float(v // 2) if k in at else v + rng.randrange(1, rate << 10) / 1024
            out.append((k, v))
        self.add(labels, out)

    def gauge(self, labels, low, high, gaps=(), stale_after_gap=False, begin=0, end=STEPS):
        # AVOIDS Kahan sums of 3.x against plain sums of 2.42: values are quarters, sums are exact.
        rng, v, out, was = self.rng, (low + high) / 2, [], True
        for k in range(begin, end):
            v = min(max(v + rng.randrange(-40, 41) / 4 * (high - low) / 100, low), high)
            v = round(v * 4) / 4
            here = not any(a <= k < b for a, b in gaps)
            if here:
                out.append((k, v))
            elif was and stale_after_gap:
                out.append((k, STALE))
            was = here
        self.add(labels, out)

    def histogram(self, name, labels, bounds, rate):
        rng, counts, total, out = self.rng, [0] * len(bounds), 0.0, {}
        counts = [rng_base(rng) for _ in bounds]
        for k in range(STEPS):
            for i in range(len(bounds)):
                n = rng.randrange(rate)
                counts[i] += n
                total += n * (i + 1) / 4
            running = 0
            for i, le in enumerate(bounds):
                running += counts[i]
                out.setdefault(le, []).append((k, float(running)))
            out.setdefault("sum", []).append((k, 1e6 + total))
        for le in bounds:
            self.add(dict(labels, __name__=name + "_bucket", le=le), out[le])
        self.add(dict(labels, __name__=name + "_count"), out[bounds[-1]])
        self.add(dict(labels, __name__=name + "_sum"), out["sum"])


def rng_base(rng):
    return rng.randrange(200000, 900000)


def rng_half(rng):
    return rng.random() < 0.5


def make_data(start_ms):
    d = Data(20, start_ms)
    for job in ("api", "web"):
        for i in range(4):
            target = {"job": job, "instance": "%s-%d:80" % (job, i)}
            for method in ("GET", "POST", "PUT"):
                for code in ("200", "404", "500"):
                    d.counter(dict(target, __name__="http_requests_total", method=method, code=code),
                              60, resets=d.rng.choice((0, 0, 1, 3)))
            d.gauge(dict(target, __name__="memory_bytes"), 1 << 20, 1 << 24)
            d.gauge(dict(target, __name__="memory_limit_bytes"), 1 << 24, 1 << 25)
            d.gauge(dict(target, __name__="load"), 0, 16)
            d.counter(dict(target, __name__="cpu_seconds_total"), 12, resets=i % 2)
            d.histogram("request_duration_seconds", target,
                        ("0.05", "0.1", "0.25", "0.5", "1", "2.5", "+Inf"), 9)
            half = STEPS // 2 + 10 * i  # churn: another version from then on
            for version, a, b in (("1.0", 0, half), ("1.1", half, STEPS)):
                d.add(dict(target, __name__="build_info", version=version),
                      [(k, 1.0) for k in range(a, b)] + ([(b, STALE)] if b < STEPS else []))
    for n in range(12):
        gaps = [(20 * n + 7, 20 * n + 12), (200 + 5 * n, 230 + 5 * n)]
        d.gauge({"__name__": "patchy", "n": str(n), "job": "api"}, 3, 103, gaps, n % 2 == 0)
    for n in range(30):  # pods come and go
        begin = n * 11
        end = min(begin + 50, STEPS)
        d.counter({"__name__": "pod_cpu_total", "pod": "pod-%d" % n, "node": "node-%d" % (n % 3)}, 30,
                  begin=begin, end=end)
        if end < STEPS and n % 2:
            d.add({"__name__": "pod_cpu_total", "pod": "pod-%d" % n, "node": "node-%d" % (n % 3)},
                  [(end, STALE)])
    for n in range(8):
        d.gauge({"__name__": "temperature", "room": "r%d" % n, "floor": str(n % 2)}, 2, 40)
    odd = {"nan": float("nan"), "inf": float("inf"), "minus": float("-inf"), "zero": 0.0, "one": 1.0}
    for name, v in odd.items():
        d.add({"__name__": "odd", "n": name}, [(k, v) for k in range(STEPS)])
    return d


# ---- expressions of the corpus ----

SELECTOR = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*\{([^{}]*)\}")
MATCHER = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*"|\'[^\']*\')')
NOT_IN_242 = re.compile(  # AVOIDS what only one of the two knows: renamed, newer, or experimental
    r"holt_winters|double_exponential|_over_time_|mad_over_time|sort_by_label|limitk|limit_ratio|info\(|"
    r"histogram_avg|histogram_stddev|histogram_stdvar|first_over_time|ts_of_|\bstep\(|\brange\(|smoothed|anchored|"
    r"trim_|\bfill")


def corpus_expressions(limit):
    """Expressions of dashboards and rules, made to match by opening their variables."""
    root = os.environ.get("VIGIE_CORPUS") or os.path.join(HERE, "..", "..", "..", "shared", "corpus")
    path = os.path.join(root, "promql", "real_expressions.json")
    if not os.path.exists(path):
        return None
    with open(path) as f:
        cases = json.load(f)["cases"]
    out, seen = [], set()
    for c in cases:
        expr = re.sub(r'(=~|=)\s*"[^"]*\$[^"]*"', '=~".*"', c["query"])
        if not c["ok"] or expr in seen or "$" in expr or "{" not in expr or NOT_IN_242.search(expr):
            continue
        # AVOIDS duration literals as numbers, which 2.42 does not parse, and values that say "now".
        if re.search(r"[-+*/<>=(,]\s*\d+[smhdwy]\b", expr):
            continue
        seen.add(expr)
        out.append(expr)
    random.Random(4).shuffle(out)
    return out[:limit]


def add_corpus_series(d, exprs, max_series=3000):
    """Series that the selectors of the expressions ask for, of two instances."""
    want, counters = {}, set()
    for expr in exprs:
        # AVOIDS extrapolation towards zero: what a rate is taken of is a counter whatever its name.
        counters.update(re.findall(r"(?:rate|increase)\s*\(\s*([a-zA-Z_:][a-zA-Z0-9_:]*)", expr))
        for name, inside in SELECTOR.findall(expr):
            eq = {k: v[1:-1] for k, op, v in MATCHER.findall(inside) if op == "="}
            regex = {k: re.split(r"[|]", v[1:-1])[0] for k, op, v in MATCHER.findall(inside) if op == "=~"}
            for k, v in regex.items():
                if re.fullmatch(r"[\w./-]+", v):
                    eq.setdefault(k, v)
            eq = {k: v for k, v in eq.items() if v and k not in ("__name__", "le") and "\\" not in v}
            want.setdefault(name, set()).add(frozenset(eq.items()))
    made = set()
    before = len(d.series)
    for name in sorted(want):
        for eq in sorted(want[name], key=sorted)[:6]:
            for i in range(2):
                labels = {"job": "fit", "instance": "host-%d:9100" % i, "namespace": "ns", "cluster": "c",
                          "device": "dev0", "pod": "pod-%d" % i, "node": "host-%d" % i}
                labels.update(eq)
                key = (name, frozenset(labels.items()))
                if key in made or len(d.series) - before > max_series:
                    continue
                made.add(key)
                labels["__name__"] = name
                if name.endswith("_bucket"):
                    base = d.rng.randrange(5, 30)
                    for n, le in enumerate(("0.1", "0.5", "1", "5", "+Inf")):
                        d.add(dict(labels, le=le), [(k, 300000.0 * (n + 1) + k * base * (n + 1))
                                                    for k in range(STEPS)])
                elif name in counters or name.endswith(("_total", "_count", "_sum")):
                    d.counter(labels, d.rng.randrange(2, 50), resets=d.rng.choice((0, 0, 0, 1)))
                else:
                    d.gauge(labels, 10, 1000)
    return len(d.series) - before


# ---- generated expressions ----

class Generator:
    """Random expressions that mostly answer something. vector() and scalar() by depth."""

    def __init__(self, seed, at):
        self.rng = random.Random(seed)
        self.at = at  # times for @, in seconds, beside the beat of the samples

    def pick(self, *v):
        return self.rng.choice(v)

    COUNTERS = ("http_requests_total", "cpu_seconds_total", "pod_cpu_total",
                "request_duration_seconds_count", "request_duration_seconds_sum")
    GAUGES = ("memory_bytes", "load", "temperature", "patchy", "memory_limit_bytes")

    def matchers(self, name):
        rng = self.rng
        if name == "http_requests_total" and rng.random() < 0.6:
            return "{%s}" % self.pick('job="api"', 'code!="500"', 'method=~"P.*"', 'instance=~".*-[02]:80"',
                                      'job="web",code=~"2..|4.."', 'method!~"GET|PUT",job=~".+"', 'nolabel=""')
        if name == "pod_cpu_total" and rng.random() < 0.5:
            return "{%s}" % self.pick('node="node-1"', 'pod=~"pod-1.?"', 'pod!~"pod-[0-5]"')
        if name == "patchy" and rng.random() < 0.5:
            return '{n=~"[0-5]"}'
        return self.pick("", "", '{job=~"api|"}') if name in ("load", "memory_bytes") else ""

    def modifiers(self):
        r = self.rng.random()
        if r < 0.7:
            return ""
        return self.pick(" offset 5m", " offset 90s", " offset -3m", " @ %.3f" % self.rng.choice(self.at),
                         " @ start()", " @ end()", " @ end() offset 10m", " offset 7m @ %.3f" % self.at[0])

    def selector(self, names):
        name = self.pick(*names)
        return name + self.matchers(name)

    def window(self):
        return self.pick("1m", "2m", "5m", "5m", "10m", "17m30s", "30m")

    def range_vector(self, names):
        return "%s[%s]%s" % (self.selector(names), self.window(), self.modifiers())

    def subquery(self, depth):
        # AVOIDS left-open subqueries: an offset moves their start off the multiples of their step.
        inner = self.vector(depth - 1) if depth > 0 else self.selector(self.GAUGES)
        return "(%s)[%s:%s] offset %s" % (inner, self.pick("5m", "10m", "20m"), self.pick("30s", "1m", "", "45s"),
                                          self.pick("7s", "67s"))

    def over_time(self, depth):
        f = self.pick("avg", "min", "max", "sum", "count", "last", "present", "stddev", "stdvar", "quantile")
        arg = self.subquery(min(depth - 1, 1)) if depth > 1 and self.rng.random() < 0.3 \
            else self.range_vector(self.GAUGES)
        if f in ("avg", "sum", "stddev", "stdvar") and re.search("delta|deriv|predict", arg):
            f = "max"  # AVOIDS means of either sign that cancel out: other algorithms in 3.x
        if f == "quantile":
            return "quantile_over_time(%s, %s)" % (self.pick("0", "0.25", "0.5", "0.99", "1", "1.5", "-1"), arg)
        return "%s_over_time(%s)" % (f, arg)

    def rated(self):
        f = self.pick("rate", "rate", "increase", "irate", "delta", "idelta", "deriv", "changes", "resets", "predict_linear",
                      "absent_over_time")
        names = self.GAUGES if f in ("delta", "idelta", "deriv", "predict_linear", "changes") else self.COUNTERS
        if f == "predict_linear":
            # No @: AVOIDS a bug of 2.42, which gives the first step of a range only.
            return "predict_linear(%s[%s], %s)" % (self.selector(names), self.window(), self.pick("600", "3600", "-60"))
        return "%s(%s)" % (f, self.range_vector(names))

    def simple(self):
        # Of raw values: AVOIDS steps of floor() and the like at values that differ by float noise.
        x = self.selector(self.GAUGES + ("odd",)) + self.modifiers()
        f = self.pick("abs(%s)", "ceil(%s)", "floor(%s / 3)", "round(%s, 0.5)", "round(%s)", "sgn(%s)", "exp(%s / 1000000)",
                         "ln(%s)", "log2(%s)", "log10(%s)", "sqrt(%s)", "clamp(%s, 2, 30)", "clamp_min(%s, 0)",
                         "clamp_max(%s, 9)", "sin(%s)", "cos(%s)", "tan(%s / 100)", "atan(%s / 10)", "asin(%s / 50)", "sinh(%s / 100)",
                         "tanh(%s / 50)", "deg(%s)", "rad(%s)", "timestamp(%s)", "-%s", "+%s", "(%s) ^ 2", "%s %% 7", "acosh(%s)",
                         "hour(%s)", "minute(%s)", "month(%s)", "day_of_week(%s)", "days_in_month(%s)", "year(%s)",
                         "day_of_year(%s)", "day_of_month(%s)", "sort(%s)", "sort_desc(%s)", "absent(%s)", "%s")
        if "odd" in x and re.match("hour|minute|month|day|year", f):
            x = "patchy"  # AVOIDS dates of NaN and Inf, which are Go's and the processor's affair
        if "timestamp" in f and "@" in x and "offset" in x:
            x = x.split(" offset")[0]  # AVOIDS a bug of upstream: it forgets the offset there
        return f % x

    def grouping(self):
        return self.pick("", " by (job)", " by (instance)", " by (job, code)", " without (instance)", " by ()",
                         " without (code, method)", " by (nolabel)", " by (node, floor)")

    def aggregate(self, depth):
        f = self.pick("sum", "sum", "avg", "min", "max", "count", "group", "stddev", "stdvar", "topk", "bottomk", "quantile",
                      "count_values")
        x = self.vector(depth - 1)
        if f in ("topk", "bottomk"):
            # Of counters, whose values differ: AVOIDS ties, whose winner nobody promises.
            x = self.pick("rate(http_requests_total[5m])", "http_requests_total", "cpu_seconds_total", "pod_cpu_total")
            return "%s%s (%s, %s)" % (f, self.grouping(), self.pick("1", "2", "5", "100", "0"), x)
        if f == "quantile":
            return "quantile%s (%s, %s)" % (self.grouping(), self.pick("0", "0.3", "0.5", "0.9", "1", "2"), x)
        if f == "count_values":
            # Of values that are equal bit for bit on both sides.
            return 'count_values%s ("v", %s)' % (self.grouping(), self.pick("build_info", "odd", "round(load)",
                                                                            "floor(temperature / 10)"))
        if f in ("stddev", "stdvar") and re.search("odd|Inf|/ 0|quantile", x):
            f = "count"  # AVOIDS the deviation of one NaN or Inf: 0 in 2.42, NaN in 3.x
        if f in ("sum", "avg", "stddev", "stdvar") and re.search("delta|deriv|predict", x):
            f = "max"  # AVOIDS sums of either sign that cancel out: plain in 2.42, Kahan's in 3.x
        return "%s%s (%s)" % (f, self.grouping(), x)

    def binary(self, depth):
        r = self.rng.random()
        if r < 0.3:
            return "(%s) %s %s" % (self.vector(depth - 1), self.pick("+", "-", "*", "/", "^"), self.pick("2", "0.5", "100", "-3"))
        if r < 0.42:
            return "%s %s (%s)" % (self.pick("1", "0", "1000"), self.pick("*", "/", "+", "-"), self.vector(depth - 1))
        if r < 0.58:
            return "(%s) %s%s %s" % (self.vector(depth - 1), self.pick(">", "<", ">=", "<=", "!=", "=="),
                                     self.pick("", " bool"), self.pick("0", "10.1", "200000.3", "-1.7"))
        # sum around atan2 AVOIDS the metric name, which 2.42 forgets to drop.
        return self.pick(
            "temperature - 20", "memory_bytes / memory_limit_bytes", "memory_bytes / on(job, instance) memory_limit_bytes",
            "rate(http_requests_total[5m]) / ignoring(method, code) group_left rate(cpu_seconds_total[5m])",
            "rate(http_requests_total[5m]) * on(job, instance) group_left(version) build_info",
            "build_info * on(job, instance) group_right(version) memory_bytes",
            "sum by (job) (rate(http_requests_total[5m])) / on(job) sum by (job) (rate(cpu_seconds_total[5m]))",
            "memory_bytes and on(instance) load > 8", "load unless on(job) temperature", "load or memory_bytes",
            "temperature > on(floor, room) group_left temperature", "load > bool on(instance) memory_bytes",
            "http_requests_total * http_requests_total", "memory_bytes * on(job) memory_limit_bytes",
            "http_requests_total{code=\"500\"} / ignoring(code) http_requests_total",
            "patchy + patchy offset 5m", "patchy unless patchy > 0", "patchy or on(n) odd", "odd * odd", "odd > bool 0",
            "sum without () (load atan2 memory_bytes)", "load % 3", "memory_bytes and http_requests_total",
            "-load ^ 2", "2 ^ load / 1e6", "load == load", "load != bool memory_bytes", "odd == odd")

    def labels(self, depth):
        x = self.vector(depth - 1)
        return self.pick('label_replace(%s, "short", "$1", "instance", "(.*):.*")', 'label_join(%s, "all", "-", "job", "instance")',
                         'label_replace(%s, "job", "", "job", ".*")', 'label_replace(%s, "x", "${1}y$2", "method", "(P)(.).*")') % x

    def histogram(self):
        x = self.pick("rate(request_duration_seconds_bucket[5m])", "request_duration_seconds_bucket",
                      "sum by (le) (rate(request_duration_seconds_bucket[10m]))", "increase(request_duration_seconds_bucket[5m])",
                      "sum by (job, le) (rate(request_duration_seconds_bucket[2m]))", "load")
        return "histogram_quantile(%s, %s)" % (self.pick("0.5", "0.9", "0.99", "0", "1", "-0.5", "1.2", "0.1"), x)

    def scalar(self):
        return self.pick("time()", "scalar(load{instance=\"api-0:80\"})", "scalar(load)", "vector(3)", "pi() * 2", "1 / 0", "-1 ^ 0.5",
                         "vector(time())", "scalar(sum(load)) + 1", "1 > bool 2", "\"text\"", "minute()", "hour(vector(1e9))",
                         "3 % 2.5", "Inf - Inf", "0x1F + 1e3", "absent(nothing_here)", "absent(nothing{a=\"b\", c=~\"d\"})")

    def vector(self, depth):
        r = self.rng.random()
        if depth <= 0:
            return self.pick(self.rated, self.simple, lambda: self.selector(self.GAUGES) + self.modifiers(), self.rated)()
        if r < 0.28:
            return self.aggregate(depth)
        if r < 0.48:
            return self.binary(depth)
        if r < 0.62:
            return self.over_time(depth)
        if r < 0.68:
            return self.labels(depth)
        if r < 0.76:
            return self.histogram()
        if r < 0.80:
            return self.scalar()
        if r < 0.84:
            if rng_half(self.rng):  # of counters only: AVOIDS extrapolation towards zero, see Data.counter
                return "rate((%s)[%s:%s] offset 7s)" % (self.selector(self.COUNTERS[:4]), self.pick("5m", "20m"), self.pick("30s", "1m"))
            return self.pick("max_over_time", "changes", "min_over_time") + "(%s)" % self.subquery(depth - 1)
        return self.vector(0)


# AVOIDS names such as "1bad" and "bad-label": as label names they are wrong in 2.42 and UTF-8 in 3.x.
WRONG = ("rate(load)", "sum(", "load[5m]", "http_requests_total{", "1 +", "foo{a=~\"(\"}", "topk(load)", "sum by (job load)",
         "load offset", "load[5m:1m]", "rate(load[5m:1m)", "unknown(load)",
         "load and 1", "\"a\" + 1", "1 == 2", "{}", "{__name__=~\".*\"}", "memory_bytes * on() memory_limit_bytes",
         "quantile(\"a\", load)", "load @ x", "load{job=\"api\"} job", "sum(load) by", "a:b:", "-load[5m]",
         "vector(load)", "scalar(1)", "absent(1)", "histogram_quantile(load, 1)", "round(load, load)", "time(1)", "load offset 5m offset 5m")


# ---- asking and comparing ----

def normal(answer):
    """What is compared: a kind and {labels: [(time, value)…]}; None for an error."""
    if answer["status"] != "success":
        return None
    data = answer["data"]
    kind, result = data["resultType"], data["result"]
    if kind in ("scalar", "string"):
        return kind, {(): [tuple(result)]}
    out = {}
    for s in result:
        key = tuple(sorted(s["metric"].items()))
        if key in out:
            return kind, {"twice": key}
        out[key] = [tuple(p) for p in s.get("values") or [s["value"]]]
    return kind, out


def differs(kind, a, b):
    """None, or where the first difference is."""
    if set(a) != set(b):
        return "label sets: only prometheus %r, only vigie %r" % (sorted(set(a) - set(b))[:3], sorted(set(b) - set(a))[:3])
    for key in a:
        if [p[0] for p in a[key]] != [p[0] for p in b[key]]:
            only = set(p[0] for p in a[key]) ^ set(p[0] for p in b[key])
            return "times of %r: %d and %d, differing at %r" % (key, len(a[key]), len(b[key]), sorted(only)[:4])
        for (t, v), (_, w) in zip(a[key], b[key]):
            if not (v == w if kind == "string" else same_number(v, w)):
                return "%r at %s: prometheus %s, vigie %s" % (key, t, v, w)
    return None


class Differ:
    def __init__(self, suite, prometheus, vigie):
        self.suite, self.prometheus, self.vigie = suite, prometheus, vigie
        self.asked = self.empty = self.errors = 0

    def ask(self, path, params, what):
        what = " ".join(what.split())
        a = normal(self.prometheus.api_get(path, params))
        b = normal(self.vigie.api_get(path, params))
        self.asked += 1
        if a is None or b is None:
            self.errors += a is None and b is None
            why = ""
            if (a is None) != (b is None):
                why = (self.prometheus if a is None else self.vigie).api_get(path, params).get("error")
            return self.suite.check(what, a is None and b is None, "an error only of %s: %s" % (
                "prometheus" if a is None else "vigie", why))
        self.empty += not a[1]
        where = "kinds %s and %s" % (a[0], b[0]) if a[0] != b[0] else differs(a[0], a[1], b[1])
        return self.suite.check(what, where is None, where)

    def both_ways(self, expr, instant, start, end, step):
        self.ask("/query", {"query": expr, "time": "%.3f" % instant}, "instant %s" % expr)
        self.ask("/query_range", {"query": expr, "start": "%.3f" % start, "end": "%.3f" % end, "step": step},
                 "range %s" % expr)


def write_all(suite, servers, series):
    """In slices of time, the same requests to both."""
    times = sorted({t for _, samples in series for t, _ in samples})
    slices = [times[i:i + 30] for i in range(0, len(times), 30)]
    for piece in slices:
        lo, hi = piece[0], piece[-1]
        part = [(labels, [p for p in samples if lo <= p[0] <= hi]) for labels, samples in series]
        part = [(labels, samples) for labels, samples in part if samples]
        for server in servers:
            status, text = server.remote_write(part)
            if status not in (200, 204):
                suite.check("%s takes samples" % server.name, False, (status, text))
    suite.check("samples are written: %d series" % len(series), True)


def main():
    a = arguments("vigie against prometheus",
                  ("--queries", {"type": int, "default": 600, "help": "generated queries"}),
                  ("--corpus", {"type": int, "default": 2000, "help": "expressions of the corpus"}),
                  ("--seed", {"type": int, "default": 11}))
    suite = Suite("differential")
    prometheus = start_prometheus(suite, args=["--web.enable-remote-write-receiver"])
    if prometheus is None:
        suite.skip("differential: prometheus is not installed")
        suite.finish()
    vigie = start_vigie(suite, a.vigie, "global: {scrape_interval: 15s}\n")
    now = int(time.time()) // 60 * 60
    start_ms = (now - STEPS * INTERVAL_MS // 1000 - 300) * 1000 + SAMPLE_SHIFT_MS
    data = make_data(start_ms)
    own = len({frozenset(labels.items()) for labels, _ in data.series})
    exprs = corpus_expressions(a.corpus)
    if exprs is None:
        suite.skip("differential: no corpus, only generated queries")
        exprs = []
    fitted = add_corpus_series(data, exprs)
    print("%d series of our own, %d for the corpus" % (own, fitted))
    began = time.monotonic()
    write_all(suite, (prometheus, vigie), data.series)
    print("written in %.1f s" % (time.monotonic() - began))
    first = start_ms // 60000 * 60 + 600 + QUERY_SHIFT_MS / 1000.0
    last = (start_ms + STEPS * INTERVAL_MS) // 60000 * 60 + 420 + QUERY_SHIFT_MS / 1000.0
    gen = Generator(a.seed, [first + 1200.111, first + 3000.222])
    rng = random.Random(a.seed)
    differ = Differ(suite, prometheus, vigie)
    seen = set()
    while len(seen) < a.queries:
        expr = gen.vector(rng.choice((1, 2, 2, 3)))
        if expr not in seen:
            seen.add(expr)
            differ.both_ways(expr, rng.uniform(0, 1) // (1 / 60) * 60 + first, first + 600, last,
                             rng.choice(("60", "150", "300", "45")))
    for expr in exprs:
        differ.both_ways(expr, first + 60 * rng.randrange(10, 70), first + 900, last - 600, "240")
    for expr in WRONG:
        differ.both_ways(expr, first + 900, first, last, "300")
    print("%d questions, %d with an empty answer, %d errors on both sides, in %.0f s" % (
        differ.asked, differ.empty, differ.errors, time.monotonic() - began))
    suite.check("most answers are not empty", differ.empty < differ.asked / 3, differ.empty)
    suite.alive(vigie)
    suite.equal("vigie stops", vigie.stop(), 0)
    suite.finish()


main()
