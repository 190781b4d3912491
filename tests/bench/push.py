"""push.py - requests of remote write over two connections at once."""
# SPDX-License-Identifier: Apache-2.0
import http.client
import threading
import time

import servers

CONNECTIONS = 2
HEADERS = {'Content-Encoding': 'snappy', 'Content-Type': 'application/x-protobuf', 'X-Prometheus-Remote-Write-Version': '0.1.0'}


HEADERS_2 = dict(HEADERS, **{'Content-Type': 'application/x-protobuf;proto=io.prometheus.write.v2.Request',
                              'X-Prometheus-Remote-Write-Version': '2.0.0'})


def one(conn, body, headers):
    """Sends until it is taken, as a sender does. Returns what is wrong, None when nothing is."""
    for _ in range(100):
        conn.request('POST', '/api/v1/write', body, headers)
        r = conn.getresponse()
        text = r.read()
        if r.status // 100 == 2:
            return None
        if r.status not in (429, 503):
            break
        time.sleep(0.1)
    return f'remote write answered {r.status}: {text[:200]!r}'


def all(server, bodies, headers=None):
    """Sends all bodies, each once, in order over each connection."""
    problems = []

    def run(k):
        conn = http.client.HTTPConnection('127.0.0.1', server.port, timeout=60)
        try:
            for body in bodies[k::CONNECTIONS]:
                problem = one(conn, body, headers or HEADERS)
                if problem:
                    problems.append(problem)
                    return
        except (OSError, http.client.HTTPException) as e:
            problems.append(repr(e))
        finally:
            conn.close()

    threads = [threading.Thread(target=run, args=(k,)) for k in range(CONNECTIONS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if problems:
        raise servers.ServerError(f'{server.name}: {problems[0]}')
