"""page_server.py COUNT - serves COUNT precomputed gzip pages in turn; one process, nothing else to do.

Prints "PORT PLAIN_BYTES GZIP_BYTES" once it listens. GET /served answers how many pages went out.
"""
# SPDX-License-Identifier: Apache-2.0
import gzip
import socket
import sys
import threading

import workload


class State:
    pages, served, plain = [], 0, 0
    lock = threading.Lock()


def serve(conn):
    conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with conn, conn.makefile('rb') as lines:
        while True:
            request, gzip_ok = lines.readline(), False
            if not request:
                return
            while (line := lines.readline()) not in (b'\r\n', b'\n', b''):
                gzip_ok = gzip_ok or line.lower().startswith(b'accept-encoding:') and b'gzip' in line
            if request.startswith(b'GET /served'):
                conn.sendall(b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n%d' % State.served)
                return
            with State.lock:
                body = State.pages[State.served % len(State.pages)]
                State.served += 1
            if not gzip_ok:
                body, encoding = gzip.decompress(body), b''
            else:
                encoding = b'Content-Encoding: gzip\r\n'
            conn.sendall(b'HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n' + encoding +
                         b'Content-Length: %d\r\n\r\n' % len(body) + body)


def main():
    for k in range(int(sys.argv[1])):
        text = workload.page(k)
        State.plain = len(text)
        State.pages.append(gzip.compress(text, 6, mtime=0))
    listener = socket.create_server(('127.0.0.1', 0))
    print(listener.getsockname()[1], State.plain, len(State.pages[0]), flush=True)
    while True:
        conn, _ = listener.accept()
        threading.Thread(target=serve, args=(conn,), daemon=True).start()


if __name__ == '__main__':
    main()
