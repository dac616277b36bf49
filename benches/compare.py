#!/usr/bin/env python3
"""The queue beside its rivals and the limits of the machine, in one run.

    benches/compare.py RIVALS [SECTION ...]        (or: ./dev bench RIVALS [SECTION ...])

RIVALS is a folder of rivals with a harness/bench.py and harness/peers.py, set up in $PEERS_DIR. Sections
(all if none is named): drain, producer, pickup, backlog, due, memory, workflows, embedded. Rivals and limits are run
alternately with ours, so that a slow minute meets all of them; figures are medians, ratios are taken
within the run. Environment: ROUNDS (3), AOF (0; 1 is appendfsync everysec, always is appendfsync always), N (100000), MILLION (1000000).
"""
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROUNDS = int(os.environ.get("ROUNDS", "3"))
N = int(os.environ.get("N", "100000"))
MILLION = int(os.environ.get("MILLION", "1000000"))


def build():
    """The harness, built for release; its path is in what cargo says."""
    command = ["cargo", "bench", "--no-run", "--bench", "queue", "--message-format", "json"]
    said = subprocess.run(command, cwd=HERE, stdout=subprocess.PIPE, check=True, text=True).stdout
    found = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    return [m["executable"] for m in found if m.get("executable") and m["target"]["name"] == "queue"][-1]


def ours(slots, **settings):
    settings = {"SLOTS": slots, **settings}
    return dict(name=f"productforge-{slots}", enqueue=[BENCH, "enqueue"], latency=[BENCH, "latency"],
                work=[BENCH, "work"], done="zcard:results_index", n=N, env=settings)


def always(enter):
    """The rivals' server with every write on the disk before it is answered."""
    def entered(server):
        enter(server)
        server.r.cmd("CONFIG", "SET", "appendfsync", "always")
        return server
    return entered


def row(*cells):
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def head(title, *cells):
    print(f"\n## {title}\n")
    row(*cells)
    row(*["---"] * len(cells))


def limit_redis(server, mode, *arguments):
    command = [os.path.join(peers.BIN, "limit-redis"), mode, *arguments]
    said = subprocess.run(command, env=dict(os.environ, REDIS_PORT=str(bench.PORT)), stdout=subprocess.PIPE, check=True)
    return json.loads(said.stdout)


def limit_drain():
    with bench.cpu_lock(), bench.Server() as server:
        found = limit_redis(server, "lifecycle", "--batch", "32", "--n", str(N), "--result", "1024", "--payload", "200",
                            "--depth", "8")
        return {"jobs_s": found["jobs_s"], "worker_cpu_per_1k": found["client_cpu_s_per_1k"],
                "redis_cpu_per_1k": found["redis_cpu_s_per_1k"], "peak_rss_mib": found["client_hwm_mib"]}


RIVALS = ("bullmqrs-c200", "bullmq-c200", "bee-c200", "apalis-b100", "apalis-nolock-b100")


def rivals(names):
    return [c for name in names for c in peers.PEERS if c["name"] == name]


def drain():
    """Preloaded, counted at the durable finish."""
    runs = {}
    contestants = rivals(RIVALS)
    for _ in range(ROUNDS):
        for c in [ours(200), ours(64)] + contestants:
            runs.setdefault(c["name"], []).append(bench.drain(c, min(N, c["n"]) if c in contestants else N))
        runs.setdefault("limit-redis batch 32", []).append(limit_drain())
    best = statistics.median(r["jobs_s"] for r in runs["productforge-200"])
    head(f"Drain, preloaded ({ROUNDS} rounds, AOF {FSYNC})", "row", "jobs/s", "of each round",
         "ours / this", "worker CPU s/1k", "Redis CPU s/1k", "RSS MiB")
    for name, found in runs.items():
        mid = {k: statistics.median(r[k] for r in found) for k in ("jobs_s", "worker_cpu_per_1k", "redis_cpu_per_1k", "peak_rss_mib")}
        row(name, f"{mid['jobs_s']:,.0f}", " ".join(f"{r['jobs_s']:,.0f}" for r in found), f"{best / mid['jobs_s']:.2f}",
            f"{mid['worker_cpu_per_1k']:.4f}", f"{mid['redis_cpu_per_1k']:.4f}", f"{mid['peak_rss_mib']:.0f}")


def finished(server, jobs):
    """Waits until all are finished; jobs/s between the first 2 % and the last, by the times of the results."""
    while server.r.cmd("ZCARD", "results_index") < jobs:
        time.sleep(0.05)
    at = [float(server.r.cmd("ZRANGE", "results_index", place, place, "WITHSCORES")[1]) for place in (jobs // 50, jobs - 1)]
    return (jobs - jobs // 50) / max(1e-3, at[1] - at[0])


class Worker:
    def __init__(self, slots=200, **settings):
        settings = {k: str(v) for k, v in {"SLOTS": slots, "REDIS_PORT": bench.PORT, **settings}.items()}
        self.env = dict(os.environ, **settings)

    def __enter__(self):
        self.process = subprocess.Popen([BENCH, "work"], env=self.env)
        return self

    def __exit__(self, *_):
        bench.stop(self.process)

    def produce(self, *arguments, wait=True, **settings):
        env = dict(self.env, **{k: str(v) for k, v in settings.items()})
        process = subprocess.Popen([BENCH, *map(str, arguments)], env=env, stdout=subprocess.DEVNULL)
        if wait:
            assert process.wait() == 0
        return process


def producer():
    """A live producer on the same two cores, as fast as the preloaded drain, and the preloaded drain beside it."""
    live, preloaded = [], []
    for _ in range(ROUNDS):
        preloaded.append(bench.drain(ours(200), N)["jobs_s"])
        with bench.cpu_lock(), bench.Server() as server, Worker() as worker:
            time.sleep(0.5)
            producing = worker.produce("produce", N, int(preloaded[-1]), wait=False)
            live.append(finished(server, N))
            producing.wait()
    head("With a live producer", "row", "jobs/s", "of each round", "of the preloaded")
    mid = statistics.median(preloaded)
    for name, found in (("preloaded", preloaded), ("live producer", live)):
        row(name, f"{statistics.median(found):,.0f}", " ".join(f"{r:,.0f}" for r in found), f"{statistics.median(found) / mid:.2f}")


def pickup():
    """A foreign LPUSH on an idle queue to the first statement of the handler. The pause between two of them is for
    all what it is for the limit (2 to 20 ms): the longer it is, the colder are the processor's caches."""
    os.environ.setdefault("LAT_MIN_MS", "2")
    os.environ.setdefault("LAT_MAX_MS", "20")
    found = {}
    for _ in range(ROUNDS):
        for c in [ours(200)] + rivals(("bullmqrs-c1", "bee-c1")):
            found.setdefault(c["name"], []).append(bench.latency(c))
        with bench.cpu_lock(), bench.Server() as server:
            r = limit_redis(server, "wakeup", "--n", "300", "--mode", "brpop+reserve")
            found.setdefault("limit-wakeup, marker then reserve", []).append(
                {"lat_p50_ms": r["p50_us"] / 1e3, "lat_p99_ms": r["p99_us"] / 1e3})
    head("Pick-up on an idle queue", "row", "p50 ms", "p99 ms", "p50 of each round", "ours / this (p50)")
    best = statistics.median(r["lat_p50_ms"] for r in found["productforge-200"])
    for name, rounds in found.items():
        p50, p99 = (statistics.median(r[k] for r in rounds) for k in ("lat_p50_ms", "lat_p99_ms"))
        row(name, f"{p50:.2f}", f"{p99:.2f}", " ".join(f"{r['lat_p50_ms']:.2f}" for r in rounds), f"{best / p50:.2f}")
    with bench.cpu_lock(), bench.Server() as server, Worker():
        time.sleep(3)
        monitor = subprocess.Popen(["redis-cli", "-p", str(bench.PORT), "monitor"], stdout=subprocess.PIPE, text=True)
        time.sleep(20)
        monitor.terminate()
        lines = [line for line in monitor.communicate()[0].splitlines() if " lua]" not in line]
        print(f"\nIdle, 200 slots: {(len(lines) - 1) / 20:.1f} commands/s")


def scripts(server):
    """How long the scripts took, as Redis saw it."""
    stats = {}
    for line in server.r.cmd("INFO", "all").decode().splitlines():
        if line.startswith("latency_percentiles_usec_evalsha:") or line.startswith("cmdstat_evalsha:"):
            stats.update(pair.split("=") for pair in line.split(":", 1)[1].split(","))
    slow = [entry[2] for entry in server.r.cmd("SLOWLOG", "GET", "128")]
    return stats, slow


def backlog():
    head("By backlog", "waiting at the start", "jobs/s", "of each round", "script p50 / p99 / p99.9 µs", "scripts over 5 ms", "slowest ms")
    for jobs in (1_000, 10_000, 100_000, MILLION):
        rounds, slowest, over, stats = [], 0, 0, {}
        for _ in range(ROUNDS * (3 if jobs < 100_000 else 1) if jobs < MILLION else 1):
            with bench.cpu_lock(), bench.Server() as server:
                worker = Worker()
                # The server has its scripts then: compiling them would be most of a short run.
                worker.produce("enqueue", 500)
                with worker:
                    finished(server, 500)
                server.r.cmd("FLUSHALL")
                worker.produce("enqueue", jobs)
                server.r.cmd("CONFIG", "SET", "slowlog-log-slower-than", "1000")
                server.r.cmd("SLOWLOG", "RESET")
                server.r.cmd("CONFIG", "RESETSTAT")
                with worker:
                    rounds.append(finished(server, jobs))
                stats, slow = scripts(server)
                slowest, over = max([slowest, *slow]), over + sum(us > 5_000 for us in slow)
        row(f"{jobs:,}", f"{statistics.median(rounds):,.0f}", " ".join(f"{r:,.0f}" for r in rounds),
            " / ".join(stats.get(p, "?") for p in ("p50", "p99", "p99.9")), over, f"{slowest / 1e3:.1f}" if slowest else "< 1")


def due():
    """A million jobs that fall due within one second, and urgent ones meanwhile."""
    with bench.cpu_lock(), bench.Server() as server, tempfile.TemporaryDirectory() as folder:
        latencies = os.path.join(folder, "latencies")
        worker = Worker(slots=64, LAT_FILE=latencies, RESULT_TTL=60)
        worker.produce("due", MILLION, 1)
        time.sleep(2.5)
        server.r.cmd("CONFIG", "SET", "slowlog-log-slower-than", "1000")
        with worker:
            time.sleep(1)
            worker.produce("latency", 200, LIST="queue_high")
            time.sleep(0.5)
            _, slow = scripts(server)
            left = server.r.cmd("ZCARD", "pf:due")
        found = sorted(int(line) / 1e6 for line in open(latencies))
    head("A million jobs due in the same second", "urgent jobs", "p50 ms", "p99 ms", "longest ms", "still due after them", "slowest script ms")
    row(len(found), f"{bench.pct(found, 0.5):.2f}", f"{bench.pct(found, 0.99):.2f}", f"{found[-1]:.2f}", f"{left:,}",
        f"{max(slow) / 1e3:.1f}" if slow else "< 1")


def memory():
    """Before and after a million jobs whose results are kept for a short time."""
    def used(server, worker):
        info = server.r.cmd("INFO", "memory").decode()
        redis = int([line for line in info.splitlines() if line.startswith("used_memory:")][0].split(":")[1])
        return redis / 2**20, bench.rss_mib(worker.process.pid, "VmRSS")

    def settled(server):
        # What is left then is the worker's own sign of life.
        while server.r.cmd("ZCARD", "results_index") > 0 or server.r.cmd("ZCARD", "pf:expiring") > 3:
            time.sleep(0.5)
        time.sleep(3)

    with bench.cpu_lock(), bench.Server() as server, Worker(RESULT_TTL=10) as worker:
        worker.produce("enqueue", 20_000)
        settled(server)
        before = used(server, worker)
        worker.produce("produce", MILLION, 20_000)
        peak = used(server, worker)
        settled(server)
        after = used(server, worker)
    head("Memory, a million jobs with results kept for 10 s", "", "Redis MiB", "worker MiB")
    for name, found in (("after 20,000 jobs", before), ("at the end of the million", peak), ("when the results are gone", after)):
        row(name, f"{found[0]:.1f}", f"{found[1]:.1f}")


def workflows():
    """Reviewed workflows of the product itself, simulated model: every step is a job with a prompt, a journaled
    call, a result, events and a workflow that moves on."""
    count = max(1, N // 50)
    head(f"Workflows ({count:,} of them)", "row", "workflows/s", "jobs/s", "of each round", "accepted/s")
    for name, verb in (("preloaded", "workflows"), ("posted meanwhile", "workflows-live")):
        for engine in ("Redis", "embedded"):
            rounds = []
            for _ in range(ROUNDS):
                with bench.cpu_lock(), bench.Server() as server:
                    env = {k: v for k, v in os.environ.items() if not k.startswith("REDIS_")}
                    if engine == "Redis":
                        env["REDIS_PORT"] = str(bench.PORT)
                    said = subprocess.run([BENCH, verb, str(count)], env=env, stdout=subprocess.PIPE, check=True)
                rounds.append(json.loads(said.stdout.splitlines()[-1]))
            mid = {k: statistics.median(r[k] for r in rounds) for k in ("workflows_s", "jobs_s", "posted_s")}
            row(f"{engine}, {name}", f"{mid['workflows_s']:,.0f}", f"{mid['jobs_s']:,.0f}",
                " ".join(f"{r['jobs_s']:,.0f}" for r in rounds), f"{mid['posted_s']:,.0f}")


def embedded():
    runs = {}
    for _ in range(ROUNDS):
        for slots in (32, 64, 256):
            with bench.cpu_lock():
                said = subprocess.run([BENCH, "embedded", str(N)], env=dict(os.environ, SLOTS=str(slots)), stdout=subprocess.PIPE, check=True)
            runs.setdefault(f"productforge, {slots} slots", []).append(json.loads(said.stdout)["jobs_s"])
        for batch in (32, 256):
            with bench.cpu_lock(), tempfile.TemporaryDirectory(dir=os.environ.get("STORE_DIR", ".")) as folder:
                command = [os.path.join(peers.BIN, "limit-store"), "sqlite", "full", str(batch), "2", folder]
                said = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout
            runs.setdefault(f"limit-store SQLite full, batch {batch}", []).append(json.loads(said.strip().splitlines()[-1])["lifecycles_s"])
    head("Embedded, durable", "row", "jobs/s", "of each round")
    for name, found in runs.items():
        row(name, f"{statistics.median(found):,.0f}", " ".join(f"{r:,.0f}" for r in found))


if __name__ == "__main__":
    if len(sys.argv) < 2 or "PEERS_DIR" not in os.environ:
        raise SystemExit(__doc__)
    sys.path.insert(0, os.path.join(os.path.abspath(sys.argv[1]), "harness"))
    FSYNC = {"1": "everysec", "always": "always"}.get(os.environ.get("AOF"), "off")
    os.environ["AOF"] = "0" if FSYNC == "off" else "1"
    import bench
    import peers
    if FSYNC == "always":
        bench.Server.__enter__ = always(bench.Server.__enter__)
    BENCH = os.environ.get("BENCH") or build()
    sections = {f.__name__: f for f in (drain, producer, pickup, backlog, due, memory, workflows, embedded)}
    for name in sys.argv[2:] or sections:
        sections[name]()
    bench.LOCK.release()
