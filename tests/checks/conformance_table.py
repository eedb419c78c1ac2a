"""docs/conformance.md is complete as far as a machine can tell, and true as far
as it names things: each requirement has code and tests, and these are there.

Whether a test shows what its row says is for people to judge.
"""

import pathlib
import re
import sys

import house

TABLE = "docs/conformance.md"

# The sections that demand something of an endpoint. What is not listed are
# examples, registries and explanations.
SECTIONS = {
    "6455": "3 4.1 4.2.1 4.2.2 4.3 4.4 5.1 5.2 5.3 5.4 5.5 5.5.1 5.5.2 5.5.3 "
    "5.6 5.8 6.1 6.2 7.1.1 7.1.2 7.1.3 7.1.4 7.1.5 7.1.6 7.1.7 7.2.1 7.2.2 "
    "7.2.3 7.3 7.4 7.4.1 7.4.2 8.1 9 9.1 10.1 10.2 10.3 10.4 10.6 10.7 11.3.1 "
    "11.3.2 11.3.3 11.3.4 11.3.5",
    "7692": "4 5 5.1 6 6.1 6.2 7 7.1 7.1.1.1 7.1.1.2 7.1.2.1 7.1.2.2 7.2.1 "
    "7.2.2 7.3 8",
}

LEVELS = {"MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "MAY"}
SIDES = {"client", "server", "both", "others"}
WHOSE = ("not yet", "application")
OBEYED, LEFT = 7, 6  # columns of a row

ID = re.compile(r"(6455|7692)-(\d+(?:\.\d+)*)-\d+")
FUNCTION = re.compile(r"`([\w.]+\.(?:c|py)): (\w+)`")
CASE = re.compile(r"([\w.-]+\.md): (.+)")
SECTION = r"\d+(?:\.\d+)*"
MARK = re.compile(rf"RFC (6455|7692) ({SECTION}(?:(?:,| and| to) {SECTION}\b)*)")
LINE_END_IN_COMMENT = re.compile(r"\s*\n[\s*/]*")


class Tree:
    """What rows can name."""

    def __init__(self, root):
        self.code = self.named(root, "src", ".c")
        self.tests = self.named(root, "tests", ".c", ".py")
        self.vectors = self.named(root, "tests/vectors", ".md")
        self.texts = {}

    @staticmethod
    def named(root, folder, *suffixes):
        found = {}
        for path in house.files(root, *suffixes, below=folder):
            found.setdefault(path.name, []).append(path)
        return found

    def text(self, path):
        if path not in self.texts:
            text = path.read_text()
            is_c = path.suffix == ".c"
            self.texts[path] = house.without_comments(text) if is_c else text
        return self.texts[path]

    def defines(self, path, function):
        if path.suffix == ".py":
            form = rf"^ *def {function}\("
        else:
            form = rf"^[a-z][\w *]*\b{function}\([^;{{}}]*\)\s*\{{"
        return re.search(form, self.text(path), re.M) is not None

    def cases(self, path):
        """How often each heading of a case is there, alone and behind its
        group."""
        counts, group = {}, ""
        for line in self.text(path).splitlines():
            if line.startswith("## "):
                group = line[3:]
            elif line.startswith("### "):
                for name in (line[4:], f"{group} / {line[4:]}"):
                    counts[name] = counts.get(name, 0) + 1
        return counts


def check_function(tree, files, item):
    found = FUNCTION.fullmatch(item)
    if not found:
        return f"cannot be read: {item}"
    name, function = found.groups()
    paths = files.get(name, [])
    if not paths:
        return f"no such file: {name}"
    if not any(tree.defines(path, function) for path in paths):
        return f"no such function in {name}: {function}"
    return None


def check_test(tree, item):
    found = CASE.fullmatch(item)
    if not found:
        return check_function(tree, tree.tests, item)
    name, heading = found.groups()
    paths = tree.vectors.get(name, [])
    count = sum(tree.cases(path).get(heading, 0) for path in paths)
    if count == 0:
        return f"no such heading in {name}: {heading}"
    return f"more than one in {name}: {heading}" if count > 1 else None


def check_obeyed(tree, cells):
    code, tests = cells[4], cells[5]
    if not code:
        yield "no code"
    if not tests:
        yield "no tests"
    for item in code.split("<br>") if code else []:
        yield check_function(tree, tree.code, item)
    for item in tests.split("<br>") if tests else []:
        yield check_test(tree, item)


def check_left(cells):
    if cells[4] not in WHOSE:
        yield f"neither of {WHOSE}: {cells[4]}"
    if not cells[5]:
        yield "no reason"


def check_row(tree, cells):
    if cells[1] not in LEVELS:
        yield f"no such level: {cells[1]}"
    if cells[2] not in SIDES:
        yield f"no such side: {cells[2]}"
    if not cells[3]:
        yield "no requirement"
    yield from check_obeyed(tree, cells) if len(cells) == OBEYED else check_left(cells)


def read(root):
    """The number and the cells of each line of a table, headings left out."""
    text = pathlib.Path(root, TABLE).read_text()
    for number, line in enumerate(text.splitlines(), 1):
        if not line.startswith("|") or re.match(r"\|( id \||-)", line):
            continue
        yield number, [cell.strip() for cell in line.strip()[1:-1].split("|")]


def check_rows(root, tree, sections):
    """Fills in the sections that have rows."""
    seen = set()
    for number, cells in read(root):
        where = f"{TABLE}:{number}: {cells[0]}: "
        found = ID.fullmatch(cells[0])
        if not found or len(cells) not in (OBEYED, LEFT):
            yield where + "cannot be read"
            continue
        if cells[0] in seen:
            yield where + "is there twice"
        seen.add(cells[0])
        sections[found.group(1)].add(found.group(2))
        for finding in check_row(tree, cells):
            if finding:
                yield where + finding


def check_sections(sections):
    for rfc, wanted in SECTIONS.items():
        for section in wanted.split():
            if section not in sections[rfc]:
                yield f"{TABLE}: no row for RFC {rfc} {section}"


def check_marks(root, sections):
    """A mark may name a section that is divided further."""
    for path in house.files(root, ".c", ".h", below="src"):
        text = LINE_END_IN_COMMENT.sub(" ", path.read_text())
        for rfc, marked in MARK.findall(text):
            for section in re.findall(SECTION, marked):
                below = section + "."
                if not any(s == section or s.startswith(below) for s in sections[rfc]):
                    yield f"{house.name(root, path)}: RFC {rfc} {section} has no row"


def check(root):
    if not pathlib.Path(root, TABLE).is_file():
        return [f"{TABLE} is not there"]
    sections = {rfc: set() for rfc in SECTIONS}
    findings = list(check_rows(root, Tree(root), sections))
    findings += check_sections(sections)
    findings += check_marks(root, sections)
    return findings


def tell(root):
    """What the table holds, in figures."""
    if not pathlib.Path(root, TABLE).is_file():
        return
    rows = [cells for _, cells in read(root)]
    obeyed = [cells for cells in rows if len(cells) == OBEYED]
    print(f"{len(obeyed)} requirements have code and tests")
    for whose in WHOSE:
        left = [c[0] for c in rows if len(c) == LEFT and c[4] == whose]
        print(f"{len(left)} have none ({whose}): {' '.join(left)}")


def planted(*rows, source="RFC 6455 5.2,\n * 5.4; RFC 7692 7.1"):
    """A tree whose table has a row for each section and those given."""
    good = "MUST | both | x | `a.c: obey` | `test_a.c: shows` | |"
    lines = [
        f"| {rfc}-{section}-1 | {good}"
        for rfc, wanted in SECTIONS.items()
        for section in wanted.split()
    ]
    return {
        TABLE: "| id | level |\n|---|---|\n" + "\n".join([*lines, *rows]) + "\n",
        "src/a.c": f"/* {source} */\nstatic int obey(int a,\n  int b) {{\n}}\n"
        "int declared(void);\n/* int told(void) { */\n",
        "tests/test_a.c": "static void shows(void **state) {\n}\n",
        "tests/b.py": "class A:\n    def test_b(self):\n",
        "tests/vectors/v.md": "## One\n### Same\n### Other, `0`\n## Two\n### Same\n",
    }


def self_test():
    fit = "| 6455-5.1-%d | MUST NOT | client | x | `a.c: obey` | %s | |"
    left = "| 6455-5.1-%d | SHOULD | server | x | %s | %s |"
    house.try_on(check, {"docs/a.md": ""}, "is not there")
    house.try_on(check, planted())
    house.try_on(
        check,
        planted(
            fit % (2, "v.md: One / Same<br>v.md: Other, `0`<br>`b.py: test_b`"),
            left % (3, "not yet", "because"),
        ),
    )
    house.try_on(
        check,
        planted(
            fit % (1, "`test_a.c: shows`"),
            fit % (2, ""),
            fit % (3, "v.md: Same"),
            fit % (4, "v.md: None"),
            fit % (5, "w.md: Same"),
            fit % (6, "`b.py: test_c`"),
            fit % (7, "`test_b.c: shows`"),
            fit % (8, "test_a.c"),
            left % (9, "nobody", "because"),
            left % (10, "not yet", ""),
            "| 6455-5.1-11 | WILL | both | x | `a.c: obey` | `b.py: test_b` | |",
            "| 6455-5.1-12 | MUST | all | x | `a.c: obey` | `b.py: test_b` | |",
            "| 6455-5.1-13 | MUST | both | | `a.c: obey` | `b.py: test_b` | |",
            "| 6455-5.1-14 | MUST | both | x | | `b.py: test_b` | |",
            "| 6455-5.1-15 | MUST | both | x | `a.c: told` | `b.py: test_b` | |",
            "| 6455-5.1-16 | MUST | both | x | `a.c: declared` | `b.py: test_b` | |",
            "| 6455-5.1-17 | MUST | both | x |",
            "| 5.1 | MUST | both | x | `a.c: obey` | `b.py: test_b` | |",
        ),
        "5.1-1: is there twice",
        "5.1-2: no tests",
        "5.1-3: more than one in v.md: Same",
        "5.1-4: no such heading in v.md: None",
        "5.1-5: no such heading in w.md: Same",
        "5.1-6: no such function in b.py",
        "5.1-7: no such file: test_b.c",
        "5.1-8: cannot be read: test_a.c",
        "5.1-9: neither of",
        "5.1-10: no reason",
        "5.1-11: no such level: WILL",
        "5.1-12: no such side: all",
        "5.1-13: no requirement",
        "5.1-14: no code",
        "5.1-15: no such function in a.c: told",
        "5.1-16: no such function in a.c: declared",
        "5.1-17: cannot be read",
        "5.1: cannot be read",
    )
    tree = planted(source="RFC 6455 1.9, 5.1; RFC 7692\n * 7.2.3.6, RFC 6455 7")
    house.try_on(check, tree, "RFC 6455 1.9 has no row", "RFC 7692 7.2.3.6 has no")
    tree = planted()
    tree[TABLE] = tree[TABLE].replace("| 7692-6.1-1 |", "| 7692-6.2-2 |")
    house.try_on(check, tree, "no row for RFC 7692 6.1")


if __name__ == "__main__":
    if len(sys.argv) == 2:
        tell(sys.argv[1])
    house.main(check, self_test)
