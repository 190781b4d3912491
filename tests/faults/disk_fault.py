"""disk_fault.py - a disk that is full, or nearly: on a small tmpfs of its own, so only as root.

While there is no room, appends are refused with 503 and a reason, reads and scrapes go on, and the
process stays healthy; once there is room, it goes on by itself. Nothing acknowledged is lost, also
when it is killed and started again without room.
"""
# SPDX-License-Identifier: Apache-2.0
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))
from harness import Pages, Suite, arguments  # noqa: E402
from ledger import Load, compare, make_writers, start  # noqa: E402

SIZE_MB = 700  # appends stop below 512 MiB of free room
CONFIG = """global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs:
- job_name: page
  static_configs: [{targets: ["%s"]}]
"""


def fill(path, leave_bytes):
    """A file that leaves so many bytes free; less when there is not so much."""
    st = os.statvfs(os.path.dirname(path))
    with open(path, "wb") as f:
        n = st.f_bavail * st.f_frsize - leave_bytes
        if n > 0:
            os.posix_fallocate(f.fileno(), 0, n)


class Room:
    """The tmpfs and the ballast that fills it."""

    def __init__(self, mount):
        self.mount = mount
        self.data = os.path.join(mount, "data")
        self.ballast = os.path.join(mount, "ballast")

    def take(self, leave_bytes):
        fill(self.ballast, leave_bytes)

    def give(self):
        os.unlink(self.ballast)


def goes_on(suite, what, writers, seconds=10):
    before = [len(w.acked) for w in writers]
    suite.eventually("%s: every writer goes on" % what,
                     lambda: all(len(w.acked) > b for w, b in zip(writers, before)), seconds)


def is_up(server):
    targets = server.targets().get("page", [])
    return len(targets) == 1 and targets[0]["health"] == "up"


def scraped_since(server, at):
    """A sample of the page that was taken after `at` (seconds since 1970)."""
    r = server.query("timestamp(page_value)")["data"]["result"]
    return len(r) == 1 and float(r[0]["value"][1]) > at


def without_room(suite, server, pages, writers, name):
    """What must hold while appends are refused."""
    refused = [w.unavailable for w in writers]
    suite.eventually("%s: writes answer 503" % name,
                     lambda: all(w.unavailable > r for w, r in zip(writers, refused)), 10)
    status, text = server.remote_write([({"__name__": "x"}, [(writers[0].t_ms, 1.0)])])
    suite.check("%s: 503 says why" % name, status == 503 and ("disk" in text or "space" in text),
                "%d %s" % (status, text))
    seen = pages.count("/metrics")
    suite.eventually("%s: scrapes go on" % name, lambda: pages.count("/metrics") >= seen + 2, 10)
    compare(suite, "%s: reads work" % name, server, writers)
    suite.equal("%s: healthy" % name, server.get("/-/healthy")[0], 200)
    suite.equal("%s: ready" % name, server.get("/-/ready")[0], 200)


def with_room_again(suite, server, writers, name):
    freed = time.time()
    goes_on(suite, "%s, once there is room" % name, writers)
    suite.eventually("%s: the page is stored again" % name, lambda: scraped_since(server, freed), 10)
    suite.eventually("%s: the target is up" % name, lambda: is_up(server), 10)


def full(suite, server, pages, writers, room):
    for leave, name in ((300 << 20, "little room"), (0, "no room")):
        load = Load(writers, server)
        time.sleep(0.5)
        room.take(leave)
        without_room(suite, server, pages, writers, name)
        room.give()
        with_room_again(suite, server, writers, name)
        load.end()
        compare(suite, "%s: after" % name, server, writers)


def killed_while_full(suite, binary, server, config, writers, room):
    """Killed while there is no room, started again while there is none."""
    load = Load(writers, server)
    time.sleep(0.3)
    room.take(0)
    time.sleep(0.5)
    server.kill()
    load.end()
    server = start(suite, binary, room.data, ready=False, config=config)
    if suite.check("no room: starts", server.wait_ready(20), server.tail):
        compare(suite, "no room: all is read after a kill", server, writers)
    room.give()
    load = Load(writers, server)
    with_room_again(suite, server, writers, "no room at start")
    load.end()
    compare(suite, "no room at start: after", server, writers)
    return server


def on_mount(suite, binary, mount):
    room, writers, pages = Room(mount), make_writers(88, recent=True), Pages()
    pages["/metrics"] = "page_value 1\n"
    config = CONFIG % pages.address
    server = start(suite, binary, room.data, config=config)
    suite.eventually("the page is scraped", lambda: is_up(server), 10)
    full(suite, server, pages, writers, room)
    server = killed_while_full(suite, binary, server, config, writers, room)
    suite.equal("clean stop", server.stop(), 0)
    pages.close()


def main():
    a = arguments("vigie on a full disk")
    suite = Suite("disk")
    mount = suite.path("tmpfs", "x")[:-2]
    if os.geteuid() != 0 or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=%dm" % SIZE_MB, "tmpfs", mount],
            stderr=subprocess.DEVNULL).returncode:
        suite.skip("full disk: a tmpfs cannot be mounted here")
        suite.finish()
    try:
        on_mount(suite, a.vigie, mount)
    except Exception as x:  # a broken run is a failed run
        suite.check("the script ran to its end", False, repr(x))
    finally:
        for p in suite.procs:
            p.kill()
        if subprocess.run(["umount", mount]).returncode:
            subprocess.run(["umount", "-l", mount])
    suite.finish()


main()
