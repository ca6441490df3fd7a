set -eu
umask 077
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
k3s=/usr/local/bin/k3s
server_token=/etc/rancher/k3s/server-token
agent_token=/etc/rancher/k3s/agent-token
passwords=/var/lib/rancher/k3s/server/cred/passwd
certificate=/var/lib/rancher/k3s/agent/client-kubelet.crt
patience=${PATIENCE:-300} # seconds

say() { printf '%s: %s\n' "$node" "$1"; }
die() {
    printf '%s: %s\n' "$node" "$1" >&2
    exit 1
}

# The new files, as they lie below this folder.
files() { [ ! -d "$here/etc" ] || (cd "$here" && find etc -type f); }

erase() { [ ! -e "$1" ] || shred -u "$1"; }

# Puts a new file in its place; the old one stays beside it until all is well.
place() {
    [ -e "$here$1" ] || die "$here$1 is missing: copy the whole folder once more"
    ! cmp -s "$here$1" "$1" || return 0
    [ -e "$1.before" ] || [ ! -e "$1" ] || ln "$1" "$1.before"
    cp "$here$1" "$1.new"
    chown root:root "$1.new"
    sync "$1.new"
    mv -f "$1.new" "$1"
    sync "${1%/*}"
}

# The old files again, and K3s with them.
go_back() {
    for file in $(files); do
        [ ! -e "/$file.before" ] || mv -f "/$file.before" "/$file"
    done
    restart || say "K3s does not come back with its old files either: see journalctl -u $unit"
}

# How often K3s said this since its last start here.
said() {
    journalctl -u "$unit" --since "@$begun" -o cat --no-pager 2>/dev/null | grep -c "$1" || :
}
refusals() { said 'encrypted with different token'; }

is_up() {
    case $role in
    server) [ "$("$k3s" kubectl get --raw /readyz 2>/dev/null)" = ok ] ;;
    agent) [ -n "$(find "$certificate" -newer "$here/begun" 2>/dev/null)" ] ;;
    esac
}

# For new tokens a server forgets the passwords of the old ones: K3s keeps them in what servers share,
# takes them from there, and does not start where its own are newer.
renew() {
    systemctl stop "$unit"
    [ "$what$role" != tokensserver ] || erase "$passwords"
    systemctl start "$unit" || :
}

# Restarts K3s and waits until it serves (an agent: until the cluster gave it a certificate). It is
# stopped before what it said is counted: a K3s that does not start says so again and again.
restart() {
    systemctl daemon-reload
    systemctl stop "$unit"
    : >"$here/begun"
    sleep 1
    begun=$(date +%s)
    refused=$(refusals)
    newer=$(said 'newer than datastore')
    renew
    waited=0
    until is_up; do
        [ "$(refusals)" -le "$refused" ] || return 1
        [ "$waited" -lt "$patience" ] || return 1
        sleep 2
        waited=$((waited + 2))
        now=$(said 'newer than datastore')
        if [ "$now" -gt "$newer" ]; then
            newer=$now
            renew
        fi
    done
}

# Has K3s encrypt what is shared with the new server token, and write this server's passwords there.
share() {
    new=$(sed 's/.*://' "$here$server_token")
    K3S_TOKEN=$(cat "$server_token") "$k3s" token rotate --new-token "$new" ||
        die "K3s did not take the new token; nothing is lost: run this again"
}

# What is shared has to be encrypted with the new server token once, by a server that has the old
# one. It is written from this server's own passwords, so it must have the new agent token before:
# an agent token that what is shared does not have keeps a server from its next start but one.
re_encrypt() {
    ! cmp -s "$here$server_token" "$server_token" || return 0
    place "$agent_token"
    if restart; then
        share
    elif [ "$(refusals)" -gt "$refused" ]; then
        say "the cluster has the new server token already"
    else
        go_back
        die "K3s did not start with the new agent token, and has its old files again: see journalctl -u $unit"
    fi
}

finish() {
    for file in $(files); do
        erase "/$file.before"
        erase "$here/$file"
    done
    : >"$here/done"
    rm -f "$here/begun"
    say "done: $1"
}

[ "$(id -u)" = 0 ] || die "run this as root"
[ "$(hostname)" = "$node" ] || die "this is $(hostname): copy the folder to $node and run it there"
if [ -e "$here/done" ]; then
    say "was done before"
    exit 0
fi

case $role in
database)
    [ -e "$here/rotate.sql" ] || die "$here/rotate.sql is missing: copy the whole folder once more"
    (cd / && runuser -u postgres -- psql -Xq -v ON_ERROR_STOP=1 -d postgres) <"$here/rotate.sql" ||
        die "PostgreSQL did not take the new password: run this again"
    erase "$here/rotate.sql"
    finish "PostgreSQL has the new password"
    exit 0
    ;;
server)
    [ "$what" != tokens ] || [ "$first" = no ] || re_encrypt
    ;;
esac

for file in $(files); do place "/$file"; done
if [ "${1:-}" = stage ]; then
    say "K3s has the new files from its next start on"
    exit 0
fi
if ! restart; then
    if [ "$what" = tokens ] && [ "$role" = server ] && [ "$first" = no ] && [ "$(refusals)" -gt "$refused" ]; then
        go_back
        die "the cluster does not have the new tokens yet, and K3s has its old ones again: run this on $leader first, then here once more"
    fi
    die "K3s does not serve with the new files: see journalctl -u $unit; run this again when that is mended"
fi
# K3s wrote passwords itself: those it took did not have the new agent token. The power went while K3s
# re-encrypted, or somebody had it do so before this.
if [ "$what$role" = tokensserver ] && [ -n "$(find "$passwords" -newer "$here/begun")" ]; then
    share
fi
finish "K3s runs with the new $what"
