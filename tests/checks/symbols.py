"""What the libraries want and what they give, read off their objects.

The core is freestanding: compiled at -O2, as shipped, it may want nothing but
memcpy, memmove, memset and memcmp (which compilers call on their own account
too), and may own no variable that can be written. The same holds on 32 bits,
where 64-bit arithmetic is easily a call, with no C library but those four
functions. Of every library, all that
is global begins with nws_, and the symbols of the shared form are those that
its public headers declare, no more and no fewer.
"""

import os
import re
import tempfile
import house

WANTED = {"memcpy", "memmove", "memset", "memcmp", "_GLOBAL_OFFSET_TABLE_"}
FLAGS = ["-O2", "-DNDEBUG", "-fPIC", "-fvisibility=hidden", "-DNWS_BUILDING"]
DECLARED = re.compile(r"\bNWS_API\b[^;{]*?\b(nws_[a-z0-9_]+)\s*\(", re.S)
# Processors of 32 bits whose compilers bring no headers of a C library.
SMALL = ["i386-none-elf", "riscv32-none-elf"]
SMALL_FLAGS = ["-O2", "-DNDEBUG", "-ffreestanding", "-nostdlibinc"]
STRING_H = """#include <stddef.h>
void *memcpy(void *, const void *, size_t);
void *memmove(void *, const void *, size_t);
void *memset(void *, int, size_t);
int memcmp(const void *, const void *, size_t);
"""
# Small variables have sections of their own on some processors.
WRITABLE = (".data", ".bss", ".sdata", ".sbss", ".tdata", ".tbss", "*COM*")
# Of two files that stand in for each other, those that are left out here.
LEFT_OUT = {"deflate_isal.c", "tls_none.c"}
# What every shared object has, however it was linked.
USUAL = {"_init", "_fini", "_edata", "_end", "__bss_start"}


def compile_all(root, sources, command, out):
    """Compiles sources; gives the objects, and what the compiler had to say."""
    objects = []
    for source in sources:
        target = os.path.join(out, source.stem + ".o")
        each = [*command, f"-I{root}/include", "-c", source]
        code, said = house.run([*each, "-o", target])
        if code:
            return objects, [said]
        objects.append(target)
    return objects, []


def build(root, sources, command, out):
    """Compiles sources, and links the shared library of them."""
    objects, failures = compile_all(root, sources, [*command, *FLAGS], out)
    if failures:
        return objects, None, failures
    library = os.path.join(out, "library.so")
    code, said = house.run([command[0], "-shared", "-o", library, *objects])
    return objects, library, [said] if code else []


def symbols(path, *options):
    """The rows of nm's table: name, class letter, section."""
    code, said = house.run(["nm", "--format=sysv", *options, path])
    if code:
        raise RuntimeError(said)
    for line in said.splitlines():
        row = [field.strip() for field in line.split("|")]
        if len(row) == 7 and row[0] != "Name":
            yield row[0], row[2], row[6]


def writable(section):
    if section.startswith(".data.rel.ro"):
        return False  # constant once the loader has filled in its pointers
    return section.startswith(WRITABLE)


def is_defined(letter):
    """Whether a global is defined; "i" is one that the loader binds."""
    return letter == "i" or (letter.isupper() and letter != "U")


def look_at_names(objects):
    for path in objects:
        for name, letter, _ in symbols(path):
            defined = is_defined(letter)
            if defined and not name.startswith("nws_"):
                where = os.path.basename(path)
                yield f"{where}: {name} is global, not named nws_"


def look_at_freedom(objects):
    wanted, defined = {}, set()
    for path in objects:
        where = os.path.basename(path)
        for name, letter, section in symbols(path):
            if letter == "U":
                wanted.setdefault(name, where)
            elif is_defined(letter):
                defined.add(name)
            if writable(section):
                yield f"{where}: {name} can be written to"
    for name, where in sorted(wanted.items()):
        if name not in defined | WANTED:
            yield f"{where}: wants {name}"


def look_at_exports(library, headers):
    text = [house.without_comments(path.read_text()) for path in headers]
    declared = set(DECLARED.findall("\n".join(text)))
    exported = {row[0] for row in symbols(library, "-D", "--defined-only")} - USUAL
    for name in sorted(exported - declared):
        yield f"{name}: exported, not declared"
    for name in sorted(declared - exported):
        yield f"{name}: declared, not defined"


def check_library(root, command, sources, headers, freestanding):
    with tempfile.TemporaryDirectory() as out:
        objects, library, failures = build(root, sources, command, out)
        if failures:
            return failures
        findings = [*look_at_names(objects), *look_at_exports(library, headers)]
        if freestanding:
            findings += look_at_freedom(objects)
    return [f"{command[0]}: {finding}" for finding in findings]


def check_small(root, target, sources):
    with tempfile.TemporaryDirectory() as out:
        with open(os.path.join(out, "string.h"), "w") as header:
            header.write(STRING_H)
        command = [*house.need("clang"), f"--target={target}", "-std=c11"]
        command += [*SMALL_FLAGS, "-isystem", out]
        objects, failures = compile_all(root, sources, command, out)
        findings = failures or list(look_at_freedom(objects))
    return [f"{target}: {finding}" for finding in findings]


def check(root):
    core = house.core_sources(root)
    deflate = house.files(root, ".c", below="src/deflate")
    deflate = [p for p in deflate if p.name not in LEFT_OUT]
    net = house.files(root, ".c", below="src/net")
    net = [p for p in net if p.name not in LEFT_OUT]
    headers = house.public_headers(root)
    net_headers = [p for p in headers if p.name in house.NET_HEADERS]
    deflate_headers = [p for p in headers if p.name in house.DEFLATE_HEADERS]
    findings = [] if core else ["nothing to look at"]
    for compiler in house.compilers():
        command = [compiler, "-std=c11"]
        findings += check_library(
            root, command, core, house.core_headers(root), freestanding=True
        )
    for target in SMALL:
        findings += check_small(root, target, core)
    if deflate:
        command = [house.compilers()[0], "-std=c11"]
        findings += check_library(
            root, command, deflate, deflate_headers, freestanding=False
        )
    if net:
        code, flags = house.run(["pkg-config", "--cflags", "libuv"])
        command = [house.compilers()[0], "-std=gnu11", *flags.split()]
        findings += check_library(root, command, net, net_headers, freestanding=False)
    return findings


def self_test():
    api = '__attribute__((visibility("default")))'
    faults = [
        "a.o: state can be written to",
        "a.o: counter can be written to",
        "a.o: stray is global, not named nws_",
        "a.o: table is global, not named nws_",
        "a.o: wants malloc",
        "nws_hidden: exported, not declared",
        "nws_absent: declared, not defined",
    ]
    small = [
        "b.o: wants __udivdi3",
        *faults[:2],
        "a.o: wants malloc",
    ]
    names = house.compilers()
    house.try_on(
        check,
        {
            "include/nws/a.h": f"#define NWS_API {api}\nvoid *malloc(unsigned long);\n"
            "NWS_API void *nws_a(void);\nNWS_API int nws_absent(int);\n",
            "src/codec/a.c": "#include <nws/a.h>\nstatic int state = 1;\n"
            "static int counter;\nint nws_b(void);\nvoid *stray(void);\n"
            "const char *const table[] = {0};\n"
            f"{api} int nws_hidden(void) {{ return state++ + counter++; }}\n"
            'static const char *const names[] = {"a", "b"};\n'
            "NWS_API void *nws_a(void) { return stray(); }\n"
            "void *stray(void) { return malloc(nws_b() + names[nws_b()][0]); }\n",
            "src/proto/b.c": "int nws_b(void);\nint nws_b(void) { return 3; }\n"
            "unsigned long long nws_c(unsigned long long, unsigned long long);\n"
            "unsigned long long nws_c(unsigned long long a, unsigned long long b)"
            " { return a / b; }\n",
            "include/nws/net.h": "#include <nws/a.h>\nNWS_API int nws_n(void);\n",
            "src/net/n.c": "#include <nws/net.h>\n#include <stdlib.h>\nint n;\n",
        },
        *[f"{name}: {fault}" for name in names for fault in faults],
        *[f"{target}: {fault}" for target in SMALL for fault in small],
        f"{names[0]}: n.o: n is global, not named nws_",
        f"{names[0]}: nws_n: declared, not defined",
    )


if __name__ == "__main__":
    house.main(check, self_test)
