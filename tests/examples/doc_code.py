"""All C code in documents and headers compiles, and what a document shows of a
file is what stands in the file.

    doc_code.py ROOT LINK...    LINK is what programs are linked with

Documents are README.md and docs/**/*.md. Each block fenced as ```c is one of:

  an example      <!-- example: examples/client.c --> on the line before it. The
                  block equals the file, or, where the file has one, its region
                  between /* readme:begin */ and /* readme:end */. A region may
                  have a name: /* readme:begin parsing */ is what
                  <!-- example: examples/client.c parsing --> shows. The build
                  compiles examples, and run_examples.py runs them.
  a fragment      <!-- fragment: NAME --> on the line before it. It is compiled
                  within tests/examples/NAME.c.in, in place of the line @BODY@,
                  and what is to stand outside of functions in place of @FILE@.
  a program       anything else: it is compiled as it is, and linked.

The code in the first comment of a public header, indented by five spaces, is a
fragment for tests/examples/header_NAME.c.in, which is a program: it is linked and
run, and exits with 0 when the code did what it is there for. In fragments a
paragraph that begins with `static` or `#` goes to @FILE@, and lines of `...`
count for nothing.
"""

import pathlib
import re
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "checks"))
import house  # noqa: E402

FRAMES = "tests/examples"
STRICT = ["-std=gnu11", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror"]
# A fragment need not do anything with what it has.
UNUSED = ["-Wno-unused", "-Wno-unused-but-set-parameter"]
BLOCK = re.compile(r"^(?:(?P<mark><!-- [^\n]* -->)\n)?```c\n(?P<code>.*?)^```$", re.M | re.S)
EXAMPLE = re.compile(r"<!-- example: (\S+)(?: (\S+))? -->")
FRAGMENT = re.compile(r"<!-- fragment: (\w+) -->")
HEADER_CODE = re.compile(r"^ \*(?:     (.*)|)$")


def line_of(text, at):
    return text.count("\n", 0, at) + 1


# --- Compiling ---


def compile_code(root, code, links, *more, runs=False):
    """Compiles C code, and may run it; gives what went wrong, or None."""
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder, "code.c")
        source.write_text(code)
        for compiler in house.compilers():
            command = [compiler, *STRICT, f"-I{root}/include", *more, source]
            command += ["-o", f"{folder}/out", *links]
            status, said = house.run(command)
            if status or said:
                return f"{compiler}: {said}"
            status, said = house.run([f"{folder}/out"], timeout=60) if runs else (0, "")
            if status or said:
                return f"{compiler}: runs, and ends with {status} {said}"
    return None


def split_fragment(code):
    """What goes outside of functions, and what inside."""
    outside, inside = [], []
    code = re.sub(r"^ *\.\.\.\n", "", code, flags=re.M)
    for paragraph in re.split(r"\n\n+", code):
        at_file = re.match(r"static |#", paragraph)
        (outside if at_file else inside).append(paragraph)
    return "\n\n".join(outside), "\n\n".join(inside)


def check_fragment(root, name, code, links=None):
    """Compiles a fragment within its frame; with `links` that is a program."""
    frame = root / FRAMES / f"{name}.c.in"
    if not frame.exists():
        return f"needs {FRAMES}/{name}.c.in"
    text = frame.read_text()
    outside, inside = split_fragment(code)
    for place, part in (("@FILE@", outside), ("@BODY@", inside)):
        if part and place not in text:
            return f"needs a line {place} in {frame.name}"
        text = text.replace(place, part)
    if links is None:
        return compile_code(root, text, [], "-c", *UNUSED)
    return compile_code(root, text, links, *UNUSED, runs=True)


# --- Documents ---


def region(text, name):
    """The region of that name in a file; the file if it has no regions; None if
    the name is unknown."""
    marks = re.compile(
        r"^ */\* readme:begin(?: (\w+))? \*/\n(.*?)^ */\* readme:end \*/$", re.M | re.S
    )
    regions = {match.group(1): match.group(2) for match in marks.finditer(text)}
    return regions.get(name) if regions or name else text


def check_example(root, path, name, code):
    if not (root / path).is_file():
        return f"{path} is not there"
    shown = region((root / path).read_text(), name)
    if shown is None:
        return f"{path} has no such region"
    return None if shown == code else f"is not what {path} has"


def check_block(root, mark, code, links):
    example = EXAMPLE.fullmatch(mark or "")
    fragment = FRAGMENT.fullmatch(mark or "")
    if example:
        return check_example(root, example.group(1), example.group(2), code)
    if fragment:
        return check_fragment(root, fragment.group(1), code)
    if "int main(" not in code:
        return "is no program, and no mark says what it belongs to"
    return compile_code(root, code, links)


def check_document(root, path, links):
    text = path.read_text()
    blocks = list(BLOCK.finditer(text))
    if len(blocks) != len(re.findall(r"^ *(?:```|~~~) *[cC]\b", text, re.M)):
        yield f"{house.name(root, path)}: a block of C that is fenced in another way"
    for block in blocks:
        fault = check_block(root, block["mark"], block["code"], links)
        if fault:
            where = f"{house.name(root, path)}:{line_of(text, block.start('code'))}"
            yield f"{where}: {fault}"


# --- Headers ---


def header_code(text):
    """The code in a header's first comment; "" when it has none."""
    first = re.match(r"/\*.*?\*/", text, re.S)
    lines = []
    for line in first.group().split("\n") if first else []:
        match = HEADER_CODE.match(line)
        if match:
            lines.append(match.group(1) or "")
    return "\n".join(lines).strip("\n") + "\n" if any(lines) else ""


def check_header(root, path, links):
    code = header_code(path.read_text())
    frame = root / FRAMES / f"header_{path.stem}.c.in"
    where = house.name(root, path)
    if not code and frame.exists():
        yield f"{where}: has no code for {frame.name}"
    name = frame.name.removesuffix(".c.in")
    fault = check_fragment(root, name, code, links) if code else None
    if fault:
        yield f"{where}: {fault}"


def check(root, links=()):
    findings = []
    documents = [*root.glob("*.md"), *house.files(root, ".md", below="docs")]
    for path in sorted(documents):
        findings += check_document(root, path, links)
    for path in house.public_headers(root):
        findings += check_header(root, path, links)
    return findings


def self_test():
    def fence(code, mark=""):
        return f"{mark}\n```c\n{code}```\n"

    program = "int main(void) {\n  return 0;\n}\n"
    house.try_on(
        check,
        {
            "README.md": fence(program)
            + fence(program.replace("0", "zero"))
            + fence("int a;\n", "<!-- example: a.c -->")
            + fence("int b;\n", "<!-- example: a.c -->")
            + fence("int r;\n", "<!-- example: r.c -->")
            + fence("int s;\n", "<!-- example: r.c named -->")
            + fence("int r;\n", "<!-- example: r.c unnamed -->"),
            "docs/d.md": fence("b = 1;\n", "<!-- fragment: b -->")
            + fence("c = 1;\n", "<!-- fragment: b -->")
            + fence("int c;\n")
            + fence("int c;\n", "<!-- fragment: none -->")
            + "~~~C\nint d;\n~~~\n",
            "a.c": "int a;\n",
            "r.c": "/* readme:begin */\nint r;\n/* readme:end */\n"
            "/* readme:begin named */\nint s;\n/* readme:end */\n",
            "include/nws/good.h": "/* good.h\n *\n *     static int g;\n *\n"
            " *     ...\n *     g = 2;\n */\n",
            "include/nws/bad.h": "/* bad.h\n *\n *     x = 2;\n */\n",
            "include/nws/lone.h": "/* lone.h\n *\n *     x = 2;\n */\n",
            "include/nws/none.h": "/* none.h */\n",
            f"{FRAMES}/b.c.in": "void f(int b);\nvoid f(int b) {\n@BODY@\n}\n",
            "include/nws/idle.h": "/* idle.h\n *\n *     g = 1;\n */\n",
            f"{FRAMES}/header_good.c.in": "@FILE@\nint main(void) {\n@BODY@\n"
            "return g != 2;\n}\n",
            f"{FRAMES}/header_idle.c.in": "int main(void) {\nint g;\n@BODY@\n"
            "return g != 2;\n}\n",
            f"{FRAMES}/header_bad.c.in": "int main(void) {\n@BODY@\n}\n",
            f"{FRAMES}/header_none.c.in": "@BODY@\n",
        },
        "README.md:9:",
        "README.md:19: is not what a.c has",
        "README.md:31: r.c has no such region",
        "d.md:7:",
        "d.md:11: is no program",
        "d.md:15: needs tests/examples/none.c.in",
        "d.md: a block of C",
        "bad.h:",
        "idle.h: gcc: runs, and ends with 1",
        "lone.h: needs",
        "none.h: has no code",
    )


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    self_test()
    root = pathlib.Path(sys.argv[1]).resolve()
    findings = check(root, sys.argv[2:])
    for finding in findings:
        print(finding)
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
