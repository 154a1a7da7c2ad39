# shellcheck shell=bash
# CoreDNS, an ordinary Deployment behind the Service that every pod's resolv.conf names.

dns_apply() {
  COREDNS_IMAGE=localhost/mcp-operator-cluster/coredns:$COREDNS_TAG
  render "$TEMPLATES/coredns.yaml" >"$STATE/config/coredns.yaml"
  admin apply --server-side --force-conflicts --field-manager mcp-operator-cluster -f "$STATE/config/coredns.yaml" >/dev/null
}

dns_ready() {
  [[ $(admin -n kube-system get deployment coredns -o 'jsonpath={.status.conditions[?(@.type=="Available")].status}') == True ]]
}
