package deploy

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience bounds how long a test waits for what must come.
const patience = 30 * time.Second

// schema makes an empty one in the test's PostgreSQL, with what docs/operations.md says of two roles. It gives the
// addresses of the role that will own the tables and of the one that serves.
func schema(t *testing.T) (owner, served string) {
	t.Helper()
	base := os.Getenv("KONTOR_TEST_POSTGRES")
	if base == "" {
		t.Fatal("KONTOR_TEST_POSTGRES is not set: make check-deploy, or scripts/postgres.sh <command>, starts a server")
	}
	name := "chart_" + strings.ToLower(rand.Text())
	made := exec.CommandContext(t.Context(), "psql", base, "--quiet", "--no-psqlrc", "--set", "ON_ERROR_STOP=1",
		"--command", "CREATE SCHEMA "+name,
		"--command", "GRANT USAGE ON SCHEMA "+name+" TO kontor_served",
		"--command", "ALTER DEFAULT PRIVILEGES FOR ROLE kontor IN SCHEMA "+name+
			" GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO kontor_served")
	if out, err := made.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	at, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	query := at.Query()
	query.Set("search_path", name)
	at.RawQuery = query.Encode()
	owner = at.String()
	at.User = url.User("kontor_served")
	return owner, at.String()
}

// run runs the gateway as a container of the chart does, but for where the configuration lies.
func run(t *testing.T, args []string, config string, more ...string) *exec.Cmd {
	t.Helper()
	var changed []string
	for _, arg := range args {
		changed = append(changed, strings.ReplaceAll(arg, "/etc/kontor/kontor.yaml", config))
	}
	return exec.CommandContext(t.Context(), binary, append(changed, more...)...)
}

// pod is a gateway that runs.
type pod struct {
	process     *exec.Cmd
	log         *strings.Builder
	HTTP, Admin string
}

func startPod(t *testing.T, args []string, config string) *pod {
	t.Helper()
	ready := filepath.Join(t.TempDir(), "ready")
	p := &pod{process: run(t, args, config, "--ready-file", ready), log: &strings.Builder{}}
	p.process.Stderr = p.log
	if err := p.process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.process.ProcessState == nil {
			_ = p.process.Process.Kill()
			_ = p.process.Wait()
		}
		if t.Failed() {
			t.Log(p.log)
		}
	})
	eventually(t, "a pod is ready", func() bool {
		text, err := os.ReadFile(ready)
		return err == nil && json.Unmarshal(text, p) == nil
	})
	return p
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !condition(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("in vain waited for: %s", what)
		}
	}
}

// TestChartServes runs what the chart would on a PostgreSQL: the job as the role that owns the tables, with no other
// secret than its address, then two pods as a role that owns nothing.
func TestChartServes(t *testing.T) {
	owner, served := schema(t)
	const key = "kontor_key-of-the-charts-test"
	hash := sha256.Sum256([]byte(key))
	text := severalMost
	for former, latter := range map[string]string{
		"config:": `config:
  listen: {grpc: "127.0.0.1:0", http: "127.0.0.1:0", admin: "127.0.0.1:0"}`,
		"tls: {secretName: kontor-tls, clientCA: true}":                    "",
		"d92634c17b42ec266ed559bb5845161c60b887960a3c933f4b24526d237997ec": hex.EncodeToString(hash[:]),
	} {
		if strings.Count(text, former) != 1 {
			t.Fatalf("the values have %q %d times", former, strings.Count(text, former))
		}
		text = strings.Replace(text, former, latter, 1)
	}
	all := decoded(t, text)

	job := all.before.job.Spec.Template.Spec.Containers[0]
	only := map[string]string{"run/secrets/kontor-owner/store": owner}
	config := placed(t, all.before.config.Data["kontor.yaml"], only)
	for _, want := range []string{"there was no store: one is made", "which is the newest"} {
		if out, err := run(t, job.Args, config).CombinedOutput(); err != nil || !strings.Contains(string(out), want) {
			t.Fatalf("%v: %s, want %q", err, out, want)
		}
	}

	files := map[string]string{
		"run/secrets/kontor/store-key": newStoreKey(t), "run/secrets/kontor/finoos": "secret",
		"run/secrets/kontor/store": served,
	}
	template, _ := all.pod()
	var pods []*pod
	for range 2 {
		config := placed(t, all.config.Data["kontor.yaml"], files)
		pods = append(pods, startPod(t, template.Spec.Containers[0].Args, config))
	}
	asked := func(p *pod, method, path, body string) string {
		request, err := http.NewRequestWithContext(t.Context(), method, p.HTTP+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+key)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("%s %s: %s, %v: %s", method, path, response.Status, err, text)
		}
		return string(text)
	}
	var customer struct{ Name string }
	made := asked(pods[0], http.MethodPost, "/v1/customers", `{"customer":{"type":"PERSON"}}`)
	if err := json.Unmarshal([]byte(made), &customer); err != nil || customer.Name == "" {
		t.Fatalf("%v: %s", err, made)
	}
	asked(pods[1], http.MethodGet, "/v1/"+customer.Name, "")
	for _, p := range pods {
		admin := strings.TrimPrefix(p.Admin, "http://")
		health := exec.CommandContext(t.Context(), binary, "healthcheck", "--admin", admin)
		if out, err := health.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		if err := p.process.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range pods {
		if err := p.process.Wait(); err != nil {
			t.Errorf("a pod does not end well: %v", err)
		}
	}
}
