# shellcheck shell=bash
# The monitoring of deploy/compose: Grafana's provisioning as data, and every query against the running Prometheus.

readonly DASHBOARD=$COMPOSE/monitoring/grafana/dashboards/mcp-server.json

# What Grafana would send with everything selected: "PANEL<tab>QUERY" a line.
# shellcheck disable=SC2016 # variables of Grafana
dashboard_queries() {
  jq --raw-output '.panels[] | .title as $panel | .targets[]? | "\($panel)\t\(.expr)"' "$DASHBOARD" |
    sed 's/\$__rate_interval/1m/g; s/\$__range/1h/g; s/\$instance/.*/g'
}

# "ALERT<tab>QUERY" a line; each query is the alert's, without the comparison at its end.
rule_queries() {
  local file
  for file in "$COMPOSE"/monitoring/rules/*.yml; do
    yaml_json "$file" | jq --raw-output '.groups[].rules[] | "\(.alert)\t\(.expr | gsub("\\s+"; " ") | sub(" (==|!=|<=|>=|<|>) [0-9.]+ ?$"; ""))"'
  done
}

# Everything refers to the one data source by its id, and Grafana finds what compose mounts.
provisioning_is_consistent() {
  local uid paths
  uid=$(yaml_json "$COMPOSE/monitoring/grafana/provisioning/datasources/prometheus.yaml" | jq --raw-output '.datasources[].uid')
  jq --exit-status --arg uid "$uid" '[.. | objects | .datasource? // empty | .uid] | length > 40 and all(. == $uid)' "$DASHBOARD" ||
    { echo "a panel or variable refers to another data source than $uid"; return 1; }
  jq --exit-status '[.panels[].id] | length == (unique | length)' "$DASHBOARD" || { echo 'two panels have the same id'; return 1; }
  jq --exit-status '[.panels[] | select(.type != "row") | select((.targets | length) == 0 or .title == "")] == []' "$DASHBOARD" || return 1
  paths=$(yaml_json "$COMPOSE/monitoring/grafana/provisioning/dashboards/mcp-server.yaml" | jq --raw-output '.providers[].options.path')
  full config --format json | jq --exit-status --arg path "$paths" \
    '.services.grafana | (.volumes | map(.target) | index($path)) != null and (.environment.GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH | startswith($path + "/"))' ||
    { echo "compose does not mount the dashboards at $paths"; return 1; }
}

panels_do_not_overlap() {
  jq --exit-status '[.panels[].gridPos] as $p | [range($p | length) as $i | range($i + 1; $p | length) as $j
    | select($p[$i].x < $p[$j].x + $p[$j].w and $p[$j].x < $p[$i].x + $p[$i].w
         and $p[$i].y < $p[$j].y + $p[$j].h and $p[$j].y < $p[$i].y + $p[$i].h)] == [] and all($p[]; .x + .w <= 24)' "$DASHBOARD"
}

# Each metric that a panel or an alert names is one of those that the documentation lists.
metrics_are_documented() {
  local name unknown=0
  while read -r name; do
    grep -qF "\`$name\`" "$COMPOSE/../../docs/server/metrics.md" || { echo "no such metric: $name"; unknown=1; }
  done < <({ dashboard_queries; rule_queries; } | grep -oE '(mcp_server|process)_[a-z_]+' | sed 's/_bucket$//' | sort -u)
  ((unknown == 0))
}

rules_are_loaded() {
  local health
  health=$(curl --silent --fail --max-time 10 "$PROMETHEUS/api/v1/rules" | jq --raw-output '.data.groups[].rules[] | "\(.name) \(.health)"')
  echo "$health"
  [[ $(wc -l <<<"$health") == $(rule_queries | wc -l) ]] && ! grep -qv ' ok$' <<<"$health"
}

alert_is_raised() {
  answers "ALERTS{alertname=\"$1\"}"
}

# Grafana itself, where its image can be had: the data source answers, and the dashboard is there.
grafana_works() {
  local password grafana=http://127.0.0.1:$GRAFANA_PORT
  password=$(<"$GRAFANA_ADMIN_PASSWORD_FILE")
  curl --silent --fail-with-body --user "admin:$password" "$grafana/api/datasources/uid/prometheus/health" || return 1
  curl --silent --fail --user "admin:$password" "$grafana/api/dashboards/uid/mcp-server" | jq --exit-status '.dashboard.title == "mcp-server"' || return 1
  [[ $(curl --silent --output /dev/null --write-out '%{http_code}' --user admin:admin "$grafana/api/user") == 401 ]]
}

# Without the file there is no Grafana, and the message names the file.
grafana_needs_a_password_file() {
  local answer status=0
  answer=$(GRAFANA_ADMIN_PASSWORD_FILE=$WORK/no-such-password full up --no-deps --detach grafana 2>&1) || status=$?
  echo "$answer"
  full rm --force --stop grafana
  ((status)) && [[ $answer == *"$WORK/no-such-password"* ]]
}

# The script in front of Grafana, in an image that has a shell: an empty file must not mean Grafana's own password.
grafana_refuses_an_empty_password() {
  local script status=0 answer
  script=$(full config --format json | jq --raw-output '.services.grafana.entrypoint[2]')
  # Compose prints a dollar sign as it must be written in a file.
  script=${script//'$$'/'$'}
  : >"$WORK/empty"
  answer=$(docker run --rm --volume "$WORK/empty:/run/secrets/grafana-admin-password:ro" --entrypoint /bin/sh "$1" -c "$script" 2>&1) || status=$?
  echo "$answer"
  ((status == 64)) && [[ $answer == *'openssl rand'* ]]
}
