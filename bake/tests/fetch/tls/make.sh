#!/usr/bin/env bash
# Makes the certificates of the TLS tests. The keys protect nothing: they are for the loopback
# interface, and the authority's own is thrown away.
set -euo pipefail
cd "$(dirname "$0")"
ca_key=$(mktemp) request=$(mktemp)
trap 'rm -f "$ca_key" "$request"' EXIT
new=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes)
openssl req -x509 "${new[@]}" -keyout "$ca_key" -out ca.pem -days 36500 -subj "/CN=bake test authority"
openssl req "${new[@]}" -keyout localhost.key -out "$request" -subj "/CN=localhost"
openssl x509 -req -in "$request" -CA ca.pem -CAkey "$ca_key" -set_serial 2 -days 36500 -out localhost.pem \
    -extfile <(printf 'subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n')
