{{- define "spoke.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "spoke.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains (include "spoke.name" .) .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "spoke.name" .) | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "spoke.selector" -}}
app.kubernetes.io/name: {{ include "spoke.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "spoke.labels" -}}
{{ include "spoke.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: yardarm
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "spoke.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "spoke.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.name is needed where serviceAccount.create is false" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "spoke.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{- /* The Secret with the token; empty where the spoke has enrolled already and none is given. */ -}}
{{- define "spoke.tokenSecret" -}}
{{- if .Values.existingSecret }}
{{- .Values.existingSecret }}
{{- else if .Values.token }}
{{- printf "%s-token" (include "spoke.fullname" .) }}
{{- end }}
{{- end }}

{{- /* What every program of the image is told, beside what is its own. */ -}}
{{- define "spoke.env" -}}
- name: POD_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
{{- if .Values.proxy.https }}
- {name: HTTPS_PROXY, value: {{ .Values.proxy.https | quote }}}
- name: NO_PROXY
  value: {{ prepend (compact (list .Values.proxy.noProxy)) "$(KUBERNETES_SERVICE_HOST),localhost,.svc,.cluster.local" | join "," | quote }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* The policy says what RBAC would refuse anyway: a spoke that may only read compares rather than fails, and one of some
namespaces refuses others by a rule that it names. */ -}}
{{- define "spoke.policy" -}}
{{- $policy := deepCopy .Values.policy }}
{{- if eq .Values.rbac.preset "read-only" }}
{{- $_ := set $policy "readOnly" true }}
{{- else if and (eq .Values.rbac.preset "namespaced") (not $policy.namespaces) }}
{{- $_ := set $policy "namespaces" (dict "allow" .Values.rbac.namespaces) }}
{{- end }}
{{- toYaml $policy }}
{{- end }}
