"""clang-format has nothing to say.

Versions of clang-format differ in their opinions, so it must be the one that the
project uses.
"""

import re
import shutil
import sys
import house

VERSION = "14"
FOLDERS = ["include", "src", "tests", "examples", "bench"]
SUFFIXES = [".c", ".h", ".cpp"]


def tool():
    for name in (f"clang-format-{VERSION}", "clang-format"):
        if shutil.which(name):
            version = house.run([name, "--version"])[1]
            if re.search(rf"version {VERSION}\.", version):
                return name
    sys.exit(f"{sys.argv[0]}: clang-format {VERSION} is not installed")


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
    house.main(check, self_test)
