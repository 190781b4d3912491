"""servers.py - vigie and its peers as processes: starting, asking, measuring, ending.

Every server listens on a free loopback port and keeps its data below the run's temporary folder.
Processes are ended by their own pid, and by the kernel should this program die.
"""
# SPDX-License-Identifier: Apache-2.0
import ctypes
import http.client
import json
import mmap
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None)
children = []


class ServerError(Exception):
    pass


exec_time = mmap.mmap(-1, 8)  # shared with children: when the last one was about to exec


def before_exec():
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    struct.pack_into('d', exec_time, 0, time.perf_counter())


def spawn(command, **more):
    p = subprocess.Popen(command, preexec_fn=before_exec, stdin=subprocess.DEVNULL, **more)
    children.append(p)
    return p


def end(p, wait_s=60):
    """SIGTERM, then SIGKILL; true when it ended by itself."""
    clean = True
    if p.poll() is None:
        p.terminate()
        try:
            p.wait(wait_s)
        except subprocess.TimeoutExpired:
            clean = False
            p.kill()
            p.wait()
    if p in children:
        children.remove(p)
    return clean


def end_all():
    for p in list(children):
        end(p, 5)


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def process_cpu_s(pid):
    """CPU seconds of a whole process, dead threads included, by its CPU clock (nanoseconds)."""
    return time.clock_gettime(~pid << 3 | 2)


def process_rss(pid):
    with open(f'/proc/{pid}/status', encoding='ascii', errors='replace') as f:
        for line in f:
            if line.startswith('VmRSS:'):
                return int(line.split()[1]) * 1024
    return 0


def disk_bytes(path, skip=()):
    """Blocks that the files below path take; `skip` names entries of path itself."""
    total, seen = 0, set()
    for folder, folders, files in os.walk(path):
        if folder == path:
            folders[:] = [d for d in folders if d not in skip]
            files = [f for f in files if f not in skip]
        for name in files:
            try:
                st = os.lstat(os.path.join(folder, name))
            except FileNotFoundError:
                continue  # merged away meanwhile
            if st.st_ino not in seen:
                seen.add(st.st_ino)
                total += st.st_blocks * 512
    return total


SCRAPE_CONFIG = '''global:
  scrape_interval: 1s
scrape_configs:
- job_name: page
  static_configs:
  - targets: ['127.0.0.1:%d']
'''
EMPTY_CONFIG = 'global:\n  scrape_interval: 15s\n'


class Server:
    """One kind of server. A subclass knows its command line and its quirks."""

    key = name = ''
    skip = ()  # entries of the data folder that are not data

    def __init__(self, binary, folder):
        self.binary = binary
        self.folder = os.path.join(folder, self.key)
        self.data = os.path.join(self.folder, 'data')
        os.makedirs(self.folder, exist_ok=True)
        self.log = os.path.join(self.folder, 'log')
        self.proc = self.port = self.conn = None
        self.troubles = []  # what went wrong beside an answer
        self.idle_cpu = 0.0  # CPU seconds per second when nothing is asked, measured once

    def version(self):
        out = subprocess.run([self.binary, self.version_flag], capture_output=True, text=True, timeout=20, check=False)
        return self.version_of(out.stdout + out.stderr)

    version_flag = '--version'

    def version_of(self, text):
        m = re.search(r'version ([\w.+~-]+)', text)
        return m.group(1) if m else text.split('\n')[0]

    def command(self, config):
        raise NotImplementedError

    def wipe(self):
        shutil.rmtree(self.data, ignore_errors=True)

    def start(self, config=EMPTY_CONFIG, timeout_s=60):
        """Starts and waits until /-/ready says 200. Returns the seconds that took."""
        path = os.path.join(self.folder, 'prometheus.yml')
        if config is not None:
            with open(path, 'w', encoding='ascii') as f:
                f.write(config)
        self.port = free_port()
        command = self.command(path if config is not None else None)
        request = b'GET /-/ready HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n'
        with open(self.log, 'ab') as log:
            self.proc = spawn(command, stdout=log, stderr=log)
        began = struct.unpack_from('d', exec_time)[0]
        while True:
            try:
                with socket.create_connection(('127.0.0.1', self.port), 5) as s:
                    s.sendall(request)
                    if s.recv(64)[9:12] == b'200':
                        return time.perf_counter() - began
            except OSError:
                pass
            if self.proc.poll() is not None or time.perf_counter() - began > timeout_s:
                self.fail('did not become ready')
            time.sleep(0.0002)

    def fail(self, what):
        rc = self.proc.poll() if self.proc else None
        with open(self.log, encoding='utf-8', errors='replace') as f:
            tail = ''.join(f.readlines()[-15:])
        raise ServerError(f'{self.name} {what} (exit status {rc}); the end of its log:\n{tail}')

    def stop(self):
        self.close()
        if not self.proc:
            return True
        clean = end(self.proc)
        rc, self.proc = self.proc.returncode, None
        if rc not in (0, -signal.SIGTERM):
            self.troubles.append(f'{self.name} ended with status {rc}')
        return clean

    def close(self):
        if self.conn:
            self.conn.close()
        self.conn = None

    def cpu(self):
        return process_cpu_s(self.proc.pid)

    def rss(self):
        return process_rss(self.proc.pid)

    def disk(self):
        return disk_bytes(self.data, self.skip)

    def ask(self, method, path, body=None, headers=None, timeout_s=120):
        """One request over the kept connection. Returns (status, body)."""
        if not self.conn:
            self.conn = http.client.HTTPConnection('127.0.0.1', self.port, timeout=timeout_s)
        try:
            self.conn.request(method, path, body, headers or {})
            r = self.conn.getresponse()
            return r.status, r.read()
        except (OSError, http.client.HTTPException) as e:
            self.close()
            if self.proc.poll() is not None:
                self.fail(f'died during {method} {path[:120]}')
            raise ServerError(f'{self.name}: {method} {path[:120]}: {e!r}') from e

    def write(self, body):
        headers = {'Content-Encoding': 'snappy', 'Content-Type': 'application/x-protobuf',
                   'X-Prometheus-Remote-Write-Version': '0.1.0'}
        for _ in range(20):
            status, text = self.ask('POST', '/api/v1/write', body, headers)
            if status // 100 == 2:
                return
            if status not in (429, 503):
                break
            time.sleep(0.25)  # as a sender does
        raise ServerError(f'{self.name}: remote write answered {status}: {text[:200]!r}')

    def api(self, path, params):
        status, text = self.ask('GET', f'{path}?{urllib.parse.urlencode(params)}')
        return status, text

    def settle(self, timeout_s, quiet=0.03):
        """Waits until it uses less than `quiet` of a core for a second and a half."""
        deadline = time.monotonic() + timeout_s
        calm = 0
        while time.monotonic() < deadline and calm < 3:
            cpu = self.cpu()
            time.sleep(0.5)
            calm = calm + 1 if (self.cpu() - cpu) / 0.5 < quiet + self.idle_cpu else 0

    def flush(self):
        """Makes what was written visible and lets background work come to rest."""
        self.settle(30)


class Vigie(Server):
    key, name, version_flag = 'vigie', 'vigie', '--version'
    skip = ('reserve', 'lock')

    def command(self, config):
        c = [self.binary, f'--storage.tsdb.path={self.data}', f'--web.listen-address=127.0.0.1:{self.port}',
             '--web.enable-admin-api']
        return c + [f'--config.file={config}'] if config else c

    def version_of(self, text):
        return text.split('\n')[0].removeprefix('vigie ')

    def disk(self, day=None):
        if day is None:
            return super().disk()
        return disk_bytes(os.path.join(self.data, 'tenants', 'anonymous', 'metrics', day))

    def wait_closed(self, timeout_s):
        """Waits until the log says that a past partition was closed."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            with open(self.log, encoding='utf-8', errors='replace') as f:
                if 'msg="partition closed"' in f.read():
                    self.settle(10)
                    return True
            time.sleep(0.5)
        return False


class Prometheus(Server):
    key, name = 'prometheus', 'prometheus'

    def command(self, config):
        return [self.binary, f'--config.file={config}', f'--storage.tsdb.path={self.data}', f'--web.listen-address=127.0.0.1:{self.port}',
                '--web.enable-remote-write-receiver', '--web.enable-admin-api', '--storage.tsdb.retention.time=30d', '--log.level=warn']

    def blocks(self):
        """Bytes of the data as blocks: a snapshot, which it makes as compaction would."""
        status, text = self.ask('POST', '/api/v1/admin/tsdb/snapshot')
        if status != 200:
            raise ServerError(f'snapshot answered {status}')
        path = os.path.join(self.data, 'snapshots', json.loads(text)['data']['name'])
        n = disk_bytes(path)
        shutil.rmtree(path, ignore_errors=True)
        return n


class VictoriaMetrics(Server):
    key, name, version_flag = 'victoria-metrics', 'victoria-metrics', '-version'
    skip = ('cache', 'tmp', 'flock.lock')

    def version_of(self, text):
        m = re.search(r'\b(\d+\.\d+\.\d+)', text)
        if m:
            return m.group(1)
        out = subprocess.run(['dpkg-query', '-W', '-f=${Version}', 'victoria-metrics'], capture_output=True, text=True, check=False)
        return out.stdout or 'unknown'

    def command(self, config):
        c = [self.binary, f'-storageDataPath={self.data}', f'-httpListenAddr=127.0.0.1:{self.port}', '-retentionPeriod=1y',
             '-search.disableCache', '-search.maxSeries=1000000', '-search.maxUniqueTimeseries=2000000', '-loggerLevel=WARN']
        return c + [f'-promscrape.config={config}'] if config else c

    def flush(self):
        self.ask('GET', '/internal/force_flush')
        self.settle(30)

    def merge(self, month, timeout_s):
        self.ask('GET', f'/internal/force_merge?partition_prefix={month}')
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            time.sleep(0.5)
            _, text = self.ask('GET', '/metrics')
            m = re.search(rb'^vm_active_force_merges(?:\{[^}]*\})? (\d+)', text, re.M)
            if m and m.group(1) == b'0':
                break
        self.settle(30)


class Pages:
    """The page server, a process of its own: bodies are made before it listens."""

    def __init__(self, count):
        self.proc = spawn([sys.executable, os.path.join(HERE, 'page_server.py'), str(count)], stdout=subprocess.PIPE, text=True)
        line = self.proc.stdout.readline().split()
        if len(line) != 3:
            raise ServerError('the page server did not start')
        self.port, self.plain, self.packed = map(int, line)

    def served(self):
        with socket.create_connection(('127.0.0.1', self.port), 5) as s:
            s.sendall(b'GET /served HTTP/1.1\r\n\r\n')
            return int(s.makefile('rb').read().split(b'\r\n\r\n')[1])

    def stop(self):
        end(self.proc)
        self.proc.stdout.close()
