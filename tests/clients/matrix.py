"""Runs clients that others wrote against a server behind nginx with its default time-outs, and prints what came of it.

matrix.py SERVER NGINX HOME [NAME...]   HOME is where hack/clients.sh has put the clients. With names, only those run.

The exit code is 1 where a cell that must pass fails.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import peers
from place import Place

HERE = Path(__file__).parent
# Longer than the minute after which nginx gives up on an upstream that says nothing.
SECONDS = 75
STEPS = ("calls", "long", "cancel", "wrong")
HEADS = ("list, 30 calls, 10 at once", f"a call of {SECONDS} s", "cancel", "wrong key")
# What a user must read who shows a wrong key: where the client shows the server's own words, and where it has none of them.
OURS = ("API key",)
STATUS = ("API key", "401", "Unauthorized", "unauthorized", "Auth required")
PATIENCE = {"calls": 120, "long": SECONDS + 45, "cancel": 60, "wrong": 60}


@dataclass
class Client:
    """One row: a client, and how it is run."""

    name: str
    version: str
    command: list
    environment: dict = field(default_factory=dict)
    # Whether it says anything to the server when a call is taken back.
    cancels: bool = True
    # Whether it can be told to wait for longer than a minute.
    waits: bool = True
    # One of these words must be in what a user reads who shows a wrong key.
    reads: tuple = STATUS


@dataclass
class Cell:
    passed: bool
    text: str
    must: bool = True


def clients(home):
    python = lambda place, program: [str(home / place / "bin/python"), str(HERE / "python" / program)]
    node = lambda place, program: ["node", str(home / place / program)]
    auto, legacy = {"MODE": "auto"}, {"MODE": "legacy"}
    return [
        Client("Python SDK 1", peers.python(home / "sdk1", "mcp"), python("sdk1", "sdk1.py")),
        Client("Python SDK 2", peers.python(home / "sdk2", "mcp"), python("sdk2", "sdk2.py"), auto),
        Client("Python SDK 2, legacy", peers.python(home / "sdk2", "mcp"), python("sdk2", "sdk2.py"), legacy),
        Client("FastMCP", peers.python(home / "fastmcp", "fastmcp"), python("fastmcp", "fastmcp_client.py")),
        Client(
            "LangChain adapters",
            peers.python(home / "langchain", "langchain-mcp-adapters"),
            python("langchain", "langchain_client.py"),
            cancels=False,
        ),
        Client("TypeScript SDK 1", peers.node(home / "node", "@modelcontextprotocol/sdk"), node("node", "sdk1.mjs")),
        Client(
            "TypeScript SDK 2", peers.node(home / "node", "@modelcontextprotocol/client"), node("node", "sdk2.mjs"), legacy
        ),
        Client(
            "TypeScript SDK 2, auto", peers.node(home / "node", "@modelcontextprotocol/client"), node("node", "sdk2.mjs"), auto
        ),
        Client("mcp-remote", peers.node(home / "node", "mcp-remote"), node("node", "remote.mjs"), reads=OURS),
        Client(
            "Inspector CLI",
            peers.node(home / "inspector", "@modelcontextprotocol/inspector"),
            [sys.executable, str(HERE / "inspector.py"), str(home / "inspector")],
            # As at a terminal, where it asks a person to log in.
            {"MCP_AUTO_OPEN_ENABLED": "true", "MCP_INSPECTOR_SECRET_STORE": "memory"},
            cancels=False,
            waits=False,
            reads=OURS,
        ),
        Client("Go SDK", peers.go(HERE / "go/go.mod"), [str(home / "go/client")]),
        Client("rmcp", peers.rust(HERE / "rust/Cargo.lock", "rmcp"), [str(home / "rust/client")]),
    ]


def run(client, place, step):
    """Runs one step of a client to its end; what it printed, and how long it took where that was too long."""
    key = "no-such-key-0123456789abcdef" if step == "wrong" else place.key((client.name, step))
    token = f"{client.name}-{step}".replace(" ", "-").replace(",", "")
    with tempfile.TemporaryDirectory() as home:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": home,
            # A client that wants a person to log in finds no browser here.
            "BROWSER": "true",
            "SECONDS": str(SECONDS),
            "PYTHONDONTWRITEBYTECODE": "1",
            **client.environment,
        }
        try:
            ended = subprocess.run(
                [*client.command, place.url, key, step, token],
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=PATIENCE[step],
            )
        except subprocess.TimeoutExpired:
            return {"error": f"no end after {PATIENCE[step]} s"}, token
    place.keep(f"{token}.log", ended.stderr + ended.stdout)
    try:
        return json.loads(ended.stdout.strip().splitlines()[-1]), token
    except (IndexError, ValueError):
        said = (ended.stderr.strip().splitlines() or ["nothing was said"])[-1]
        return {"error": f"exit code {ended.returncode}: {said}"}, token


def judged(client, place, step):
    """Runs a step, and says what is to be said of it."""
    result, token = run(client, place, step)
    error = result.get("error")
    if step == "wrong":
        fits = error is not None and any(word in error for word in client.reads)
        return Cell(fits, error or "let in")
    if error is not None:
        return Cell(False, error, must={"cancel": client.cancels, "long": client.waits}.get(step, True))
    if step == "calls":
        fits = result["tools"] == ["echo", "wait"]
        return Cell(fits, result.get("revision") or "yes")
    if step == "long":
        return Cell(result["said"] == f"waited {SECONDS}", str(result["said"]))
    seen = place.upstream.gone(token)
    told = "seen by the upstream" if seen else "not seen by the upstream"
    return Cell(seen and result["afterwards"] == "still here", told, must=client.cancels)


def say(text):
    print(text, file=sys.stderr, flush=True)


def all_cells(chosen, place):
    """Every step of every client: the long calls at the same time as the rest, wrong keys last."""
    cells = {}
    lock = threading.Lock()

    def judge(client, step):
        cell = judged(client, place, step)
        with lock:
            cells[client.name, step] = cell
        say(f"{client.name}: {step}: {'ok' if cell.passed else 'FAILED' if cell.must else 'no'}: {cell.text[:160]}")

    for client in chosen:
        judge(client, "calls")
    with ThreadPoolExecutor(len(chosen)) as pool:
        long = [pool.submit(judge, client, "long") for client in chosen]
        for client in chosen:
            judge(client, "cancel")
        for ended in long:
            ended.result()
    for client in chosen:
        judge(client, "wrong")
    return cells


def table(chosen, cells):
    yield "| client | version | " + " | ".join(HEADS) + " |"
    yield "|---" * (2 + len(STEPS)) + "|"
    for client in chosen:
        shown = []
        for step in STEPS:
            cell = cells[client.name, step]
            mark = "yes" if cell.passed else "**FAILED**" if cell.must else "no"
            text = " ".join(cell.text.split()).replace("|", "\\|")
            detail = step in ("calls", "wrong") or not cell.passed
            shown.append(f"{mark}: {text[:240]}" if detail and text != mark else mark)
        yield f"| {client.name} | {client.version} | " + " | ".join(shown) + " |"


def main():
    server, nginx, home, *names = sys.argv[1:]
    chosen = [client for client in clients(Path(home)) if not names or client.name in names]
    if not chosen:
        sys.exit(f"no client is called {' or '.join(names)}")
    # Each run is a caller of its own, as two programs of one user are: with one key, two calls of the same id could not be told
    # apart by who takes one of them back.
    callers = [(client.name, step) for client in chosen for step in STEPS]
    with Place(server, nginx, callers) as place:
        say(f"logs are in {place.logs}")
        cells = all_cells(chosen, place)
    print("\n".join(table(chosen, cells)))
    failed = [f"{name}: {step}" for (name, step), cell in cells.items() if cell.must and not cell.passed]
    if failed:
        say(f"{len(failed)} cells that must pass do not: {'; '.join(sorted(failed))}")
        sys.exit(1)


main()
