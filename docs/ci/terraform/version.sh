#!/bin/sh
# version.sh RESOURCE: the version of what there is at the hub HUB; empty where there is none.
set -eu
printf 'Authorization: Bearer %s' "$YARDARM_TOKEN" |
  curl --silent --show-error --cacert "$CA" --header @- "$HUB/v1/$1" | jq --raw-output '.metadata.resourceVersion // empty'
