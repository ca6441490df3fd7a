# What the benchmarks share: source it after lib.sh. Each writes target/bench/NAME.jsonl, one record a
# line, whole or not at all; ci/bench-report makes docs/performance.md of them.
#
# bench_begin RUNS     checks, and starts the record
# need_release_bake    sets bake: BAKE, else the release build
# once WAY COMMAND...  runs a command once and keeps its seconds, processor seconds and peak memory
# figure WAY COLUMN    the median of those (1 seconds, 2 processor seconds), or their maximum (3 memory, KiB)
# way WAY TITLE [BYTES]            records the medians of a way
# point CURVE LINE X WAY [BYTES]   the same as a point of a curve
# compare TITLE A B SENSE TARGET   records and prints a ratio; SENSE is "at most" or "at least"
#                                  (TARGET null: none)
# limit TITLE A SENSE TARGET       the same of a figure by itself
# not_run TITLE WHY                records what was left out
# bench_end            the record is complete
# attach IMAGE         a loop device with its partitions, by name; detach LOOP
#
# Titles hold no quotes and no backslashes. Functions that `once` runs must be exported.

export PATH=$PATH:/usr/sbin:/sbin
records=$top/target/bench
bench=${me#bench-}

bench_begin() { # RUNS
    mkdir -p "$records"
    record=$records/$bench.jsonl.part
    figures=$records/$bench.figures
    rm -rf "$figures" # of a run that was ended
    mkdir "$figures"
    {
        printf '{"kind":"run","bench":"%s","runs":%d,"quick":%s,"date":"%s","commit":"%s","load":"%s",' \
            "$bench" "$1" "$([ -n "${BENCH_QUICK:-}" ] && echo true || echo false)" "$(date -u '+%Y-%m-%d %H:%M UTC')" \
            "$(git -C "$top" rev-parse --short HEAD 2>/dev/null || echo none)" "$(cut -d' ' -f1 /proc/loadavg)"
        printf '"machine":"%s, %d processors, %d GiB, Linux %s, %s"}\n' \
            "$(awk -F': ' '/^model name/ { print $2; exit }' /proc/cpuinfo)" "$(nproc)" \
            "$(awk '/^MemTotal/ { printf "%.0f", $2 / 1048576 }' /proc/meminfo)" "$(uname -r | cut -d- -f1)" \
            "$(stat -f -c %T "$records" | sed 's,ext2/ext3,ext4,')"
    } >"$record"
}
bench_end() { mv "$record" "${record%.part}" && rm -rf "$figures"; }

attach() { # IMAGE
    local loop
    loop=$(losetup -P --show --find "$1")
    # A kernel that reads no partition tables is told of them.
    [ -e "${loop}p2" ] || partx --add "$loop"
    echo "$loop"
}
detach() { # LOOP
    partx --delete "$1" 2>/dev/null || true
    losetup -d "$1"
}
export -f attach detach

need_release_bake() {
    bake=${BAKE:-}
    if [ -z "$bake" ]; then
        say "building bake"
        (cd "$top" && cargo build --quiet --release --locked --workspace --bin bake)
        bake=${CARGO_TARGET_DIR:-$top/target}/release/bake
    fi
    export bake
}

# What was written before must not slow it down.
once() { # WAY COMMAND...
    local way=$1; shift
    sync
    if ! command time -q -f '%e %U %S %M' -a -o "$figures/$way" bash -ec '"$@"' - "$@" >"$figures/log" 2>&1; then
        cat "$figures/log" >&2
        die "$way failed"
    fi
}
figure() { # WAY COLUMN
    awk -v column="$2" '{ print column == 1 ? $1 : column == 2 ? $2 + $3 : $4 }' "$figures/$1" | sort -n |
        awk -v column="$2" '{ v[NR] = $1 } END { print column == 3 ? v[NR] : v[int((NR + 1) / 2)] }'
}
shown() { # WAY BYTES: the figures as JSON
    printf '"seconds":%s,"cpu":%s,"kib":%s,"bytes":%s,"runs":%d' \
        "$(figure "$1" 1)" "$(figure "$1" 2)" "$(figure "$1" 3)" "${2:-null}" "$(wc -l <"$figures/$1")"
}
way() { # WAY TITLE [BYTES]
    printf '{"kind":"way","title":"%s",%s}\n' "$2" "$(shown "$1" "${3:-}")" >>"$record"
    printf '%-48s %8.2f s %8.2f s processor %7.1f MiB\n' "$2" "$(figure "$1" 1)" "$(figure "$1" 2)" \
        "$(awk -v k="$(figure "$1" 3)" 'BEGIN { print k / 1024 }')"
}
point() { # CURVE LINE X WAY [BYTES]
    printf '{"kind":"point","curve":"%s","line":"%s","x":%s,%s}\n' "$1" "$2" "$3" "$(shown "$4" "${5:-}")" >>"$record"
    printf '%-9s %6s  %-40s %8.2f s %7.1f MiB\n' "$1" "$3" "$2" "$(figure "$4" 1)" \
        "$(awk -v k="$(figure "$4" 3)" 'BEGIN { print k / 1024 }')"
}
# Both figures are numbers: seconds, or whatever TITLE says.
compare() { # TITLE A B SENSE TARGET
    awk -v title="$1" -v a="$2" -v b="$3" -v sense="$4" -v target="$5" -v record="$record" 'BEGIN {
        ratio = b > 0 ? a / b : 0
        if (target == "null") { met = 1; printf "%s: %.2f\n", title, ratio }
        else {
            met = sense == "at most" ? ratio <= target + 0 : ratio >= target + 0
            printf "%s: %.2f (target: %s %s%s)\n", title, ratio, sense, target, met ? "" : ", missed"
        }
        printf "{\"kind\":\"ratio\",\"title\":\"%s\",\"a\":%s,\"b\":%s,\"ratio\":%.3f,\"sense\":\"%s\",\"target\":%s,\"met\":%s}\n",
            title, a, b, ratio, sense, target, met ? "true" : "false" >>record
    }'
}
limit() { # TITLE A SENSE TARGET
    awk -v title="$1" -v a="$2" -v sense="$3" -v target="$4" -v record="$record" 'BEGIN {
        met = sense == "at most" ? a <= target + 0 : a >= target + 0
        printf "%s: %s (target: %s %s%s)\n", title, a, sense, target, met ? "" : ", missed"
        printf "{\"kind\":\"ratio\",\"title\":\"%s\",\"a\":%s,\"b\":null,\"ratio\":null,\"sense\":\"%s\",\"target\":%s,\"met\":%s}\n",
            title, a, sense, target, met ? "true" : "false" >>record
    }'
}
not_run() { # TITLE WHY
    printf '{"kind":"not run","title":"%s","why":"%s"}\n' "$1" "$2" >>"$record"
    printf '%s: not run: %s\n' "$1" "$2"
}
