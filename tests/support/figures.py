#!/usr/bin/env python3
"""Size, start-up time and idle memory of the executable: `figures.py path/to/productforge [runs]`.

Each run starts `serve` on an empty workspace and a free port, counts the time until /system/ping
answers 200, lets it idle, and reads its resident memory. The medians are printed.
"""

import http.client
import os
import pathlib
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

IDLE_SECONDS = 3.0
START_LIMIT_SECONDS = 30.0


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def answers(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/system/ping")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def resident_mb(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmRSS")


def run(executable):
    """One start: (milliseconds to the first 200, idle megabytes)."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        env = {"PATH": os.environ.get("PATH", ""), "WORKSPACE_DIR": folder}
        begin = time.perf_counter()
        process = subprocess.Popen(
            [executable, "serve", "--port", str(port)],
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            while not answers(port):
                if process.poll() is not None or time.perf_counter() - begin > START_LIMIT_SECONDS:
                    sys.exit("the server did not start")
                time.sleep(0.001)
            start_ms = (time.perf_counter() - begin) * 1000
            time.sleep(IDLE_SECONDS)
            return start_ms, resident_mb(process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)


def main():
    executable = os.path.abspath(sys.argv[1])
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 7
    results = [run(executable) for _ in range(runs)]
    starts, memory = zip(*results)
    print(f"executable          {os.path.getsize(executable) / 1e6:8.1f} MB")
    print(f"start to first 200  {statistics.median(starts):8.0f} ms  (median of {runs}; {min(starts):.0f} to {max(starts):.0f})")
    print(f"idle memory         {statistics.median(memory):8.1f} MB  (median of {runs})")


if __name__ == "__main__":
    main()
