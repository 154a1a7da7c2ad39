# shellcheck shell=bash
# etcd, API server, controller manager and scheduler.

etcd_start() {
  # Loopback of the sandbox: nobody outside it can reach these ports.
  member_start etcd etcd --name "$NODE_NAME" --data-dir "$RUN/etcd" \
    --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
    --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \
    --initial-cluster "$NODE_NAME=http://127.0.0.1:2380" --auto-compaction-mode periodic --auto-compaction-retention 30m
}

apiserver_start() {
  local pki=$STATE/pki
  cp -- "$HERE/lib/audit-policy.yaml" "$STATE/config/audit-policy.yaml"
  # One file for the cluster's whole life: whoever counts requests in it must not lose the start to a rotation.
  member_start kube-apiserver kube-apiserver \
    --etcd-servers http://127.0.0.1:2379 \
    --bind-address 0.0.0.0 --advertise-address "$NODE_IP" --secure-port 6443 \
    --tls-cert-file "$pki/apiserver.crt" --tls-private-key-file "$pki/apiserver.key" --client-ca-file "$pki/ca.crt" \
    --service-account-issuer https://kubernetes.default.svc \
    --service-account-key-file "$pki/service-account.pub" --service-account-signing-key-file "$pki/service-account.key" \
    --authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction --allow-privileged=true \
    --service-cluster-ip-range "$SERVICE_CIDR" \
    --kubelet-client-certificate "$pki/kubelet-client.crt" --kubelet-client-key "$pki/kubelet-client.key" \
    --kubelet-certificate-authority "$pki/ca.crt" --kubelet-preferred-address-types InternalIP \
    --requestheader-client-ca-file "$pki/ca.crt" --requestheader-allowed-names front-proxy-client \
    --requestheader-username-headers X-Remote-User --requestheader-group-headers X-Remote-Group \
    --requestheader-extra-headers-prefix X-Remote-Extra- \
    --proxy-client-cert-file "$pki/front-proxy-client.crt" --proxy-client-key-file "$pki/front-proxy-client.key" \
    --enable-aggregator-routing=true --profiling=false \
    --audit-policy-file "$STATE/config/audit-policy.yaml" --audit-log-path "$AUDIT_LOG" \
    --audit-log-maxsize 4096 --audit-log-maxbackup 1
}

controllers_start() {
  local pki=$STATE/pki config
  config=$pki/controller-manager.kubeconfig
  # At the stock 20 requests a second the controllers' own accounts and tokens take 5 s of the start; and a new node
  # takes pods only once its monitor has come round.
  member_start kube-controller-manager kube-controller-manager \
    --kubeconfig "$config" --authentication-kubeconfig "$config" --authorization-kubeconfig "$config" \
    --service-account-private-key-file "$pki/service-account.key" --root-ca-file "$pki/ca.crt" \
    --cluster-signing-cert-file "$pki/ca.crt" --cluster-signing-key-file "$pki/ca.key" \
    --use-service-account-credentials --leader-elect=false --allocate-node-cidrs=false \
    --kube-api-qps 200 --kube-api-burst 400 --node-monitor-period 1s --horizontal-pod-autoscaler-sync-period 5s --bind-address 127.0.0.1 --profiling=false
  config=$pki/scheduler.kubeconfig
  member_start kube-scheduler kube-scheduler \
    --kubeconfig "$config" --authentication-kubeconfig "$config" --authorization-kubeconfig "$config" \
    --leader-elect=false --bind-address 127.0.0.1 --profiling=false
}

apiserver_ready() { [[ $(admin get --raw /readyz) == ok ]]; }

etcd_ready() {
  in_sandbox env ETCDCTL_API=3 bash -c 'exec 3<>/dev/tcp/127.0.0.1/2379'
}
