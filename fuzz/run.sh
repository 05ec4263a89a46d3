#!/bin/sh
# Runs the fuzzers: run.sh SECONDS [TARGET...]. What they find interesting is added to target/fuzz/corpus; `corpus` keeps
# what was worth keeping. Exit code 1: an input broke a rule; it lies in target/fuzz/found and can be given to the binary.
set -eu
cd "$(dirname "$0")"
seconds=${1:-60}
[ $# -gt 0 ] && shift
targets=${*:-message framer sdp node}
for target in $targets; do
    [ -f "targets/$target.rs" ] || { echo "fuzz: there is no target $target; there are $(ls targets | sed 's/\.rs$//' | tr '\n' ' ')" >&2; exit 2; }
done
out=${CARGO_TARGET_DIR:-$PWD/../target}/fuzz
mkdir -p "$out/found"
# What `cargo fuzz --sanitizer none` does, which asks for no nightly toolchain: the code is safe Rust, so coverage is all
# that is wanted. The explicit target keeps build scripts uninstrumented.
host=$(rustc -vV | sed -n 's/^host: //p')
RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares" \
    CARGO_TARGET_DIR="$out" CARGO_INCREMENTAL=0 cargo build --release --locked --target "$host"
pids=""
for target in $targets; do
    mkdir -p "$out/corpus/$target"
    seeds="corpus/$target"
    case $target in
    message | framer) seeds="$seeds ../tests/vectors/rfc4475 ../tests/vectors/rfc5118" ;;
    esac
    # shellcheck disable=SC2086
    "$out/$host/release/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=8192 -print_final_stats=1 \
        -artifact_prefix="$out/found/$target-" "$out/corpus/$target" $seeds >"$out/$target.log" 2>&1 &
    pids="$pids $target:$!"
done
code=0
for pair in $pids; do
    if wait "${pair#*:}"; then verdict="clean"; else verdict="FAILED" code=1; fi
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$out/${pair%:*}.log")
    echo "fuzz: ${pair%:*} $verdict, $runs inputs in $seconds s"
    [ "$verdict" = clean ] || tail -n 40 "$out/${pair%:*}.log"
done
exit $code
