"""A folder on loopback: by nginx where it is installed, else by Python's own server, which is slower and says so.

python -m bench.upstreams.serve FOLDER          # prints the address, serves until interrupted
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_START_S = 10.0

_CONFIG = """
{user}
worker_processes 1;
daemon off;
pid {home}/nginx.pid;
error_log {home}/error.log crit;
events {{ worker_connections 4096; }}
http {{
    access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000;
    default_type application/octet-stream;
    client_body_temp_path {home}/t1; proxy_temp_path {home}/t2; fastcgi_temp_path {home}/t3;
    uwsgi_temp_path {home}/t4; scgi_temp_path {home}/t5;
    server {{ listen 127.0.0.1:{port} backlog=4096; root "{folder}"; autoindex {autoindex}; }}
}}
"""


@dataclass(frozen=True, slots=True)
class Served:
    """``url`` ends with a slash; ``pid`` is the server's, for those who measure."""

    url: str
    pid: int
    server: str


def nginx_program() -> str | None:
    return shutil.which("nginx") or shutil.which("/usr/sbin/nginx")


@contextmanager
def serving(folder: Path, *, autoindex: bool = False) -> Iterator[Served]:
    """Serve ``folder`` on a free port of 127.0.0.1 for as long as the block runs.

    raises  RuntimeError with the server's last words when it doesn't start
    """
    program = nginx_program()
    with tempfile.TemporaryDirectory(prefix="bench-serve-") as name, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        home = Path(name)
        if program is None:
            print("bench: nginx is not installed (apt install nginx-light): Python serves, slowly", file=sys.stderr)
            command = [sys.executable, "-m", "bench.upstreams.serve", str(folder.absolute()), "--port", str(port)]
        else:
            user = "user root;" if os.geteuid() == 0 else ""  # else its worker may not read our folders
            values = {"user": user, "home": home, "port": port, "folder": folder.absolute()}
            config = _CONFIG.format(**values, autoindex="on" if autoindex else "off")
            (home / "nginx.conf").write_text(config)
            command = [program, "-c", str(home / "nginx.conf"), "-e", str(home / "error.log")]
        with (home / "output").open("wb") as output:
            server = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
        try:
            _wait_for(port, server, home)
            yield Served(f"http://127.0.0.1:{port}/", server.pid, "nginx" if program else "http.server")
        finally:
            server.terminate()
            server.wait()


def _wait_for(port: int, server: subprocess.Popen[bytes], home: Path) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and server.poll() is None:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    said = "".join(path.read_text() for path in (home / "output", home / "error.log") if path.exists())
    raise RuntimeError(f"the server on port {port} did not start: {said.strip() or server.poll()}")


class _Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    request_queue_size = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, help="serve by Python on this port")
    given = parser.parse_args()
    if given.port:
        _Server(("127.0.0.1", given.port), partial(_Handler, directory=str(given.folder))).serve_forever()
    with serving(given.folder, autoindex=True) as served:
        print(served.url, flush=True)
        try:
            signal.pause()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
