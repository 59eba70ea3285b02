#!/usr/bin/env bash
# A metric plugin in bash alone: NATS is lines of text over TCP. It answers with the load of the machine it runs on.
#
#   NATS_USER=plugin NATS_PASSWORD=... bash plugin.sh [HOST [PORT]]
#
# The answer goes to the reply subject, which says to which question it belongs; nothing of the question need be read. If the
# connection is lost this ends, and whoever started it starts it again: the question is repeated until it is answered.
set -euo pipefail
export LC_ALL=C # sizes are bytes

exec 3<>"/dev/tcp/${1:-127.0.0.1}/${2:-4222}"
say() { printf "$1\r\n" "${@:2}" >&3; }
say 'CONNECT {"verbose":false,"user":"%s","pass":"%s"}' "${NATS_USER:-}" "${NATS_PASSWORD:-}"
say 'SUB tidegate.metric.requested.example/load.> load 1'

while IFS=$' \r' read -r -u 3 verb _ _ reply size; do
  case $verb in
    PING) say PONG ;;
    MSG)
      read -r -u 3 -N $((size + 2)) _
      read -r load _ </proc/loadavg
      answer="{\"result\": {\"load\": $load}, \"metadata\": {\"host\": \"$HOSTNAME\"}}"
      say 'PUB %s %d\r\n%s' "$reply" "${#answer}" "$answer"
      ;;
    -ERR) echo "refused by NATS" >&2 && exit 1 ;;
  esac
done
