#!/bin/sh
# delete.sh: deletes RESOURCE at the hub HUB, as it is now; that it is gone already is fine.
set -eu
version=$("$(dirname "$0")/version.sh" "$RESOURCE")
[ -n "$version" ] || exit 0
printf 'Authorization: Bearer %s' "$YARDARM_TOKEN" |
  curl --silent --show-error --fail-with-body --cacert "$CA" --header @- --header "If-Match: \"$version\"" --request DELETE "$HUB/v1/$RESOURCE"
