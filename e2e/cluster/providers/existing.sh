# shellcheck shell=bash
# Provider `existing`: a cluster that is not ours. Nothing is created in it or removed from it here; the caller's
# kubeconfig is copied, never written.

existing_healthy() {
  recall && admin get --raw /readyz >/dev/null
}

existing_prepare() {
  local context
  [[ -n ${KUBECONFIG:-} && -r ${KUBECONFIG%%:*} ]] || missing "CLUSTER_PROVIDER=existing needs KUBECONFIG=FILE: no cluster is guessed from your home directory."
  tools_ensure existing
  context=$("$TOOLS/bin/kubectl" config current-context) || die "$KUBECONFIG has no current context"
  if [[ ${CLUSTER_EXISTING_YES:-} != 1 ]]; then
    missing "the tests install custom resource definitions and an operator into the cluster of context '$context' ($KUBECONFIG).
  If that is what you want, say so: CLUSTER_EXISTING_YES=1"
  fi
}

existing_up() {
  local version context
  context=$("$TOOLS/bin/kubectl" config current-context)
  umask 077
  "$TOOLS/bin/kubectl" config view --minify --flatten --raw >"$KUBECONFIG_FILE"
  version=$(admin version -o yaml | awk '/^serverVersion:/ { server = 1 } server && $1 == "gitVersion:" { print $2; exit }') && [[ -n $version ]] ||
    die "the cluster of context '$context' does not answer"
  AUDIT_LOG='' HOST_ROUTES=no HOST_IP='' POD_CIDR='' SERVICE_CIDR='' KUBERNETES_VERSION=$version
  save TOOLS KUBERNETES_VERSION AUDIT_LOG HOST_ROUTES HOST_IP POD_CIDR SERVICE_CIDR
  say "using the cluster of context '$context'; what you install into it stays until you remove it"
}

existing_down() {
  say "the cluster itself is not ours and stays as it is; forgot its kubeconfig"
}

existing_load() {
  missing "images cannot be put into the nodes of a cluster that is not ours.
  Push them to a registry which that cluster can pull from, for example
    skopeo copy oci-archive:FILE.tar docker://REGISTRY/NAME:TAG
  and install the chart with that reference."
}
