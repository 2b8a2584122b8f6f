package deploy

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chartutil"
	"sigs.k8s.io/yaml"
)

// documented gives the values that docs/deployment.md shows, with a hash in the place of the one that it leaves out.
func documented(t *testing.T) []string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(root, "docs", "deployment.md"))
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	for _, block := range regexp.MustCompile("(?s)```yaml\n(# values.*?)```").FindAllSubmatch(page, -1) {
		values = append(values, strings.ReplaceAll(string(block[1]), `"..."`, strings.Repeat("ab", 32)))
	}
	if len(values) != 2 {
		t.Fatalf("the page has %d values", len(values))
	}
	return values
}

// TestDocumentedValues: what an operator takes from the page is a chart that Kubernetes and the gateway take, and the
// second values leave standing what the first ones say.
func TestDocumentedValues(t *testing.T) {
	values := documented(t)
	// As Helm puts files together that are named one after the other: the later goes before the former, key by key.
	over, err := yaml.Marshal(chartutil.CoalesceTables(parse(t, values[1]), parse(t, values[0])))
	if err != nil {
		t.Fatal(err)
	}
	certificate, key := pair(t)
	files := map[string]string{
		"run/secrets/kontor/store-key": newStoreKey(t), "run/secrets/kontor/fimento": "secret",
		"run/secrets/kontor/store":       "postgres://kontor@db/kontor?sslmode=verify-full",
		"run/secrets/kontor-tls/tls.crt": certificate, "run/secrets/kontor-tls/tls.key": key,
	}
	one, several := decoded(t, values[0]), decoded(t, string(over))
	for _, all := range []objects{one, several} {
		config := all.config.Data["kontor.yaml"]
		if out, err := checked(t, config, files); err != nil {
			t.Errorf("%v: %s\n%s", err, out, config)
		}
		if peers := all.network.Spec.Ingress[0].From; len(peers) != 2 {
			t.Errorf("the network policy lets others in than the page says: %v", peers)
		}
		if all.monitor == nil {
			t.Error("there is no ServiceMonitor")
		}
	}
	if one.set == nil || several.deployment == nil || several.before.job == nil {
		t.Fatalf("%v, %v, %v", one.set, several.deployment, several.before.job)
	}
	if spec := several.scaler.Spec; *spec.MinReplicas != 3 || spec.MaxReplicas != 6 {
		t.Errorf("%d to %d pods", *spec.MinReplicas, spec.MaxReplicas)
	}
	if !slices.ContainsFunc(several.network.Spec.Egress, leadsTo(5432)) {
		t.Errorf("the network policy keeps the pods from PostgreSQL: %v", several.network.Spec.Egress)
	}
}
