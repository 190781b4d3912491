"""ledger.py - writers that know what was acknowledged; shared by the scripts of this folder.

Writers push random batches by remote write and keep a ledger: what was acknowledged must be there
after every restart, exactly once and bit for bit; what was never sent must not appear. A batch whose
answer was lost may or may not be there; half of those are sent again, as Prometheus does.
"""
# SPDX-License-Identifier: Apache-2.0
import http.client
import os
import random
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))
from harness import snappy, start_vigie, write_request  # noqa: E402

CONFIG = "global: {scrape_interval: 15s}\n"
STEP_MS = 50
SERIES = 24
WRITERS = 3
METRIC = "ledger_value"


class Clock:
    """Logical time of the samples: starts before a midnight, so that two partitions are written.

    Recent: starts 40 minutes ago, for stores that scrape too and take nothing much older.
    """

    def __init__(self, recent=False, before_midnight_ms=4000):
        now = int(time.time())
        self.base_ms = ((now - 2400) * 1000 if recent else
                        now // 86400 * 86400 * 1000 - before_midnight_ms)


class Writer:
    """Sends batches of its own series one after the other; knows what became of each."""

    def __init__(self, number, clock, rng):
        self.number, self.rng = number, rng
        self.t_ms = clock.base_ms + number
        self.first_ms = self.t_ms
        self.batches = 0
        self.acked = {}    # (series, t_ms) -> value
        self.maybe = {}    # sent, answer unknown or 503
        self.pending = None  # the batch to send again
        self.refused = []  # answers that must not come
        self.unavailable = 0
        self.repeats_refused = 0
        self.value = [rng.randrange(1000) for _ in range(SERIES)]

    def next_batch(self):
        rng, batch = self.rng, []
        self.batches += 1
        generation = self.batches // 60
        for i in sorted(rng.sample(range(SERIES), rng.randint(6, SERIES))):
            samples = []
            for k in range(rng.choice((1, 1, 1, 2, 3))):
                kind = i % 4
                if kind == 0:
                    self.value[i] += rng.randrange(50)
                elif kind == 1:
                    self.value[i] = rng.random() * 10 ** rng.randint(-5, 12)
                elif kind == 2:
                    self.value[i] = round(self.value[i] + rng.uniform(-1, 1), 2)
                samples.append((self.t_ms + k * 10, float(self.value[i])))
            batch.append(((i, generation if i % 3 == 0 else 0), samples))
        self.t_ms += STEP_MS
        return batch

    def encode(self, batch):
        return snappy(write_request(
            [({"__name__": METRIC, "writer": str(self.number), "series": str(i), "generation": str(g)},
              samples) for (i, g), samples in batch]))

    def record(self, batch, into):
        for key, samples in batch:
            for t, v in samples:
                into[key, t] = v
                if into is self.acked:
                    self.maybe.pop((key, t), None)

    def run(self, port, stop):
        """Writes until told to stop or the server is gone."""
        conn = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
        batch, again = self.pending, self.pending is not None
        self.pending = None
        try:
            while not stop.is_set():
                if batch is None:
                    batch, again = self.next_batch(), False
                self.record(batch, self.maybe)
                conn.request("POST", "/api/v1/write", self.encode(batch), headers)
                answer = conn.getresponse()
                text = answer.read()
                if answer.status in (200, 204):
                    self.record(batch, self.acked)
                    batch = None
                elif answer.status == 503:
                    self.unavailable += 1
                    again = True
                    stop.wait(0.05)
                elif again and b"out of order" in text:
                    # As upstream: refused because it is there already. Then it must be, whole.
                    self.record(batch, self.acked)
                    self.repeats_refused += 1
                    batch = None
                else:
                    self.refused.append("%d %s%s" % (answer.status, text[:200],
                                                     " (sent again)" if again else ""))
                    batch = None
        except (OSError, http.client.HTTPException):
            pass
        finally:
            conn.close()
        # Of what is open, half is sent again after the restart.
        if batch is not None and self.rng.random() < 0.5:
            self.pending = batch


class Load:
    """All writers against one server, for a while."""

    def __init__(self, writers, server, snapshots=False):
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=w.run, args=(server.port, self.stop), daemon=True)
                        for w in writers]
        if snapshots:
            self.threads.append(threading.Thread(target=self.snapshot, args=(server,), daemon=True))
        for t in self.threads:
            t.start()

    def snapshot(self, server):
        """Snapshots flush and freeze: they bring the steps of the commit protocol about."""
        while not self.stop.wait(0.12):
            try:
                server.call("POST", "/api/v1/admin/tsdb/snapshot", timeout=20)
            except (OSError, http.client.HTTPException):
                return

    def end(self):
        self.stop.set()
        for t in self.threads:
            t.join(30)


def stored(server, writer, from_ms, to_ms):
    """{(series, t_ms): [values]} of a writer's samples in [from_ms, to_ms], and the warnings."""
    out, warnings = {}, []
    step = 600 * 1000
    for a in range(from_ms, to_ms + 1, step):
        b = min(a + step - 1, to_ms)
        expr = '%s{writer="%d"}[%dms]' % (METRIC, writer.number, b - a + 1)
        answer = server.query(expr, b / 1000.0)
        if answer["status"] != "success":
            raise RuntimeError("query failed: %s" % answer)
        warnings += answer.get("warnings", [])
        for s in answer["data"]["result"]:
            m = s["metric"]
            key = (int(m["series"]), int(m["generation"]))
            for t, v in s["values"]:
                out.setdefault((key, round(t * 1000)), []).append(float(v))
    return out, warnings


def compare(suite, what, server, writers, since=None):
    """Every acknowledged sample once and equal; nothing that was not sent."""
    missing, twice, wrong, alien = [], [], [], []
    total = 0
    for w in writers:
        from_ms = max(w.first_ms, since[w.number]) if since else w.first_ms
        got, _ = stored(server, w, from_ms, w.t_ms + 1000)
        for (key, t), v in w.acked.items():
            if t < from_ms:
                continue
            total += 1
            have = got.get((key, t))
            if have is None:
                missing.append((w.number, key, t))
            elif len(have) > 1:
                twice.append((w.number, key, t, have))
            elif have[0] != v:
                wrong.append((w.number, key, t, have, v))
        for (key, t), have in got.items():
            if (key, t) in w.acked:
                continue
            if (key, t) not in w.maybe:
                alien.append((w.number, key, t, have))
            elif have != [w.maybe[key, t]]:
                wrong.append((w.number, key, t, have, w.maybe[key, t]))
    refused = [r for w in writers for r in w.refused]
    suite.repeats_refused = getattr(suite, "repeats_refused", 0) + sum(w.repeats_refused for w in writers)
    for w in writers:
        w.repeats_refused = 0
    ok = not (missing or twice or wrong or alien or refused)
    return suite.check("%s: %d acknowledged samples" % (what, total), ok and total > 0, lambda:
                       "missing %d %r; twice %d %r; wrong %d %r; never sent %d %r; refused %d %r" % (
                           len(missing), missing[:4], len(twice), twice[:3], len(wrong), wrong[:3],
                           len(alien), alien[:3], len(refused), refused[:3]))


def make_writers(seed, recent=False):
    clock = Clock(recent)
    return [Writer(i, clock, random.Random(seed * 100 + i)) for i in range(WRITERS)]


def start(suite, binary, data, fault=None, ready=True, config=CONFIG):
    env = {"VIGIE_FAULT": fault} if fault else {}
    return start_vigie(suite, binary, config, ["--web.enable-admin-api"], data=data, env=env,
                       ready=ready, seconds=60)
