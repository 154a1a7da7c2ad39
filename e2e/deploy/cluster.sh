#!/usr/bin/env bash
# kubectl-mcp with a real cluster that has the operator: deploys a server, changes it, breaks it in four ways and takes it down.
#
#   e2e/deploy/cluster.sh PROGRAM   KUBECONFIG and PATH as `e2e/cluster/cluster.sh env` prints them
set -euo pipefail
HERE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=lib.sh
source "$HERE/lib.sh"

PROGRAM=$(realpath -- "${1:?usage: cluster.sh PROGRAM}")
WORK=$(mktemp -d)
NAMESPACE=mcp-deploy-test-$$
cd "$WORK"

finish() {
  local code=$?
  kubectl delete namespace "$NAMESPACE" --ignore-not-found --wait=false >/dev/null 2>&1 || true
  rm -rf -- "$WORK"
  exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

here() { kubectl --namespace "$NAMESPACE" "$@"; }

# server EXPRESSION [IMAGE]: the manifest.
server() {
  cat >server.yaml <<YAML
apiVersion: mcp-operator.dev/v1alpha1
kind: McpServer
metadata: {name: hello}
spec:
  ${2:+runtime: {image: \"$2\"\}}
  config:
    tools:
      - name: greet
        description: Greet.
        inputSchema: {type: object, properties: {name: {type: string}}, required: [name]}
        cel: '$1'
YAML
}

# expression: that of the server in the cluster.
expression() { here get mcpservers.mcp-operator.dev hello -o 'jsonpath={.spec.config.tools[0].cel}'; }

ready() { here wait --for condition=Ready --timeout 60s mcpservers.mcp-operator.dev/hello >/dev/null; }

mkdir config
jq --null-input --arg namespace "$NAMESPACE" \
  '{environments: {k8s: {type: "kubernetes", config_file: "server.yaml", namespace: $namespace}}}' >config/deployment.json

server '"Hello, " +'
mcp 1 deploy k8s --timeout 60s
says 'McpServer hello'
says 'what was new has been deleted, the namespace included'
[[ -z $(kubectl get namespace "$NAMESPACE" --ignore-not-found -o name) ]] || die 'the namespace of the failed first deployment is left'
ok 'a first deployment that fails leaves nothing behind'

server '"Hello, " + args.name'
mcp 0 deploy k8s --timeout 120s
says "k8s is deployed to $NAMESPACE: McpServer hello (Serving 1 tool on 1 pod"
mcp 0 status k8s
says 'k8s is healthy'
ok 'it is deployed'

server '"Welcome, " + args.name'
mcp 0 deploy k8s --timeout 120s
[[ $(expression) == '"Welcome, " + args.name' ]] || die 'the change did not arrive'
ok 'a change is applied'

server '"Welcome, " +'
mcp 1 deploy k8s --timeout 60s
says 'Invalid'
says 'Rolled back: what was there before is ready again'
[[ $(expression) == '"Welcome, " + args.name' ]] || die 'the previous object did not come back'
ready
ok 'an invalid server is rolled back'

server '"Welcome, " + args.name' localhost/no-such-image:1
mcp 1 deploy k8s --timeout 120s
says 'ImagePull'
says 'Rolled back: what was there before is ready again'
ready
ok 'an image that cannot be had is rolled back'

server '"Other, " + args.name'
cat >>server.yaml <<'YAML'
---
apiVersion: v1
kind: ConfigMap
metadata: {name: beside}
data: {a: b}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: beside}
spec:
  selector: {matchLabels: {app: beside}}
  template:
    metadata: {labels: {app: beside}}
    spec: {containers: [{name: c, image: "localhost/no-such-image:1", imagePullPolicy: Never}]}
YAML
mcp 1 deploy k8s --timeout 20s
says 'Deployment beside'
says 'what was there before is ready again, and what was new has been deleted'
[[ -z $(here get deployment,configmap beside --ignore-not-found -o name) ]] || die 'what was new is left'
[[ $(expression) == '"Welcome, " + args.name' ]] || die 'the previous object did not come back'
ready
ok 'new objects are deleted, and the server beside them is rolled back'

server '"Other, " + args.name'
sed -i 's/kind: McpServer/kind: McpServr/' server.yaml
mcp 1 deploy k8s
says 'the cluster does not know the kind McpServr; install the operator first'
sed -i 's/kind: McpServr/kind: McpServer/; s/cel:/cell:/' server.yaml
mcp 1 deploy k8s
says 'unknown field "spec.config.tools[0].cell"'
says 'Nothing had been changed'
ok 'what the cluster refuses is named'

server '"Welcome, " + args.name'
mcp 0 undeploy k8s --timeout 60s
says "the namespace $NAMESPACE was kept"
[[ -z $(here get mcpservers.mcp-operator.dev --ignore-not-found -o name) ]] || die 'the server is left'
mcp 1 status k8s
says 'Nothing of k8s is deployed'
mcp 0 undeploy k8s
says 'Nothing of k8s was deployed'
ok 'it is taken down'

KUBECONFIG=$WORK/none mcp 1 deploy k8s
says 'the cluster does not answer'
ok 'no cluster, no deployment'
