# shellcheck shell=bash
# Keys, certificates and kubeconfig files of one cluster, made anew at every start and valid for a year.

new_key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1"; }

pki_authority() {
  new_key "$STATE/pki/ca.key"
  openssl req -x509 -new -key "$STATE/pki/ca.key" -sha256 -days 365 -subj "/CN=$CLUSTER_ID" \
    -addext 'basicConstraints=critical,CA:TRUE' -addext 'keyUsage=critical,keyCertSign,cRLSign,digitalSignature' \
    -out "$STATE/pki/ca.crt"
}

# certificate NAME SUBJECT [SUBJECT_ALTERNATIVE_NAMES]: NAME.key and NAME.crt, for client and server use.
certificate() {
  local path=$STATE/pki/$1 subject=$2 names=${3:-}
  new_key "$path.key"
  {
    echo 'basicConstraints=critical,CA:FALSE'
    echo 'keyUsage=critical,digitalSignature'
    echo 'extendedKeyUsage=clientAuth,serverAuth'
    [[ -z $names ]] || echo "subjectAltName=$names"
  } >"$path.ext"
  openssl req -new -key "$path.key" -subj "$subject" -out "$path.csr"
  openssl x509 -req -sha256 -days 365 -in "$path.csr" -CA "$STATE/pki/ca.crt" -CAkey "$STATE/pki/ca.key" \
    -set_serial "0x$(openssl rand -hex 8)" -extfile "$path.ext" -out "$path.crt" 2>/dev/null
  rm -f -- "$path.csr" "$path.ext"
}

# kubeconfig CERTIFICATE FILE: self-contained, readable by its owner alone.
kubeconfig() {
  local path=$STATE/pki/$1 file=$2
  cat >"$file" <<YAML
apiVersion: v1
kind: Config
current-context: $CLUSTER_NAME
clusters:
  - name: $CLUSTER_NAME
    cluster:
      server: https://$NODE_IP:6443
      certificate-authority-data: $(base64 -w0 "$STATE/pki/ca.crt")
users:
  - name: $CLUSTER_NAME
    user:
      client-certificate-data: $(base64 -w0 "$path.crt")
      client-key-data: $(base64 -w0 "$path.key")
contexts:
  - name: $CLUSTER_NAME
    context:
      cluster: $CLUSTER_NAME
      user: $CLUSTER_NAME
YAML
  chmod 0600 "$file"
}

pki_create() {
  local component
  mkdir -p -- "$STATE/pki"
  pki_authority
  # RSA, because it is what every reader of ServiceAccount tokens can verify.
  openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$STATE/pki/service-account.key" 2>/dev/null ||
    openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$STATE/pki/service-account.key" 2>/dev/null
  openssl pkey -in "$STATE/pki/service-account.key" -pubout -out "$STATE/pki/service-account.pub"
  certificate apiserver /CN=kube-apiserver "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local,DNS:localhost,IP:127.0.0.1,IP:$NODE_IP,IP:$KUBERNETES_IP"
  certificate admin "/O=system:masters/CN=$CLUSTER_NAME-admin"
  certificate controller-manager /CN=system:kube-controller-manager
  certificate scheduler /CN=system:kube-scheduler
  certificate kubelet "/O=system:nodes/CN=system:node:$NODE_NAME" "DNS:$NODE_NAME,IP:$NODE_IP"
  certificate kube-proxy /CN=system:kube-proxy
  certificate kubelet-client /O=system:masters/CN=kube-apiserver-kubelet-client
  certificate front-proxy-client /CN=front-proxy-client
  for component in controller-manager scheduler kubelet kube-proxy; do
    kubeconfig "$component" "$STATE/pki/$component.kubeconfig"
  done
}
