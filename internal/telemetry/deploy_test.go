package telemetry_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.yaml.in/yaml/v3"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/store"
)

// expression is a PromQL expression of the dashboard or an alert rule.
type expression struct {
	where, text string
}

// dashboard reads the expressions of deploy/grafana/kontor.json.
func dashboard(t *testing.T) (all []expression) {
	t.Helper()
	var file struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr, LegendFormat string }
		}
	}
	decode(t, "deploy/grafana/kontor.json", json.Unmarshal, &file)
	for _, panel := range file.Panels {
		for _, target := range panel.Targets {
			all = append(all, expression{"panel " + panel.Title, target.Expr})
			checkTemplates(t, "panel "+panel.Title, target.Expr, target.LegendFormat)
		}
	}
	return all
}

// rule is an alert rule as Prometheus reads it.
type rule struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func rules(t *testing.T) (all []rule) {
	t.Helper()
	var file struct {
		Groups []struct {
			Name  string `yaml:"name"`
			Rules []rule `yaml:"rules"`
		} `yaml:"groups"`
	}
	strict := func(text []byte, out any) error {
		decoder := yaml.NewDecoder(strings.NewReader(string(text)))
		decoder.KnownFields(true)
		return decoder.Decode(out)
	}
	decode(t, "deploy/prometheus/alerts.yaml", strict, &file)
	for _, group := range file.Groups {
		all = append(all, group.Rules...)
	}
	return all
}

func decode(t *testing.T, path string, unmarshal func([]byte, any) error, out any) {
	t.Helper()
	if err := unmarshal(read(t, path), out); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// read reads a file of the repository.
func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(path)))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

var (
	word = regexp.MustCompile(`[a-zA-Z_:][a-zA-Z0-9_:]*`)
	// selector is a metric with its matchers.
	selector = regexp.MustCompile(`\b((?:kontor|go|process)_[a-z0-9_]+|up)(?:\{([^}]*)\})?`)
	matcher  = regexp.MustCompile(`(\w+)\s*(?:=~|!=|!~|=)\s*"([^"]*)"`)
	grouping = regexp.MustCompile(`\bby\s*\(([^)]*)\)`)
	template = regexp.MustCompile(`\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}`)
	desc     = regexp.MustCompile(`fqName: "([^"]+)".*variableLabels: \{([^}]*)\}`)
)

// known gives the labels of all metrics that the gateway has, by name as Prometheus stores it.
func known(t *testing.T) map[string][]string {
	t.Helper()
	tel := newPlant(t)
	descriptions := make(chan *prometheus.Desc)
	go func() {
		tel.Registry.Describe(descriptions)
		close(descriptions)
	}()
	metrics := map[string][]string{"up": nil} // Prometheus' own
	for d := range descriptions {
		found := desc.FindStringSubmatch(d.String())
		if found == nil {
			t.Fatalf("cannot read %s", d)
		}
		labels := word.FindAllString(found[2], -1)
		metrics[found[1]] = labels
		if strings.HasSuffix(found[1], "_seconds") { // histograms
			metrics[found[1]+"_bucket"] = append(slices.Clone(labels), "le")
		}
	}
	return metrics
}

// values are what labels can be that have a fixed set.
func values() map[string][]string {
	outcomes := []string{"ok"}
	for kind := providers.KindInternal; kind <= providers.KindCanceled; kind++ {
		outcomes = append(outcomes, kind.String())
	}
	reasons := []string{""}
	for _, name := range errorv1.Error_Reason_name {
		reasons = append(reasons, name)
	}
	var faults []string
	for _, kind := range store.FaultKinds() {
		faults = append(faults, string(kind))
	}
	return map[string][]string{"outcome": outcomes, "reason": reasons, "fault": faults, "job": {"kontor"}}
}

// TestDashboardAndAlertsUseWhatExists: a metric or label that nobody fills is a panel that is empty and an alert that
// never comes.
func TestDashboardAndAlertsUseWhatExists(t *testing.T) {
	all := dashboard(t)
	for _, r := range rules(t) {
		all = append(all, expression{"alert " + r.Alert, r.Expr})
		checkTemplates(t, "alert "+r.Alert, r.Expr, r.Annotations["summary"])
	}
	if len(all) < 25 {
		t.Fatalf("there are only %d expressions", len(all))
	}
	metrics, allowed, used := known(t), values(), map[string]bool{}
	for _, e := range all {
		var labels []string
		selectors := selector.FindAllStringSubmatch(e.text, -1)
		if len(selectors) == 0 {
			t.Errorf("%s asks for no metric: %s", e.where, e.text)
		}
		for _, s := range selectors {
			have, ok := metrics[s[1]]
			if !ok {
				t.Errorf("%s: there is no metric %s", e.where, s[1])
				continue
			}
			used[s[1]] = true
			have = append(slices.Clone(have), "job", "instance") // Prometheus adds them
			labels = append(labels, have...)
			for _, m := range matcher.FindAllStringSubmatch(s[2], -1) {
				if !slices.Contains(have, m[1]) {
					t.Errorf("%s: %s has no label %s", e.where, s[1], m[1])
				}
				for value := range strings.SplitSeq(m[2], "|") {
					if set, fixed := allowed[m[1]]; fixed && !slices.Contains(set, value) {
						t.Errorf("%s: %s is never %q", e.where, m[1], value)
					}
				}
			}
		}
		for _, g := range grouping.FindAllStringSubmatch(e.text, -1) {
			for _, label := range word.FindAllString(g[1], -1) {
				if !slices.Contains(labels, label) {
					t.Errorf("%s groups by %s, which no metric in it has", e.where, label)
				}
			}
		}
	}
	for name := range metrics {
		if strings.HasPrefix(name,
			"kontor_") && name != "kontor_build_info" && !used[name] && !used[name+"_bucket"] && !strings.HasSuffix(name, "_bucket") {
			t.Errorf("nothing shows %s", name)
		}
	}
}

// TestDashboardTellsApart holds panels to what docs/operations.md has operators look for in them: which operation it
// is, and which gateway, since each has a bulkhead of its own.
func TestDashboardTellsApart(t *testing.T) {
	all := dashboard(t)
	for panel, label := range map[string]string{"Provider calls": "operation", "Provider calls under way": "instance"} {
		if !bytes.Contains(read(t, "docs/operations.md"), []byte("*"+panel+"*")) {
			t.Errorf("docs/operations.md leads nobody to %s", panel)
		}
		tells := func(e expression) bool {
			groups := grouping.FindStringSubmatch(e.text)
			return e.where == "panel "+panel && groups != nil && slices.Contains(word.FindAllString(groups[1], -1), label)
		}
		if !slices.ContainsFunc(all, tells) {
			t.Errorf("%s tells no %s from another", panel, label)
		}
	}
}

// checkTemplates makes sure that a text names only labels that are left after grouping.
func checkTemplates(t *testing.T, where, expr, text string) {
	t.Helper()
	var left []string
	for _, g := range grouping.FindAllStringSubmatch(expr, -1) {
		left = append(left, word.FindAllString(g[1], -1)...)
	}
	for _, label := range template.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(left, label[1]) && label[1] != "instance" {
			t.Errorf("%s names the label %s, which is not left", where, label[1])
		}
	}
}

var heading = regexp.MustCompile(`(?m)^#+ (.+)$`)

// TestAlertsLeadToTheRunbook: who is woken up must find what to do.
func TestAlertsLeadToTheRunbook(t *testing.T) {
	const runbook = "docs/operations.md"
	anchors := map[string]bool{}
	for _, h := range heading.FindAllStringSubmatch(string(read(t, runbook)), -1) {
		anchors[strings.ReplaceAll(strings.ToLower(strings.Map(func(r rune) rune {
			if strings.ContainsRune("`,.:;()/'", r) {
				return -1
			}
			return r
		}, h[1])), " ", "-")] = true
	}
	for _, r := range rules(t) {
		file, anchor, _ := strings.Cut(r.Annotations["runbook"], "#")
		if file != runbook || !anchors[anchor] {
			t.Errorf("alert %s leads to %q, which does not exist", r.Alert, r.Annotations["runbook"])
		}
		if r.Alert == "" || r.Annotations["summary"] == "" || (r.Labels["severity"] != "critical" &&
			r.Labels["severity"] != "warning") {
			t.Errorf("alert %q lacks a name, summary or severity", r.Alert)
		}
	}
}
