#!/usr/bin/env python3
"""Builds of the executable beside each other: size, and the processor time of jobs, exports and a page on Redis.

    python3 benches/executables.py OLD NEW [MORE...]          JOBS=4000 ROUNDS=3

Needs redis-server. The builds take turns, so that a slow minute meets all of them; processor time, because it moves less
than the clock on a machine that is busy otherwise as well. Medians, in seconds; per 1,000 where things are counted.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

JOBS = int(os.environ.get("JOBS", "4000"))
ROUNDS = int(os.environ.get("ROUNDS", "3"))
EXPORTS, PAGES = 5, 40
BRIEF = "Do something useful with the words of this brief, please. " * 10


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def processor_seconds(process):
    with open(f"/proc/{process.pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def fill(port):
    """Pushes the jobs as a foreign program would."""
    while True:
        try:
            redis = socket.create_connection(("127.0.0.1", port))
            break
        except OSError:
            time.sleep(0.05)
    with redis:
        for number in range(JOBS):
            job = json.dumps({"job_id": f"job-{number}", "job": BRIEF}).encode()
            redis.sendall(b"*3\r\n$5\r\nLPUSH\r\n$5\r\nqueue\r\n$%d\r\n%s\r\n" % (len(job), job))
            redis.recv(64)


def measure(program):
    """What one build takes, by what it does."""
    with tempfile.TemporaryDirectory() as folder:
        redis_port, port = free_port(), free_port()
        redis = subprocess.Popen(["redis-server", "--port", str(redis_port), "--save", "", "--dir", folder],
                                 stdout=subprocess.DEVNULL)
        server = None
        try:
            fill(redis_port)
            environment = {"PATH": os.environ["PATH"], "REDIS_URL": f"redis://127.0.0.1:{redis_port}", "PORT": str(port),
                           "SIMULATED_LATENCY_MS": "0", "LOG_LEVEL": "error", "WORKSPACE_DIR": folder}
            server = subprocess.Popen([program, "serve", "--workers", "64"], env=environment, cwd=folder)

            def get(path):
                with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=120) as answer:
                    return answer.read()

            while True:
                time.sleep(0.1)
                try:
                    health = json.loads(get("/system/health"))
                except OSError:
                    continue
                if health["total_results"] >= JOBS and health["active_jobs"] == 0:
                    break
            took = {"1,000 jobs": processor_seconds(server) * 1000 / JOBS}
            for name, path, times, things in [
                ("1,000 results, json", "/results/export/json", EXPORTS, JOBS),
                ("csv", "/results/export/csv", EXPORTS, JOBS),
                ("zip", "/results/export/zip", EXPORTS, JOBS),
                ("1,000 overviews", "/dashboard/", PAGES, 1),
            ]:
                before = processor_seconds(server)
                for _ in range(times):
                    get(path)
                took[name] = (processor_seconds(server) - before) * 1000 / (times * things)
            return took
        finally:
            for process in filter(None, [server, redis]):
                process.terminate()
                process.wait()


def main():
    programs = sys.argv[1:] or sys.exit(__doc__)
    rounds = {program: [] for program in programs}
    for _ in range(ROUNDS):
        for program in programs:
            rounds[program].append(measure(os.path.abspath(program)))
    for program, measured in rounds.items():
        median = {name: statistics.median(took[name] for took in measured) for name in measured[0]}
        size = os.path.getsize(program) / 1e6
        print(f"{program}: {size:.1f} MB; " + "; ".join(f"{name}: {seconds:.3f}" for name, seconds in median.items()))


if __name__ == "__main__":
    main()
