#!/usr/bin/env bash
# runc, but capabilities that this machine's root lacks (LACKING, JSON) are taken out of what the engine asks for: a
# privileged container would not start otherwise. RUNC is the program itself.
set -euo pipefail
before='' file=''
for argument; do
  case $before in
    --bundle | -b) file=$argument/config.json ;;
    --process | -p) file=$argument ;;
  esac
  before=$argument
done
if [[ -w $file ]]; then
  # shellcheck disable=SC2016 # jq's own variables
  changed=$(jq --compact-output --argjson lacking "$LACKING" '
    def allowed: if .capabilities then .capabilities |= map_values(map(select(IN($lacking[]) | not))) else . end;
    if .process then .process |= allowed else allowed end' "$file")
  printf '%s' "$changed" >"$file"
fi
exec "$RUNC" "$@"
