{{/* The labels of everything. */}}
{{- define "shop.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- range $key, $value := .Values.labels }}
{{ $key }}: {{ $value | quote }}
{{- end }}
{{- end }}
{{- define "shop.nothing" }}{{ end }}
{{- define "shop.trimmed" }}
  {{- /* a comment, and trimming on both sides */ -}}
  {{ .Release.Name | upper }}
{{- end }}
