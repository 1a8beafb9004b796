#!/bin/sh
# purity.sh - proves that the core decides and touches nothing.
#
#   purity.sh OBJECT_FOLDER      the folder with the core's objects, .../o/supervisor/core
#
# Three nets: pure.h poisons names while compiling; the headers that the sources include are on a
# list; the symbols that the objects need from elsewhere are on a list. What a sanitizer adds is
# let through.
set -u
objects=${1:?usage: purity.sh OBJECT_FOLDER}
failed=0
complain() {
    echo "purity: $*"
    failed=1
}

sources="supervisor/core/*.c supervisor/core/*.h common/prng.h common/base.h"

allowed='"(supervisor/core/[a-z]+\.h|common/base\.h|common/prng\.h)"|<(assert|stdbool|stddef|stdint|string)\.h>'
found=$(grep -nE '^[[:space:]]*#[[:space:]]*include' $sources | grep -vE "include ($allowed)")
[ -z "$found" ] || complain "includes that are not on the list: $found"

found=$(grep -nE '\b(float|double)\b|#[[:space:]]*undef|GCC system_header' supervisor/core/*.c common/prng.h)
[ -z "$found" ] || complain "no floating point, and no way around the poisoned names: $found"

set -- "$objects"/*.o
[ -e "$1" ] || { complain "no objects in $objects"; exit 1; }
for object in "$@"; do
    [ -e "$object" ] || complain "$object is missing"
done
[ "$failed" = 0 ] || exit 1
own=$(nm --defined-only "$@" | sed -nE 's/^[0-9a-f]+ [A-Z] //p')
needed=$(nm -u "$@" | sed -nE 's/^ +U //p' | sort -u)
for symbol in $needed; do
    case $symbol in
    memcpy | memmove | memset | memcmp | strlen) ;;
    __memcpy_chk | __memmove_chk | __memset_chk) ;;
    __assert_fail | __stack_chk_fail) ;;
    _GLOBAL_OFFSET_TABLE_) ;;
    __asan_* | __ubsan_* | __tsan_* | __sanitizer_*) ;;
    *)
        echo "$own" | grep -qx "$symbol" || complain "the core needs $symbol, which is not on the list"
        ;;
    esac
done
exit $failed
