"""Arrows point one way: cli -> net -> (deflate, proto) -> codec.

Reads every #include below src/ and include/ and holds it against the table of
who may use what. The table is the one in docs/architecture.md.
"""

import re
import house

CODEC_HEADERS = {
    "base.h", "error.h", "mask.h", "utf8.h", "frame.h", "digest.h", "http.h",
    "uri.h",
}  # fmt: skip
FREESTANDING = {
    "float.h", "iso646.h", "limits.h", "stdalign.h", "stdarg.h", "stdbool.h",
    "stddef.h", "stdint.h", "stdnoreturn.h",
}  # fmt: skip
# For memcpy, memmove, memset and memcmp, and for our own checks in debugging;
# the symbol check sees to it that shipped objects want nothing else of them.
CORE_SYSTEM = FREESTANDING | {"assert.h", "string.h"}
# Vector instructions, in files of their own.
SIMD = {"immintrin.h", "emmintrin.h", "arm_neon.h", "cpuid.h"}

# What deflate compresses with.
COMPRESSORS = {"zlib.h", "isa-l/igzip_lib.h"}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(<[^>\n]*>|"[^"\n]*"|\S+)', re.M)


def includes(path):
    """The targets of a file's #include lines, with their line numbers."""
    text = path.read_text()
    plain = house.without_comments(text)
    for match in INCLUDE.finditer(text):
        if plain[match.start() : match.end()].strip().startswith("#"):
            yield text.count("\n", 0, match.start()) + 1, match.group(1)


def own(root, path, target):
    """Whether a quoted include names a file of the same folder."""
    return "/" not in target and (path.parent / target).is_file()


def allow_codec(root, path, style, target):
    if style == "quote":
        return own(root, path, target)
    if target.startswith("nws/"):
        return target[4:] in CODEC_HEADERS
    return target in CORE_SYSTEM | SIMD


def allow_proto(root, path, style, target):
    if style == "quote":
        codec = re.fullmatch(r"\.\./codec/[a-z0-9_]+\.h", target)
        return own(root, path, target) or bool(codec)
    if target.startswith("nws/"):
        return target[4:] not in house.ABOVE_CORE
    return target in CORE_SYSTEM


def allow_deflate(root, path, style, target):
    """What a user's extension would: the core's headers, and compressors."""
    if style == "quote":
        return own(root, path, target)
    if target.startswith("nws/"):
        is_public = (root / "include" / target).is_file()
        return is_public and target[4:] not in house.NET_HEADERS
    return target in CORE_SYSTEM | COMPRESSORS | {"stdlib.h"}


def allow_above(root, path, style, target):
    """net and cli: their own headers, and what any user can include."""
    if style == "quote":
        return own(root, path, target)
    if target.startswith("nws/"):
        return (root / "include" / target).is_file()
    return True


def allow_public(root, path, style, target):
    """Public headers include public headers, and the core's none of net's."""
    if style == "quote":
        return False
    is_net = path.name in house.NET_HEADERS
    if target.startswith("nws/"):
        if path.name in CODEC_HEADERS:
            return target[4:] in CODEC_HEADERS
        return is_net or target[4:] not in house.ABOVE_CORE
    return target in FREESTANDING or (is_net and target == "uv.h")


LAYERS = {
    "include": allow_public,
    "src/codec": allow_codec,
    "src/proto": allow_proto,
    "src/deflate": allow_deflate,
    "src/net": allow_above,
    "src/cli": allow_above,
}


def check(root):
    findings = []
    for folder, allow in LAYERS.items():
        for path in house.files(root, ".c", ".h", below=folder):
            for line, target in includes(path):
                style = {"<": "angle", '"': "quote"}.get(target[0], "macro")
                if not allow(root, path, style, target.strip('<>"')):
                    where = house.name(root, path)
                    findings.append(f"{where}:{line}: may not include {target}")
    known = {root / folder for folder in LAYERS}
    for path in house.files(root, ".c", ".h", below="src"):
        if not any(folder in path.parents for folder in known):
            findings.append(f"{house.name(root, path)}: in no layer")
    return findings


def self_test():
    house.try_on(
        check,
        {
            "include/nws/base.h": "#include <stddef.h>\n#include <stdio.h>\n",
            "include/nws/conn.h": "#include <nws/net.h>\n",
            "include/nws/deflate.h": "#include <nws/conn.h>\n#include <zlib.h>\n",
            "include/nws/frame.h": "#include <nws/conn.h>\n",
            "include/nws/net.h": "#include <nws/conn.h>\n#include <uv.h>\n",
            "src/codec/a.h": "/*\n#include <stdio.h>\n*/\n",
            "src/codec/a.c": '#include "a.h"\n#include <nws/conn.h>\n'
            "# include <stdlib.h>\n#include <nws/base.h>\n"
            '#include "../proto/c.h"\n',
            "src/proto/c.h": "",
            "src/proto/c.c": '#include "../codec/a.h"\n#include "c.h"\n'
            '#include "../net/n.h"\n#include <nws/net.h>\n',
            "src/deflate/d.h": "#include <stdlib.h>\n",
            "src/deflate/d.c": '#include "d.h"\n#include <zlib.h>\n'
            '#include <nws/deflate.h>\n#include "../proto/c.h"\n'
            "#include <nws/net.h>\n#include <stdio.h>\n",
            "src/net/n.h": "#include <uv.h>\n",
            "src/net/n.c": '#include "n.h"\n#include "../proto/c.h"\n'
            '#include "../cli/m.h"\n',
            "src/cli/m.h": "#include <stdio.h>\n#include <nws/net.h>\n",
            "src/cli/m.c": '#include "../net/n.h"\n#include <nws/secret.h>\n',
            "src/odd/o.c": "",
        },
        "base.h:2: may not include <stdio.h>",
        "conn.h:1: may not include <nws/net.h>",
        "deflate.h:2: may not include <zlib.h>",
        "frame.h:1: may not include <nws/conn.h>",
        "a.c:2: may not include <nws/conn.h>",
        "a.c:3: may not include <stdlib.h>",
        'a.c:5: may not include "../proto/c.h"',
        'c.c:3: may not include "../net/n.h"',
        "c.c:4: may not include <nws/net.h>",
        'd.c:4: may not include "../proto/c.h"',
        "d.c:5: may not include <nws/net.h>",
        "d.c:6: may not include <stdio.h>",
        'n.c:2: may not include "../proto/c.h"',
        'n.c:3: may not include "../cli/m.h"',
        'm.c:1: may not include "../net/n.h"',
        "m.c:2: may not include <nws/secret.h>",
        "src/odd/o.c: in no layer",
    )


if __name__ == "__main__":
    house.main(check, self_test)
