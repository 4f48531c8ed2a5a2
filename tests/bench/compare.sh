#!/usr/bin/env bash
# Two versions of the edge side by side, in one run and in turns: hits, then crowds of
# 5,000. The edges are on core 0, the origin and the load on core 1. Needs wrk.
#
#   bash tests/bench/compare.sh OLD NEW      each the ds-edge of a checkout
set -euo pipefail
old=$(realpath "$1") new=$(realpath "$2")
rounds=${ROUNDS:-4}
work=$(mktemp -d)
started=()
trap 'kill "${started[@]}" 2>/dev/null || true; rm -rf "$work"' EXIT
ulimit -n 20000
cd "$work"

origin=http://127.0.0.1:4437
DS_EDGE_ORIGIN__DATA=$work/data taskset -c 1 "$new" origin --listen 127.0.0.1:4437 &
started+=($!)

edge() { # program port
    DS_EDGE_LISTEN=127.0.0.1:$2 DS_EDGE_ADMIN__LISTEN=127.0.0.1:$(($2 + 1)) \
        DS_EDGE_LOG__ACCESS=off DS_EDGE_ORIGIN__URL=$origin taskset -c 0 "$1" serve &
    started+=($!)
}
edge "$old" 9100
edge "$new" 9200
for port in 4437 9100 9200; do
    curl -s -o /dev/null --retry 50 --retry-connrefused --retry-delay 1 \
        "http://127.0.0.1:$port/v1/stream/none"
done

head -c 2048 /dev/zero | tr '\0' x >body
curl -fs -X PUT "$origin/v1/stream/hit" -H 'Content-Type: text/plain' \
    -H 'Stream-Closed: true' --data-binary @body

in_turns() { # round
    if (($1 % 2)); then echo "old:9100 new:9200"; else echo "new:9200 old:9100"; fi
}
for round in $(seq "$rounds"); do
    for one in $(in_turns "$round"); do
        url="http://127.0.0.1:${one#*:}/v1/stream/hit?offset=-1"
        rate=$(taskset -c 1 wrk -t1 -c64 -d6 "$url" | awk '/Requests\/sec/ {print $2}')
        echo "hits a second: ${one%:*} $rate"
    done
done
for mode in long-poll sse; do
    for round in $(seq "$rounds"); do
        for one in $(in_turns "$round"); do
            path=/v1/stream/crowd-$mode-$round-${one%:*}
            taskset -c 1 "$new" bench fanout "http://127.0.0.1:${one#*:}$path" \
                --write-to "$origin$path" --viewers 5000 --events 8 --mode "$mode" \
                --json >figures 2>/dev/null
            last=$(python3 -c 'import json; print(json.load(open("figures"))["last_ms"]["p50"])')
            echo "last of 5,000 by $mode, ms: ${one%:*} $last"
        done
    done
done
