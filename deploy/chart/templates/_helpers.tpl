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
