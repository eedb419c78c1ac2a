#!/bin/sh
# Builds the codec and codec_variants.c in a way that the presets do not, and
# runs it: codec_ways.sh way root-of-the-tree. All ways fail on any warning.
set -eu
way=$1 root=$2
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# with compiler flags...: builds; the program is $out/variants.
with() {
  "$@" -std=gnu11 -Wall -Wextra -Werror -I"$root/include" \
    "$root"/src/codec/*.c "$root/tests/codec/codec_variants.c" \
    -o "$out/variants"
}

case $way in
aarch64) # NEON, emulated
  with aarch64-linux-gnu-gcc -O2 -static
  qemu-aarch64 "$out/variants" few
  ;;
cpus) # x86-64 of all ages, emulated: nothing is chosen that is not there
  with gcc -O2 -static
  for cpu in qemu64 Nehalem SandyBridge Haswell; do
    qemu-x86_64 -cpu "$cpu" "$out/variants" choice 2>"$out/said" ||
      { cat "$out/said" >&2; exit 1; }
  done
  with gcc -O2 -static -march=x86-64-v3
  qemu-x86_64 -cpu Haswell "$out/variants" choice
  ;;
freestanding) # as where no loader chooses: what every x86-64 has
  for cc in gcc clang; do
    with "$cc" -O2 -ffreestanding
    "$out/variants" few
  done
  ;;
static) # the C library's start-up code chooses, before it has set up itself
  for cc in gcc clang; do
    with "$cc" -O2 -static -fstack-protector-all
    "$out/variants" choice
    with "$cc" -O2 -static-pie -fPIE -fstack-protector-all
    "$out/variants" choice
  done
  ;;
sanitized) # the loader chooses before sanitizers are ready
  for cc in gcc clang; do
    with "$cc" -O1 -fsanitize=address,undefined -fno-sanitize-recover=all
    "$out/variants" choice
    with "$cc" -O1 -fsanitize=thread
    setarch "$(uname -m)" -R "$out/variants" choice
  done
  ;;
*)
  echo "codec_ways.sh: no way '$way'" >&2
  exit 1
  ;;
esac
