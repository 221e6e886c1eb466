#!/bin/sh
# Waits until both servers answer through the VIP, WITHIN seconds at most.
set -eu
vip=$1 within=$2

end=$(($(date +%s) + within))
seen=
while [ "$seen" != "s1 s2" ]; do
  if [ "$(date +%s)" -ge "$end" ]; then
    echo "after $within s the VIP $vip is not answered by both servers: '$seen'" >&2
    exit 1
  fi
  body=$(curl -sf -m 5 "http://$vip/" || true)
  seen=$(printf '%s\n%s\n' "$seen" "$body" | tr ' ' '\n' | grep -E '^s[12]$' | sort -u | tr '\n' ' ' | sed 's/ $//' || true)
  [ -n "$body" ] || sleep 1
done
echo "http://$vip/ answers: by $seen"
