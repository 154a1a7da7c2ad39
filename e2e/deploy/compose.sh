#!/usr/bin/env bash
# kubectl-mcp with a real engine: deploys a server, changes it, breaks it in five ways and takes it down.
#
#   e2e/deploy/compose.sh PROGRAM IMAGE   IMAGE: a server's image that the engine has; run in the engine's network
set -euo pipefail
HERE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=lib.sh
source "$HERE/lib.sh"

PROGRAM=$(realpath -- "${1:?usage: compose.sh PROGRAM IMAGE}")
IMAGE=${2:?usage: compose.sh PROGRAM IMAGE}
WORK=$(mktemp -d)
PROJECT=mcp-deploy-test-$$
export XDG_STATE_HOME=$WORK/state
cd "$WORK"

finish() {
  local code=$?
  docker compose -f docker-compose.yml down --volumes --remove-orphans >/dev/null 2>&1 || true
  docker image rm "$PROJECT-server" >/dev/null 2>&1 || true
  rm -rf -- "$WORK"
  exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# configuration GREETING
configuration() {
  jq --null-input --arg cel "\"$1, \" + args.name + \"!\"" '{auth: {enabled: false}, tools: [{name: "greet", description: "Greet.",
    inputSchema: {type: "object", properties: {name: {type: "string"}}, required: ["name"]}, cel: $cel}]}' >production.json
}

# composed [LINE]: the Compose file, with a line more for the server.
composed() {
  cat >docker-compose.yml <<YAML
name: $PROJECT
services:
  server:
    build: .
    restart: unless-stopped
    stop_grace_period: 3s
    volumes: ["data:/app/data"]
    ${1-}
  # It has no health check, and is never changed.
  beside:
    image: $IMAGE
    environment: {MCP_AUTH_MODE: Disabled}
    entrypoint: [/mcp-server, serve, --config, /production.json]
    volumes: ["./beside.json:/production.json:ro"]
    healthcheck: {disable: true}
    stop_grace_period: 3s
volumes: {data: {}}
YAML
}

# container SERVICE: the id of its container.
container() { docker compose -f docker-compose.yml ps --all --quiet "$1"; }

# greets GREETING: what a client gets.
greets() {
  local answer
  answer=$(docker compose -f docker-compose.yml exec -T server /mcp-server call greet '{"name": "Ada"}')
  [[ $answer == "$1, Ada!" ]] || die "a client gets '$answer' instead of '$1, Ada!'"
}

cat >Dockerfile <<DOCKERFILE
FROM $IMAGE
COPY production.json /app/config/production.json
HEALTHCHECK --interval=1s --timeout=3s --retries=2 CMD ["/mcp-server", "health"]
ENTRYPOINT ["/mcp-server"]
CMD ["serve", "--config", "/app/config/production.json"]
DOCKERFILE
configuration Hello
cp production.json beside.json
composed
export DOCKER_BUILDKIT=1

mcp 1 status production
says 'Nothing of production is deployed'
ok 'nothing is deployed at first'

configuration 'oops" +'
mcp 1 deploy production --timeout 60s
says 'the service server ends again and again'
says 'Nothing ran before, so what was started has been removed'
[[ -z $(docker ps --all --quiet --filter "label=com.docker.compose.project=$PROJECT") ]] || die 'containers of the failed first deployment are left'
ok 'a first deployment that fails is removed again'

configuration Hello
mcp 0 deploy production --timeout 60s
says '2 services are healthy (beside, server)'
greets Hello
beside=$(container beside)
ok 'it is deployed'

configuration Welcome
mcp 0 deploy production --timeout 60s
greets Welcome
[[ $(container beside) == "$beside" ]] || die 'a service that did not change was replaced'
ok 'a change is built and replaces what ran'

configuration 'oops" +'
mcp 1 deploy production --timeout 60s
says 'the service server ends again and again'
says 'production.json'
says 'Rolled back: what ran before is healthy again'
greets Welcome
[[ $(container beside) == "$beside" ]] || die 'the rollback replaced a service that had not changed'
ok 'a broken image is rolled back, and its log is in the answer'

configuration Welcome
composed 'environment: {MCP_HTTP_ADDRESS: nowhere}'
mcp 1 deploy production --timeout 60s
says 'Rolled back: what ran before is healthy again'
greets Welcome
ok 'a broken Compose file is rolled back'

composed 'healthcheck: {test: [CMD, /no-such-program], interval: 1s, retries: 2}'
mcp 1 deploy production --timeout 60s
says 'the service server is unhealthy'
says 'Rolled back: what ran before is healthy again'
greets Welcome
ok 'an unhealthy service is rolled back'

composed 'healthcheck: {test: [CMD, /no-such-program], interval: 1s, retries: 1000}'
mcp 1 deploy production --timeout 4s
says 'timed out after 4 s: server is starting'
greets Welcome
ok 'one that stays silent is rolled back'

composed
before=$(container server)
sed -i 's/COPY production.json/COPY no-such-file/' Dockerfile
mcp 1 deploy production --timeout 60s
says 'no-such-file'
says 'What ran before was not touched and runs on'
[[ $(container server) == "$before" ]] || die 'a build that failed replaced a container'
sed -i 's/COPY no-such-file/COPY production.json/' Dockerfile
ok 'a build that fails changes nothing'

mcp 0 deploy production --timeout 60s
greets Welcome
mcp 0 status production
says 'production is healthy: 2 containers up'
docker compose -f docker-compose.yml stop --timeout 3 server >/dev/null 2>&1
mcp 1 status production
says 'server is exited'
ok 'status knows healthy from stopped'

mcp 0 undeploy production
[[ -z $(docker ps --all --quiet --filter "label=com.docker.compose.project=$PROJECT") ]] || die 'containers are left'
docker volume inspect "${PROJECT}_data" >/dev/null || die 'the volume is gone'
mcp 0 undeploy production
says 'Nothing of production was deployed'
ok 'it is taken down, and its volume was kept'

DOCKER_HOST=unix://$WORK/no-engine.sock mcp 1 deploy production
says 'the Docker engine does not answer'
ok 'no engine, no deployment'
