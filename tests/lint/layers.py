#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Layers, third-party headers, banned calls and sizes. Prints each offence as file:line: text; exits 1 when there is one."""
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# A folder may include from itself and from the folders named for it. docs/ARCHITECTURE.md has the picture.
LIBS = ["base", "confine", "conf", "crypto", "spiffe", "loop", "tls", "front", "daemon", "rpc", "workload"]
PROGRAMS = ["server", "agent", "gate", "cli"]
BELOW = {lib: LIBS[: i + 1] for i, lib in enumerate(LIBS)}
BELOW["conf"] = ["base", "conf"]
BELOW["spiffe"] = ["base", "crypto", "spiffe"]
BELOW["crypto"] = ["base", "crypto"]
BELOW["loop"] = ["base", "loop"]

THIRD_PARTY = [
    (r"grpc/(?!health/)", ("lib/rpc/",)),
    (r"openssl/", ("lib/crypto/", "lib/tls/", "server/signer/", "lib/workload/sdk_tls.c")),
    (r"sqlite3\.h", ("server/store/",)),
    (r"uv\.h", ("lib/loop/", "lib/tls/", "lib/front/", "lib/rpc/", "server/", "agent/", "gate/", "cli/")),
    (r"curl/", ("cli/curl.c", "cli/http.c")),
    (r"tss2/", ("agent/node/tpm",)),
    (r"systemd/", ("agent/runtime/bus.c",)),
    (r"seccomp\.h", ("lib/confine/",)),
]

BANNED = {
    r"strcpy|strcat|sprintf|vsprintf|strtok|gets|strncpy": "bounded forms only (snprintf, writ_buf)",
    r"atoi|atol|strtol|strtoul|strtoll|strtoull": "writ_parse_u64",
    r"alloca|system|popen|rand|srand|signal": "not here",
    r"malloc|calloc|realloc|strdup|strndup|asprintf|vasprintf": "base/mem.h",
    r"free": "writ_free",
    r"getenv|secure_getenv": "only main.c and cli/: pass the value down",
}
BANNED_EXEMPT = {
    "malloc|calloc|realloc|strdup|strndup|asprintf|vasprintf": ("lib/base/mem.c",),
    "free": ("lib/base/mem.c",),
    "getenv|secure_getenv": ("cli/", "include/", "lib/workload/source.c"),
}
MAX_C, MAX_H = 1000, 200

offences = []


def offend(path, line, text):
    offences.append(f"{path}:{line}: {text}")


def strip_comments(text):
    blank = lambda m: re.sub(r"[^\n]", " ", m.group(0))
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', blank, text, flags=re.S)


def owner(path):
    parts = path.split("/")
    return parts[1] if parts[0] == "lib" else parts[0]


def check_include(path, n, target):
    who = owner(path)
    first = target.split("/")[0]
    for pattern, homes in THIRD_PARTY:
        if re.match(pattern, target) and not path.startswith(homes):
            offend(path, n, f'"{target}" may be included only in {", ".join(homes)}')
    if first in LIBS and who in LIBS and first not in BELOW[who]:
        offend(path, n, f'lib/{who} must not include upward: "{target}"')
    if first in PROGRAMS and who in LIBS:
        offend(path, n, f'a library must not include a program: "{target}"')
    if {who, first} == {"agent", "server"}:
        offend(path, n, f'agent/ and server/ never include each other: "{target}"')


def check_file(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        text = f.read()
    lines = text.count("\n")
    limit = MAX_H if path.endswith(".h") else MAX_C
    if lines > limit:
        offend(path, lines, f"{lines} lines, at most {limit}: does it still have one noun?")
    if not text.startswith("/* SPDX-License-Identifier: Apache-2.0 */"):
        offend(path, 1, "no SPDX line")
    for n, line in enumerate(text.split("\n"), 1):
        m = re.match(r'\s*#\s*include\s+["<]([^">]+)[">]', line)
        if m:
            check_include(path, n, m.group(1))
    for n, line in enumerate(strip_comments(text).split("\n"), 1):
        for words, instead in BANNED.items():
            if path.startswith(BANNED_EXEMPT.get(words, ("-",))):
                continue
            if words.startswith("getenv") and path.endswith("main.c"):
                continue
            m = re.search(rf"(?<![\w.>])(?:{words})\s*\(", line)
            if m:
                offend(path, n, f"{m.group(0).rstrip('( ')}: {instead}")


def main():
    listed = subprocess.run(["git", "ls-files", "*.c", "*.h"], cwd=ROOT, capture_output=True, text=True, check=True)
    for path in listed.stdout.split():
        if path.startswith(("lib/", "include/", "server/", "agent/", "gate/", "cli/")):
            check_file(path)
    for o in offences:
        print(o)
    print(f"layers: {len(offences)} offences")
    return 1 if offences else 0


sys.exit(main())
