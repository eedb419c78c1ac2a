"""clang-format has nothing to say.

Versions of clang-format differ in their opinions, so only the one that the
project uses is asked; with another, the check is skipped.
"""

import re
import sys
import house

VERSION = "14"
FOLDERS = ["include", "src", "tests", "examples"]
SUFFIXES = [".c", ".h", ".cpp"]


def tool():
    for name in house.at_hand(f"clang-format-{VERSION}", "clang-format"):
        version = house.run([name, "--version"])[1]
        if re.search(rf"version {VERSION}\.", version):
            return name
    return None


def check(root):
    paths = [p for f in FOLDERS for p in house.files(root, *SUFFIXES, below=f)]
    command = [tool(), "--dry-run", "-Werror", "--style=file", *paths]
    code, said = house.run(command)
    return [said] if code else []


def self_test():
    style = {".clang-format": "BasedOnStyle: LLVM\n"}
    house.try_on(check, {**style, "src/a.c": "int  a;\n"}, "a.c:1")
    house.try_on(check, {**style, "src/a.c": "int a;\n"})


if __name__ == "__main__":
    if not tool():
        print(f"no clang-format {VERSION}")
        sys.exit(house.EXIT_SKIP)
    house.main(check, self_test)
