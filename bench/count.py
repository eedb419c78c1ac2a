"""Counts instructions, which no neighbour on the machine disturbs.

    count.py PROGRAM --out FILE

Runs bench_deflate under callgrind, twice for each side, with few rounds and with
more: the difference, divided by the messages in it, is what one message takes.
Only short messages, where what we add shows most.
"""

import argparse
import json
import re
import subprocess
import sys

FEW, MORE = 2, 12
MESSAGES = 256  # in a pass, of 200 B

CASES = [
    f"{way} 200 B, {kind}"
    for way in ("send", "receive")
    for kind in ("takeover", "no takeover")
]
COMPRESSORS = ["zlib 1", "ISA-L"]


def instructions(program, case, side, rounds):
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
               program, "--case", case, "--side", side, "--rounds", str(rounds),
               "--out", "/dev/null"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    counted = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or not counted:
        sys.exit(f"count.py: {' '.join(command)}\n{done.stderr}")
    return int(counted.group(1))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    with open(args.out, "w") as out:
        for case in CASES:
            for name in COMPRESSORS:
                row = {"case": case, "compressor": name}
                for kind in ("library", "engine"):
                    few, more = (
                        instructions(args.program, case, f"{kind} {name}", rounds)
                        for rounds in (FEW, MORE)
                    )
                    row[kind] = (more - few) / (MORE - FEW) / MESSAGES
                print(json.dumps(row), file=out)
            print(f"bench: counted {case}", file=sys.stderr)


if __name__ == "__main__":
    main()
