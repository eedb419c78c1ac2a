"""Functions fit on a screen, files in a head, and names are unique.

Counts with a small reader of C: comments and strings are blanked, then every
`{` at the outermost level that follows a `)` opens a function. Complexity is
McCabe's: one, and one more for each if, for, while, case, &&, || and ?.
"""

import re
import house

MAX_FUNCTION_LINES = 70
MAX_COMPLEXITY = 15
MAX_FILE_LINES = 600
# Tests are read one case at a time.
MAX_TEST_LINES = 900

BRANCH = re.compile(r"\b(?:if|for|while|case)\b|&&|\|\||\?")
# Names that tools and conventions give to many files.
SHARED_NAMES = {"CMakeLists.txt", "README.md", ".gitignore", "package.json",
                "package-lock.json"}  # fmt: skip


def blank_directives(text):
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group())

    return re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", blank, text, flags=re.M)


def functions(text):
    """Yields name, first line, number of lines and complexity."""
    plain = blank_directives(house.without_comments(text))
    # extern "C" { does not nest what is inside.
    depth, start, head_start = 0, 0, 0
    for match in re.finditer(r"[{};]", plain):
        at, mark = match.start(), match.group()
        if mark == "{":
            if depth == 0:
                start = at
            depth += 1
        elif mark == "}":
            depth -= 1
            if depth == 0:
                head = plain[head_start:start]
                if head.rstrip().endswith(")"):
                    yield measure(plain, head_start, start, at)
                head_start = at + 1
        elif depth == 0:
            head_start = at + 1


def measure(plain, head_start, start, end):
    head = plain[head_start:start]
    head_start += len(head) - len(head.lstrip())
    named = re.search(r"(\w+)\s*\(", head)
    first = plain.count("\n", 0, head_start) + 1
    last = plain.count("\n", 0, end) + 1
    complexity = 1 + len(BRANCH.findall(plain[start:end]))
    return named.group(1), first, last - first + 1, complexity


def check_functions(root, path):
    where = house.name(root, path)
    for name, first, lines, complexity in functions(path.read_text()):
        if lines > MAX_FUNCTION_LINES:
            yield f"{where}:{first}: {name}() has {lines} lines"
        if complexity > MAX_COMPLEXITY:
            yield f"{where}:{first}: {name}() has complexity {complexity}"


def check_conditionals(root, path):
    """No #if in src/proto: variants are files, and the build selects."""
    plain = house.without_comments(path.read_text())
    if path.suffix == ".c" and re.search(r"^[ \t]*#[ \t]*if", plain, re.M):
        yield f"{house.name(root, path)}: has an #if"


def check_lengths(root, paths, most):
    for path in paths:
        lines = path.read_text().count("\n")
        if lines > most:
            yield f"{house.name(root, path)}: {lines} lines, more than {most}"


def check(root):
    findings = []
    sources = house.files(root, ".c", ".h", below="src")
    for path in sources:
        findings += check_functions(root, path)
        if path.parent.name == "proto":
            findings += check_conditionals(root, path)
    findings += check_lengths(root, sources, MAX_FILE_LINES)
    tests = house.files(root, ".c", ".h", ".py", below="tests")
    findings += check_lengths(root, tests, MAX_TEST_LINES)
    seen = {}
    for path in house.files(root):
        if path.name in SHARED_NAMES:
            continue
        if path.name in seen:
            here, there = house.name(root, path), seen[path.name]
            findings.append(f"{here}: named like {there}")
        seen.setdefault(path.name, house.name(root, path))
    return findings


def self_test():
    body = "  a++;\n" * (MAX_FUNCTION_LINES - 1)
    branches = "  if (a && b)\n    a++;\n" * (MAX_COMPLEXITY // 2 + 1)
    house.try_on(
        check,
        {
            "src/codec/long.c": f"static int\ntoo_long(int a) {{\n{body}}}\n",
            "src/codec/full.c": f"int fits(int a) {{\n{body}}}\n",
            "src/proto/bushy.c": "static const int t[] = {1};\n"
            '/* { */ char s[] = "{{";\n'
            f"int bushy(int a, int b) {{\n{branches}}}\n",
            "src/proto/plain.c": 'int a(void) { return "if if if"[0] ? 1 : 2; }\n'
            "#if defined(__linux__)\n#endif\n",
            "src/net/big.c": "\n" * (MAX_FILE_LINES + 1),
            "tests/net/huge.c": "\n" * (MAX_TEST_LINES + 1),
            "src/net/twin.c": "",
            "src/cli/twin.c": "",
        },
        f"too_long() has {MAX_FUNCTION_LINES + 2} lines",
        f"full.c:1: fits() has {MAX_FUNCTION_LINES + 1} lines",
        "bushy.c:3: bushy() has complexity",
        "plain.c: has an #if",
        "big.c",
        "huge.c",
        "twin.c: named like src/cli/twin.c",
    )


if __name__ == "__main__":
    house.main(check, self_test)
