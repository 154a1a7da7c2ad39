"""What clients meet: an upstream that takes its time, the server that asks it, and nginx in front of that server."""

import json
import os
import select
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

PATIENCE = 30


class Upstream:
    """Answers `/wait?seconds=N&token=T` after N seconds, and knows whose connection was closed before."""

    def __init__(self):
        self.left = set()
        self.changed = threading.Condition()
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                asked = parse_qs(urlsplit(self.path).query)
                seconds, token = int(asked["seconds"][0]), asked["token"][0]
                closed, _, _ = select.select([self.connection], [], [], seconds)
                if closed:
                    upstream.leave(token)
                    return
                body = f"waited {seconds}".encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def leave(self, token):
        with self.changed:
            self.left.add(token)
            self.changed.notify_all()

    def gone(self, token):
        """Whether the call of this token was taken back, or is within a few seconds."""
        with self.changed:
            return self.changed.wait_for(lambda: token in self.left, timeout=5)


def config(keys, port):
    """The defaults, but for the time that a call may take and how many there may be, and for wrong keys: all clients share
    one address here."""
    text = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
    wait = {
        "type": "object",
        "properties": {"seconds": {"type": "integer"}, "token": {"type": "string"}},
        "required": ["seconds", "token"],
    }
    url = f"http://127.0.0.1:{port}/wait?seconds={{{{args.seconds}}}}&token={{{{args.token}}}}"
    return {
        "serverName": "matrix",
        "auth": {"apiKeys": {"file": str(keys)}, "maxFailuresPerMinute": 1000},
        # All long calls are under way at once.
        "performance": {"requestTimeout": "3m", "connectionPoolSize": 100},
        "tools": [
            {"name": "echo", "description": "Repeats a text.", "inputSchema": text, "text": "{{args.text}}"},
            {"name": "wait", "description": "Takes its time.", "inputSchema": wait, "http": {"url": url}},
        ],
    }


NGINX = """
daemon off;
master_process off;
pid {home}/nginx.pid;
error_log {logs}/nginx.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass http://{server}; }}
    }}
}}
"""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Place:
    """All of it, for as long as it is entered."""

    def __init__(self, server, nginx, callers):
        self.home = Path(tempfile.mkdtemp(prefix="mcp-clients-"))
        self.logs = Path(os.environ.get("MCP_CLIENTS_LOGS") or self.home / "logs")
        self.logs.mkdir(parents=True, exist_ok=True)
        self.keys = {caller: f"key-of-{index:04}-{os.urandom(8).hex()}" for index, caller in enumerate(callers)}
        self.server, self.nginx = server, nginx
        self.running = []

    def key(self, caller):
        return self.keys[caller]

    def keep(self, name, text):
        (self.logs / name).write_text(text)

    def __enter__(self):
        try:
            self.upstream = Upstream()
            self.url = self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self):
        keys = self.home / "keys.json"
        entries = [{"id": f"client-{index}", "key": key} for index, key in enumerate(self.keys.values())]
        keys.write_text(json.dumps({"keys": entries}))
        keys.chmod(0o600)
        file = self.home / "config.json"
        file.write_text(json.dumps(config(keys, self.upstream.port)))
        log = self.logs / "server.log"
        command = [self.server, "serve", "--config", file, "--address", "127.0.0.1:0", "--admin-address", "127.0.0.2:0"]
        environment = {"HOME": str(self.home), "PATH": os.environ["PATH"]}
        with log.open("w") as output:
            self.running.append(subprocess.Popen(command, env=environment, stdout=output, stderr=output))
        server = self.awaited("the server is ready", lambda: address_in(log))
        port = free_port()
        conf = self.home / "nginx.conf"
        conf.write_text(NGINX.format(home=self.home, logs=self.logs, port=port, server=server))
        command = [self.nginx, "-p", self.home, "-c", conf, "-e", self.logs / "nginx.log"]
        self.running.append(subprocess.Popen(command))
        self.awaited("nginx listens", lambda: listens(port))
        return f"http://127.0.0.1:{port}/mcp"

    def awaited(self, what, check):
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if found := check():
                return found
            ended = [child.args[0] for child in self.running if child.poll() is not None]
            if ended:
                raise RuntimeError(f"{ended[0]} ended; see {self.logs}")
            time.sleep(0.05)
        raise RuntimeError(f"waited in vain: {what}; see {self.logs}")

    def __exit__(self, *_):
        for child in reversed(self.running):
            child.terminate()
            try:
                child.wait(timeout=10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        if self.logs.parent != self.home:
            shutil.rmtree(self.home, ignore_errors=True)


def address_in(log):
    for line in log.read_text().splitlines():
        if line.startswith("{") and (event := json.loads(line)).get("message") == "ready":
            return event["address"]
    return None


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
