{{- define "vaultbridge.fullname" -}}
{{- default .Release.Name .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- define "vaultbridge.selector" -}}
app.kubernetes.io/name: vaultbridge
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "vaultbridge.labels" -}}
{{ include "vaultbridge.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "vaultbridge.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* The operator, as the API server calls it. */ -}}
{{- define "vaultbridge.user" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "vaultbridge.fullname" . }}
{{- end -}}

{{- /* What the operator may do where the VaultSecrets are. */ -}}
{{- define "vaultbridge.rules" -}}
- apiGroups: [vaultbridge.dev]
  resources: [vaultsecrets]
  verbs: [get, list, watch, patch]
- apiGroups: [vaultbridge.dev]
  resources: [vaultsecrets/status]
  verbs: [update]
# The Secrets. The admission policies of this chart say which.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch, create, update, patch, delete]
# As whom to log in. The admission policies say for whom a token is.
- apiGroups: [""]
  resources: [serviceaccounts]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [serviceaccounts/token]
  verbs: [create]
# Texts for templateFrom.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [list, watch]
{{- if .Values.rbac.rollouts }}
# Workloads that spec.rollout names. The admission policies let nothing of them change but one annotation.
- apiGroups: [apps]
  resources: [deployments, statefulsets, daemonsets]
  verbs: [get, list, patch]
- apiGroups: [argoproj.io]
  resources: [rollouts]
  verbs: [get, list, patch]
{{- end }}
# Events; a repeat is a patch of the first.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}

{{- define "vaultbridge.subjects" -}}
- kind: ServiceAccount
  name: {{ include "vaultbridge.fullname" . }}
  namespace: {{ .Release.Namespace }}
{{- end -}}
