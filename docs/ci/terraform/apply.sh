#!/bin/sh
# apply.sh: has the hub HUB make or change what BODY holds. The same call, if its answer is lost, is done once.
set -eu
printf 'Authorization: Bearer %s' "$YARDARM_TOKEN" |
  curl --silent --show-error --fail-with-body --cacert "$CA" --header @- --header "Content-Type: application/json" \
    --header "Idempotency-Key: $(cat /proc/sys/kernel/random/uuid)" --retry 3 --data "$BODY" "$HUB/v1/apply"
