#!/usr/bin/env python3
"""Server time of every page of the dashboard, with few and with many results and runs, on both engines.

    python3 benches/pages.py              builds the release executable; BUILT=1 takes it as it is (PROGRAM)
    RUNS=2000 JOBS=8000 TIMES=100 python3 benches/pages.py

RUNS reviewed workflows (about six results each) and JOBS tasks are run by our own workers on Redis; then everything is copied
to SQLite. One connection, one request after another, TIMES for each page. Needs redis-server; loopback only.
"""

import gzip
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAM = os.environ.get("PROGRAM", os.path.join(ROOT, "target", "release", "productforge"))
RUNS = int(os.environ.get("RUNS", "10000"))
JOBS = int(os.environ.get("JOBS", "40000"))
TIMES = int(os.environ.get("TIMES", "200"))
FEW = 100


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def wait_for(what, condition, seconds=1800):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if condition():
                return
        except OSError:
            pass
        time.sleep(0.1)
    sys.exit(f"{what}: not within {seconds} s")


class Server:
    """`productforge serve`, until it is stopped."""

    def __init__(self, folder, workers, redis=None):
        self.port = free_port()
        environment = {**os.environ, "WORKSPACE_DIR": folder, "PORT": str(self.port), "LOG_LEVEL": "warn",
                       "RESULT_TTL": "864000", "SIMULATED_LATENCY_MS": "0"}
        for name in ("REDIS_URL", "API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
            environment.pop(name, None)
        if redis:
            environment["REDIS_URL"] = redis
        self.process = subprocess.Popen([PROGRAM, "serve", "--workers", str(workers)], env=environment, cwd=folder,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.connection = None
        wait_for("the server", lambda: self.ask("GET", "/system/health")[0] == 200)

    def ask(self, method, path, body=None):
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            headers = {"Content-Type": "application/json"} if body is not None else {}
            self.connection.request(method, path, body and json.dumps(body), headers)
            answer = self.connection.getresponse()
            return answer.status, answer.read()
        except OSError:
            self.connection = None
            raise

    def json(self, path):
        return json.loads(self.ask("GET", path)[1])

    def stop(self):
        self.process.terminate()
        self.process.wait(60)


def fill(server, runs, jobs, port):
    pipe = subprocess.Popen(["redis-cli", "-p", str(port), "--pipe"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    for n in range(jobs):
        payload = json.dumps({"job_id": f"task-{runs}-{n:07}", "job": f"{n}: Explain what a fencing token is. " * 4})
        pipe.stdin.write(f"*3\r\n$5\r\nLPUSH\r\n$5\r\nqueue\r\n${len(payload.encode())}\r\n{payload}\r\n".encode())
    pipe.stdin.close()
    pipe.wait()
    last = None
    for n in range(runs):
        status, answer = server.ask("POST", "/orchestrate", {"job": f"Brief {n}: plan a library with loans", "requires_qa": True})
        assert status == 200, answer
        last = json.loads(answer)["workflow_id"]
    wait_for("all has run", lambda: sum(q["depth"] for q in server.json("/queues")["queues"]) == 0
             and server.json("/queues")["leased"] == 0)
    return last


def pages(server):
    workflow = server.json("/workflows?limit=1&status=completed")["completed"][0]
    job = workflow["steps"][1]["job_id"]
    found = ["/dashboard/", "/dashboard/brief", "/dashboard/workflows", "/dashboard/workflows?status=completed",
             "/dashboard/workflows?q=no-such-word", f"/dashboard/workflows/{workflow['workflow_id']}", "/dashboard/results",
             "/dashboard/results?agent=qa_bot", "/dashboard/results?q=no-such-word", f"/dashboard/results/{job}",
             "/dashboard/uploads", "/dashboard/agents", "/dashboard/agents/qa_bot", "/dashboard/jobs",
             "/dashboard/jobs?state=completed", "/dashboard/jobs?state=dead", f"/dashboard/jobs/{job}", "/dashboard/queues",
             "/dashboard/analytics", "/dashboard/reports", "/dashboard/system", "/help", "/help?q=budget"]
    return [path for path in found if server.ask("GET", path)[0] == 200]


def weight(server, path, known):
    """Gzipped bytes of a page with all that it loads."""
    html = server.ask("GET", path)[1]
    total = len(gzip.compress(html, 6))
    for url in re.findall(rb'(?:src|href)="(/static/[^"]+)"', html):
        if url not in known:
            known[url] = len(gzip.compress(server.ask("GET", url.decode())[1], 9))
        total += known[url]
    return total


def measure(server, engine, size, times):
    known = {}
    slowest = 0.0
    for path in pages(server):
        taken = []
        for n in range(times + 5):
            begun = time.perf_counter()
            status, _ = server.ask("GET", path)
            assert status == 200, path
            taken.append((time.perf_counter() - begun) * 1000)
        taken = sorted(taken[5:])
        p50, p99 = taken[len(taken) // 2], taken[min(len(taken) - 1, int(len(taken) * 0.99))]
        slowest = max(slowest, p99)
        name = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID", path)
        print(f"| {engine} | {size} | `{name}` | {p50:.1f} | {p99:.1f} | {weight(server, path, known) / 1000:.1f} |", flush=True)
    print(f"# {engine}, {size}: slowest p99 {slowest:.1f} ms")


def main():
    if not os.environ.get("BUILT"):
        subprocess.run(["cargo", "build", "--locked", "--release"], cwd=ROOT, check=True)
    folder = tempfile.mkdtemp()
    port = free_port()
    redis = subprocess.Popen(["redis-server", "--port", str(port), "--save", "", "--appendonly", "no", "--bind",
                              "127.0.0.1", "--dir", folder], stdout=subprocess.DEVNULL)
    url = f"redis://127.0.0.1:{port}"
    try:
        wait_for("redis", lambda: socket.create_connection(("127.0.0.1", port)).close() is None)
        print("| engine | stored | page | p50 ms | p99 ms | kB gzipped with assets |\n|---|---|---|---|---|---|")
        server = Server(folder, 32, url)
        fill(server, FEW, FEW, port)
        measure(server, "Redis", "few", TIMES)
        begun = time.monotonic()
        fill(server, RUNS - FEW, JOBS, port)
        stored = int(server.json("/metrics/json")["productforge_results"])
        size = f"{RUNS:,} runs, {stored:,} results"
        print(f"# {size} made in {time.monotonic() - begun:.0f} s")
        server.stop()
        server = Server(folder, 2, url)
        measure(server, "Redis", size, TIMES)
        server.stop()
        embedded = os.path.join(folder, "embedded")
        os.mkdir(embedded)
        copied = subprocess.run([PROGRAM, "copy", "--from", f"redis:{url}", "--to",
                                 f"sqlite:{embedded}/productforge.db"], cwd=folder, capture_output=True, text=True)
        assert copied.returncode == 0, copied.stderr[-500:]
        server = Server(embedded, 2)
        measure(server, "SQLite", size, TIMES)
        server.stop()
    finally:
        redis.terminate()
        redis.wait()
        shutil.rmtree(folder, ignore_errors=True)


main()
