"""The Inspector's command line, which is one program for each thing to do.

inspector.py HOME URL KEY STEP TOKEN, as python/steps.py
"""

import json
import os
import signal
import subprocess
import sys
import time

home, url, key, step, token = sys.argv[1:6]
PROGRAM = f"{home}/node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js"
BASE = ["node", PROGRAM, "--cli", "--transport", "http", "--server-url", url, "--header", f"Authorization: Bearer {key}"]


class Failed(Exception):
    pass


def start(*arguments):
    command = [*BASE, "--format", "json", *arguments]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process):
    output, errors = process.communicate(timeout=150)
    sys.stderr.write(errors)
    if process.returncode != 0:
        raise Failed(complaint(errors) or output.strip() or f"exit code {process.returncode}")
    return json.loads(output)


def complaint(errors):
    """The error itself, without what the Inspector says of its own set-up."""
    lines = errors.strip().splitlines()
    return lines[-1] if lines and lines[-1].startswith("{") else errors.strip()


def tool(name, arguments):
    return ["--method", "tools/call", "--tool-name", name, "--tool-args-json", json.dumps(arguments)]


def result(answer):
    """What stands around a result differs by method."""
    return answer.get("result", answer)


def load(requests, at_once):
    report = ended(
        start(*tool("echo", {"text": "hi"}), "--load", "--load-requests", str(requests), "--load-concurrency", str(at_once))
    )
    text = json.dumps(report)
    sys.stderr.write(text + "\n")
    return report


def failures(report):
    """The number of calls that failed, wherever the report has it."""
    found = result(report)
    for name in ("errors", "failed", "errorCount", "failures"):
        value = found.get(name, found.get("load", {}).get(name) if isinstance(found.get("load"), dict) else None)
        if isinstance(value, int):
            return value
        if isinstance(value, (list, dict)):
            return len(value)
    raise Failed(f"the report does not say how many calls failed: {json.dumps(report)[:300]}")


def calls():
    tools = sorted(tool["name"] for tool in result(ended(start("--method", "tools/list")))["tools"])
    for requests, at_once in ((30, 1), (10, 10)):
        report = load(requests, at_once)
        if failures(report):
            raise Failed(f"{failures(report)} of {requests} calls failed: {json.dumps(report)[:300]}")
    return {"tools": tools}


def long():
    seconds = int(os.environ["SECONDS"])
    answer = result(ended(start(*tool("wait", {"seconds": seconds, "token": token}))))
    return {"said": answer["content"][0]["text"]}


def cancel():
    process = start(*tool("wait", {"seconds": 60, "token": token}))
    time.sleep(5)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    answer = result(ended(start(*tool("echo", {"text": "still here"}))))
    return {"afterwards": answer["content"][0]["text"]}


try:
    if step == "wrong":
        ended(start("--method", "tools/list"))
        done = {"connected": True}
    else:
        done = {"calls": calls, "long": long, "cancel": cancel}[step]()
except (Failed, subprocess.TimeoutExpired, ValueError, KeyError) as error:
    done = {"error": str(error)}
print(json.dumps(done))
