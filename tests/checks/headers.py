"""Each public header stands alone, in C11 and in C++11, and is documented.

Alone: a file that includes nothing else compiles without a warning. Documented:
clang's -Wdocumentation finds no parameter that is not there. Short: a contract
nobody reads to the end is not one.
"""

import re
import house

MAX_LINES = 450
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Wundef",
          "-Werror", "-fsyntax-only"]  # fmt: skip
CPLUSPLUS = ["-std=c++11", "-x", "c++"]
C = ["-std=c11", "-x", "c", "-Wstrict-prototypes"]
WAYS = {
    "gcc": [[*C, *STRICT]],
    "g++": [[*CPLUSPLUS, *STRICT]],
    "clang": [
        [*C, *STRICT],
        [*C, "-Wdocumentation", "-Werror", "-fsyntax-only"],
    ],
    "clang++": [[*CPLUSPLUS, *STRICT]],
}
GUARD = re.compile(r"^#ifndef (NWS_[A-Z0-9_]+_H)\n#define \1\n", re.M)


def compile_alone(root, path):
    for compiler in house.need(*WAYS):
        for way in WAYS[compiler]:
            # Included twice, so that a missing guard shows.
            twice = ["-include", path, "-include", path, "/dev/null"]
            code, said = house.run([compiler, f"-I{root}/include", *way, *twice])
            if code or said:
                yield f"{compiler} {' '.join(way)}: {said}"


def check(root):
    findings = []
    headers = house.public_headers(root)
    for path in headers:
        where = house.name(root, path)
        text = path.read_text()
        lines = text.count("\n")
        if lines > MAX_LINES:
            findings.append(f"{where}: {lines} lines, more than {MAX_LINES}")
        wanted = f"NWS_{path.stem.upper()}_H"
        guard = GUARD.search(text)
        if not guard or guard.group(1) != wanted:
            findings.append(f"{where}: no guard {wanted}")
        findings += [f"{where}: {f}" for f in compile_alone(root, path)]
    return findings if headers else ["no headers found"]


def self_test():
    def header(name, body):
        return f"#ifndef NWS_{name}_H\n#define NWS_{name}_H\n{body}\n#endif\n"

    plusplus = [c for c in WAYS if c.endswith("++")]
    undeclared = [c for c in WAYS for _ in WAYS[c]]
    house.try_on(
        check,
        {
            "include/nws/good.h": header("GOOD", "int nws_good(int a);"),
            "include/nws/long.h": header("LONG", "int nws_long;" + "\n" * MAX_LINES),
            "include/nws/alone.h": header("ALONE", "size_t nws_alone(int a);"),
            "include/nws/plus.h": header("PLUS", "int nws_plus(int class);"),
            "include/nws/lies.h": header(
                "LIES", "/** Lies.\n *  @param b  absent */\nint nws_lies(int a);"
            ),
            "include/nws/bare.h": "int nws_bare(int a);\n",
        },
        "long.h",
        "no guard NWS_BARE_H",
        *["alone.h" for _ in undeclared],
        *["plus.h" for _ in plusplus],
        "lies.h",
    )


if __name__ == "__main__":
    house.main(check, self_test)
