{{- define "mcp-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "mcp-operator.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "mcp-operator.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Cluster-scoped names carry the namespace: two releases of one name in two namespaces must not share them. */}}
{{- define "mcp-operator.clusterName" -}}
{{- printf "%s-%s" .Release.Namespace (include "mcp-operator.fullname" .) -}}
{{- end -}}

{{- define "mcp-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "mcp-operator.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* The immutable subset: a Deployment's selector can never change. */}}
{{- define "mcp-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "mcp-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "mcp-operator.labels" -}}
{{ include "mcp-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: mcp-operator
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{/* An image's reference from {image, version}. */}}
{{- define "mcp-operator.image" -}}
{{- printf "%s:%s" .image.repository (default .version .image.tag) -}}
{{- with .image.digest -}}@{{ . }}{{- end -}}
{{- end -}}

{{/*
The rights of the operator in the namespaces it watches: the verbs it uses, and no other. It deletes nothing (owner
references do that) and cannot read a Secret.
*/}}
{{- define "mcp-operator.rules" -}}
- apiGroups: [mcp-operator.dev]
  resources: [mcpservers]
  verbs: [list, watch]
- apiGroups: [mcp-operator.dev]
  resources: [mcpservers/status]
  verbs: [patch]
# Children name their McpServer as owner with blockOwnerDeletion. Where the admission plugin
# OwnerReferencesPermissionEnforcement is on, that takes this right.
- apiGroups: [mcp-operator.dev]
  resources: [mcpservers/finalizers]
  verbs: [update]
# Server-side apply of an object that is not there yet takes `create` beside `patch`; `get` looks once whether a name is taken.
- apiGroups: [""]
  resources: [serviceaccounts, configmaps, services]
  verbs: [get, list, watch, create, patch]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch]
# A generated API key is written once and never read again.
- apiGroups: [""]
  resources: [secrets]
  verbs: [create]
# Reads why a pod is not ready; touches an annotation, so that the kubelet fetches changed configuration at once.
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch, patch]
# Tells what happened; lists what the kubelet says of a pod that does not start.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, list, patch]
{{- end -}}

{{/*
Ends an installation before anything of it is made where a namespace of watchNamespaces is missing: the Role in it could not be
made, and a half-made release would keep its name. A namespace has a ServiceAccount `default`, which whoever may install here may
also see. Without a cluster (`helm template`) nothing is found at all, and nothing is said.
*/}}
{{- define "mcp-operator.checkNamespaces" -}}
{{- if .Values.watchNamespaces -}}
{{- if or (lookup "v1" "ServiceAccount" .Release.Namespace "default") (lookup "v1" "Namespace" "" "kube-system") -}}
{{- $missing := list -}}
{{- range $namespace := uniq .Values.watchNamespaces -}}
{{- if not (lookup "v1" "ServiceAccount" $namespace "default") -}}
{{- $missing = append $missing $namespace -}}
{{- end -}}
{{- end -}}
{{- if $missing -}}
{{- fail (printf "watchNamespaces names what does not exist: %s. Create it first (%s), or take it out; nothing was installed." (join ", " $missing) (printf "kubectl create namespace %s" (first $missing))) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
