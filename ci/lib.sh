# Shared by the scripts of ci/: source it, do not run it.
#
# cache   where built inputs of tests live: outside the checkout, named by a digest of what made
#         them (BAKE_CI_CACHE, else XDG_CACHE_HOME, else ~/.cache)
# say     one line about what is being done, with the seconds since the script began
# contained  runs a command that ends whenever the script does, with all it started
# need_bake  sets BAKE, the program to bake with, unless it is set already
# need_root WHAT  sets root, to write before a command that needs it: sudo, where one is not root

set -euo pipefail
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${BAKE_CI_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/bake-ci}
me=$(basename "$0")
started=$(date +%s)
mkdir -p "$cache"

say() { printf '%s %4ds  %s\n' "$me" $(($(date +%s) - started)) "$*" >&2; }
die() { printf '%s: error: %s\n' "$me" "$*" >&2; exit 1; }

# Runs a command with its output kept in a log; shows the log's end when the command fails.
quietly() {
    local log status
    log=$(mktemp "${TMPDIR:-/tmp}/$me.XXXXXX")
    if "$@" >"$log" 2>&1 </dev/null; then
        rm -f "$log"
    else
        status=$?
        tail -n 40 "$log" >&2
        printf '%s: error: status %d from: %s (all of its output: %s)\n' "$me" "$status" "$*" "$log" >&2
        return "$status"
    fi
}

# Sets `root`, what to write before a command that needs root to do WHAT: nothing for root, else sudo, which
# may not ask (nobody would answer in CI). Variables of ours come along.
need_root() { # WHAT
    root=()
    [ "$(id -u)" != 0 ] || return 0
    sudo -n true 2>/dev/null || die "$1 needs root, and there is no sudo without a password: run this as root"
    root=(sudo -n env LC_ALL="$LC_ALL" DEBIAN_FRONTEND="$DEBIAN_FRONTEND")
    [ -z "${APT_CONFIG:-}" ] || root+=(APT_CONFIG="$APT_CONFIG")
}

# 16 hex digits of the sha256 of everything on standard input.
digest() { sha256sum | cut -c1-16; }

# Names the files given (folders: all tracked and new files in them) with their digests, sorted.
digest_files() {
    (cd "$top" && git ls-files -co --exclude-standard -z -- "$@" | sort -zu |
        while IFS= read -r -d '' file; do
            if [ -L "$file" ]; then printf '%s -> %s\n' "$file" "$(readlink "$file")"
            elif [ -f "$file" ]; then sha256sum "$file"; fi
        done)
}

# --workspace: with the features of all its crates together, as the tests are built. With those of one
# crate alone, seventy others would be compiled once more.
need_bake() {
    [ -z "${BAKE:-}" ] || return 0
    (cd "$top" && cargo build --quiet --locked --workspace --bin bake)
    BAKE=$top/target/debug/bake
}

# Holds the lock NAME until the script ends, telling once when it has to wait.
hold() {
    exec 8>"$cache/$1.lock"
    flock -n 8 || { say "waiting for another run that holds $1"; flock 8; }
}

# Runs a command in mount and process namespaces of its own (OPTION: further ones, as unshare names
# them). All it mounts and starts ends with it and with this script, however that ends: unshare would
# outlive a SIGTERM or Ctrl-C, which it blocks.
contained() { # [OPTION...] COMMAND...
    local child
    setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child --mount-proc --propagation private "$@" &
    child=$!
    trap 'kill -KILL $child; exit 130' INT
    trap 'kill -KILL $child; exit 143' TERM HUP
    wait $child
}
