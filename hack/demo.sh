#!/usr/bin/env bash
# The whole product in one run: a real cluster, the operator by helm, an McpServer, a tool called through its Service.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export CLUSTER_NAME=${CLUSTER_NAME:-mcp-demo}
cluster=e2e/cluster/cluster.sh
arguments='{"name":"Ada"}'

say() { printf '\n==> %s\n' "$*"; }

# Shows a command as the user would type it, and runs it.
run() {
  local words
  words=$(printf ' %q' "$@")
  printf '\n$%s\n' "$words"
  "$@"
}

# Neither an engine nor root: the same resource, served by the runtime alone.
without_a_cluster() {
  say 'no cluster can be had here: serving examples/hello.yaml on this machine instead'
  cargo build --locked --package mcp-server
  hack/bin.sh debug
  local server=${CARGO_TARGET_DIR:-target}/bin/mcp-server work pid answer
  work=$(mktemp -d)
  MCP_API_KEY=$(head -c 24 /dev/urandom | base64 | tr '+/' '-_')
  export MCP_API_KEY
  "$server" serve --config examples/hello.yaml --address 127.0.0.1:18080 --admin-address 127.0.0.1:19090 2>"$work/log" &
  pid=$!
  # shellcheck disable=SC2064 # the pid of now is meant
  trap "kill $pid 2>/dev/null; rm -rf '$work'" EXIT
  for _ in $(seq 100); do
    "$server" health --url http://127.0.0.1:19090/health >/dev/null 2>&1 && break
    kill -0 "$pid" 2>/dev/null || { cat "$work/log" >&2; return 1; }
    sleep 0.1
  done
  answer=$("$server" call greet "$arguments" --url http://127.0.0.1:18080/mcp)
  printf '\nThe tool answered: %s\n' "$answer"
  say "try mcp-server yourself: export PATH=$(cd "${server%/*}" && pwd):\$PATH"
  say 'not shown: the operator, the Deployment it makes, the Service. They need a Docker engine (kind) or root on Linux.'
}

hack/prerequisites.sh

code=0
"$cluster" up || code=$?
if ((code == 3)); then
  without_a_cluster
  exit
elif ((code)); then
  exit "$code"
fi
environment=$("$cluster" env)
eval "$environment"

say 'images of both programs'
hack/install.sh

# The image's program is static, and runs here as well.
hack/bin.sh "$(rustc -vV | sed -n 's/^host: //p')/${IMAGE_PROFILE:-release}"
programs=$(cd "${CARGO_TARGET_DIR:-target}/bin" && pwd)

say 'an McpServer'
run kubectl apply -f examples/hello.yaml
run kubectl wait --for=condition=Ready mcps/hello --timeout=180s
run kubectl get mcps

say 'a tool, called through the Service with the generated key'
key=$(kubectl get secret hello-api-key -o 'jsonpath={.data.key}' | base64 --decode)
# shellcheck disable=SC2016 # shown as it is typed
printf '\n$ kubectl exec deploy/hello -- /mcp-server call greet %s --url http://hello.default.svc/mcp --key "$KEY"\n' "'$arguments'"
answer=$(kubectl exec deploy/hello -c mcp-server -- /mcp-server call greet "$arguments" \
  --url http://hello.default.svc/mcp --key "$key")
printf '\nThe tool answered: %s\n' "$answer"

cat <<NEXT

What to try next (this cluster has a kubeconfig of its own; yours is untouched):

  eval "\$(CLUSTER_NAME=$CLUSTER_NAME $cluster env)"
  export PATH=$programs:\$PATH          # mcp-server itself, for docs/connect.md
  kubectl describe mcps hello
  kubectl edit mcps hello               # change the greeting: answered anew within 3 s, no pod restarts
  kubectl scale mcps/hello --replicas=3
  kubectl get secret hello-api-key -o 'jsonpath={.data.key}' | base64 --decode   # the key that clients send

  make demo-down                        # takes the cluster away again, whole
NEXT
