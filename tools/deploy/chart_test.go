package deploy

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"
)

var chart = filepath.Join(root, "deploy", "helm", "kontor")

// least is what an operator must say.
const least = `
image: {repository: registry.example.com/kontor, tag: "1.2.3"}
config:
  public_url: https://kontor.example.com
  tenants:
    default:
      redirect_uris: ["https://app.example.com/*"]
      providers:
        finoos: {name: lender, secret: "${file:/run/secrets/kontor/finoos}"}
  clients:
    - {id: lending, tenant: default, scopes: ["*"],
       key_sha256: d92634c17b42ec266ed559bb5845161c60b887960a3c933f4b24526d237997ec}
`

// several is what every variant with several pods has.
const several = least + "store: postgres\n"

// common are values for all variants, other than their defaults.
const common = `
imagePullSecrets: [{name: registry}]
secretName: mine
tls: {secretName: kontor-tls, clientCA: true}
service: {type: LoadBalancer, annotations: {a: b}, labels: {c: d}}
resources: {limits: {memory: 4Gi}}
terminationGracePeriodSeconds: 90
serviceMonitor: {enabled: true, labels: {release: prometheus}, interval: 15s}
podAnnotations: {e: f}
podLabels: {g: h}
nodeSelector: {disk: ssd}
tolerations: [{key: dedicated, operator: Exists}]
affinity:
  nodeAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      nodeSelectorTerms: [{matchExpressions: [{key: zone, operator: Exists}]}]
extraVolumes: [{name: backup, persistentVolumeClaim: {claimName: backup}}]
extraVolumeMounts: [{name: backup, mountPath: /backup}]
`

// most has every value of the chart set that one pod with SQLite can have.
const most = least + common + `
persistence: {size: 20Gi, storageClass: fast, accessMode: ReadWriteOncePod, existingClaim: ""}
podDisruptionBudget: {enabled: true, maxUnavailable: 0}
networkPolicy:
  enabled: true
  callers: [{namespaceSelector: {matchLabels: {team: lending}}}]
  monitoring: [{podSelector: {matchLabels: {app: prometheus}}}]
  egress: [{ports: [{port: 443, protocol: TCP}], to: [{ipBlock: {cidr: 192.0.2.0/24}}]}]
`

// severalMost has every value set that several pods can have.
const severalMost = several + common + `
migrate: {enabled: true, secretName: owner}
autoscaling:
  enabled: true
  minReplicas: 2
  maxReplicas: 8
  cpu: 60
  memory: 120
  streams: 5000
  metrics: [{type: External, external: {metric: {name: queue}, target: {type: Value, value: "10"}}}]
topologySpread: DoNotSchedule
podDisruptionBudget: {enabled: true, maxUnavailable: 2}
networkPolicy:
  enabled: true
  callers: [{namespaceSelector: {matchLabels: {team: lending}}}]
  monitoring: [{podSelector: {matchLabels: {app: prometheus}}}]
  postgres: [{ports: [{port: 6432, protocol: TCP}], to: [{podSelector: {matchLabels: {app: pgbouncer}}}]}]
  egress: [{ports: [{port: 443, protocol: TCP}], to: [{ipBlock: {cidr: 192.0.2.0/24}}]}]
`

// without is what an operator may leave out, and a volume that is there already.
const without = least + `
persistence: {existingClaim: mine}
podDisruptionBudget: {enabled: false}
networkPolicy: {enabled: false}
`

// severalWithout is the same for several pods, of a number that somebody said.
const severalWithout = several + `
replicas: 5
migrate: {enabled: true}
podDisruptionBudget: {enabled: false}
networkPolicy: {enabled: false}
`

var variants = map[string]string{
	"sqlite, least": least, "sqlite, most": most, "sqlite, without": without,
	"postgres, least": several, "postgres, most": severalMost, "postgres, without": severalWithout,
}

func parse(t *testing.T, text string) map[string]any {
	t.Helper()
	values, err := chartutil.ReadValues([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// rendered gives the manifests, one text for each.
func rendered(t *testing.T, text string) ([]string, error) {
	t.Helper()
	loaded, err := loader.Load(chart)
	if err != nil {
		t.Fatal(err)
	}
	values, err := chartutil.ToRenderValues(loaded, parse(t, text),
		chartutil.ReleaseOptions{Name: "bank", Namespace: "lending", IsInstall: true}, chartutil.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	files, err := engine.Engine{Strict: true}.Render(loaded, values)
	if err != nil {
		return nil, err
	}
	var manifests []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if strings.HasSuffix(name, "NOTES.txt") {
			continue
		}
		for manifest := range strings.SplitSeq(files[name], "\n---\n") {
			if strings.TrimSpace(manifest) != "" {
				manifests = append(manifests, manifest)
			}
		}
	}
	return manifests, nil
}

// objects are a chart's manifests as Kubernetes has them.
type objects struct {
	set        *apps.StatefulSet
	deployment *apps.Deployment
	scaler     *autoscaling.HorizontalPodAutoscaler
	config     *core.ConfigMap
	services   []*core.Service
	budget     *policy.PodDisruptionBudget
	network    *networking.NetworkPolicy
	monitor    *monitoring.ServiceMonitor
	// before is what runs before the rest is there, with what it needs.
	before struct {
		job     *batch.Job
		config  *core.ConfigMap
		network *networking.NetworkPolicy
	}
}

// pod gives the pods that serve, by whatever is to run them, and what that looks for.
func (o objects) pod() (template core.PodTemplateSpec, selector map[string]string) {
	if o.set != nil {
		return o.set.Spec.Template, o.set.Spec.Selector.MatchLabels
	}
	return o.deployment.Spec.Template, o.deployment.Spec.Selector.MatchLabels
}

// one makes an object of the chart, which must be the only one of its kind.
func one[T any](t *testing.T, place **T) *T {
	t.Helper()
	if *place != nil {
		t.Errorf("there are two of %T", *place)
	}
	*place = new(T)
	return *place
}

func decoded(t *testing.T, text string) objects {
	t.Helper()
	manifests, err := rendered(t, text)
	if err != nil {
		t.Fatal(err)
	}
	var all objects
	for _, manifest := range manifests {
		var head meta.PartialObjectMetadata
		if err := yaml.Unmarshal([]byte(manifest), &head); err != nil {
			t.Fatalf("%v\n%s", err, manifest)
		}
		config, network := &all.config, &all.network
		hook := head.Annotations["helm.sh/hook"]
		if hook != "" {
			config, network = &all.before.config, &all.before.network
		}
		if (head.Labels["app.kubernetes.io/name"] == "kontor-migrate") != (hook == "pre-install,pre-upgrade") {
			t.Errorf("%s %s is a hook %q", head.Kind, head.Name, hook)
		}
		var into any
		switch head.APIVersion + " " + head.Kind {
		case "apps/v1 StatefulSet":
			into = one(t, &all.set)
		case "apps/v1 Deployment":
			into = one(t, &all.deployment)
		case "autoscaling/v2 HorizontalPodAutoscaler":
			into = one(t, &all.scaler)
		case "batch/v1 Job":
			into = one(t, &all.before.job)
		case "v1 ConfigMap":
			into = one(t, config)
		case "v1 Service":
			all.services = append(all.services, &core.Service{})
			into = all.services[len(all.services)-1]
		case "v1 ServiceAccount":
			into = &core.ServiceAccount{}
		case "policy/v1 PodDisruptionBudget":
			into = one(t, &all.budget)
		case "networking.k8s.io/v1 NetworkPolicy":
			into = one(t, network)
		case "monitoring.coreos.com/v1 ServiceMonitor":
			into = one(t, &all.monitor)
		default:
			t.Fatalf("%s %s is not expected", head.APIVersion, head.Kind)
		}
		if err := yaml.UnmarshalStrict([]byte(manifest), into); err != nil {
			t.Errorf("%s: %v\n%s", head.Kind, err, manifest)
		}
		if yaml.UnmarshalStrict([]byte(manifest+"\nsurplus: 1\n"), into) == nil {
			t.Errorf("%s: a field that it does not have is taken", head.Kind)
		}
	}
	return all
}

// TestChartLint asks Helm.
func TestChartLint(t *testing.T) {
	for name, text := range variants {
		result := lint.All(chart, parse(t, text), "lending", true)
		for _, message := range result.Messages {
			if message.Severity > support.InfoSev {
				t.Errorf("%s: %v", name, message)
			}
		}
	}
}

// TestChart holds what every variant must have.
func TestChart(t *testing.T) {
	for name, text := range variants {
		t.Run(name, func(t *testing.T) {
			all := decoded(t, text)
			onePod := strings.HasPrefix(name, "sqlite")
			if (all.set != nil) != onePod || (all.deployment != nil) == onePod {
				t.Fatalf("%v, %v", all.set, all.deployment)
			}
			pod, selector := all.pod()
			selects := func(what string, selector map[string]string) {
				if len(selector) == 0 {
					t.Errorf("%s selects everything", what)
				}
				for key, value := range selector {
					if pod.Labels[key] != value {
						t.Errorf("%s looks for %s=%s, which the pod has not", what, key, value)
					}
				}
			}
			selects("what runs the pod", selector)
			container := pod.Spec.Containers[0]
			ports := map[string]bool{}
			for _, port := range container.Ports {
				ports[port.Name] = true
			}
			for _, service := range all.services {
				selects(service.Name, service.Spec.Selector)
				for _, port := range service.Spec.Ports {
					if !ports[port.TargetPort.StrVal] {
						t.Errorf("%s: the pod has no port %s", service.Name, port.TargetPort.StrVal)
					}
					if port.TargetPort.StrVal == "admin" && service.Spec.ClusterIP != "None" {
						t.Errorf("%s shows the admin port", service.Name)
					}
					if port.TargetPort.StrVal != "admin" && service.Spec.PublishNotReadyAddresses {
						t.Errorf("%s sends callers to pods that are not ready", service.Name)
					}
				}
			}
			for _, probe := range []*core.Probe{container.LivenessProbe, container.ReadinessProbe} {
				if probe.HTTPGet.Port.StrVal != "admin" {
					t.Errorf("a probe asks port %v", probe.HTTPGet.Port)
				}
			}
			stopsInTime(t, all)
			confined(t, pod.Spec)
			left := strings.HasSuffix(name, "without")
			if (all.budget == nil) != left || (all.network == nil) != left {
				t.Errorf("budget %v, network policy %v", all.budget, all.network)
			}
			if all.budget != nil {
				selects("the budget", all.budget.Spec.Selector.MatchLabels)
			}
			if all.network != nil {
				selects("the network policy", all.network.Spec.PodSelector.MatchLabels)
				for _, rule := range all.network.Spec.Ingress {
					if len(rule.From) == 0 || len(rule.Ports) == 0 {
						t.Errorf("the network policy lets everybody in: %v", rule)
					}
				}
			}
			if all.monitor != nil {
				job := all.monitor.Spec.Endpoints[0].RelabelConfigs[0]
				if job.TargetLabel != "job" || *job.Replacement != "kontor" {
					t.Errorf("the alerts look for another job than %v", job)
				}
			}
			if onePod {
				alone(t, all)
				return
			}
			spread(t, all, selects)
		})
	}
}

// alone demands what SQLite does: one process, and its volume.
func alone(t *testing.T, all objects) {
	t.Helper()
	if *all.set.Spec.Replicas != 1 || all.scaler != nil {
		t.Error("more than one process would serve one SQLite file")
	}
	governing := func(s *core.Service) bool { return s.Name == all.set.Spec.ServiceName }
	if !slices.ContainsFunc(all.services, governing) {
		t.Errorf("there is no service %s", all.set.Spec.ServiceName)
	}
	if all.before.job != nil {
		t.Error("a job would open the file, which a pod has")
	}
	pod, _ := all.pod()
	mounted(t, pod.Spec, all.set.Spec.VolumeClaimTemplates)
}

// spread demands what several pods on one PostgreSQL need.
func spread(t *testing.T, all objects, selects func(what string, selector map[string]string)) {
	t.Helper()
	if config := all.config.Data["kontor.yaml"]; !strings.Contains(config, "store: ${file:/run/secrets/kontor/store}") {
		t.Errorf("the pods have another store than the Secret says: %s", config)
	}
	pod, _ := all.pod()
	mounted(t, pod.Spec, nil)
	for _, volume := range pod.Spec.Volumes {
		if volume.PersistentVolumeClaim != nil && volume.Name != "backup" {
			t.Errorf("all pods would share the volume %s", volume.Name)
		}
	}
	rollout := all.deployment.Spec.Strategy.RollingUpdate
	if rollout.MaxUnavailable.IntValue() != 0 || rollout.MaxSurge.IntValue() < 1 {
		t.Errorf("a rollout has fewer pods than callers need: %v", rollout)
	}
	places := map[string]bool{}
	for _, constraint := range pod.Spec.TopologySpreadConstraints {
		places[constraint.TopologyKey] = true
		selects("the spread over "+constraint.TopologyKey, constraint.LabelSelector.MatchLabels)
	}
	if !places["topology.kubernetes.io/zone"] || !places["kubernetes.io/hostname"] {
		t.Errorf("one zone or node has them all: %v", places)
	}
	scaled(t, all)
	if all.network != nil && !slices.ContainsFunc(all.network.Spec.Egress, leadsTo(5432, 6432)) {
		t.Errorf("the network policy keeps the pods from PostgreSQL: %v", all.network.Spec.Egress)
	}
	if all.before.job == nil {
		return
	}
	job := all.before.job.Spec.Template
	confined(t, job.Spec)
	mounted(t, job.Spec, nil)
	for _, service := range all.services {
		if labels.SelectorFromSet(service.Spec.Selector).Matches(labels.Set(job.Labels)) {
			t.Errorf("%s sends callers to the job", service.Name)
		}
	}
	if (all.before.network == nil) != (all.network == nil) {
		t.Errorf("network policy of the job: %v", all.before.network)
	}
	if policy := all.before.network; policy != nil {
		for key, value := range policy.Spec.PodSelector.MatchLabels {
			if job.Labels[key] != value {
				t.Errorf("the job's network policy looks for %s=%s, which it has not", key, value)
			}
		}
		if !slices.ContainsFunc(policy.Spec.Egress, leadsTo(6432)) || len(policy.Spec.Ingress) > 0 {
			t.Errorf("the job's network policy: %v", policy.Spec)
		}
	}
	for _, volume := range pod.Spec.Volumes {
		if volume.Secret != nil && volume.Secret.SecretName == job.Spec.Volumes[1].Secret.SecretName {
			t.Error("the pods have the owner's address")
		}
	}
}

func leadsTo(ports ...int32) func(networking.NetworkPolicyEgressRule) bool {
	return func(rule networking.NetworkPolicyEgressRule) bool {
		return slices.ContainsFunc(rule.Ports, func(p networking.NetworkPolicyPort) bool {
			return slices.Contains(ports, p.Port.IntVal)
		})
	}
}

// scaled demands that one alone says how many pods there are, and that what says it finds them.
func scaled(t *testing.T, all objects) {
	t.Helper()
	if (all.scaler == nil) != (all.deployment.Spec.Replicas != nil) {
		t.Fatalf("replicas %v, autoscaler %v", all.deployment.Spec.Replicas, all.scaler)
	}
	if all.scaler == nil {
		if *all.deployment.Spec.Replicas < 2 {
			t.Errorf("%d pods", *all.deployment.Spec.Replicas)
		}
		return
	}
	spec := all.scaler.Spec
	at := spec.ScaleTargetRef
	if at.Kind != "Deployment" || at.Name != all.deployment.Name || at.APIVersion != "apps/v1" {
		t.Errorf("the autoscaler looks for %v", at)
	}
	if *spec.MinReplicas != 2 || spec.MaxReplicas != 8 {
		t.Errorf("%d to %d pods", *spec.MinReplicas, spec.MaxReplicas)
	}
	pod, _ := all.pod()
	var names []string
	for _, metric := range spec.Metrics {
		switch metric.Type {
		case autoscaling.ResourceMetricSourceType:
			names = append(names, metric.Resource.Name.String())
			if _, ok := pod.Spec.Containers[0].Resources.Requests[metric.Resource.Name]; !ok {
				t.Errorf("%s is measured by what the pod requests, which is nothing", metric.Resource.Name)
			}
		case autoscaling.PodsMetricSourceType:
			names = append(names, metric.Pods.Metric.Name)
		case autoscaling.ExternalMetricSourceType:
			names = append(names, metric.External.Metric.Name)
		}
	}
	if want := []string{"cpu", "memory", "kontor_rpc_streams", "queue"}; !slices.Equal(names, want) {
		t.Errorf("metrics %v, want %v", names, want)
	}
}

// stopsInTime demands that a pod that is told to stop is given the time to send its callers elsewhere and to end.
func stopsInTime(t *testing.T, all objects) {
	t.Helper()
	var config struct {
		Shutdown struct{ Delay, Timeout string }
	}
	if err := yaml.Unmarshal([]byte(all.config.Data["kontor.yaml"]), &config); err != nil {
		t.Fatal(err)
	}
	delay, err := time.ParseDuration(config.Shutdown.Delay)
	if err != nil {
		t.Fatal(err)
	}
	pod, _ := all.pod()
	ready := pod.Spec.Containers[0].ReadinessProbe
	if noticed := time.Duration(ready.PeriodSeconds*ready.FailureThreshold) * time.Second; delay <= noticed {
		t.Errorf("the pod refuses callers %v after SIGTERM, and is unready after %v", delay, noticed)
	}
	const timeout = 25 * time.Second // of shutdown, unless the configuration says another
	grace := time.Duration(*pod.Spec.TerminationGracePeriodSeconds) * time.Second
	if grace < delay+timeout+5*time.Second {
		t.Errorf("the pod is killed after %v", grace)
	}
}

// confined demands what "restricted" of Kubernetes' pod security standards does, and a read-only root file system.
func confined(t *testing.T, pod core.PodSpec) {
	t.Helper()
	security, own := pod.SecurityContext, pod.Containers[0].SecurityContext
	if security == nil || own == nil {
		t.Fatal("no security context")
	}
	if !*security.RunAsNonRoot || *security.RunAsUser == 0 || security.SeccompProfile.Type != "RuntimeDefault" ||
		*own.AllowPrivilegeEscalation || !*own.ReadOnlyRootFilesystem ||
		!slices.Equal(own.Capabilities.Drop, []core.Capability{"ALL"}) || len(own.Capabilities.Add) > 0 ||
		*pod.AutomountServiceAccountToken || pod.HostNetwork || pod.HostPID {
		t.Errorf("the pod may do too much: %+v %+v", security, own)
	}
	for _, volume := range pod.Volumes {
		if volume.Secret != nil && *volume.Secret.DefaultMode&0o007 != 0 {
			t.Errorf("everybody reads the files of %s", volume.Name)
		}
	}
}

// mounted demands a volume for each mount.
func mounted(t *testing.T, pod core.PodSpec, claims []core.PersistentVolumeClaim) {
	t.Helper()
	volumes := map[string]bool{}
	for _, volume := range pod.Volumes {
		volumes[volume.Name] = true
	}
	for _, claim := range claims {
		volumes[claim.Name] = true
	}
	for _, mount := range pod.Containers[0].VolumeMounts {
		if !volumes[mount.Name] {
			t.Errorf("%s is mounted and is no volume", mount.Name)
		}
		delete(volumes, mount.Name)
	}
	if len(volumes) > 0 {
		t.Errorf("not mounted: %v", volumes)
	}
}

// TestChartConfig has the gateway read the kontor.yaml of each variant, from files that lie where the pod has them.
func TestChartConfig(t *testing.T) {
	certificate, key := pair(t)
	const store = "postgres://kontor@db.example.com/kontor?sslmode=verify-full"
	files := map[string]string{
		"run/secrets/kontor/store-key": newStoreKey(t), "run/secrets/kontor/finoos": "secret",
		"run/secrets/kontor/store":       store,
		"run/secrets/kontor-tls/tls.crt": certificate, "run/secrets/kontor-tls/tls.key": key,
		"run/secrets/kontor-tls/ca.crt": certificate,
	}
	const numbers = "  limits: {max_in_flight: 500, max_body_bytes: 134217728}\n"
	for name, text := range variants {
		text = strings.Replace(text, "  clients:", numbers+"  clients:", 1)
		config := decoded(t, text).config.Data["kontor.yaml"]
		if out, err := checked(t, config, files); err != nil {
			t.Errorf("%s: %v: %s\n%s", name, err, out, config)
		}
	}
	config := decoded(t, least).config.Data["kontor.yaml"]
	if _, err := checked(t, config+"surplus: 1\n", files); err == nil {
		t.Error("the gateway takes everything")
	}
	// What an operator says goes before what the chart sets.
	later := strings.Replace(least, "config:", "config:\n  shutdown: {delay: 9s}", 1)
	said := decoded(t, later).config.Data["kontor.yaml"]
	if !strings.Contains(said, "delay: 9s") {
		t.Error(said)
	}
}

// TestChartRefuses: what is misspelt, missing or does not go together fails before anything is installed.
func TestChartRefuses(t *testing.T) {
	refused := []string{
		"", "config: {}", least + "persistance: {size: 1Gi}\n", least + "secretName: \"\"\n",
		least + "tls: {secret: a}\n",
		least + "store: mysql\n", least + "store: null\n",
		// One process serves a SQLite file, and a node that is drained may not wait for two.
		least + "replicas: 2\n", least + "replicas: 1\n", least + "autoscaling: {enabled: true}\n",
		least + "migrate: {enabled: true}\n", least + "podDisruptionBudget: {maxUnavailable: 2}\n",
		strings.Replace(least, "config:", "config:\n  store: postgres://kontor@db/kontor", 1),
		// Several pods share no volume, and one alone says how many there are.
		several + "replicas: 0\n", several + "persistence: {existingClaim: mine}\n",
		several + "replicas: 2\nautoscaling: {enabled: true}\n",
		several + "autoscaling: {enabled: true, minReplicas: 4, maxReplicas: 3}\n",
		several + "migrate: {enabled: true, secretName: \"\"}\n", several + "topologySpread: Never\n",
		strings.Replace(several, "config:", "config:\n  store: sqlite:/data/kontor.db", 1),
	}
	for _, text := range refused {
		if _, err := rendered(t, text); err == nil {
			t.Errorf("taken: %s", strings.TrimPrefix(text, least))
		}
	}
	for _, scheme := range []string{"postgres", "postgresql"} {
		text := strings.Replace(several, "config:", "config:\n  store: "+scheme+"://kontor@db/kontor", 1)
		if _, err := rendered(t, text); err != nil {
			t.Errorf("%s is refused: %v", scheme, err)
		}
	}
}

// TestChartRestarts: another configuration is another pod, another label of the service is not.
func TestChartRestarts(t *testing.T) {
	for _, text := range []string{least, several} {
		sum := func(text string) string {
			pod, _ := decoded(t, text).pod()
			return pod.Annotations["checksum/config"]
		}
		if sum(text) == "" || sum(text) == sum(strings.Replace(text, "id: lending", "id: other", 1)) {
			t.Error("the pod stays with the former configuration")
		}
		if sum(text) != sum(text+"service: {labels: {a: b}}\n") {
			t.Error("the pod is restarted for nothing")
		}
	}
}
