#!/usr/bin/env python3
"""Exports of 100,000 results and 50 slow uploads of 45 MB at once: time and memory, on both engines.

    python3 benches/files.py              builds the release executable; BUILT=1 takes it as it is
    RESULTS=20000 UPLOADS=10 python3 benches/files.py

Needs redis-server. Everything is on the loopback interface and in a temporary folder, and ends with the program.
"""

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zipfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAM = os.environ.get("PROGRAM", os.path.join(ROOT, "target", "release", "productforge"))
RESULTS = int(os.environ.get("RESULTS", "100000"))
UPLOADS = int(os.environ.get("UPLOADS", "50"))
UPLOAD_BYTES = 45_000_000
UPLOAD_SECONDS = 15


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def memory(pid, field):
    """KiB of a process."""
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(rf"{field}:\s+(\d+)", status.read()).group(1))


def reset_peak(pid):
    with open(f"/proc/{pid}/clear_refs", "w") as refs:
        refs.write("5")


def wait_for(what, condition, seconds=600):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if condition():
                return
        except OSError:
            pass
        time.sleep(0.05)
    sys.exit(f"{what}: not within {seconds} s")


class Server:
    """`productforge serve`, until it is stopped."""

    def __init__(self, folder, workers, **environment):
        self.port = free_port()
        environment = {**os.environ, "WORKSPACE_DIR": folder, "PORT": str(self.port), "LOG_LEVEL": "warn",
                       "RESULT_TTL": "864000", "SIMULATED_LATENCY_MS": "0", **environment}
        for name in ("REDIS_URL",):
            if not environment.get(name):
                environment.pop(name, None)
        self.process = subprocess.Popen([PROGRAM, "serve", "--workers", str(workers)], env=environment, cwd=folder,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for("the server", lambda: self.get("/system/health")[0] == 200)

    @property
    def pid(self):
        return self.process.pid

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()

    def stop(self):
        self.process.terminate()
        self.process.wait(60)


def results(server):
    return int(json.loads(server.get("/metrics/json")[1])["productforge_results"])


def fill(port, folder):
    """Jobs as a foreign program puts them in, run by our own workers."""
    text = "Explain what a fencing token is, and what goes wrong without one. " * 3
    pipe = subprocess.Popen(["redis-cli", "-p", str(port), "--pipe"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    for n in range(RESULTS):
        payload = json.dumps({"job_id": f"job-{n:07}", "job": f"{n}: {text}"})
        pipe.stdin.write(f"*3\r\n$5\r\nLPUSH\r\n$5\r\nqueue\r\n${len(payload)}\r\n{payload}\r\n".encode())
    pipe.stdin.close()
    pipe.wait()
    begun = time.monotonic()
    server = Server(folder, 64, REDIS_URL=f"redis://127.0.0.1:{port}")
    wait_for("all jobs have run", lambda: results(server) == RESULTS)
    print(f"# {RESULTS} jobs run in {time.monotonic() - begun:.0f} s")
    server.stop()


def export(server, form):
    for _ in range(3):
        server.get("/results/?limit=1")
    reset_peak(server.pid)
    idle = memory(server.pid, "VmRSS")
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=600)
    begun = time.monotonic()
    connection.request("GET", f"/results/export/{form}")
    answer = connection.getresponse()
    first = None
    size = 0
    lines = 0
    with tempfile.TemporaryFile() as file:
        while chunk := answer.read1(1 << 16):
            if first is None:
                first = time.monotonic() - begun
            size += len(chunk)
            lines += chunk.count(b"\n")
            if form in ("json", "zip"):
                file.write(chunk)
        took = time.monotonic() - begun
        peak = memory(server.pid, "VmHWM")
        if form == "json":
            file.seek(0)
            assert json.load(file)["count"] == RESULTS
        if form == "zip":
            assert zipfile.ZipFile(file).testzip() is None
        if form == "ndjson":
            assert lines == RESULTS
    return first, took, size, peak - idle


def exports(engine, server):
    for form in ("json", "ndjson", "csv", "md", "zip"):
        first, took, size, grown = export(server, form)
        print(f"| {engine} {form} | {first * 1000:.0f} ms | {took:.2f} s | {size / 1e6:.0f} MB | "
              f"{size / took / 1e6:.0f} MB/s | {RESULTS / took:,.0f}/s | {grown / 1024:.1f} MiB |", flush=True)


def slow_upload(port, body, outcomes, n):
    step = 256 << 10
    boundary = "b0undary"
    head = (f"--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{n}.zip\"\r\n\r\n").encode()
    tail = f"\r\n--{boundary}--\r\n".encode()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall((f"POST /upload/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                            f"Content-Type: multipart/form-data; boundary={boundary}\r\n"
                            f"Content-Length: {len(head) + len(body) + len(tail)}\r\n\r\n").encode() + head)
        begun = time.monotonic()
        for at in range(0, len(body), step):
            connection.sendall(body[at:at + step])
            due = begun + UPLOAD_SECONDS * at / len(body)
            time.sleep(max(0, due - time.monotonic()))
        connection.sendall(tail)
        answer = connection.recv(64)
        outcomes.append(int(answer.split(b" ")[1]) if answer else 0)


def uploads(engine, server, folder):
    path = os.path.join(folder, "large.zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for n in range(9):
            archive.writestr(f"data/{n}.bin", os.urandom(UPLOAD_BYTES // 9))
    with open(path, "rb") as file:
        body = file.read()
    reset_peak(server.pid)
    idle = memory(server.pid, "VmRSS")
    outcomes = []
    threads = [threading.Thread(target=slow_upload, args=(server.port, body, outcomes, n)) for n in range(UPLOADS)]
    begun = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.monotonic() - begun
    peak = memory(server.pid, "VmHWM")
    print(f"| {engine} {UPLOADS} uploads of {len(body) / 1e6:.0f} MB over {UPLOAD_SECONDS} s | {took:.1f} s | "
          f"accepted {outcomes.count(200)} | {(peak - idle) / 1024:.1f} MiB above idle |", flush=True)


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
        fill(port, folder)
        print("| export | first byte | took | size | | results | above idle |\n|---|---|---|---|---|---|---|")
        server = Server(folder, 0, REDIS_URL=url)
        exports("Redis", server)
        uploads("Redis", server, folder)
        server.stop()
        embedded = os.path.join(folder, "embedded")
        os.mkdir(embedded)
        begun = time.monotonic()
        copied = subprocess.run([PROGRAM, "copy", "--from", f"redis:{url}", "--to",
                                 f"sqlite:{embedded}/productforge.db"], cwd=folder, capture_output=True, text=True)
        print(f"# copy to SQLite: {time.monotonic() - begun:.1f} s, code {copied.returncode} {copied.stderr[-300:]}")
        server = Server(embedded, 0, REDIS_URL="")
        exports("SQLite", server)
        uploads("SQLite", server, embedded)
        server.stop()
    finally:
        redis.terminate()
        redis.wait()
        shutil.rmtree(folder, ignore_errors=True)


main()
