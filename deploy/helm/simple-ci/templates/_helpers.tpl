{{- define "simple-ci.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /* Short enough for -metrics and -etcd behind it. */}}
{{- define "simple-ci.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains (include "simple-ci.name" .) .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "simple-ci.name" .) | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "simple-ci.selectorLabels" -}}
app.kubernetes.io/name: {{ include "simple-ci.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "simple-ci.labels" -}}
{{ include "simple-ci.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "simple-ci.clusterId" -}}
{{- default (printf "%s/%s" .Release.Namespace .Release.Name) .Values.cluster.id }}
{{- end }}

{{- define "simple-ci.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end }}
{{- end }}

{{- define "simple-ci.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "simple-ci.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "simple-ci.etcdEndpoints" -}}
{{- if .Values.etcd.evaluation.enabled -}}
http://{{ include "simple-ci.fullname" . }}-etcd:2379
{{- else -}}
{{- join "," .Values.etcd.endpoints }}
{{- end }}
{{- end }}

{{- /* Who scales in takes idle pods, and must know which these are. Who makes pods for tasks must know its own. */}}
{{- define "simple-ci.marksPods" -}}
{{- if or .Values.podMarks.enabled (eq .Values.autoscaling.mode "self") (eq .Values.executor.kind "kubernetes") }}true{{ end }}
{{- end }}

{{- define "simple-ci.slotsPerPod" -}}
{{- $slots := default .Values.node.slots .Values.autoscaling.slotsPerPod }}
{{- required (printf "Cannot scale by demand (autoscaling.mode %s) as it is not known how many slots a pod has: set node.slots or autoscaling.slotsPerPod" .Values.autoscaling.mode) $slots }}
{{- end }}

{{- /* How a node or an adapter reaches etcd; the files are in the volume etcd-tls. */}}
{{- define "simple-ci.etcdEnv" -}}
- name: SIMPLE_CI_CLUSTER
  value: {{ include "simple-ci.clusterId" . | quote }}
- name: SIMPLE_CI_ETCD
  value: {{ include "simple-ci.etcdEndpoints" . | quote }}
{{- with .Values.etcd.tls }}
{{- if .existingSecret }}
- name: SIMPLE_CI_ETCD_CA
  value: /etc/simple-ci/etcd-tls/{{ .caKey }}
{{- if .certKey }}
- name: SIMPLE_CI_ETCD_CERT
  value: /etc/simple-ci/etcd-tls/{{ .certKey }}
- name: SIMPLE_CI_ETCD_KEY
  value: /etc/simple-ci/etcd-tls/{{ .keyKey }}
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.etcd.auth }}
{{- if .user }}
- name: SIMPLE_CI_ETCD_USER
  value: {{ .user | quote }}
- name: SIMPLE_CI_ETCD_PASSWORD_FILE
  value: /etc/simple-ci/etcd-auth/{{ .passwordKey }}
{{- end }}
{{- end }}
{{- end }}

{{- define "simple-ci.s3Env" -}}
- name: SIMPLE_CI_S3
  value: {{ .Values.s3.url | quote }}
{{- if .Values.s3.existingSecret }}
- name: AWS_ACCESS_KEY_ID
  valueFrom:
    secretKeyRef: { name: {{ .Values.s3.existingSecret }}, key: AWS_ACCESS_KEY_ID }
- name: AWS_SECRET_ACCESS_KEY
  valueFrom:
    secretKeyRef: { name: {{ .Values.s3.existingSecret }}, key: AWS_SECRET_ACCESS_KEY }
{{- end }}
{{- end }}

{{- define "simple-ci.etcdMounts" -}}
{{- if .Values.etcd.tls.existingSecret }}
- name: etcd-tls
  mountPath: /etc/simple-ci/etcd-tls
  readOnly: true
{{- end }}
{{- if .Values.etcd.auth.user }}
- name: etcd-auth
  mountPath: /etc/simple-ci/etcd-auth
  readOnly: true
{{- end }}
{{- end }}

{{- define "simple-ci.etcdVolumes" -}}
{{- if .Values.etcd.tls.existingSecret }}
- name: etcd-tls
  secret:
    secretName: {{ .Values.etcd.tls.existingSecret }}
    defaultMode: 0440
{{- end }}
{{- if .Values.etcd.auth.user }}
- name: etcd-auth
  secret:
    secretName: {{ .Values.etcd.auth.existingSecret }}
    defaultMode: 0440
{{- end }}
{{- end }}

{{- /* The restricted pod security standard, and the image's user unless Kubernetes is to choose one. */}}
{{- define "simple-ci.podSecurity" -}}
runAsNonRoot: true
{{- with .Values.user }}
runAsUser: {{ int64 . }}
runAsGroup: {{ int64 . }}
fsGroup: {{ int64 . }}
fsGroupChangePolicy: OnRootMismatch
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "simple-ci.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- /* What cannot work is refused before it is installed. */}}
{{- define "simple-ci.check" -}}
{{- if and (not .Values.etcd.endpoints) (not .Values.etcd.evaluation.enabled) }}
{{- fail "Cannot install as there is no etcd: set etcd.endpoints, or etcd.evaluation.enabled=true to try things out" }}
{{- end }}
{{- if and .Values.etcd.endpoints .Values.etcd.evaluation.enabled }}
{{- fail "Cannot install as there are two etcds: either etcd.endpoints or etcd.evaluation.enabled" }}
{{- end }}
{{- if not .Values.s3.url }}
{{- fail "Cannot install as there is no S3: set s3.url, such as s3://bucket/prefix?region=eu-central-1" }}
{{- end }}
{{- if and .Values.etcd.auth.user (not .Values.etcd.auth.existingSecret) }}
{{- fail "Cannot install as the password of etcd's user is nowhere: set etcd.auth.existingSecret" }}
{{- end }}
{{- if gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas) }}
{{- fail (printf "Cannot install as autoscaling.minReplicas is more than autoscaling.maxReplicas: %d, %d" (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas)) }}
{{- end }}
{{- if and (eq .Values.autoscaling.mode "self") (lt (int .Values.autoscaling.minReplicas) 1) }}
{{- fail "Cannot use autoscaling.mode self with autoscaling.minReplicas 0, as no pod would be there to start another" }}
{{- end }}
{{- if and (eq .Values.executor.kind "kubernetes") (kindIs "invalid" .Values.node.slots) }}
{{- fail "Cannot run tasks in pods of their own (executor.kind kubernetes) as it is not known how many a node may have at once: set node.slots" }}
{{- end }}
{{- if eq .Values.autoscaling.mode "external" }}
{{- range $value, $remedy := dict (include "simple-ci.clusterId" . | replace "/" ".") "cluster.id" (include "simple-ci.pool" .) "node.labels" }}
{{- if not (regexMatch "^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$" $value) }}
{{- fail (printf "Cannot use autoscaling.mode external as a label of Kubernetes has at most 63 characters, and a letter or digit at its end: set another %s: %q" $remedy $value) }}
{{- end }}
{{- end }}
{{- $tls := .Values.metricsAdapter.tls }}
{{- if and (or $tls.caBundle $tls.injectFrom) (not $tls.existingSecret) }}
{{- fail "Cannot use metricsAdapter.tls.caBundle or injectFrom as the certificate would be one that the chart makes, by another authority: set metricsAdapter.tls.existingSecret" }}
{{- end }}
{{- $foreign := lookup "apiregistration.k8s.io/v1" "APIService" "" "v1beta1.external.metrics.k8s.io" }}
{{- if and $foreign (ne (dig "spec" "service" "namespace" "" $foreign) .Release.Namespace) }}
{{- fail (printf "Cannot use autoscaling.mode external as another program of this Kubernetes cluster serves external metrics: %s/%s. Use keda, self or cpu" (dig "spec" "service" "namespace" "?" $foreign) (dig "spec" "service" "name" "?" $foreign)) }}
{{- end }}
{{- end }}
{{- end }}

{{- /* What the pods of this release's tasks are known by. */}}
{{- define "simple-ci.taskLabels" -}}
app.kubernetes.io/component: task
simple-ci/release: {{ .Release.Name }}
{{- end }}

{{- define "simple-ci.podTemplate" -}}
{{- $labels := merge (dict "simple-ci/release" .Release.Name) (default dict .Values.executor.podTemplate.labels) }}
{{- toPrettyJson (merge (dict "labels" $labels "user" .Values.user) .Values.executor.podTemplate) }}
{{- end }}

{{- /* Names under which the API is asked for. */}}
{{- define "simple-ci.hostNames" -}}
{{- $name := include "simple-ci.fullname" . }}
{{- $own := list $name (printf "%s.%s" $name .Release.Namespace) (printf "%s.%s.svc" $name .Release.Namespace) (printf "%s.%s.svc.cluster.local" $name .Release.Namespace) }}
{{- $ingress := ternary .Values.ingress.hosts list .Values.ingress.enabled }}
{{- $route := ternary .Values.httpRoute.hostnames list .Values.httpRoute.enabled }}
{{- join "," (concat $own $ingress $route) }}
{{- end }}

{{- /* What the nodes of this release are called as a pool: see shared/pools.ts. */}}
{{- define "simple-ci.pool" -}}
{{- $names := list }}
{{- range concat .Values.node.labels (ternary (list "container") list (eq .Values.executor.kind "kubernetes")) }}
{{- $names = append $names (. | replace "_" "__" | replace "/" "_." | replace "=" "_-") }}
{{- end }}
{{- $name := $names | uniq | sortAlpha | join "_" }}
{{- if eq $name "" }}default{{ else if eq $name "default" }}default_{{ else }}{{ $name }}{{ end }}
{{- end }}
