#!/bin/sh
# Makes secrets/, a file for each secret that compose.yaml names: makes up what nobody has to know, asks for the tokens.
# What is there already stays. The folder is for your eyes only; its files are not, because the services read them
# under user numbers of their own.
set -eu
cd "$(dirname "$0")"
mkdir -p secrets
chmod 700 secrets

keep() { # NAME VALUE
    printf '%s\n' "$2" >"secrets/$1"
    chmod 444 "secrets/$1"
}

make_up() { [ -s "secrets/$1" ] || keep "$1" "$(openssl rand "$2" 32)"; } # NAME -hex|-base64

make_up postgres_password -hex
make_up grafana_password -hex
make_up server__page_token -hex
make_up store__key -base64
[ -s secrets/store__url ] || keep store__url "postgresql://syncd:$(cat secrets/postgres_password)@postgres/syncd"

exec 3<&0
if [ -t 3 ]; then
    trap 'stty echo <&3' EXIT
    stty -echo <&3
fi
sed -n 's|.*{file: secrets/\(connections__.*\)}|\1|p' compose.yaml | while read -r name; do
    [ ! -s "secrets/$name" ] || continue
    printf 'secrets/%s (not shown): ' "$name" >&2
    IFS= read -r value <&3
    echo >&2
    [ -n "$value" ] || { echo "Nothing was given for $name; run this again when you have it." >&2; exit 1; }
    keep "$name" "$value"
done
