"""The core compiles without a build system: cc -std=c11 -Iinclude -c.

With gcc and clang, for 64 bits, without a word of warning; and with
-ffreestanding, which is what firmware is built with.
"""

import house

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]
WAYS = [["-O0"], ["-O2", *WARNINGS], ["-Os", "-ffreestanding", *WARNINGS]]


def check(root):
    findings = []
    sources = house.core_sources(root)
    for compiler in house.compilers():
        for way in WAYS:
            command = [compiler, "-std=c11", f"-I{root}/include", *way, "-c"]
            for source in sources:
                code, said = house.run([*command, source, "-o", "/dev/null"])
                if code or said:
                    findings.append(f"{' '.join(command)}: {said}")
    return findings if sources else ["nothing to compile"]


def self_test():
    each = len(house.compilers())
    house.try_on(
        check,
        {"src/codec/a.c": "int nws_a(long a);\nint nws_a(long a) { return a; }\n"},
        *["conversion"] * (each * (len(WAYS) - 1)),
    )
    house.try_on(check, {"include/nws/a.h": ""}, "nothing to compile")


if __name__ == "__main__":
    house.main(check, self_test)
