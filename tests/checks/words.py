"""What must not stand in the tree: paths and hosts of one machine, unfinished
work, trailing blanks, tabs in C, and links to files that are not there."""

import re
import house

# Split, so that this file does not find itself.
FORBIDDEN = {
    "a path of one machine": re.compile(r"(?<![\w.])/(?:work|" r"farm|root)/"),
    "a registry's host": re.compile("registry\\.npm" "js|files\\.python" "hosted"),
    "unfinished work": re.compile(r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX)\b"),
    "a trailing blank": re.compile(r"[ \t]+$", re.M),
}
TEXT = {".c", ".h", ".cpp", ".py", ".sh", ".md", ".txt", ".cmake", ".in", ".json",
        ".js", ".mjs", ".html", ".yml", ".yaml", ".1", ""}  # fmt: skip
LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)#\s]+)[^)\s]*\)")
CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.S | re.M)


def check_links(root, path, text):
    for target in LINK.findall(CODE.sub("", text)):
        if not re.match(r"[a-z]+:", target) and not (path.parent / target).exists():
            yield f"{house.name(root, path)}: links to {target}, which is not there"


def check(root):
    findings = []
    for path in house.files(root, *TEXT):
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        where = house.name(root, path)
        for what, pattern in FORBIDDEN.items():
            for match in pattern.finditer(text):
                line = text.count("\n", 0, match.start()) + 1
                findings.append(f"{where}:{line}: {what}")
        if path.suffix in {".c", ".h"} and "\t" in text:
            findings.append(f"{where}: a tab")
        if text and not text.endswith("\n"):
            findings.append(f"{where}: no newline at the end")
        if path.suffix == ".md":
            findings += check_links(root, path, text)
    return findings


def self_test():
    house.try_on(
        check,
        {
            "docs/a.md": "See [b](b.md), [c](c.md#top), `[d](d.md)`, [w](https://a.b/)\n",
            "docs/b.md": "In /wo" "rk/main\n",
            "src/a.c": "\t/* TO" "DO */\n",
            "src/b.c": "int a; \nint b;",
            "lock.json": '"https://registry.npm' 'js.org/ws"\n',
        },
        "a.md: links to c.md",
        "b.md:1: a path",
        "a.c:1: unfinished",
        "a.c: a tab",
        "b.c:1: a trailing blank",
        "b.c: no newline",
        "lock.json:1: a registry",
    )


if __name__ == "__main__":
    house.main(check, self_test)
