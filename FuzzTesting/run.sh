#!/bin/sh
# Fuzzes one parser with libFuzzer:   FuzzTesting/run.sh TARGET [SECONDS]
#
# TARGET is RequestHead, ResponseHead, Chunked or Date; SECONDS is 60 unless given. The seeds of Corpus/TARGET are only
# read; what the fuzzer learns goes to .build/fuzz/corpus-TARGET, and an input that fails to FailCases/TARGET, where
# the unit tests replay it for ever. Ends with a failure if anything was found.
#
# The modules are compiled here by hand, as SwiftPM cannot link a fuzzer's main function, and with `-O`, which keeps
# the checks for overflow, bounds and exclusive access.
set -eu

usage() {
    echo "usage: FuzzTesting/run.sh RequestHead|ResponseHead|Chunked|Date [SECONDS]" >&2
    exit 64
}

target=${1-}
seconds=${2-60}
case $target in
    RequestHead | ResponseHead | Chunked | Date) ;;
    *) usage ;;
esac
case $seconds in
    '' | *[!0-9]*) usage ;;
esac

root=$(cd "$(dirname "$0")/.." && pwd)
build=$root/.build/fuzz
mkdir -p "$build/corpus-$target" "$root/FuzzTesting/FailCases/$target"

compile() {
    swiftc -O -parse-as-library -package-name martlet -swift-version 6 -sanitize=fuzzer -I "$build" \
        -enable-upcoming-feature ExistentialAny -enable-upcoming-feature MemberImportVisibility \
        -enable-upcoming-feature InternalImportsByDefault "$@"
}

module() {
    compile -wmo -emit-module -emit-module-path "$build/$1.swiftmodule" -module-name "$1" \
        -c -o "$build/$1.o" "$root/Sources/$1"/*.swift
}

module Limits
module HTTPWire
compile -wmo -module-name "Fuzz$target" -o "$build/Fuzz$target" \
    "$root/FuzzTesting/$target.swift" \
    "$root/Tests/HTTPWireTests/WireProperties.swift" \
    "$root/Tests/HTTPWireTests/WireReference.swift" \
    "$build/Limits.o" "$build/HTTPWire.o"

# Inputs beyond 2 KiB teach nothing that shorter ones do not: the checks run with small bounds as well.
# Without the runtime's own crash reports a trap reaches libFuzzer, which then writes the input down.
export SWIFT_BACKTRACE=enable=no
exec "$build/Fuzz$target" -max_total_time="$seconds" -max_len=2048 -timeout=10 -rss_limit_mb=1024 \
    -dict="$root/FuzzTesting/http.dict" -artifact_prefix="$root/FuzzTesting/FailCases/$target/" \
    "$build/corpus-$target" "$root/FuzzTesting/Corpus/$target" "$root/FuzzTesting/FailCases/$target"
