{{- define "kontor.name" -}}
{{- if contains "kontor" .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-kontor{{ end -}}
{{- end }}

{{- define "kontor.selector" -}}
app.kubernetes.io/name: kontor
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "kontor.labels" -}}
{{ include "kontor.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- /* Others than the pods have, or services would send callers to the job. */ -}}
{{- define "kontor.migrate.labels" -}}
app.kubernetes.io/name: kontor-migrate
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "kontor.migrate.hook" -}}
helm.sh/hook: pre-install,pre-upgrade
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}

{{- /* Where names are looked up. */ -}}
{{- define "kontor.egress.names" -}}
- to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}}]
  ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
{{- end }}

{{- /* kontor.yaml: what the chart sets, and over that what values say. */ -}}
{{- define "kontor.config" -}}
{{- include "kontor.configWith" (dict "root" . "over" dict) }}
{{- end }}

{{- /* The same, with what goes before everything. */ -}}
{{- define "kontor.configWith" -}}
{{- $values := .root.Values -}}
{{- $set := dict
  "listen" (dict "grpc" "0.0.0.0:9090" "http" "0.0.0.0:8080" "admin" "0.0.0.0:8081")
  "store" "sqlite:/var/lib/kontor/data/kontor.db"
  "store_key" "${file:/run/secrets/kontor/store-key}"
  "shutdown" (dict "delay" "5s")
-}}
{{- if eq $values.store "postgres" }}{{ $_ := set $set "store" "${file:/run/secrets/kontor/store}" }}{{ end }}
{{- if $values.tls.secretName }}
{{- $from := "/run/secrets/kontor-tls/" }}
{{- $tls := dict "cert_file" (print $from "tls.crt") "key_file" (print $from "tls.key") "admin" true }}
{{- if $values.tls.clientCA }}{{ $_ := set $tls "client_ca_file" (print $from "ca.crt") }}{{ end }}
{{- $_ := set $set "tls" $tls }}
{{- else }}
{{- $_ := set $set "insecure" true }}
{{- end }}
{{- toYaml (mustMergeOverwrite $set (deepCopy $values.config) .over) }}
{{- end }}
