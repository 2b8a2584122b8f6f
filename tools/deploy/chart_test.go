package deploy

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
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

// most has every value of the chart set.
const most = least + `
imagePullSecrets: [{name: registry}]
secretName: mine
tls: {secretName: kontor-tls, clientCA: true}
persistence: {size: 20Gi, storageClass: fast, accessMode: ReadWriteOncePod, existingClaim: ""}
service: {type: LoadBalancer, annotations: {a: b}, labels: {c: d}}
resources: {limits: {memory: 4Gi}}
terminationGracePeriodSeconds: 90
podDisruptionBudget: {enabled: true, maxUnavailable: 0}
networkPolicy:
  enabled: true
  callers: [{namespaceSelector: {matchLabels: {team: lending}}}]
  monitoring: [{podSelector: {matchLabels: {app: prometheus}}}]
  egress: [{ports: [{port: 443, protocol: TCP}], to: [{ipBlock: {cidr: 192.0.2.0/24}}]}]
serviceMonitor: {enabled: true, labels: {release: prometheus}, interval: 15s}
podAnnotations: {e: f}
podLabels: {g: h}
nodeSelector: {disk: ssd}
tolerations: [{key: dedicated, operator: Exists}]
affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: zone, operator: Exists}]}]}}}
extraVolumes: [{name: backup, persistentVolumeClaim: {claimName: backup}}]
extraVolumeMounts: [{name: backup, mountPath: /backup}]
`

// without is what an operator may leave out, and a volume that is there already.
const without = least + `
persistence: {existingClaim: mine}
podDisruptionBudget: {enabled: false}
networkPolicy: {enabled: false}
`

var variants = map[string]string{"least": least, "most": most, "without": without}

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
	set      *apps.StatefulSet
	config   *core.ConfigMap
	services []*core.Service
	budget   *policy.PodDisruptionBudget
	network  *networking.NetworkPolicy
	monitor  *monitoring.ServiceMonitor
}

func decoded(t *testing.T, text string) objects {
	t.Helper()
	manifests, err := rendered(t, text)
	if err != nil {
		t.Fatal(err)
	}
	var all objects
	for _, manifest := range manifests {
		var kind meta.TypeMeta
		if err := yaml.Unmarshal([]byte(manifest), &kind); err != nil {
			t.Fatalf("%v\n%s", err, manifest)
		}
		var into any
		switch kind.APIVersion + " " + kind.Kind {
		case "apps/v1 StatefulSet":
			all.set = &apps.StatefulSet{}
			into = all.set
		case "v1 ConfigMap":
			all.config = &core.ConfigMap{}
			into = all.config
		case "v1 Service":
			all.services = append(all.services, &core.Service{})
			into = all.services[len(all.services)-1]
		case "v1 ServiceAccount":
			into = &core.ServiceAccount{}
		case "policy/v1 PodDisruptionBudget":
			all.budget = &policy.PodDisruptionBudget{}
			into = all.budget
		case "networking.k8s.io/v1 NetworkPolicy":
			all.network = &networking.NetworkPolicy{}
			into = all.network
		case "monitoring.coreos.com/v1 ServiceMonitor":
			all.monitor = &monitoring.ServiceMonitor{}
			into = all.monitor
		default:
			t.Fatalf("%s %s is not expected", kind.APIVersion, kind.Kind)
		}
		if err := yaml.UnmarshalStrict([]byte(manifest), into); err != nil {
			t.Errorf("%s: %v\n%s", kind.Kind, err, manifest)
		}
		if yaml.UnmarshalStrict([]byte(manifest+"\nsurplus: 1\n"), into) == nil {
			t.Errorf("%s: a field that it does not have is taken", kind.Kind)
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
			pod := all.set.Spec.Template
			if *all.set.Spec.Replicas != 1 {
				t.Error("more than one process would serve one SQLite file")
			}
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
			selects("the StatefulSet", all.set.Spec.Selector.MatchLabels)
			container := pod.Spec.Containers[0]
			ports := map[string]bool{}
			for _, port := range container.Ports {
				ports[port.Name] = true
			}
			governing := false
			for _, service := range all.services {
				selects(service.Name, service.Spec.Selector)
				governing = governing || service.Name == all.set.Spec.ServiceName
				for _, port := range service.Spec.Ports {
					if !ports[port.TargetPort.StrVal] {
						t.Errorf("%s: the pod has no port %s", service.Name, port.TargetPort.StrVal)
					}
					if port.TargetPort.StrVal == "admin" && service.Spec.ClusterIP != "None" {
						t.Errorf("%s shows the admin port", service.Name)
					}
				}
			}
			if !governing {
				t.Errorf("there is no service %s", all.set.Spec.ServiceName)
			}
			for _, probe := range []*core.Probe{container.LivenessProbe, container.ReadinessProbe} {
				if probe.HTTPGet.Port.StrVal != "admin" {
					t.Errorf("a probe asks port %v", probe.HTTPGet.Port)
				}
			}
			confined(t, pod.Spec)
			mounted(t, pod.Spec, all.set.Spec.VolumeClaimTemplates)
			if (all.budget == nil) != (name == "without") || (all.network == nil) != (name == "without") {
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
		})
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
	files := map[string]string{
		"run/secrets/kontor/store-key": newStoreKey(t), "run/secrets/kontor/finoos": "secret",
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
	said := decoded(t, strings.Replace(least, "config:", "config:\n  shutdown: {delay: 9s}", 1)).config.Data["kontor.yaml"]
	if !strings.Contains(said, "delay: 9s") {
		t.Error(said)
	}
}

// TestChartRefuses: what is misspelt or missing fails before anything is installed.
func TestChartRefuses(t *testing.T) {
	for _, text := range []string{
		"", "config: {}", least + "replicas: 2\n", least + "persistance: {size: 1Gi}\n",
		least + "podDisruptionBudget: {maxUnavailable: 2}\n", least + "secretName: \"\"\n", least + "tls: {secret: a}\n",
	} {
		if _, err := rendered(t, text); err == nil {
			t.Errorf("taken: %s", strings.TrimPrefix(text, least))
		}
	}
}

// TestChartRestarts: another configuration is another pod, another label of the service is not.
func TestChartRestarts(t *testing.T) {
	sum := func(text string) string {
		return decoded(t, text).set.Spec.Template.Annotations["checksum/config"]
	}
	if sum(least) == "" || sum(least) == sum(strings.Replace(least, "id: lending", "id: other", 1)) {
		t.Error("the pod stays with the former configuration")
	}
	if sum(least) != sum(least+"service: {labels: {a: b}}\n") {
		t.Error("the pod is restarted for nothing")
	}
}
