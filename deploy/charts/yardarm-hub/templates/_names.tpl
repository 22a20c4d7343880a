{{- define "hub.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "hub.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains (include "hub.name" .) .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "hub.name" .) | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "hub.selector" -}}
app.kubernetes.io/name: {{ include "hub.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: hub
{{- end }}

{{- define "hub.metadata" -}}
namespace: {{ .Release.Namespace }}
labels:
  app.kubernetes.io/name: {{ include "hub.name" . }}
  app.kubernetes.io/instance: {{ .Release.Name }}
  app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
  app.kubernetes.io/managed-by: {{ .Release.Service }}
  app.kubernetes.io/part-of: yardarm
  helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "hub.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "hub.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.name is needed where serviceAccount.create is false" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "hub.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{- /* Where the hub is within the cluster. */ -}}
{{- define "hub.inside" -}}
{{- printf "%s.%s.svc" (include "hub.fullname" .) .Release.Namespace }}
{{- end }}

{{- /* The port of an address that is dialled from outside: a node's, if one is given. */ -}}
{{- define "hub.apiAddress" -}}
{{- if not .Values.addresses }}
{{- fail "addresses is needed: the names or IPs that the hub is reached by" }}
{{- end }}
{{- default (printf "%s:%v" (include "hub.host" (first .Values.addresses)) (default .Values.service.apiPort .Values.service.apiNodePort)) .Values.apiAddress }}
{{- end }}

{{- define "hub.spokeAddresses" -}}
{{- $port := default .Values.service.spokePort .Values.service.spokeNodePort }}
{{- if .Values.spokeService.enabled }}
{{- $port = default .Values.spokeService.port .Values.spokeService.nodePort }}
{{- end }}
{{- $all := .Values.spokeAddresses }}
{{- if not $all }}
{{- range .Values.addresses }}
{{- $all = append $all (printf "%s:%v" (include "hub.host" .) $port) }}
{{- end }}
{{- end }}
{{- toJson $all }}
{{- end }}

{{- /* IPv6 addresses have brackets before a port. */ -}}
{{- define "hub.host" -}}
{{- if contains ":" . }}[{{ . }}]{{ else }}{{ . }}{{ end }}
{{- end }}

{{- define "hub.claim" -}}
{{- default (printf "data-%s-0" (include "hub.fullname" .)) .Values.persistence.existingClaim }}
{{- end }}

{{/* Who may call, as files; empty where only tokens may. */}}
{{- define "hub.access" -}}
{{- with .Values.access.identityProviders -}}
providers.yaml: |
  apiVersion: yardarm.dev/v1
  kind: IdentityProviders
  providers:
    {{- toYaml . | nindent 4 }}
{{ end -}}
{{- with .Values.access.clientCA -}}
client-ca.pem: {{ . | quote }}
{{ end -}}
{{- with .Values.access.files -}}
{{- toYaml . }}
{{ end -}}
{{- end -}}
