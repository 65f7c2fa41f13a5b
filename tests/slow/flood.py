"""A connection in, a good answer with a body that never ends out: `python -m tests.slow.flood ADDRESS PORT`."""

from __future__ import annotations

import socketserver
import sys

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 10737418240\r\n\r\n"


class Flood(socketserver.BaseRequestHandler):
    """Sends for as long as somebody takes it."""

    def handle(self) -> None:
        """Answer one connection."""
        try:
            self.request.recv(4096)
            self.request.sendall(HEAD)
            while True:
                self.request.sendall(bytes(65536))
        except ConnectionError:
            return


class Server(socketserver.ThreadingTCPServer):
    """A thread for each connection."""

    allow_reuse_address = True
    daemon_threads = True


if __name__ == "__main__":
    with Server((sys.argv[1], int(sys.argv[2])), Flood) as server:
        server.serve_forever()
