"""kill_fault.py - the store under kill -9, armed faults, damaged files, stopped processes.

What was acknowledged must be there after every restart (ledger.py). The short run kills a few times
and at every named point once; VIGIE_TEST_FULL=1 kills 200 times and at each point at several passes.
"""
# SPDX-License-Identifier: Apache-2.0
import os
import random
import re
import shutil
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))
from harness import Suite, arguments  # noqa: E402
from ledger import STEP_MS, Load, compare, make_writers, start, stored  # noqa: E402


# ---- kill -9 in a loop ----

def kill_loop(suite, binary, cycles, seed):
    rng = random.Random(seed)
    writers = make_writers(seed)
    began = time.monotonic()
    worst_ready = 0.0
    for cycle in range(cycles):
        server = start(suite, binary, "kill")
        worst_ready = max(worst_ready, time.monotonic() - server.born)
        since = {w.number: w.t_ms - 20 * STEP_MS for w in writers}
        load = Load(writers, server, snapshots=cycle % 3 == 2)
        time.sleep(rng.uniform(0.05, 0.9))
        server.kill()
        load.end()
        if cycle % 20 == 19 or cycles <= 20:
            since = None
        server = start(suite, binary, "kill")
        if not compare(suite, "kill -9, cycle %d" % (cycle + 1), server, writers, since):
            print(server.tail())
        if rng.random() < 0.7:
            server.kill()
        else:
            suite.equal("clean stop after cycle %d" % (cycle + 1), server.stop(), 0)
        if suite.failed > 10:
            break
    server = start(suite, binary, "kill")
    compare(suite, "kill -9, all cycles", server, writers)
    suite.equal("clean stop", server.stop(), 0)
    print("kill -9: %d cycles in %.0f s, slowest start %.2f s, %d samples" % (
        cycles, time.monotonic() - began, worst_ready, sum(len(w.acked) for w in writers)))


# ---- a kill and a failure at every named point ----

def fault_points():
    """The names in the sources beside this script."""
    src = os.path.join(HERE, "..", "..", "src")
    names = set()
    for folder in ("store", "metrics", "base"):
        for name in sorted(os.listdir(os.path.join(src, folder))):
            if name.endswith(".c"):
                with open(os.path.join(src, folder, name)) as f:
                    names.update(re.findall(r'fault_hit\("([^"]+)"\)', f.read()))
    return sorted(names)


def run_until_death(server, writers, seconds):
    load = Load(writers, server, snapshots=True)
    end = time.monotonic() + seconds
    while time.monotonic() < end and server.is_running():
        time.sleep(0.02)
    died = not server.is_running()
    if died:
        load.end()
    return died, load


def kill_at(suite, binary, point, n, seconds):
    """Dies at the point, starts again; dies at the point while recovering, starts again."""
    data = "point-%s-%d" % (point, n)
    writers = make_writers(hash_of(data))
    fault = "%s:%d:kill" % (point, n)
    reached = 0
    for turn in range(2):
        server = start(suite, binary, data, fault, ready=False)
        if server.wait_ready(20):
            died, load = run_until_death(server, writers, seconds)
            server.kill()
            load.end()
            reached += died
        else:
            reached += not server.is_running()
            suite.check("%s killed at start, not stuck" % fault, not server.is_running(), server.tail)
            server.kill()
        server = start(suite, binary, data)
        if sum(len(w.acked) for w in writers) or reached == 0:
            compare(suite, "%s, turn %d%s" % (fault, turn + 1, "" if reached else " (not reached)"),
                    server, writers)
        else:  # it died before the first acknowledgement: the store must work all the same
            load = Load(writers, server)
            time.sleep(0.2)
            load.end()
            compare(suite, "%s, written after" % fault, server, writers)
        load = Load(writers, server)
        time.sleep(0.15)
        server.kill()
        load.end()
    server = start(suite, binary, data)
    compare(suite, "%s, at last" % fault, server, writers)
    server.kill()
    shutil.rmtree(suite.path(data), ignore_errors=True)
    return reached


def fail_at(suite, binary, point, n, action, seconds):
    """The point fails: nothing dies, nothing acknowledged is lost, and writing works again."""
    data = "fail-%s-%d" % (point, n)
    writers = make_writers(hash_of(data))
    fault = "%s:%d%s" % (point, n, action)
    server = start(suite, binary, data, fault, ready=False)
    if server.wait_ready(20):
        died, load = run_until_death(server, writers, seconds)
        suite.check("%s: alive" % fault, not died, server.tail)
        before = [len(w.acked) for w in writers]
        suite.eventually("%s: every writer goes on" % fault,
                         lambda: all(len(w.acked) > b for w, b in zip(writers, before)), 8)
        load.end()
        compare(suite, "%s: while running" % fault, server, writers)
        server.kill()
    else:
        suite.check("%s: refused to start, with the reason" % fault,
                    server.p.poll() == 1 and "error" in server.text(), server.tail)
        server.kill()
    server = start(suite, binary, data)
    if sum(len(w.acked) for w in writers):
        compare(suite, "%s: started again" % fault, server, writers)
    server.kill()
    shutil.rmtree(suite.path(data), ignore_errors=True)


def hash_of(text):
    return sum((i + 1) * ord(c) for i, c in enumerate(text))


def faults(suite, binary, thorough):
    points = fault_points()
    suite.check("fault points are found", len(points) > 20, points)
    missed = []
    for point in points:
        reached = 0
        for n in ((1, 2, 5, 23) if thorough else (2, 1)):
            patience = 3 if point.startswith("merge.") else 0.8  # merges begin once a second
            reached += kill_at(suite, binary, point, n, 4 if thorough else patience)
            if reached and not thorough:
                break
        if not reached:
            missed.append(point)
    # partition.drop needs retention, which looks around once a minute: tests/unit/metrics does it.
    suite.check("most points were reached", len(missed) <= 3, missed)
    print("points where no kill happened: %s" % (" ".join(missed) or "none"))
    for point in points:
        for n in ((1, 3, 17) if thorough else (3,)):
            fail_at(suite, binary, point, n, random.choice(("", ":nospace")), 2 if thorough else 0.3)


# ---- damaged files ----

def data_files(root):
    out = []
    for folder, _, names in os.walk(root):
        out += [os.path.join(folder, n) for n in names if "snapshots" not in folder and
                n not in ("lock", "reserve")]
    return sorted(f for f in out if os.path.getsize(f))


def damage(path, rng):
    """Flips one byte or cuts the file; what was done, in words."""
    size = os.path.getsize(path)
    with open(path, "rb") as f:
        head = f.read()
    used = max(1, len(head.rstrip(b"\0")))  # logs are preallocated
    at = rng.randrange(used)
    if rng.random() < 0.7:
        with open(path, "r+b") as f:
            f.seek(at)
            f.write(bytes([head[at] ^ 1 << rng.randrange(8)]))
        return "byte %d of %d flipped" % (at, size)
    os.truncate(path, at)
    return "cut at %d of %d" % (at, size)


def partition_of(path):
    m = re.search(r"/metrics/([^/]+)/", path)
    return m.group(1) if m else None


def check_damaged(suite, what, server, writers, path, midnight_ms):
    """What is served is right; the other partition is whole; what is lost is named in the log."""
    lost = {True: 0, False: 0}  # by: before midnight
    bad = []
    warned = False
    for w in writers:
        got, warnings = stored(server, w, w.first_ms, w.t_ms + 1000)
        warned = warned or bool(warnings)
        for (key, t), v in w.acked.items():
            have = got.get((key, t))
            if have is None:
                lost[t < midnight_ms] += 1
            elif have != [v]:
                bad.append((w.number, key, t, have, v))
        for (key, t), have in got.items():
            if (key, t) not in w.acked and (key, t) not in w.maybe:
                bad.append((w.number, key, t, have, "never sent"))
    suite.check("%s: nothing wrong is served" % what, not bad, bad[:4])
    name = os.path.basename(path)
    if lost[True] or lost[False]:
        suite.check("%s: the file is named in the log" % what, name in server.text(),
                    "lost %r; %s" % (lost, server.tail()))
    p = partition_of(path)
    if p:
        day = time.strftime("%Y-%m-%d", time.gmtime(midnight_ms / 1000 - 1))
        other = p == day  # the damage is before midnight: after it all must be there
        suite.check("%s: the other partition is whole" % what, lost[not other] == 0,
                    "lost %r of partition %s; %s" % (lost, p, server.tail()))
    return lost, warned


def damaged_files(suite, binary, rounds, seed):
    rng = random.Random(seed)
    for clean in (True, False):
        writers = make_writers(seed + clean)
        midnight_ms = writers[0].first_ms - writers[0].number + 4000
        name = "whole-%s" % ("stopped" if clean else "killed")
        for _ in range(2):
            server = start(suite, binary, name)
            load = Load(writers, server)
            time.sleep(0.6)
            load.end()
            if clean:
                suite.equal("clean stop", server.stop(), 0)
            else:
                server.kill()
        files = data_files(suite.path(name))
        kinds = {}
        for f in files:
            kinds.setdefault(os.path.splitext(f)[1] or os.path.basename(f), []).append(f)
        print("files of the %s store: %s" % (name, {k: len(v) for k, v in kinds.items()}))
        for i in range(rounds):
            kind = sorted(kinds)[i % len(kinds)]
            target = rng.choice(kinds[kind])
            copy = suite.path("damaged")
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(suite.path(name), copy)
            path = target.replace(suite.path(name), copy)
            done = damage(path, rng)
            what = "%s, %s, %s" % (name, os.path.relpath(path, copy), done)
            server = start(suite, binary, copy, ready=False)
            if not server.wait_ready(20):
                suite.check("%s: starts" % what, False, server.tail)
                server.kill()
                continue
            check_damaged(suite, what, server, writers, path, midnight_ms)
            suite.alive(server, what)
            status, _ = server.remote_write([({"__name__": "after_damage"}, [(writers[0].t_ms + 5000, 1.0)])])
            if os.path.basename(path) == "MANIFEST" and status == 503:
                suite.known_failure("%s: writes go on" % what, "a partition without a readable "
                                    "manifest takes no samples", False)
            else:
                suite.equal("%s: writes go on" % what, status, 204)
            suite.equal("%s: stops" % what, server.stop(), 0)
            if suite.failed > 30:
                return


# ---- a stopped process ----

def stopped(suite, binary):
    writers = make_writers(77)
    server = start(suite, binary, "stopped")
    load = Load(writers, server)
    for _ in range(3):
        time.sleep(0.3)
        server.signal(signal.SIGSTOP)
        time.sleep(1.2)
        server.signal(signal.SIGCONT)
    before = [len(w.acked) for w in writers]
    suite.eventually("SIGCONT: writing goes on",
                     lambda: all(len(w.acked) > b for w, b in zip(writers, before)), 10)
    load.end()
    compare(suite, "SIGSTOP and SIGCONT", server, writers)
    server.kill()
    server = start(suite, binary, "stopped")
    compare(suite, "SIGSTOP, SIGCONT, kill -9", server, writers)
    suite.equal("clean stop", server.stop(), 0)


def main():
    full = os.environ.get("VIGIE_TEST_FULL") == "1"
    a = arguments("vigie under faults",
                  ("--cycles", {"type": int, "default": 200 if full else 8, "help": "kill -9 this often"}),
                  ("--seed", {"type": int, "default": 1}),
                  ("--damages", {"type": int, "default": 60 if full else 9, "help": "files damaged per store"}),
                  ("--thorough", {"action": "store_true", "default": full,
                                  "help": "every point at several passes"}),
                  ("--only", {"help": "kill, points, damage or stop"}))
    suite = Suite("faults")
    try:
        if a.only in (None, "kill"):
            kill_loop(suite, a.vigie, a.cycles, a.seed)
        if a.only in (None, "points"):
            faults(suite, a.vigie, a.thorough)
        if a.only in (None, "damage"):
            damaged_files(suite, a.vigie, a.damages, a.seed)
        if a.only in (None, "stop"):
            stopped(suite, a.vigie)
    except Exception as x:  # a broken run is a failed run
        import traceback
        traceback.print_exc(file=sys.stdout)
        suite.check("the script ran to its end", False, x)
    n = getattr(suite, "repeats_refused", 0)
    if n:
        suite.known_failure("batches sent again are taken in silence", "rows that are in a part "
                            "already are refused as out of order; nothing is lost", False, "%d batches" % n)
    suite.finish()


main()
