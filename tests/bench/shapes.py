"""shapes.py - the query shapes of the benchmark, and how answers are compared.

Each shape: (name, kind, expression or matcher). Kinds: `i` instant at the end of the data; `r` a range over
the last hour in steps of 60 s; `R` over all data in steps of 15 s; `v` values of a label; `l` label names; `s` series.
"""
# SPDX-License-Identifier: Apache-2.0
import json
import math

SHAPES = [
    ('one series', 'r', 'node_load1{instance="10.0.1.10:9100"}'),
    ('a metric, instant', 'i', 'node_memory_MemAvailable_bytes'),
    ('a metric, fine graph', 'R', 'node_load1'),
    ('rate, sum by', 'r', 'sum by (instance) (rate(node_cpu_seconds_total{mode!="idle"}[5m]))'),
    ('rate, sum by, wide', 'r', 'sum by (namespace, pod) (rate(container_cpu_usage_seconds_total[5m]))'),
    ('rate, all series', 'r', 'rate(node_network_receive_bytes_total[5m])'),
    ('busy share', 'r', '1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[5m]))'),
    ('histogram_quantile by le', 'r', 'histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))'),
    ('histogram_quantile by job', 'r',
     'histogram_quantile(0.9, sum by (le, job, handler) (rate(http_request_duration_seconds_bucket[5m])))'),
    ('histogram_quantile, big', 'i', 'histogram_quantile(0.99, sum by (le, resource, verb) (rate(apiserver_request_duration_seconds_bucket[5m])))'),
    ('one-to-one join', 'r', 'node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes'),
    ('many-to-one join', 'r', 'sum by (node) (container_memory_working_set_bytes * on (namespace, pod) group_left (host_ip) kube_pod_info)'),
    ('error ratio', 'r', 'sum by (job) (rate(http_requests_total{code=~"5.."}[5m])) / sum by (job) (rate(http_requests_total[5m]))'),
    ('topk, range', 'r', 'topk(5, sum by (pod) (rate(container_network_receive_bytes_total[5m])))'),
    ('topk, instant', 'i', 'topk(10, container_memory_working_set_bytes)'),
    ('regex on names', 'i', 'count by (__name__) ({__name__=~"node_(cpu|network|disk).*_total"})'),
    ('regex on values', 'r', 'sum(rate(http_requests_total{handler=~"/api/.*",pod=~"(cart|checkout|payments)-.*"}[5m]))'),
    ('subquery', 'i', 'max_over_time(sum by (job) (rate(http_requests_total[5m]))[30m:1m])'),
    ('subquery, many series', 'i', 'quantile_over_time(0.95, rate(node_network_transmit_bytes_total[5m])[30m:1m])'),
    ('whole-database count', 'i', 'count({__name__!=""})'),
    ('series per metric', 'i', 'count by (__name__) ({__name__=~".+"})'),
    ('over time, an hour', 'i', 'max_over_time(container_memory_working_set_bytes[1h])'),
    ('avg_over_time, range', 'r', 'avg_over_time(node_load1[10m])'),
    ('increase, an hour', 'i', 'sum by (code) (increase(http_requests_total[1h]))'),
    ('predict_linear', 'i', 'predict_linear(node_filesystem_avail_bytes[1h], 4 * 3600) < 0'),
    ('quantile', 'r', 'quantile by (mode) (0.9, rate(node_cpu_seconds_total[5m]))'),
    ('comparison, count by', 'i', 'count by (phase) (kube_pod_status_phase == 1)'),
    ('unless', 'i', 'kube_pod_info unless on (namespace, pod) container_memory_rss'),
    ('label values', 'v', 'pod'),
    ('label names', 'l', ''),
    ('series', 's', 'container_memory_working_set_bytes'),
]


def request(shape, t0_s, t1_s):
    """(path, parameters) of a shape over data from t0_s to t1_s."""
    _, kind, text = shape
    if kind == 'i':
        return '/api/v1/query', {'query': text, 'time': t1_s}
    if kind == 'r':
        return '/api/v1/query_range', {'query': text, 'start': max(t0_s + 600, t1_s - 3600), 'end': t1_s, 'step': 60}
    if kind == 'R':
        return '/api/v1/query_range', {'query': text, 'start': t0_s, 'end': t1_s, 'step': 15}
    span = {'start': t0_s, 'end': t1_s}
    if kind == 'v':
        return f'/api/v1/label/{text}/values', span
    if kind == 'l':
        return '/api/v1/labels', span
    return '/api/v1/series', dict(span, **{'match[]': text})


def answer(body):
    """A comparable form: {labels: {time: value}}, or a set for the metadata calls."""
    data = json.loads(body)['data']
    if isinstance(data, list):
        return {frozenset(x.items()) if isinstance(x, dict) else x for x in data}
    out = {}
    for series in data['result']:
        points = series['values'] if 'values' in series else [series['value']]
        out[frozenset(series['metric'].items())] = {round(float(t), 3): float(v) for t, v in points}
    return out


def is_close(a, b, tolerance):
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    return a == b or abs(a - b) <= tolerance * max(abs(a), abs(b))


def compare(want, got, tolerance):
    """('equal' | what differs first, share of points that agree)."""
    if isinstance(want, set):
        if want == got:
            return 'equal', 1.0
        return f'{len(got)} entries instead of {len(want)}', len(want & got) / max(len(want | got), 1)
    points = sum(len(v) for v in want.values())
    same, first = 0, ''
    for labels, values in want.items():
        other = got.get(labels, {})
        for t, v in values.items():
            if t in other and is_close(v, other[t], tolerance):
                same += 1
            elif not first:
                first = f'{dict(labels)} at {t}: {other.get(t)} instead of {v}'
    if len(got) != len(want):
        return f'{len(got)} series instead of {len(want)}', same / max(points, 1)
    extra = sum(len(got[k].keys() - want[k].keys()) for k in got if k in want)
    if same == points and not extra:
        return 'equal', 1.0
    return first or f'{extra} points too many', same / max(points + extra, 1)
