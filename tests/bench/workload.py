"""workload.py - what the benchmark feeds to the servers: samples by remote write 1.0, and pages.

Three sources, all seeded and alike in every run:

cluster()   a Kubernetes cluster as its usual scrape jobs see it (see the functions below it):
            per node a node_exporter and a cAdvisor, a third of the pods with HTTP histograms and
            the Go runtime's metrics, one kube-state-metrics, two API servers. Constants, idle
            counters and buckets, counters of many rates with bursts, page-sized gauges, float
            sums, nanoseconds, clocks. 15 s between samples; each target has its own offset, one
            target in five jitters by some milliseconds; one app pod in 25 is replaced half-way.
wide()      N series of 10 labels, one sample each per step: for memory per active series.
page()      10,000 series as text, 1.8 MB, every value different from scrape to scrape.
"""
# SPDX-License-Identifier: Apache-2.0
import ctypes
import itertools
import os
import random
import struct

STEP_MS = 15000
WINDOW = 40  # samples of a series per request: 10 minutes
SAMPLE_SIZE = 18  # bytes of one sample inside a TimeSeries message


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def field(tag, body):
    return bytes([tag]) + varint(len(body)) + body


def label_bytes(labels):
    """The labels of a TimeSeries message, sorted by name as the protocol wants them."""
    return b''.join(field(0x0a, field(0x0a, k.encode()) + field(0x12, v.encode()))
                    for k, v in sorted(labels.items()))


def snappy(body):
    """Snappy's block format with literals only: valid, not smaller."""
    out = [varint(len(body))]
    for i in range(0, len(body), 1 << 24):
        piece = body[i:i + (1 << 24)]
        out.append(b'\xf8' + struct.pack('<I', len(piece) - 1)[:3])
        out.append(piece)
    return b''.join(out)


def packer():
    """libsnappy's compressor, which is what senders use; None where it is not installed."""
    try:
        lib = ctypes.CDLL('libsnappy.so.1')
    except OSError:
        return None

    def pack(body):
        n = ctypes.c_size_t(32 + len(body) + len(body) // 6)
        out = ctypes.create_string_buffer(n.value)
        assert lib.snappy_compress(body, ctypes.c_size_t(len(body)), out, ctypes.byref(n)) == 0
        return out.raw[:n.value]
    return pack


class Spool:
    """Bodies in a file, in the order in which they are to be sent."""

    def __init__(self, path):
        self.file = open(path, 'w+b')
        self.windows = {}
        self.end = 0

    def add(self, window, body):
        body = snappy(body)
        self.file.write(body)
        self.windows.setdefault(window, []).append((self.end, len(body)))
        self.end += len(body)

    def bodies(self):
        self.file.flush()
        for window in sorted(self.windows):
            for offset, size in self.windows[window]:
                yield os.pread(self.file.fileno(), size, offset)

    def close(self):
        self.file.close()


# ---- kinds of series: each returns `n` values ------------------------------------------------

def const(r, n, v):
    return [float(v)] * n


def counter(r, n, per_s, unit=1, start=None):
    """Whole numbers times `unit`; bursts of tenfold rate now and then."""
    mean = per_s * STEP_MS / 1000
    rnd, out, boost = r.random, [], 1
    v = unit * (float(int(rnd() * 1e7)) if start is None else start)
    for _ in range(n):
        x = rnd()
        if x < 0.03:
            boost = 10 if boost == 1 else 1
        if mean >= 1:
            v += unit * int(mean * boost * (0.5 + rnd()))
        elif rnd() < mean * boost:
            v += unit
        out.append(v)
    return out


def seconds(r, n, per_s, decimals):
    """A counter of seconds with so many decimals, as exporters print it."""
    v, scale, rnd = int(r.random() * 1e5 * 10 ** decimals), 10 ** decimals, r.random
    mean, out = per_s * STEP_MS / 1000 * scale, []
    for _ in range(n):
        v += int(mean * (0.4 + 1.2 * rnd()))
        out.append(v / scale)
    return out


def walk(r, n, start, step, unit=1, often=0.5, decimals=0):
    """A gauge that wanders in multiples of `unit`."""
    v, scale, rnd, out = start, 10 ** decimals, r.random, []
    for _ in range(n):
        if rnd() < often:
            v = max(0, v + int((rnd() - 0.5) * 2 * step))
        out.append(v * unit / scale)
    return out


def clock(r, n, start_ms):
    return [start_ms / 1000 + 15 * i + int(r.random() * 1e4) / 1e4 for i in range(n)]


def nanos(r, n, scale):
    """Seconds with nine decimals that change now and then: summaries."""
    out, v = [], 0.0
    for _ in range(n):
        if not out or r.random() < 0.1:
            v = round(r.random() * scale, 9)
        out.append(v)
    return out


def histogram(r, n, per_s, bounds, middle):
    """Classic buckets: [(le, values)…], the sum, the count. Observations spread around `middle`."""
    k = len(bounds) + 1
    weight = [2.0 ** -abs(i - middle) for i in range(k)]
    share = [w / sum(weight) for w in weight]
    above = list(itertools.accumulate(share))
    # A day's worth at the start: where counters begin at zero, old and new Prometheus extrapolate differently.
    rows, bucket, rnd = [], [int(86400 * per_s * x) for x in share], r.random
    total, mean = sum(b * x for b, x in zip(bounds, bucket)) * 0.7, per_s * STEP_MS / 1000
    for _ in range(n):
        count = int(mean * (0.5 + rnd()) + rnd())
        if count > 20:
            for i in range(k):
                bucket[i] += int(count * share[i] + rnd())
            total += count * bounds[min(middle, k - 2)] * (0.6 + 0.3 * rnd())
        else:
            for _ in range(count):
                x, i = rnd(), 0
                while i < k - 1 and above[i] < x:
                    i += 1
                bucket[i] += 1
                total += bounds[min(i, k - 2)] * (0.5 + 0.5 * rnd())
        rows.append((list(itertools.accumulate(bucket)), total))
    les = [f'{b:g}' for b in bounds] + ['+Inf']
    buckets = [(les[i], [float(row[0][i]) for row in rows]) for i in range(k)]
    return buckets, [row[1] for row in rows], [float(row[0][-1]) for row in rows]


# ---- targets: each yields (labels, values) ----------------------------------------------------

BOUNDS = (.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10)
API_BOUNDS = (.005, .025, .05, .1, .2, .4, .6, .8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60)


def spread(r, low, high):
    """A rate between low and high, evenly in its logarithm."""
    return low * (high / low) ** r.random()


def node_exporter(r, n, node, t0):
    base = {'job': 'node-exporter', 'instance': f'10.0.{node}.10:9100', 'namespace': 'monitoring',
            'pod': f'node-exporter-{node * 7919 % 99991:05x}', 'container': 'node-exporter', 'endpoint': 'metrics'}

    def s(name, values, **more):
        return dict(base, __name__=name, **more), values

    busy = 0.1 + 0.6 * r.random()
    for cpu in range(8):
        for mode, share in (('idle', 1 - busy), ('user', busy * .6), ('system', busy * .25), ('iowait', busy * .1),
                            ('softirq', busy * .05), ('nice', 0), ('irq', 0), ('steal', busy * .002)):
            yield s('node_cpu_seconds_total', seconds(r, n, share, 2) if share else const(r, n, 0), cpu=str(cpu), mode=mode)
    for device, rate in (('nvme0n1', 40.0), ('nvme1n1', 2.0), ('sda', 0.0)):
        for what, unit, factor in (('reads_completed_total', 1, 1), ('writes_completed_total', 1, 2), ('read_bytes_total', 512, 30),
                                   ('written_bytes_total', 512, 60), ('reads_merged_total', 1, .1), ('writes_merged_total', 1, .5)):
            yield s('node_disk_' + what, counter(r, n, rate * factor, unit) if rate else const(r, n, 0), device=device)
        for what in ('io_time_seconds_total', 'read_time_seconds_total', 'write_time_seconds_total', 'io_time_weighted_seconds_total'):
            yield s('node_disk_' + what, seconds(r, n, rate / 400, 3) if rate else const(r, n, 0), device=device)
        yield s('node_disk_io_now', walk(r, n, 1, 3, often=.3), device=device)
    for device, rate in (('eth0', 2e5), ('eth1', 500.0), ('lo', 3e3), ('cni0', 8e4), ('veth1a2b', 900.0), ('veth3c4d', 0.0)):
        for way in ('receive', 'transmit'):
            for what, factor in (('bytes', 1.0), ('packets', .002), ('errs', 0), ('drop', 1e-7), ('multicast', 1e-6), ('fifo', 0)):
                values = counter(r, n, rate * factor) if rate * factor else const(r, n, 0)
                yield s(f'node_network_{way}_{what}_total', values, device=device)
        yield s('node_network_up', const(r, n, 1), device=device)
        yield s('node_network_mtu_bytes', const(r, n, 1500), device=device)
        yield s('node_network_speed_bytes', const(r, n, 1.25e9), device=device)
    total = 16 << 20 << (node % 3)  # KiB
    yield s('node_memory_MemTotal_bytes', const(r, n, total * 1024))
    for i, what in enumerate(('MemFree', 'MemAvailable', 'Cached', 'Buffers', 'Active', 'Inactive', 'Active_anon', 'Inactive_anon',
                              'Active_file', 'Inactive_file', 'AnonPages', 'Mapped', 'Slab', 'SReclaimable', 'SUnreclaim', 'KernelStack',
                              'PageTables', 'Committed_AS', 'Shmem', 'Dirty', 'Writeback')):
        yield s(f'node_memory_{what}_bytes', walk(r, n, total // (2 + i), 200 << (i % 5), 1024 * (4 if i % 3 else 1), .8))
    for what in ('SwapTotal', 'SwapFree', 'HugePages_Total', 'Hugepagesize', 'CommitLimit', 'VmallocTotal', 'Mlocked', 'Unevictable',
                 'NFS_Unstable', 'Bounce', 'WritebackTmp', 'HardwareCorrupted'):
        yield s(f'node_memory_{what}_bytes', const(r, n, r.choice((0, 0, 2 << 20, total * 512))))
    for mount, device in (('/', 'nvme0n1p1'), ('/var/lib', 'nvme1n1p1'), ('/boot', 'nvme0n1p2'), ('/run', 'tmpfs'), ('/data', 'sda1')):
        more = {'mountpoint': mount, 'device': device, 'fstype': 'tmpfs' if device == 'tmpfs' else 'ext4'}
        blocks = int(spread(r, 1e5, 1e8))
        yield s('node_filesystem_size_bytes', const(r, n, blocks * 4096), **more)
        yield s('node_filesystem_avail_bytes', walk(r, n, blocks // 2, 300, 4096, .4), **more)
        yield s('node_filesystem_free_bytes', walk(r, n, blocks // 2, 300, 4096, .4), **more)
        yield s('node_filesystem_files', const(r, n, blocks // 4), **more)
        yield s('node_filesystem_files_free', walk(r, n, blocks // 5, 20, 1, .3), **more)
        yield s('node_filesystem_readonly', const(r, n, 0), **more)
    for i, what in enumerate(('load1', 'load5', 'load15')):
        yield s('node_' + what, walk(r, n, 250, 60 >> 2 * i, 1, 1, 2))
    for what, per_s, unit in (('context_switches_total', 9000, 1), ('intr_total', 6000, 1), ('forks_total', 8, 1), ('vmstat_pgfault', 5000, 1),
                              ('vmstat_pgmajfault', .05, 1), ('vmstat_pgpgin', 300, 4), ('vmstat_pgpgout', 800, 4), ('vmstat_oom_kill', 0, 1),
                              ('netstat_Tcp_InSegs', 2000, 1), ('netstat_Tcp_OutSegs', 2100, 1), ('netstat_Tcp_RetransSegs', .3, 1),
                              ('netstat_Udp_InDatagrams', 40, 1), ('netstat_Ip_Forwarding', 0, 1), ('softnet_processed_total', 3000, 1)):
        yield s('node_' + what, counter(r, n, per_s, unit) if per_s else const(r, n, 1))
    for what, at, step in (('procs_running', 3, 3), ('procs_blocked', 0, 2), ('sockstat_TCP_alloc', 400, 8), ('sockstat_TCP_inuse', 120, 5),
                           ('sockstat_TCP_tw', 60, 20), ('sockstat_sockets_used', 800, 9), ('filefd_allocated', 3000, 64), ('entropy_available_bits', 256, 1)):
        yield s('node_' + what, walk(r, n, at, step))
    yield s('node_boot_time_seconds', const(r, n, 1.79e9 + node))
    yield s('node_time_seconds', clock(r, n, t0))
    yield s('node_uname_info', const(r, n, 1), nodename=f'node-{node}', release='6.1.0-30-amd64', sysname='Linux', machine='x86_64')
    for c in ('cpu', 'diskstats', 'filesystem', 'loadavg', 'meminfo', 'netdev', 'netstat', 'stat', 'time', 'uname', 'vmstat'):
        yield s('node_scrape_collector_duration_seconds', [round(.0001 + .01 * r.random(), 9) for _ in range(n)], collector=c)
        yield s('node_scrape_collector_success', const(r, n, 1), collector=c)


def pods_of(node):
    for i in range(12):
        app = ('checkout', 'cart', 'search', 'payments', 'users', 'mail', 'redis', 'postgres', 'ingress', 'coredns', 'kube-proxy', 'cni')[i]
        space = ('shop', 'shop', 'shop', 'bank', 'bank', 'ops', 'data', 'data', 'edge', 'kube-system', 'kube-system', 'kube-system')[i]
        yield i, app, space, f'{app}-{node * 131 + i:04x}f-{(node * 7 + i) * 2654435761 % 99991:05x}'


def cadvisor(r, n, node, t0):
    base = {'job': 'kubelet', 'instance': f'10.0.{node}.10:10250', 'metrics_path': '/metrics/cadvisor', 'node': f'node-{node}'}
    for i, app, space, pod in pods_of(node):
        c = dict(base, namespace=space, pod=pod, container=app, image=f'registry.example/{space}/{app}:1.{i}.3',
                 id=f'/kubepods/burstable/pod{node * 12 + i:08x}/{(node * 12 + i) * 40503 % 65521:04x}')
        cores = spread(r, .002, 2)
        pages = int(spread(r, 2e3, 3e5))
        yield dict(c, __name__='container_cpu_usage_seconds_total'), seconds(r, n, cores, 9)
        yield dict(c, __name__='container_cpu_user_seconds_total'), seconds(r, n, cores * .7, 2)
        yield dict(c, __name__='container_cpu_system_seconds_total'), seconds(r, n, cores * .3, 2)
        yield dict(c, __name__='container_cpu_cfs_periods_total'), counter(r, n, 10)
        yield dict(c, __name__='container_cpu_cfs_throttled_periods_total'), counter(r, n, .1 * (i % 3))
        for what, factor in (('working_set_bytes', 1), ('rss', .8), ('usage_bytes', 1.2), ('cache', .4), ('mapped_file', .1)):
            yield dict(c, __name__='container_memory_' + what), walk(r, n, int(pages * factor), 40, 4096, .5)
        for what in ('failcnt', 'swap'):
            yield dict(c, __name__='container_memory_' + what), const(r, n, 0)
        for what, rate in (('reads_bytes_total', 0 if i % 2 else .3), ('writes_bytes_total', .5)):
            yield dict(c, __name__='container_fs_' + what, device='/dev/nvme1n1'), counter(r, n, rate, 4096) if rate else const(r, n, 0)
        yield dict(c, __name__='container_threads'), walk(r, n, 20, 2, 1, .2)
        yield dict(c, __name__='container_processes'), const(r, n, 1 + i % 3)
        yield dict(c, __name__='container_last_seen'), [float(int(t0 / 1000) + 15 * k) for k in range(n)]
        yield dict(c, __name__='container_start_time_seconds'), const(r, n, 1.794e9 + node * 12 + i)
        yield dict(c, __name__='container_spec_memory_limit_bytes'), const(r, n, 1 << 30)
        yield dict(c, __name__='container_spec_cpu_quota'), const(r, n, 1e5)
        net = dict(base, namespace=space, pod=pod, interface='eth0')
        rate = spread(r, 50, 3e5)
        for way in ('receive', 'transmit'):
            yield dict(net, __name__=f'container_network_{way}_bytes_total'), counter(r, n, rate)
            yield dict(net, __name__=f'container_network_{way}_packets_total'), counter(r, n, rate / 700)
            yield dict(net, __name__=f'container_network_{way}_errors_total'), const(r, n, 0)


def app_pod(r, n, node, i, app, space, pod):
    base = {'job': app, 'instance': f'10.1.{node}.{i + 10}:8080', 'namespace': space, 'pod': pod, 'service': app}
    for handler, rate in (('/api/v1/items', 30.0), ('/api/v1/items/{id}', 9.0), ('/login', .4), ('/admin', 0.0)):
        h = dict(base, handler=handler, method='POST' if handler == '/login' else 'GET')
        buckets, total, count = histogram(r, n, rate * (.3 + r.random()), BOUNDS, 2 + (i + node) % 5)
        for le, values in buckets:
            yield dict(h, __name__='http_request_duration_seconds_bucket', le=le), values
        yield dict(h, __name__='http_request_duration_seconds_sum'), total
        yield dict(h, __name__='http_request_duration_seconds_count'), count
        for code, share in (('200', .97), ('404', .02), ('500', .003)):
            yield dict(h, __name__='http_requests_total', code=code), counter(r, n, rate * share) if rate else const(r, n, 0)
    heap = int(spread(r, 1e4, 1e6))
    for k, what in enumerate(('alloc', 'heap_alloc', 'heap_idle', 'heap_inuse', 'heap_released', 'heap_sys', 'stack_inuse', 'sys', 'next_gc',
                              'mspan_inuse', 'mcache_inuse', 'gc_sys')):
        yield dict(base, __name__=f'go_memstats_{what}_bytes'), walk(r, n, heap, heap // 8, 8 if k < 2 else 8192, .9 if k < 4 else .1)
    for what, rate in (('mallocs_total', 4000), ('frees_total', 3950), ('lookups_total', 0)):
        yield dict(base, __name__='go_memstats_' + what), counter(r, n, rate) if rate else const(r, n, 0)
    yield dict(base, __name__='go_memstats_last_gc_time_seconds'), [1.795e9 + 120 * (k // 8) + r.random() for k in range(n)]
    yield dict(base, __name__='go_goroutines'), walk(r, n, 40, 6, 1, .5)
    yield dict(base, __name__='go_threads'), walk(r, n, 12, 2, 1, .05)
    yield dict(base, __name__='go_info', version='go1.24.2'), const(r, n, 1)
    for q in ('0', '0.25', '0.5', '0.75', '1'):
        yield dict(base, __name__='go_gc_duration_seconds', quantile=q), nanos(r, n, 1e-3)
    yield dict(base, __name__='go_gc_duration_seconds_count'), counter(r, n, .02)
    yield dict(base, __name__='go_gc_duration_seconds_sum'), seconds(r, n, 1e-5, 9)
    yield dict(base, __name__='process_cpu_seconds_total'), seconds(r, n, spread(r, .003, .8), 2)
    yield dict(base, __name__='process_resident_memory_bytes'), walk(r, n, heap // 2, 50, 4096, .6)
    yield dict(base, __name__='process_virtual_memory_bytes'), const(r, n, heap * 8192)
    yield dict(base, __name__='process_open_fds'), walk(r, n, 30, 4, 1, .3)
    yield dict(base, __name__='process_max_fds'), const(r, n, 1048576)
    yield dict(base, __name__='process_start_time_seconds'), const(r, n, 1.794e9 + i + r.random())


def kube_state(r, n, nodes):
    base = {'job': 'kube-state-metrics', 'instance': '10.0.0.20:8080'}
    for node in range(nodes):
        k = dict(base, node=f'node-{node}')
        yield dict(k, __name__='kube_node_info', kernel_version='6.1.0-30-amd64', kubelet_version='v1.33.1', internal_ip=f'10.0.{node}.10'), const(r, n, 1)
        for c in ('Ready', 'MemoryPressure', 'DiskPressure'):
            for status in ('true', 'false', 'unknown'):
                yield dict(k, __name__='kube_node_status_condition', condition=c, status=status), const(r, n, (c == 'Ready') == (status == 'true') and status != 'unknown')
        for i, app, space, pod in pods_of(node):
            p = dict(base, namespace=space, pod=pod, uid=f'{node * 12 + i:08x}-7d1c-4b52-9f06-{(node * 12 + i) * 48271 % 2147483647:012x}')
            yield dict(p, __name__='kube_pod_info', node=f'node-{node}', host_ip=f'10.0.{node}.10', pod_ip=f'10.1.{node}.{i + 10}',
                       created_by_kind='ReplicaSet', created_by_name=pod[:-6]), const(r, n, 1)
            for phase in ('Running', 'Pending', 'Succeeded', 'Failed', 'Unknown'):
                yield dict(p, __name__='kube_pod_status_phase', phase=phase), const(r, n, phase == 'Running')
            yield dict(p, __name__='kube_pod_container_status_ready', container=app), const(r, n, 1)
            yield dict(p, __name__='kube_pod_container_status_restarts_total', container=app), counter(r, n, .0002, start=float(i % 3))
            for res, unit, amount in (('cpu', 'core', .25), ('memory', 'byte', 1 << 29)):
                yield dict(p, __name__='kube_pod_container_resource_requests', container=app, resource=res, unit=unit), const(r, n, amount)
            yield dict(p, __name__='kube_pod_start_time'), const(r, n, 1.794e9 + node * 12 + i)


def api_server(r, n, which):
    base = {'job': 'apiserver', 'instance': f'10.0.0.{which + 1}:6443', 'namespace': 'default', 'service': 'kubernetes'}
    for a, resource in enumerate(('pods', 'nodes', 'configmaps', 'secrets', 'leases', 'events', 'services', 'endpoints')):
        for b, verb in enumerate(('GET', 'LIST', 'WATCH', 'PUT')):
            h = dict(base, resource=resource, verb=verb, scope='namespace', group='', version='v1')
            rate = 0.0 if (a + b) % 3 == 0 else spread(r, .01, 60)
            buckets, total, count = histogram(r, n, rate, API_BOUNDS, (a + b) % 4)
            for le, values in buckets:
                yield dict(h, __name__='apiserver_request_duration_seconds_bucket', le=le), values
            yield dict(h, __name__='apiserver_request_duration_seconds_sum'), total
            yield dict(h, __name__='apiserver_request_duration_seconds_count'), count
            yield dict(h, __name__='apiserver_request_total', code='200'), counter(r, n, rate) if rate else const(r, n, 0)


def targets(nodes, n, t0):
    """Every target as (first step, steps, generator of its series)."""
    for node in range(nodes):
        yield 0, n, node_exporter(random.Random(node), n, node, t0)
        yield 0, n, cadvisor(random.Random(1000 + node), n, node, t0)
        for i, app, space, pod in pods_of(node):
            r = random.Random(2000 + node * 12 + i)
            if i % 3:
                continue
            if (node * 4 + i // 3) % 25 == 24:
                yield 0, n // 2, app_pod(r, n // 2, node, i, app, space, pod)
                yield n // 2, n - n // 2, app_pod(r, n - n // 2, node, i, app, space, pod + 'x')
            else:
                yield 0, n, app_pod(r, n, node, i, app, space, pod)
    yield 0, n, kube_state(random.Random(9000), n, nodes)
    for which in range(2):
        yield 0, n, api_server(random.Random(9100 + which), n, which)


def sample_bytes(t_ms):
    return b'\x10' + varint(t_ms)


class Cluster:
    """Encodes the cluster's samples into a spool. .series, .samples: how many."""

    def __init__(self, path, nodes, steps, t0):
        self.spool = Spool(path)
        self.series = self.samples = 0
        self.t0, self.t1 = t0, t0 + steps * STEP_MS
        self.pending = {}
        r = random.Random(1)
        for which, (first, n, series) in enumerate(targets(nodes, steps, t0)):
            offset = r.randrange(STEP_MS)
            times = [t0 + offset + (first + i) * STEP_MS + (r.choice((0, 0, 0, 3, 5)) if which % 5 == 0 else 0) for i in range(n)]
            self.add_target(first, times, list(series))
        for window in list(self.pending):
            self.flush(window)

    def add_target(self, first, times, series):
        encoded = [(label_bytes(labels), values) for labels, values in series]
        self.series += len(encoded)
        self.samples += len(encoded) * len(times)
        i = 0
        while i < len(times):
            window = (first + i) // WINDOW
            n = min(len(times) - i, WINDOW - (first + i) % WINDOW)
            pack = struct.Struct('<' + '3sd7s' * n).pack
            args = [b'\x12\x10\x09', 0.0, b''] * n
            args[2::3] = [sample_bytes(t) for t in times[i:i + n]]
            out, size = self.pending.setdefault(window, ([], [0]))
            for labels, values in encoded:
                args[1::3] = values[i:i + n]
                out.append(field(0x0a, labels + pack(*args)))
                size[0] += len(out[-1])
            if size[0] > 1 << 20:
                self.flush(window)
            i += n

    def flush(self, window):
        out, _ = self.pending.pop(window)
        self.spool.add(window, b''.join(out))

    def close(self):
        self.spool.close()


# ---- memory ------------------------------------------------------------------------------------

class Wide:
    """`n` series × 10 labels; bodies(t_ms) encodes one sample of each, 2,000 to a request."""

    BATCH = 2000

    def __init__(self, n):
        self.n = n
        self.prefix = []
        for i in range(n):
            if i % 500 == 0:  # a target: only the name and the mode differ within it
                t = i // 500
                head = label_bytes({'cluster': 'eu-west-1', 'container': f'app-{t % 40}', 'endpoint': 'http-metrics',
                                    'instance': f'10.0.{t}.7:9100', 'job': f'job-{t % 20}'})
                tail = label_bytes({'namespace': 'production', 'pod': f'app-{t}-7d9f{t:x}', 'service': f'svc-{t % 40}'})
            body = label_bytes({'__name__': f'metric_{i % 500}_total'}) + head + label_bytes({'mode': f'm{i % 8}'}) + tail
            self.prefix.append(b'\x0a' + varint(len(body) + SAMPLE_SIZE) + body)

    def bodies(self, t_ms, step):
        return map(snappy, self.messages(t_ms, step))

    def messages(self, t_ms, step):
        tail = sample_bytes(t_ms)
        values = [b'\x12\x10\x09' + struct.pack('<d', float(step * (k % 50) + k)) + tail for k in range(1000)]
        for i in range(0, self.n, self.BATCH):
            batch = self.prefix[i:i + self.BATCH]
            mixed = [None] * (2 * len(batch))
            mixed[0::2] = batch
            mixed[1::2] = [values[(i + k) % 1000] for k in range(len(batch))]
            yield b''.join(mixed)


class Wide2(Wide):
    """The same as requests of remote write 2.0, with metadata at every series, as Prometheus sends them."""

    def __init__(self, n):
        super().__init__(n)
        self.labels = []
        for i in range(n):
            t = i // 500
            self.labels.append(('__name__', f'metric_{i % 500}_total', 'cluster', 'eu-west-1', 'container', f'app-{t % 40}',
                                'endpoint', 'http-metrics', 'instance', f'10.0.{t}.7:9100', 'job', f'job-{t % 20}', 'mode', f'm{i % 8}',
                                'namespace', 'production', 'pod', f'app-{t}-7d9f{t:x}', 'service', f'svc-{t % 40}'))
        self.batches = [self.batch(i) for i in range(0, n, self.BATCH)]

    def batch(self, first):
        numbers, heads = {'': 0}, []
        for labels in self.labels[first:first + self.BATCH]:
            refs = b''.join(varint(numbers.setdefault(s, len(numbers))) for s in labels)
            meta = b'\x2a' + bytes([len(m := b'\x08\x01\x18' + varint(numbers.setdefault(f'Help of {labels[1]}.', len(numbers))))]) + m
            heads.append((field(0x0a, refs), meta))
        return heads, b''.join(field(0x22, s.encode()) for s in numbers)

    def messages(self, t_ms, step):
        tail = sample_bytes(t_ms)
        for i, (heads, symbols) in enumerate(self.batches):
            out = [symbols]
            for k, (head, meta) in enumerate(heads):
                v = (i * self.BATCH + k) % 1000
                out.append(field(0x2a, head + b'\x12\x10\x09' + struct.pack('<d', float(step * (v % 50) + v)) + tail + meta))
            yield b''.join(out)


def single(labels, t_ms, value):
    body = label_bytes(labels) + b'\x12\x10\x09' + struct.pack('<d', value) + sample_bytes(t_ms)
    return snappy(field(0x0a, body))


# ---- pages -------------------------------------------------------------------------------------

def page(k):
    """The k-th scrape of 10,000 series, about 1.8 MB of text."""
    out = []
    for i in range(10000):
        if i % 100 == 0:
            name = f'service_request_duration_{i // 100}_seconds'
            out.append(f'# HELP {name} Time that requests took.\n# TYPE {name} gauge\n')
        kind = i % 4
        if kind == 0:
            v = str(i * 37 % 1000 + k + 1)
        elif kind == 1:
            v = repr((i * 7919 + k * 104729) % 1000003 / 1000)
        elif kind == 2:
            v = repr(1.7e9 + i * 1000.25 + 15 * k)
        else:
            v = str(i * 104729 % 100000007 + (i % 977 + 1) * k)
        out.append(f'{name}{{cluster="production-eu-west-1",method="GET",pod="checkout-backend-7f9c6d5b4-{i * 31 % 99991:05d}",'
                   f'route="/api/v1/customers/{i % 100}/orders",status="200"}} {v}\n')
    return ''.join(out).encode()
