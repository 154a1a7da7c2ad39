# shellcheck shell=bash
# What cluster.sh tells its callers: help, status, env; and a shell where the cluster is.

command_help() {
  cat <<'HELP'
cluster.sh COMMAND: a real Kubernetes cluster for the demonstration and the tests

  up               make the cluster, or find it up already (a few seconds)
  down             remove it and everything it put on this machine; its logs stay
  status           what there is, and how to use it
  load FILE.tar…   put OCI image archives into the nodes; what is there already is skipped
  env              variables for a shell:  eval "$(cluster.sh env)"
  tools [PROVIDER] build kubectl, helm and what the provider needs; prints their folder
  node-image       make a node image for kind without a registry, once, and give it to the engine; prints its name
  shell [CMD…]     a shell in the local cluster's namespaces, for looking around
  help             this text

Variables
  CLUSTER_PROVIDER      auto (default), kind, local or existing
      kind              containers of a Docker engine; auto takes it where `docker info` answers and kind's node image is there or
                        can be fetched
      local             straight on this machine: Linux and root, no engine, no registry, no internet once the tools are built
      existing          the current context of KUBECONFIG; only with CLUSTER_EXISTING_YES=1
  CLUSTER_NAME          mcp-operator (default); clusters of different names stand side by side
  CLUSTER_KIND_IMAGE    kind only: the node image; default: that of the pinned kind. `node-image` makes one
  CLUSTER_KIND_NODES    kind only: 1 (default) to 9; all but the first are workers
  CLUSTER_INSTALL_PACKAGES   1 (default): missing Debian packages are installed, none of their services started; 0: only named
  XDG_STATE_HOME        state: ${XDG_STATE_HOME:-~/.local/state}/mcp-operator/clusters/NAME (kubeconfig, logs, data)
  XDG_CACHE_HOME        programs: ${XDG_CACHE_HOME:-~/.cache}/mcp-operator/tools/KEY/bin

`env` prints
  KUBECONFIG            a file of the cluster's own; yours is never touched
  PATH                  with kubectl and helm of matching versions in front
  CLUSTER_NAME, CLUSTER_PROVIDER, CLUSTER_STATE
  CLUSTER_AUDIT_LOG     the API server's log of every request, one JSON object a line; empty where there is none
  CLUSTER_HOST_ROUTES   yes if this host reaches pod and Service addresses directly, else no
  CLUSTER_HOST_IP, CLUSTER_POD_CIDR, CLUSTER_SERVICE_CIDR   local only: this host as pods see it, and the ranges
  NO_PROXY, no_proxy    with the cluster's addresses added, where a proxy is configured

Exit codes: 0 done; 1 failed; 2 wrong usage; 3 something is missing here, and the message says which command mends it.
HELP
}

export_line() { printf 'export %s=%q\n' "$1" "$2"; }

command_env() {
  local name bypass
  require_up
  export_line KUBECONFIG "$KUBECONFIG_FILE"
  # shellcheck disable=SC2016 # for the reading shell to expand
  printf 'export PATH=%q:"$PATH"\n' "$TOOLS/bin"
  export_line CLUSTER_NAME "$CLUSTER_NAME"
  export_line CLUSTER_PROVIDER "$PROVIDER"
  export_line CLUSTER_STATE "$STATE"
  export_line CLUSTER_AUDIT_LOG "$AUDIT_LOG"
  export_line CLUSTER_HOST_ROUTES "$HOST_ROUTES"
  export_line CLUSTER_HOST_IP "$HOST_IP"
  export_line CLUSTER_POD_CIDR "$POD_CIDR"
  export_line CLUSTER_SERVICE_CIDR "$SERVICE_CIDR"
  if [[ -n ${HTTPS_PROXY:-}${https_proxy:-}${HTTP_PROXY:-}${http_proxy:-} ]]; then
    bypass=127.0.0.1,localhost,.svc,.cluster.local${NODE_IP:+,$NODE_IP,$POD_CIDR,$SERVICE_CIDR}
    for name in NO_PROXY no_proxy; do
      export_line "$name" "${!name:+${!name},}$bypass"
    done
  fi
}

status_row() { printf '%-12s%s\n' "$1" "$2"; }

command_status() {
  local health=no nodes
  if [[ ! -e $STATE/provider ]]; then
    status_row cluster "$CLUSTER_NAME: none here"
    status_row 'make it' "$(self up)"
    [[ ! -d $STATE/logs ]] || status_row 'last logs' "$STATE/logs"
    return "$EXIT_FAILURE"
  fi
  choose_provider
  if [[ -e $STATE/ready ]] && "${PROVIDER}_healthy"; then
    health=yes
  fi
  status_row cluster "$CLUSTER_NAME (provider $PROVIDER)"
  if [[ $health == no ]]; then
    status_row state "not whole: a run was interrupted, or parts of it have ended"
    status_row logs "$STATE/logs"
    status_row 'make anew' "$(self up)"
    status_row 'remove it' "$(self down)"
    return "$EXIT_FAILURE"
  fi
  status_row kubernetes "$KUBERNETES_VERSION"
  nodes=$(admin get nodes --no-headers | awk '{ printf "%s%s %s, age %s", sep, $1, $2, $4; sep = "; " }')
  status_row nodes "$nodes"
  if [[ $HOST_ROUTES == yes ]]; then
    status_row addresses "pods $POD_CIDR, services $SERVICE_CIDR, both reachable from this host ($HOST_IP)"
  fi
  status_row kubeconfig "$KUBECONFIG_FILE"
  [[ -z $AUDIT_LOG ]] || status_row 'audit log' "$AUDIT_LOG"
  [[ ! -d $STATE/logs ]] || status_row logs "$STATE/logs"
  status_row 'use it' "eval \"\$($(self env))\"; kubectl get pods -A"
  status_row 'remove it' "$(self down)"
}

# The node's processes, mounts and network are not this host's: this goes where they are.
command_shell() {
  require_up
  [[ $PROVIDER == local ]] || die "shell is for the local provider; with kind: docker exec -it $CLUSTER_NAME-control-plane bash"
  sandbox_names
  sandbox_alive || die "the cluster's processes have ended: $(self up)"
  (($#)) || set -- bash
  CONTAINERD_ADDRESS=$RUN/$CONTAINERD_SOCKET_NAME CONTAINERD_NAMESPACE=k8s.io KUBECONFIG=$KUBECONFIG_FILE PATH=$TOOLS/bin:$PATH \
    in_sandbox "$@"
}
