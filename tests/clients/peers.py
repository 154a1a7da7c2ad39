"""The versions of clients, as they are installed."""

import json
import re
import subprocess
import tomllib


def python(home, package):
    program = f"from importlib.metadata import version; print(version({package!r}))"
    return subprocess.run([home / "bin/python", "-c", program], check=True, capture_output=True, text=True).stdout.strip()


def node(home, package):
    return json.loads((home / "node_modules" / package / "package.json").read_text())["version"]


def go(module):
    return re.search(r"modelcontextprotocol/go-sdk v(\S+)", module.read_text()).group(1)


def rust(lock, package):
    packages = tomllib.loads(lock.read_text())["package"]
    return next(found["version"] for found in packages if found["name"] == package)
