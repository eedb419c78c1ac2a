"""Puts what the benchmarks wrote into tables.

    report.py FOLDER [--record docs/benchmarks.md]

FOLDER has a file of JSON lines for each part that was run, such as
deflate.jsonl. All of them go into FOLDER/results.json; their tables are printed,
and with --record take the place of the ones in the document.
"""

import argparse
import datetime
import json
import pathlib
import platform
import re
import subprocess


def machine():
    """What the figures depend on, besides ourselves."""
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    flags = pathlib.Path("/proc/cpuinfo").read_text().split("flags", 1)[-1]
    cores = subprocess.run(["nproc"], capture_output=True, text=True).stdout
    compiler = subprocess.run(["cc", "--version"], capture_output=True, text=True)
    return {
        "cpu": cpu.group(1) if cpu else platform.machine(),
        "vectors": [f for f in ("avx2", "avx512f") if f" {f} " in flags],
        "cores": int(cores),
        "virtual": " hypervisor " in flags,
        "system": f"{platform.system()} {platform.release()}",
        "compiler": compiler.stdout.splitlines()[0],
        "flags": "-O2 -DNDEBUG",
    }


def read_part(path):
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    day = datetime.date.fromtimestamp(path.stat().st_mtime)
    return {
        "day": day.isoformat(),
        "rows": [line for line in lines if "case" in line],
        "facts": [line for line in lines if "fact" in line],
    }


def table(head, rows):
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(row) + " |"


# --- Figures -----------------------------------------------------------------


def rate(row):
    per_second = 1e9 / row["ns"]
    return f"{per_second:,.0f}" if per_second < 1e5 else f"{per_second / 1e6:.2f} M"


def speed(row):
    """MB/s of the application's bytes."""
    mb_s = row["bytes"] * 1e3 / row["ns"]
    return f"{mb_s:.0f}" if mb_s >= 10 else f"{mb_s:.1f}"


def share(ratio):
    """A median, and how far the middle half of the rounds is apart."""
    return f"{ratio['speed']:.3f} ({ratio['low']:.2f}–{ratio['high']:.2f})"


def compared(row, side):
    return next((r for r in row["against"] if r["side"] == side), None)


# --- The engine --------------------------------------------------------------


def slower(ratio):
    """How many times the other's time, with the quartiles."""
    return f"{1 / ratio['speed']:.2f} ({1 / ratio['high']:.2f}–{1 / ratio['low']:.2f})"


def nanoseconds(row):
    return f"{row['ns']:.1f}" if row["ns"] < 100 else f"{row['ns']:,.0f}"


def sides_of(part, direction):
    cases = {}
    for row in part["rows"]:
        if row["case"].startswith(direction):
            cases.setdefault(row["case"].split(" ", 1)[1], {})[row["side"]] = row
    return cases.items()


def receiving_table(part):
    rows = []
    for case, sides in sides_of(part, "receive"):
        engine = sides["engine"]
        rows.append([case, nanoseconds(sides["bound"]), nanoseconds(engine),
                     slower(compared(engine, "bound")), nanoseconds(sides["wslay"]),
                     nanoseconds(sides["Beast"]),
                     f"{compared(engine, 'wslay')['speed']:.1f}",
                     f"{compared(engine, 'Beast')['speed']:.1f}"])  # fmt: skip
    head = ["messages", "bound, ns", "engine, ns", "engine / bound", "wslay, ns",
            "Beast, ns", "wslay / engine", "Beast / engine"]  # fmt: skip
    return table(head, rows)


def sending_table(part):
    rows = []
    for case, sides in sides_of(part, "send"):
        for name, row in sides.items():
            if name != "bound":
                rows.append([case, f"`{name}()`", nanoseconds(sides["bound"]),
                             nanoseconds(row), slower(compared(row, "bound"))])  # fmt: skip
    return table(["frames", "by", "bound, ns", "engine, ns", "engine / bound"], rows)


def engine_text(part):
    texts = [f"{f['fact']} {f['text']}" for f in part["facts"] if "text" in f]
    yield f"With {', '.join(texts)}."
    yield ""
    yield "Receiving, nanoseconds a message:"
    yield ""
    yield from receiving_table(part)
    yield ""
    yield "Sending, nanoseconds a frame:"
    yield ""
    yield from sending_table(part)


# --- Compression -------------------------------------------------------------

COMPRESSORS = [("zlib 1", "Beast 1"), ("zlib 6", "Beast 6"), ("ISA-L", None)]


def deflate_rows(part, direction):
    cases = {}
    for row in part["rows"]:
        if row["case"].startswith(direction):
            cases.setdefault(row["case"], {})[row["side"]] = row
    for case, sides in cases.items():
        for name, beast in COMPRESSORS:
            yield case, name, sides, beast


def deflate_table(part, direction):
    head = ["messages", "compressor", "ratio", "library, messages/s", "MB/s",
            "engine, messages/s", "MB/s", "of the library", "Beast, messages/s",
            "its ratio", "engine to Beast"]  # fmt: skip
    rows = []
    for case, name, sides, beast in deflate_rows(part, direction):
        library, engine = sides[f"library {name}"], sides[f"engine {name}"]
        row = [case.split(" ", 1)[1], name, f"{library['packed']:.3f}", rate(library),
               speed(library), rate(engine), speed(engine),
               share(compared(engine, library["side"]))]  # fmt: skip
        if beast:
            peer = sides[beast]
            row += [rate(peer), f"{peer['packed']:.3f}",
                    f"{compared(engine, beast)['speed']:.2f}"]  # fmt: skip
        else:
            row += ["–"] * 3
        rows.append(row)
    return table(head, rows)


def isal_table(part):
    rows = []
    for case, name, sides, _ in deflate_rows(part, "send"):
        if name == "ISA-L":
            isal, zlib = sides["engine ISA-L"], sides["engine zlib 1"]
            ratio = compared(isal, "engine zlib 1")
            rows.append([case.split(" ", 1)[1], share(ratio),
                         f"{isal['packed']:.4f}", f"{zlib['packed']:.4f}"])  # fmt: skip
    head = ["messages", "messages/s, zlib 1 is 1", "ratio", "ratio of zlib 1"]
    return table(head, rows)


def deflate_goals(part):
    """Where the engine is below 95 % of the library."""
    below, cells = [], 0
    for direction in ("send", "receive"):
        for case, name, sides, _ in deflate_rows(part, direction):
            ratio = compared(sides[f"engine {name}"], f"library {name}")
            cells += 1
            if ratio["speed"] < 0.95:
                below.append(f"{case}, {name}: {ratio['speed']:.3f}")
    yield f"At least 0.95 of the library in {cells - len(below)} of {cells} cells."
    yield from (f"- below: {one}" for one in below)


def deflate_text(part):
    texts = [f"{f['fact']} {f['text']}" for f in part["facts"] if "text" in f]
    costs = [[f["fact"], f"{f['value']:,.0f}"] for f in part["facts"] if "value" in f]
    yield f"With {', '.join(texts)}."
    yield ""
    yield "Sending, `nws_conn_send()`:"
    yield ""
    yield from deflate_table(part, "send")
    yield ""
    yield "Receiving, masked frames through `nws_conn_recv()`:"
    yield ""
    yield from deflate_table(part, "receive")
    yield ""
    yield "Sending with ISA-L, beside zlib at level 1:"
    yield ""
    yield from isal_table(part)
    yield ""
    yield "What a connection holds between messages, both directions:"
    yield ""
    yield from table(["setting", "bytes"], costs)
    yield ""
    yield from deflate_goals(part)


# --- Instructions ------------------------------------------------------------


def counts_text(part):
    rows = [
        [row["case"], row["compressor"], f"{row['library']:,.0f}",
         f"{row['engine']:,.0f}", f"{row['engine'] - row['library']:,.0f}"]  # fmt: skip
        for row in part["rows"]
    ]
    head = ["messages", "compressor", "library", "engine", "more"]
    yield "Instructions for each message, counted by callgrind:"
    yield ""
    yield from table(head, rows)


# --- Everything --------------------------------------------------------------

PARTS = {"engine": engine_text, "deflate": deflate_text, "counts": counts_text}


def machine_text(where):
    kind = "virtual machine" if where["virtual"] else "machine"
    return (
        f"{where['cpu']} ({', '.join(where['vectors']) or 'no AVX2'}), "
        f"{where['cores']} cores of a {kind}, {where['system']}, "
        f"{where['compiler']}, {where['flags']}."
    )


def record(document, name, lines):
    text = document.read_text()
    begin, end = f"<!-- {name} begins -->\n", f"<!-- {name} ends -->\n"
    before, rest = text.split(begin, 1)
    after = rest.split(end, 1)[1]
    body = "\n".join(lines)
    document.write_text(f"{before}{begin}\n{body}\n\n{end}{after}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--record", type=pathlib.Path)
    args = parser.parse_args()
    where = machine()
    results = {"machine": where}
    for name, text in PARTS.items():
        path = args.folder / f"{name}.jsonl"
        if not path.exists():
            continue
        results[name] = part = read_part(path)
        lines = [f"{part['day']}, on {machine_text(where)}", "", *text(part)]
        print(f"\n## {name}\n")
        print("\n".join(lines))
        if args.record:
            record(args.record, name, lines)
    (args.folder / "results.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
