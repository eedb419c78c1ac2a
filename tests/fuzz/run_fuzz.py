"""Runs the fuzzers for a while, two engines on every harness, and tells how many
inputs they tried and what they found; or makes the corpora smaller.

    run_fuzz.py fuzz ROOT SECONDS   what ./dev fuzz does, once they are built
    run_fuzz.py merge ROOT          corpora from what runs so far have collected

Exits with 1 when anything was found, or when a fuzzer did not run. Rates are per
second of processor time, so that they mean the same on a machine that is busy.
"""

import concurrent.futures
import dataclasses
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

# The harnesses: the dictionary, and the longest input worth trying.
HARNESSES = {
    "client": ("heads", 700),
    "codec": ("frames", 400),
    "conn": ("frames", 300),
    "decode": ("frames", 600),
    "forwarded": ("forwarded", 200),
    "http": ("heads", 700),
    "inflate": ("deflate", 400),
    "model": ("frames", 200),
    "offer": ("deflate", 150),
    "pair": ("frames", 300),
    "proxy": ("proxy", 130),
    "server": ("heads", 900),
    "split": ("frames", 120),
    "start": ("heads", 400),
    "uri": ("addresses", 200),
    "way": ("addresses", 300),
}
# Those whose speed matters: they see every byte of every connection.
FAST = {"codec", "conn", "model", "split"}
WANTED_RATE = 25_000
WANTED_RUNS = 10_000_000

AFL_SHARE = 0.2  # of the time; libFuzzer runs afterwards, on what AFL++ found
HANG_SECONDS = 10

ASAN = "detect_leaks=1:malloc_context_size=4:quarantine_size_mb=8"


@dataclasses.dataclass
class Outcome:
    harness: str
    engine: str
    runs: int = 0
    cpu: float = 0.0
    findings: tuple = ()
    trouble: str = ""

    @property
    def rate(self):
        return int(self.runs / self.cpu) if self.cpu else 0


class Tree:
    """Where things are."""

    def __init__(self, root):
        self.root = pathlib.Path(root).resolve()
        self.source = self.root / "tests/fuzz"
        self.out = self.root / "build/fuzz/found"

    def program(self, preset, harness):
        return self.root / f"build/{preset}/tests/fuzz/fuzz_{harness}"

    def corpus(self, harness):
        return self.source / "corpus" / harness

    def dictionary(self, harness):
        return self.source / "dict" / f"{HARNESSES[harness][0]}.dict"

    def collected(self, harness):
        return self.out / "libfuzzer" / harness

    def afl(self, harness):
        return self.out / "afl" / harness


def run(command, log, env):
    """Runs a command; gives its exit code, and the processor time it took."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "wb") as out:
        child = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, **env},
        )
        _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return child.returncode, usage.ru_utime + usage.ru_stime


def libfuzzer(tree, harness, seconds):
    found = Outcome(harness, "libFuzzer")
    artifacts = tree.out / "artifacts" / harness
    shutil.rmtree(artifacts, ignore_errors=True)
    artifacts.mkdir(parents=True)
    tree.collected(harness).mkdir(parents=True, exist_ok=True)
    log = tree.out / f"{harness}.libfuzzer.log"
    queue = tree.afl(harness) / "default/queue"
    command = [
        tree.program("fuzz", harness),
        f"-max_total_time={max(1, round(seconds))}",
        f"-max_len={HARNESSES[harness][1]}",
        f"-dict={tree.dictionary(harness)}",
        f"-timeout={HANG_SECONDS}",
        f"-artifact_prefix={artifacts}/",
        "-entropic=0",  # its arithmetic costs more than these inputs do
        "-print_final_stats=1",
        tree.collected(harness),
        tree.corpus(harness),
        *([queue] if queue.is_dir() else []),
    ]
    code, found.cpu = run(command, log, {"ASAN_OPTIONS": ASAN})
    text = log.read_text(errors="replace")
    for line in text.splitlines():
        if line.startswith("stat::number_of_executed_units:"):
            found.runs = int(line.split()[-1])
    found.findings = tuple(sorted(artifacts.iterdir()))
    if found.findings:
        found.trouble = "\n".join(text.splitlines()[-60:])
    elif code or not found.runs:
        found.trouble = f"exit code {code}; see {log}"
    return found


def afl(tree, harness, seconds):
    found = Outcome(harness, "AFL++")
    shutil.rmtree(tree.afl(harness), ignore_errors=True)
    tree.afl(harness).parent.mkdir(parents=True, exist_ok=True)
    log = tree.out / f"{harness}.afl.log"
    command = [
        "afl-fuzz",
        *("-V", max(1, round(seconds))),
        *("-t", HANG_SECONDS * 1000),
        *("-G", HARNESSES[harness][1]),
        *("-x", tree.dictionary(harness)),
        *("-i", tree.corpus(harness)),
        *("-o", tree.afl(harness)),
        *("--", tree.program("afl", harness)),
    ]
    env = {
        "AFL_NO_UI": "1",
        "AFL_NO_AFFINITY": "1",
        "AFL_SKIP_CPUFREQ": "1",
        "AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES": "1",
    }
    code, found.cpu = run(command, log, env)
    stats = tree.afl(harness) / "default/fuzzer_stats"
    if stats.is_file():
        for line in stats.read_text().splitlines():
            if line.startswith("execs_done"):
                found.runs = int(line.split()[-1])
    for kind in ("crashes", "hangs"):
        folder = tree.afl(harness) / "default" / kind
        found.findings += tuple(sorted(folder.glob("id:*")))
    if found.findings:
        found.trouble = f"replay them with {tree.program('fuzz', harness)}"
    elif code or not found.runs:
        found.trouble = f"exit code {code}; see {log}"
    return found


def both(tree, harness, seconds):
    first = afl(tree, harness, seconds * AFL_SHARE)
    return [first, libfuzzer(tree, harness, seconds * (1 - AFL_SHARE))]


def report(tree, outcomes):
    print(f"{'harness':10}{'engine':12}{'executions':>14}{'per CPU s':>12}  findings")
    for o in outcomes:
        told = len(o.findings) if o.findings or not o.trouble else "did not run"
        print(f"{o.harness:10}{o.engine:12}{o.runs:14,}{o.rate:12,}  {told}")
    for o in outcomes:
        if o.trouble:
            print(f"\n{o.harness}, {o.engine}: {o.trouble}")
        for path in o.findings:
            print(f"  {path.relative_to(tree.root)}")
    runs = sum(o.runs for o in outcomes)
    slowest = min(
        (o.rate, o.harness)
        for o in outcomes
        if o.harness in FAST and o.engine == "libFuzzer"
    )
    findings = sum(len(o.findings) for o in outcomes)
    idle = sum(1 for o in outcomes if o.trouble and not o.findings)
    print(f"\nslowest of {', '.join(sorted(FAST))} under libFuzzer: {slowest[1]} "
          f"with {slowest[0]:,} per CPU second ({WANTED_RATE:,} wanted)")  # fmt: skip
    if idle:
        print(f"{idle} fuzzers did not run")
    print(f"{runs:,} executions ({WANTED_RUNS:,} wanted), {findings} findings")
    return 1 if findings or idle else 0


def fuzz(tree, seconds):
    jobs = os.cpu_count() or 1
    share = seconds * jobs / len(HARNESSES)
    if share < 2:
        sys.exit(f"too short: {2 * len(HARNESSES) // jobs} seconds at least")
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        done = pool.map(lambda name: both(tree, name, share), HARNESSES)
        outcomes = [outcome for pair in done for outcome in pair]
    return report(tree, outcomes)


def merge(tree):
    """Replaces each corpus with the fewest inputs that run as much of the code."""
    for harness in HARNESSES:
        fresh = tree.out / "merge" / harness
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        log = tree.out / f"{harness}.merge.log"
        folders = [tree.corpus(harness), tree.collected(harness)]
        command = [
            tree.program("fuzz", harness),
            "-set_cover_merge=1",  # fewer than -merge=1 leaves
            "-use_counters=0",  # how often code is run does not count here
            f"-max_len={HARNESSES[harness][1]}",
            fresh,
            *(folder for folder in folders if folder.is_dir()),
        ]
        code, _ = run(command, log, {"ASAN_OPTIONS": ASAN})
        inputs = [path.read_bytes() for path in sorted(fresh.iterdir())]
        if code or not inputs:
            sys.exit(f"{harness}: exit code {code}; see {log}")
        shutil.rmtree(tree.corpus(harness), ignore_errors=True)
        tree.corpus(harness).mkdir(parents=True)
        for data in inputs:
            name = f"{harness}-{hashlib.sha256(data).hexdigest()[:12]}.bin"
            (tree.corpus(harness) / name).write_bytes(data)
        print(f"{harness:10}{len(inputs):6} inputs{sum(map(len, inputs)):8} bytes")
    return 0


def main(arguments):
    if len(arguments) == 3 and arguments[0] == "fuzz" and arguments[2].isdigit():
        return fuzz(Tree(arguments[1]), int(arguments[2]))
    if len(arguments) == 2 and arguments[0] == "merge":
        return merge(Tree(arguments[1]))
    sys.exit(__doc__)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
