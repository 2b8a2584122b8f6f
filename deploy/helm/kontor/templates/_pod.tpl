{{- /* The pod, whatever keeps the store. */ -}}
{{- define "kontor.pod" -}}
{{- $scheme := ternary "HTTPS" "HTTP" (ne .Values.tls.secretName "") -}}
metadata:
  labels:
    {{- include "kontor.selector" . | nindent 4 }}
    {{- with .Values.podLabels }}{{ toYaml . | nindent 4 }}{{ end }}
  annotations:
    # Another configuration is another pod: there is nobody in it to send SIGHUP.
    checksum/config: {{ include "kontor.config" . | sha256sum }}
    {{- with .Values.podAnnotations }}{{ toYaml . | nindent 4 }}{{ end }}
spec:
  serviceAccountName: {{ include "kontor.name" . }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  {{- include "kontor.scheduling" . | nindent 2 }}
  {{- if eq .Values.store "postgres" }}
  # Replicas keep apart, so that one zone or node less is one replica less; those of one version are counted.
  topologySpreadConstraints:
    {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
    - maxSkew: 1
      topologyKey: {{ . }}
      whenUnsatisfiable: {{ $.Values.topologySpread }}
      labelSelector:
        matchLabels: {{- include "kontor.selector" $ | nindent 10 }}
      matchLabelKeys: [pod-template-hash]
    {{- end }}
  {{- end }}
  securityContext: {{- include "kontor.podSecurity" . | nindent 4 }}
  containers:
    - name: kontor
      image: {{ include "kontor.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [serve, --config, /etc/kontor/kontor.yaml]
      securityContext: {{- include "kontor.containerSecurity" . | nindent 8 }}
      ports:
        - {name: grpc, containerPort: 9090}
        - {name: http, containerPort: 8080}
        - {name: admin, containerPort: 8081}
      # Probes are answered while a large store is being opened, or its tables are brought up to date.
      livenessProbe:
        httpGet: {path: /livez, port: admin, scheme: {{ $scheme }}}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      # SIGTERM turns it off; shutdown.delay is longer than two periods, so no preStop has to wait.
      readinessProbe:
        httpGet: {path: /readyz, port: admin, scheme: {{ $scheme }}}
        periodSeconds: 2
        timeoutSeconds: 5
        failureThreshold: 2
      resources: {{- toYaml .Values.resources | nindent 8 }}
      volumeMounts:
        {{- if eq .Values.store "sqlite" }}
        - {name: data, mountPath: /var/lib/kontor}
        {{- end }}
        - {name: config, mountPath: /etc/kontor, readOnly: true}
        - {name: secrets, mountPath: /run/secrets/kontor, readOnly: true}
        {{- if .Values.tls.secretName }}
        - {name: tls, mountPath: /run/secrets/kontor-tls, readOnly: true}
        {{- end }}
        {{- with .Values.extraVolumeMounts }}{{ toYaml . | nindent 8 }}{{ end }}
  volumes:
    - name: config
      configMap: {name: {{ include "kontor.name" . }}}
    - name: secrets
      secret: {secretName: {{ .Values.secretName }}, defaultMode: 0440}
    {{- if .Values.tls.secretName }}
    - name: tls
      secret: {secretName: {{ .Values.tls.secretName }}, defaultMode: 0440}
    {{- end }}
    {{- with .Values.persistence.existingClaim }}
    - name: data
      persistentVolumeClaim: {claimName: {{ . }}}
    {{- end }}
    {{- with .Values.extraVolumes }}{{ toYaml . | nindent 4 }}{{ end }}
{{- end }}

{{- define "kontor.image" -}}
{{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) | quote }}
{{- end }}

{{- /* Who may run it, and where. */ -}}
{{- define "kontor.scheduling" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* Together with kontor.containerSecurity: "restricted" of the pod security standards. */ -}}
{{- define "kontor.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "kontor.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}
