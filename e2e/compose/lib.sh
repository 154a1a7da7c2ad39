# shellcheck shell=bash
# What the steps of test.sh share: the compose project under test, calls of tools, and questions to Prometheus.

readonly PROJECT=mcp-compose-test
readonly URL=http://127.0.0.1:$MCP_PORT/mcp ADMIN=http://127.0.0.1:$MCP_ADMIN_PORT PROMETHEUS=http://127.0.0.1:$PROMETHEUS_PORT

# Two profiles of the same file: as it is for somebody who types `docker compose up`, and with full.env as .env.
alone() { docker compose --project-name "$PROJECT" --project-directory "$COMPOSE" --env-file /dev/null "$@"; }
full() { docker compose --project-name "$PROJECT" --project-directory "$COMPOSE" --env-file "$COMPOSE/full.env" "$@"; }

# body TOOL ARGUMENTS
body() {
  printf '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"%s","arguments":%s,"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"curl","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}' "$1" "$2"
}

# call TOOL ARGUMENTS [KEY]: prints the answer.
call() {
  curl --silent --show-error --max-time 10 "$URL" -H "Authorization: Bearer ${3-$MCP_API_KEY}" \
    -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' \
    -H 'MCP-Protocol-Version: 2026-07-28' -H 'Mcp-Method: tools/call' -H "Mcp-Name: $1" --data "$(body "$1" "$2")"
}

# within SECONDS COMMAND...: tries again until it succeeds.
within() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < deadline)) || return 1
    sleep 0.5
  done
}

# The answer to an instant query, a JSON array.
query() {
  curl --silent --show-error --fail-with-body --max-time 10 --get "$PROMETHEUS/api/v1/query" --data-urlencode "query=$1" | jq --compact-output '.data.result'
}

answers() {
  local result
  result=$(query "$1") || return 1
  [[ $result != '[]' ]]
}

metric() { curl --silent --fail --max-time 5 "$ADMIN/metrics" | awk -v name="$1" '$1 == name { print $2 }'; }

# yaml_json FILE: YAML as JSON, by the parser of Compose.
yaml_json() {
  {
    printf 'services: {a: {image: a}}\nx-data:\n'
    sed 's/^/  /; s/\$/$$/g' "$1"
  } | docker compose --file - config --format json | jq '."x-data"'
}
