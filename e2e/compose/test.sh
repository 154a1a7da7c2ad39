#!/usr/bin/env bash
# deploy/compose as its README describes it, with the Docker engine of the environment; hack/compose-test.sh calls this once
# the images are there. A project name and ports of its own keep it apart from a composed server that somebody uses.
set -euo pipefail

HERE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
COMPOSE=$(cd -- "$HERE/../../deploy/compose" && pwd -P)
WORK=$(mktemp -d)
chmod 755 "$WORK"
export MCP_PORT=18080 MCP_ADMIN_PORT=19090 PROMETHEUS_PORT=19091 GRAFANA_PORT=13000
export GRAFANA_ADMIN_PASSWORD_FILE=$WORK/grafana-admin-password
# Nothing of the caller's shell decides what is tested.
unset COMPOSE_FILE COMPOSE_PROFILES COMPOSE_PROJECT_NAME MCP_STORE MCP_REDIS_URL MCP_API_KEY MCP_CONFIG MCP_LOGGING_LEVEL MCP_HTTP_ALLOWED_HOSTS

# shellcheck source=lib.sh
source "$HERE/lib.sh"
# shellcheck source=monitoring.sh
source "$HERE/monitoring.sh"
# shellcheck source=../cluster/lib/check.sh
source "$HERE/../cluster/lib/check.sh"

load=''
at_exit() {
  [[ -z $load ]] || kill "$load" 2>/dev/null || true
  full down --volumes --timeout 5 >/dev/null 2>&1 || true
  [[ -z ${borrowed-} ]] || docker rmi "$grafana_image" >/dev/null 2>&1 || true
  rm -rf -- "$WORK"
}
trap at_exit EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# === the server alone ===

alone_comes_up() {
  alone up --detach --wait --wait-timeout 180 || { alone logs; return 1; }
  [[ $(alone ps --services) == mcp-server ]]
}

answers_with_the_generated_key() {
  local answer
  answer=$(alone exec --no-TTY mcp-server /mcp-server call greet '{"name": "Ada"}') && [[ $answer == *'Hello, Ada!'* ]]
}

# The key as a reader of the log finds it, and the published port.
answers_on_the_published_port() {
  local key
  key=$(logged_key)
  [[ $(call greet '{"name":"Ada"}' "$key") == *'Hello, Ada!'* && $(call greet '{"name":"Ada"}' "wrong-$key") != *Hello* ]]
}

logged_key() { alone logs --no-log-prefix mcp-server | grep -oE '[A-Za-z0-9_-]{40,}' | head -n 1; }

keeps_its_key_over_a_restart() {
  alone restart mcp-server && alone up --detach --wait --wait-timeout 180 && answers_with_the_generated_key && answers_on_the_published_port
}

is_confined() {
  local container
  for container in $("$1" ps --quiet); do
    docker inspect "$container" | jq --exit-status '.[0] | .HostConfig as $h | .Config.User as $user
      | ($user | test("^[1-9][0-9]*:")) and $h.ReadonlyRootfs and $h.CapDrop == ["ALL"] and $h.Memory > 0 and $h.NanoCpus > 0 and $h.PidsLimit > 0
        and ($h.SecurityOpt | index("no-new-privileges:true")) != null and ([$h.PortBindings[]?[]?.HostIp] | all(. == "127.0.0.1"))
        and .State.Health.Status == "healthy"' || { docker inspect --format '{{ .Name }} {{ .Config.User }} {{ json .HostConfig }}' "$container"; return 1; }
  done
}

check 'Grafana'"'"'s provisioning fits together' provisioning_is_consistent
check 'the panels of the dashboard do not overlap' panels_do_not_overlap
check 'panels and alerts name metrics that exist' metrics_are_documented
check 'the server alone comes up' alone_comes_up
check 'a tool answers' answers_with_the_generated_key
check 'it answers on the published port with the key from the log, and with no other' answers_on_the_published_port
check 'it keeps its key over a restart' keeps_its_key_over_a_restart
check 'it is confined' is_confined alone
check 'it goes away with its volumes' alone down --volumes --timeout 20

# === the whole ===

cp -- "$HERE/config.json" "$WORK/config.json"
chmod 644 "$WORK/config.json"
MCP_API_KEY=$(head -c 24 /dev/urandom | base64 | tr '+/' '-_')
export MCP_API_KEY MCP_CONFIG=$WORK/config.json
head -c 24 /dev/urandom | base64 >"$GRAFANA_ADMIN_PASSWORD_FILE"
chmod 644 "$GRAFANA_ADMIN_PASSWORD_FILE"

services=(mcp-server redis prometheus)
grafana_image=$(full config --images | grep '^grafana/')
if docker image inspect "$grafana_image" >/dev/null 2>&1 || timeout 900 docker pull --quiet "$grafana_image" >/dev/null 2>&1; then
  services+=(grafana)
fi

whole_comes_up() { full up --detach --wait --wait-timeout 300 "${services[@]}" || { full ps --all; full logs; return 1; }; }

tools_answer() {
  [[ $(call greet '{"name":"Ada"}') == *'Hello, Ada!'* && $(call upstream '{}') == *Healthy* && $(call missing '{}') == *'"isError":true'* ]]
}

redis_holds_answers_and_limits() {
  local keys
  call greet '{"name":"Grace"}' >/dev/null
  [[ $(call greet '{"name":"Grace"}') == *'"mcp-operator.dev/cache":"hit"'* ]] || return 1
  keys=$(full exec --no-TTY redis redis-cli --scan --pattern 'mcp:*')
  echo "$keys"
  # A limit is forgotten ten seconds after it is full again, an answer after a minute.
  (($(wc -l <<<"$keys") >= 2)) && [[ $(metric mcp_server_redis_up) == 1 ]]
}

redis_is_hidden() {
  [[ $(docker inspect "$(full ps --quiet redis)" | jq --compact-output '[.[0].NetworkSettings | (.Ports | map(. // []) | add // []), (.Networks | keys[])]') == "[[],\"${PROJECT}_store\"]" ]]
}

a_changed_configuration_is_taken_in() {
  jq '.tools += [{name: "late", description: "Come late.", inputSchema: {type: "object"}, text: "better than never"}]' "$HERE/config.json" >"$WORK/new"
  # The same file: a bind mount follows the inode.
  cat "$WORK/new" >"$WORK/config.json"
  within 10 late_answers
}
late_answers() { [[ $(call late '{}') == *'better than never'* ]]; }

# Calls of all kinds, some dozens a second, so that rates have something to show. It is ended after the last query.
load_run() {
  local deadline=$((SECONDS + 900))
  while ((SECONDS < deadline)); do
    call greet "{\"name\":\"$((RANDOM % 8))\"}"
    # One at a time is let through.
    for _ in 1 2 3 4 5 6; do call upstream '{}' & done
    wait
    call missing '{}'
    call greet '{}'
    call greet '{"name":"Ada"}' wrong
  done >/dev/null 2>&1
}

check 'server, Redis and Prometheus come up' whole_comes_up
check 'all of them are confined' is_confined full
check 'tools answer' tools_answer
check 'Redis holds cached answers and rate limits' redis_holds_answers_and_limits
check 'Redis is reached from its network only' redis_is_hidden
check 'a changed configuration is taken in' a_changed_configuration_is_taken_in
check 'Prometheus accepts its configuration' full exec --no-TTY prometheus promtool check config /etc/prometheus/prometheus.yml
load_run &
load=$!
check 'Prometheus scrapes the server' within 60 answers 'up{job="mcp-server"} == 1'
check 'every alert is loaded' within 60 rules_are_loaded
check 'Prometheus sees the load' within 60 answers 'sum(rate(mcp_server_requests_total{outcome="ok"}[1m])) > 1'
while IFS=$'\t' read -r panel expression; do
  check "panel '$panel' has data: $expression" within 30 answers "$expression"
done < <(dashboard_queries)
while IFS=$'\t' read -r alert expression; do
  check "alert $alert has data: $expression" within 30 answers "$expression"
done < <(rule_queries)
kill "$load" 2>/dev/null || true
wait "$load" || true
load=''
if [[ " ${services[*]} " == *' grafana '* ]]; then
  check 'Grafana reaches Prometheus, shows the dashboard and takes no default password' within 30 grafana_works
else
  printf 'NOT RUN %s\n' "Grafana itself: the engine cannot fetch $grafana_image"
fi
# Neither of the next two gets as far as Grafana's own program: where its image is missing, another one takes the name.
borrowed=''
if [[ " ${services[*]} " != *' grafana '* ]]; then
  docker tag "$(full config --images | grep '^redis')" "$grafana_image"
  borrowed=1
fi
check 'Grafana does not start without a password file, and the message names it' grafana_needs_a_password_file
[[ -z $borrowed ]] || docker rmi "$grafana_image" >/dev/null
check 'Grafana refuses an empty password' grafana_refuses_an_empty_password "$(full config --images | grep '^redis')"

redis_is_missed() { tools_answer && [[ $(metric mcp_server_redis_up) == 0 ]]; }
redis_is_back() { [[ $(metric mcp_server_redis_up) == 1 ]]; }

check 'Redis stops' full stop --timeout 5 redis
check 'the server answers without Redis, and counts that' within 20 redis_is_missed
check 'the alert of a lost Redis is raised' within 60 alert_is_raised McpServerRedisLost
check 'Redis starts' full start redis
check 'the server uses Redis again' within 30 redis_is_back
check 'the server stops' full stop --timeout 20 mcp-server
check 'the alert of a lost server is raised' within 90 alert_is_raised McpServerDown
check 'all of it goes away with its volumes' full down --volumes --timeout 20
summary
