#!/usr/bin/env python3
"""bench.py - vigie beside Prometheus and VictoriaMetrics: the same work for each in one run.

  bench.py --vigie build/bench/vigie [--out FILE.json] [--markdown FILE.md] [--quick] [--only ROWS]

Prints one table: absolute figures, the ratio to each peer, the goal, and whether it was reached. A peer
that is not installed is left out with a note. Figures of CPU are of the whole server process, from its
CPU clock; memory is VmRSS; disk is blocks taken. Takes up to 12 minutes, 3 with --quick.
Rows for --only: parse, start, scrape, push, data (queries, restart, disk), memory.
"""
# SPDX-License-Identifier: Apache-2.0
import argparse
import contextlib
import datetime
import json
import math
import os
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import push
import report
import servers
import shapes
import workload

HERE = os.path.dirname(os.path.abspath(__file__))
DAY_MS = 86400 * 1000


class Sizes:
    def __init__(self, quick):
        self.limit_s = 170 if quick else 715
        self.starts = 5 if quick else 11
        self.idle_s = 10
        self.scrape_warm, self.scrape_s = (3, 6) if quick else (6, 24)
        self.memory_steps = 8
        self.push_series, self.push_steps = 100000, 4 if quick else 10
        self.nodes, self.steps = (6, 240) if quick else (34, 480)
        self.query_s = 0.08 if quick else 0.3
        self.restarts = 3


class Bench:
    def __init__(self, args, folder):
        self.args, self.folder = args, folder
        self.sizes = Sizes(args.quick)
        self.began = time.monotonic()
        self.rows, self.notes, self.detail = [], [], {}
        self.servers = [servers.Vigie(os.path.abspath(args.vigie), folder)]
        for kind, path in ((servers.Prometheus, args.prometheus), (servers.VictoriaMetrics, args.victoria_metrics)):
            if os.access(path, os.X_OK):
                self.servers.append(kind(path, folder))
            else:
                self.note(f'{kind.name} is not installed ({path}): left out')
        self.vigie = self.servers[0]

    def left(self):
        return self.sizes.limit_s - (time.monotonic() - self.began)

    def say(self, text):
        print(f'[{time.monotonic() - self.began:5.0f} s] {text}', file=sys.stderr, flush=True)

    def note(self, text):
        self.notes.append(text)
        self.say('note: ' + text)

    def row(self, what, unit, values, **more):
        """values: {server key: figure}. goals: {peer key: largest ratio} or `limit` (of vigie's own figure)."""
        self.rows.append(dict(what=what, unit=unit, values=values, **more))
        shown = ', '.join(f'{k} {report.figure(v)}' for k, v in values.items())
        self.say(f'{what}: {shown} {unit}')

    def each(self, measure):
        """measure(server) for every server; one that fails is noted and left out of the row."""
        out = {}
        for s in self.servers:
            try:
                out[s.key] = measure(s)
            except servers.ServerError as e:
                self.note(f'{s.name}: {e}')
            finally:
                s.stop()
        return out

    # ---- rows ----------------------------------------------------------------------------

    def parse(self):
        binary = self.args.expo_bench
        if not os.access(binary, os.X_OK):
            self.note(f'{binary} is not built (-DVIGIE_BENCH=ON): no parser figures')
            return
        out = subprocess.run([binary], capture_output=True, text=True, timeout=60, check=True).stdout
        figures = {(m.group(1), m.group(2)): float(m.group(3)) for m in re.finditer(r'^(\w+)\s+(warm|cold)\s+([\d.]+) MB/s', out, re.M)}
        self.detail['parse'] = {' '.join(k): v for k, v in figures.items()}
        self.row('text exposition parse, steady state', 'MB/s', {'vigie': figures['text', 'warm'], 'prometheus': 110.0},
                 quoted=['prometheus'], floor=1000, better='more',
                 note=f"Prometheus's own parser: quoted figure of the newest release, not measured here. vigie cold: {figures['text', 'cold']:.0f} MB/s.")

    def start(self):
        got = {}

        def starts(s):
            config = None if s.key == 'victoria-metrics' else servers.EMPTY_CONFIG
            times = []
            for _ in range(self.sizes.starts):
                s.stop()
                s.wipe()
                times.append(s.start(config) * 1000)
            return times

        bare = servers.Vigie(self.vigie.binary, os.path.join(self.folder, 'bare'))
        try:
            for s in self.servers:
                got[s.key] = {'ms': starts(s)}
            bare.start(None)
            cpu, at = {s.key: s.cpu() for s in self.servers}, time.monotonic()
            time.sleep(self.sizes.idle_s)
            for s in self.servers:
                s.idle_cpu = (s.cpu() - cpu[s.key]) / (time.monotonic() - at)
                got[s.key].update(rss=s.rss(), idle_cpu=s.idle_cpu)
            bare_rss = bare.rss()
        finally:
            for s in self.servers + [bare]:
                s.stop()
        self.detail['start'] = got
        self.row('start to ready, empty', 'ms', {k: statistics.median(v['ms']) for k, v in got.items()}, limit=50,
                 note=f'median of {self.sizes.starts}; from exec until /-/ready answers 200.')
        self.row('resident memory, idle', 'MB', {k: v['rss'] / 1e6 for k, v in got.items()}, limit=15,
                 note=f'{self.sizes.idle_s} s after the start, nothing scraped.')
        self.row('resident memory, started bare', 'MB', {'vigie': bare_rss / 1e6}, note='the same time after, scraping itself and its host.')

    def scrape(self):
        pages = servers.Pages(48)
        try:
            got = self.each(lambda s: self.scrape_one(s, pages))
        finally:
            pages.stop()
        self.detail['scrape'] = dict(got, page_bytes=pages.plain, gzip_bytes=pages.packed)
        self.row('CPU per scrape of 10,000 series', 'ms', {k: v['ms'] for k, v in got.items()}, goals={'prometheus': 1 / 5},
                 note=f'{pages.plain / 1e6:.2f} MB of text, {pages.packed / 1e3:.0f} kB as gzip, every value changes, each second for '
                      f'{self.sizes.scrape_s} s; all CPU of the process less its idle CPU.')

    def scrape_one(self, s, pages):
        s.wipe()
        s.start(servers.SCRAPE_CONFIG % pages.port)
        before = pages.served()
        deadline = time.monotonic() + 20
        while pages.served() < before + self.sizes.scrape_warm:
            if time.monotonic() > deadline:
                raise servers.ServerError(f'{s.name} does not scrape')
            time.sleep(0.05)
        time.sleep(0.5)  # half-way between scrapes
        cpu, at, count = s.cpu(), time.monotonic(), pages.served()
        time.sleep(self.sizes.scrape_s)
        cpu, passed, count = s.cpu() - cpu, time.monotonic() - at, pages.served() - count
        if not count:
            raise servers.ServerError(f'{s.name} stopped scraping')
        return {'ms': (cpu - s.idle_cpu * passed) / count * 1000, 'scrapes': count}

    # Remote write: the first round registers the series and is not counted.
    def push(self):
        series, steps = self.sizes.push_series, self.sizes.push_steps
        self.say(f'remote write: {series} series, {steps} rounds')
        pack = workload.packer()
        if not pack:
            self.note('libsnappy is not installed: requests are not compressed')
            pack = workload.snappy
        start_ms = int(time.time() * 1000) - (steps + 1) * workload.STEP_MS

        def rounds_of(data):
            return [[pack(m) for m in data.messages(start_ms + k * workload.STEP_MS, k)] for k in range(steps + 1)]

        rounds = rounds_of(workload.Wide(series))
        got = self.each(lambda s: self.push_one(s, rounds, series, push.HEADERS))
        rounds = rounds_of(workload.Wide2(series))
        try:
            two = self.push_one(self.vigie, rounds, series, push.HEADERS_2)
        finally:
            self.vigie.stop()
        self.detail['push'], self.detail['push_2'] = got, two
        self.row('remote write 1.0, CPU per million samples', 's', {k: v['cpu_s'] for k, v in got.items()},
                 goals={'victoria-metrics': 1 / 4, 'prometheus': 1 / 12},
                 note=f'{series:,} active series of 10 labels, 2,000 samples to a request, 2 connections, {steps} samples of each 15 s '
                      'apart, as fast as they are taken; all CPU of the process until the last answer.')
        self.row('remote write 1.0, first samples of new series, CPU per million', 's', {k: v['first_cpu_s'] for k, v in got.items()},
                 note='the same, for the round that registers the series.')
        self.row('remote write 2.0, CPU per million samples', 's', {'vigie': two['cpu_s']},
                 note='the same series, with metadata at each; the peers of this age know only 1.0.')

    def push_one(self, s, rounds, series, headers):
        s.wipe()
        s.start(servers.EMPTY_CONFIG if s.key != 'victoria-metrics' else None)
        at, figures = s.cpu(), {}
        for k, bodies in enumerate(rounds):
            push.all(s, bodies, headers)
            if k == 0:
                figures['first_cpu_s'] = (s.cpu() - at) / series * 1e6
                at, began = s.cpu(), time.monotonic()
        samples = series * (len(rounds) - 1)
        figures['cpu_s'] = (s.cpu() - at) / samples * 1e6
        figures['samples_per_s'] = samples / (time.monotonic() - began)
        figures['rss'] = s.rss()
        return figures

    # Memory: all servers at once, because memory does not mind the company.
    def memory(self):
        self.memory_of(100000, 2 if self.args.quick else 5)
        if self.args.quick:
            return
        if available_memory() < 12 << 30:
            self.note('less than 12 GiB of memory are available: no million series')
        elif self.left() < 160:
            self.note(f'only {self.left():.0f} s are left: no million series')
        else:
            self.memory_of(1000000, 15)

    def memory_of(self, series, cadence_s):
        self.say(f'memory: {series} series')
        steps, data = self.sizes.memory_steps, workload.Wide(series)
        base, samples, failed = {}, {}, {}
        start_ms = int(time.time() * 1000) - steps * workload.STEP_MS
        turn, lock = threading.Barrier(len(self.servers)), threading.Lock()

        def run(s):
            try:
                for step in range(steps):
                    with contextlib.suppress(threading.BrokenBarrierError):
                        turn.wait(60)  # a slow one is waited for, not forever
                    began = time.monotonic()
                    for body in data.bodies(start_ms + step * workload.STEP_MS, step):
                        s.write(body)
                    while time.monotonic() - began < cadence_s:
                        time.sleep(0.25)
                        if step >= steps - 2:
                            with lock:
                                samples.setdefault(s.key, []).append(s.rss())
                    with lock:
                        samples.setdefault(s.key, []).append(s.rss())
            except (servers.ServerError, OSError) as e:
                failed[s.key] = e

        threads = [threading.Thread(target=run, args=(s,)) for s in self.servers]
        try:
            for s in self.servers:  # here, not in the threads: children die with the thread that made them
                s.wipe()
                s.start(servers.EMPTY_CONFIG if s.key != 'victoria-metrics' else None)
            time.sleep(2)
            for s in self.servers:
                base[s.key] = s.rss()
            for t in threads:
                t.start()
            for t in threads:
                t.join(max(self.left(), 1))
        finally:
            for s in self.servers:
                s.stop()
                s.wipe()
        for key, e in failed.items():
            self.note(f'memory with {series} series: {key}: {e}')
        values = {k: (statistics.median(v[-max(3, len(v) // 2):]) - base[k]) / series for k, v in samples.items() if k not in failed}
        self.detail[f'memory_{series}'] = {'base': base, 'rss': samples}
        self.row(f'memory per active series, {series:,}', 'bytes', values, goals={'prometheus': 1 / 6},
                 note=f'10 labels, {steps} samples of each 15 s apart by remote write, sent every {cadence_s} s; '
                      'growth of VmRSS, median over the end of the load.')

    # ---- the cluster: load, queries, disk, restart -------------------------------------------

    def data(self):
        day = int(time.time()) * 1000 // DAY_MS * DAY_MS - 2 * DAY_MS
        t0 = day + 10 * 3600 * 1000
        began = time.monotonic()
        c = workload.Cluster(os.path.join(self.folder, 'spool'), self.sizes.nodes, self.sizes.steps, t0)
        self.say(f'{c.samples:,} samples of {c.series:,} series made in {time.monotonic() - began:.0f} s')
        self.detail['data'] = {'series': c.series, 'samples': c.samples, 'nodes': self.sizes.nodes, 'steps': self.sizes.steps}
        try:
            self.load(c)
            self.queries(c)
            self.restart(c)
            self.disk(c)
        finally:
            for s in self.servers:
                s.stop()
            c.close()

    def load(self, c):
        cpu = {}
        for s in self.servers:
            s.wipe()
            s.start(servers.EMPTY_CONFIG if s.key != 'victoria-metrics' else None)
            began = s.cpu()
            for body in c.spool.bodies():
                s.write(body)
            s.flush()
            cpu[s.key] = (s.cpu() - began) / c.samples * 1e9
        self.row('CPU per sample received', 'ns', cpu, note='remote write 1.0, 40 samples of a series to a request, background work included.')

    def queries(self, c):
        t0, t1 = c.t0 / 1000, c.t1 / 1000 - 15
        table = []
        for s in self.servers:
            s.settle(15)
        for shape in shapes.SHAPES:
            if self.left() < (25 if self.args.quick else 120):
                self.note(f'no time left for the query shape "{shape[0]}" and those after it')
                break
            path, params = shapes.request(shape, t0, t1)
            entry = {'name': shape[0], 'kind': shape[1], 'query': shape[2], 'cpu_ms': {}, 'wall_ms': {}, 'same': {}, 'series': {}}
            reference = None
            answers = {}
            for s in self.servers:
                try:
                    body, entry['cpu_ms'][s.key], entry['wall_ms'][s.key] = self.one_query(s, path, params)
                    answers[s.key] = shapes.answer(body)
                    entry['series'][s.key] = len(answers[s.key])
                except (servers.ServerError, ValueError, KeyError) as e:
                    self.note(f'query "{shape[0]}": {s.name}: {str(e)[:300]}')
            reference = answers.get('prometheus')
            for key, got in answers.items():
                if key != 'prometheus' and reference is not None:
                    entry['same'][key] = shapes.compare(reference, got, 1e-9)
            if reference is not None and 'vigie' in answers and entry['same']['vigie'][0] != 'equal':
                self.note(f'query "{shape[0]}": vigie differs from prometheus: {entry["same"]["vigie"][0]}')
            table.append(entry)
        self.detail['queries'] = table
        self.query_rows(table)

    def one_query(self, s, path, params):
        """Asks once to warm up and to compare, then again and again. (body, CPU ms, wall ms)."""
        status, body = s.api(path, params)
        if status != 200:
            raise servers.ServerError(f'answered {status}: {body[:200]!r}')
        walls, cpu, deadline = [], s.cpu(), time.perf_counter() + self.sizes.query_s
        while len(walls) < 3 or time.perf_counter() < deadline and len(walls) < 500:
            began = time.perf_counter()
            s.api(path, params)
            walls.append(time.perf_counter() - began)
        return body, (s.cpu() - cpu) / len(walls) * 1000, statistics.median(walls) * 1000

    def query_rows(self, table):
        goals = {'prometheus': 1 / 5, 'victoria-metrics': 1 / 2}
        for field, what in (('cpu_ms', 'CPU'), ('wall_ms', 'time')):
            ratios = {}
            for peer in goals:
                both = [e[field]['vigie'] / e[field][peer] for e in table if peer in e[field] and 'vigie' in e[field]]
                if both:
                    ratios[peer] = geometric_mean(both)
            means = {s.key: geometric_mean([e[field][s.key] for e in table if s.key in e[field]])
                     for s in self.servers if any(s.key in e[field] for e in table)}
            same = sum(e['same'].get('vigie', ('',))[0] == 'equal' for e in table)
            vm = sum(e['same'].get('victoria-metrics', ('',))[0] == 'equal' for e in table)
            compared = sum('vigie' in e['same'] for e in table)
            counts = sum(e['series'].get('victoria-metrics', -1) == e['series'].get('prometheus') for e in table)
            self.row(f'{len(table)} query shapes, {what}, geometric mean', 'ms', means, ratios=ratios,
                     goals=goals if field == 'cpu_ms' else None,
                     note=f"answers equal to Prometheus's (1e-9): vigie {same} of {compared}, VictoriaMetrics {vm}, as many series "
                          f'in {counts} (its rates and windows differ from PromQL by design).' if field == 'cpu_ms' else 'wall time as a client on the same machine sees it.')

    def restart(self, c):
        def measure(s):
            times = []
            for _ in range(self.sizes.restarts):
                if not s.stop():
                    self.note(f'{s.name} did not stop within 60 s')
                times.append(s.start(servers.EMPTY_CONFIG if s.key != 'victoria-metrics' else None, 120) * 1000)
            return times

        got = {}
        for s in self.servers:
            got[s.key] = measure(s)
        self.detail['restart'] = got
        self.row(f'restart with {c.samples / 1e6:.1f} M samples, to ready', 'ms', {k: statistics.median(v) for k, v in got.items()},
                 goals={'prometheus': 1 / 20, 'victoria-metrics': 1},
                 note=f'after a clean stop; median of {self.sizes.restarts}.')

    def disk(self, c):
        """After the restart, and in the state each reaches by itself: see the notes of the rows."""
        now, merged = {}, {}
        for s in self.servers:
            s.settle(20)
            now[s.key] = s.disk() / c.samples
        self.row('bytes per sample on disk, as left by a restart', 'bytes', now,
                 note='vigie: the day is still open; prometheus: log and head; VictoriaMetrics: its parts, index included, its cache folder not.')
        if not self.args.quick:
            # A newer sample makes the day a past one; it is closed a minute after the start.
            self.vigie.write(workload.single({'__name__': 'bench_marker'}, int(time.time() * 1000), 1.0))
            self.vigie.stop()
            self.vigie.start()
        day = datetime.datetime.fromtimestamp(c.t0 / 1000, datetime.timezone.utc)
        for s in self.servers[1:]:
            try:
                if s.key == 'prometheus':
                    merged[s.key] = s.blocks() / c.samples
                else:
                    s.merge(day.strftime('%Y_%m'), 40)
                    merged[s.key] = s.disk() / c.samples
            except servers.ServerError as e:
                self.note(f'{s.name}: {e}')
        if self.args.quick or not self.vigie.wait_closed(max(min(90, self.left() - 5), 1)):
            self.note('vigie was not given the time to close the past day: its figure is that of an open one')
        merged = {'vigie': self.vigie.disk(day.strftime('%Y-%m-%d')) / c.samples, **merged}
        self.detail['disk'] = {'open': now, 'merged': merged}
        self.row('bytes per sample on disk, all in, merged', 'bytes', merged, goals={'victoria-metrics': 0.6},
                 note='vigie: the folder of the past day, closed by itself a minute after a start; catalog included, the reserve file of '
                      '64 MiB not; prometheus: a snapshot, that is blocks; VictoriaMetrics: after force_merge, index included.')


def geometric_mean(v):
    return math.exp(sum(math.log(max(x, 1e-6)) for x in v) / len(v)) if v else 0.0


def available_memory():
    with open('/proc/meminfo', encoding='ascii') as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith('MemAvailable'))


def machine():
    model = 'unknown'
    with open('/proc/cpuinfo', encoding='ascii', errors='replace') as f:
        for line in f:
            if line.startswith('model name'):
                model = line.split(':')[1].strip()
    with open('/proc/meminfo', encoding='ascii') as f:
        memory = int(f.readline().split()[1]) / 1e6
    return {'cpu': model, 'cores': os.cpu_count(), 'memory_gb': round(memory), 'kernel': platform.release(),
            'system': next((line.split('=')[1].strip().strip('"') for line in open('/etc/os-release', encoding='utf-8')
                            if line.startswith('PRETTY_NAME')), '')}


def out_of_time(*_):
    raise TimeoutError('the time for the whole run is over')


def run(args, folder):
    b = Bench(args, folder)
    signal.signal(signal.SIGALRM, out_of_time)
    signal.signal(signal.SIGTERM, out_of_time)
    signal.alarm(b.sizes.limit_s + 5)
    info = {'date': datetime.date.today().isoformat(), 'quick': args.quick, 'machine': machine(), 'load': os.getloadavg()[0],
            'versions': {s.key: s.version() for s in b.servers}}
    wanted = args.only.split(',') if args.only else ['parse', 'start', 'scrape', 'push', 'data', 'memory']
    try:
        for name in wanted:
            try:
                getattr(b, name)()
            except (servers.ServerError, subprocess.SubprocessError) as e:
                b.note(f'{name}: {e}')
    except TimeoutError as e:
        b.note(f'{e}: the rows that are missing were not measured')
    finally:
        signal.alarm(0)
        servers.end_all()
    b.notes += [t for s in b.servers for t in s.troubles]
    info['seconds'] = round(time.monotonic() - b.began)
    return dict(info, rows=b.rows, notes=b.notes, detail=b.detail)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--vigie', required=True)
    p.add_argument('--prometheus', default='/usr/bin/prometheus')
    p.add_argument('--victoria-metrics', default='/usr/bin/victoria-metrics')
    p.add_argument('--expo-bench', help='default: expo_bench beside vigie')
    p.add_argument('--out', help='all figures as JSON')
    p.add_argument('--markdown', help='the page for docs/')
    p.add_argument('--quick', action='store_true')
    p.add_argument('--only')
    args = p.parse_args()
    args.expo_bench = args.expo_bench or os.path.join(os.path.dirname(os.path.abspath(args.vigie)), 'expo_bench')
    folder = tempfile.mkdtemp(prefix='vigie-bench-')
    try:
        result = run(args, folder)
    finally:
        servers.end_all()
        shutil.rmtree(folder, ignore_errors=True)
    if args.out:
        with open(args.out, 'w', encoding='utf-8') as f:
            json.dump(result, f, indent=1)
    print(report.text(result))
    if args.markdown:
        with open(args.markdown, 'w', encoding='utf-8') as f:
            f.write(report.markdown(result))
    return 0 if result['rows'] else 1


if __name__ == '__main__':
    sys.exit(main())
