//go:build unix

package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test binary be the gateway itself, where a test needs a process of its own.
func TestMain(m *testing.M) {
	if os.Getenv("KONTOR_TEST_GATEWAY") != "" {
		os.Exit(command(os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// sandboxProcess is a sandbox in a process of its own.
type sandboxProcess struct {
	cmd   *exec.Cmd
	ready map[string]string // what the ready file says
}

// startSandbox starts a sandbox that writes its log to a file, and waits until it is ready.
func startSandbox(t *testing.T, dir string, stderr *os.File, env ...string) *sandboxProcess {
	t.Helper()
	p := &sandboxProcess{cmd: sandboxCommand(t, dir), ready: map[string]string{}}
	p.cmd.Env = append(p.cmd.Env, env...)
	p.cmd.Stderr = stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	file := p.cmd.Args[len(p.cmd.Args)-1]
	for limit := time.Now().Add(time.Minute); len(p.ready) == 0; time.Sleep(5 * time.Millisecond) {
		if content, err := os.ReadFile(file); err == nil {
			if err := json.Unmarshal(content, &p.ready); err != nil {
				t.Fatal(err)
			}
		}
		if time.Now().After(limit) {
			t.Fatal("the sandbox does not become ready")
		}
	}
	return p
}

// sandboxCommand is the command of a sandbox with its database in a folder, and its ready file as the last argument.
func sandboxCommand(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	args := []string{
		"sandbox", "-verbose", "-grpc", "127.0.0.1:0", "-http", "127.0.0.1:0", "-admin", "127.0.0.1:0", "-data", dir,
	}
	for _, d := range dialects {
		args = append(args, "-"+d.ID, "127.0.0.1:0")
	}
	cmd := exec.Command(os.Args[0], append(args, "-ready-file", filepath.Join(t.TempDir(), "ready.json"))...)
	cmd.Env = append(os.Environ(), "KONTOR_TEST_GATEWAY=1")
	return cmd
}

// TestReaderOfTheLogIsSlowOrGone: calls go on while nobody reads stderr, and after its reader went; and the process
// ends when it is told to.
func TestReaderOfTheLogIsSlowOrGone(t *testing.T) {
	t.Parallel()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := startSandbox(t, t.TempDir(), write)
	write.Close()
	const calls = 600 // each with a line of over 200 bytes, where the pipe takes 64 KiB
	call := func() {
		t.Helper()
		for n := range calls {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.ready["http"]+"/v1/providers", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+p.ready["key"])
			resp, err := http.DefaultClient.Do(req)
			cancel()
			if err != nil {
				t.Fatalf("call %d: %v", n, err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				t.Fatalf("call %d: %d", n, resp.StatusCode)
			}
		}
	}
	call() // Nobody reads.
	if err := read.Close(); err != nil {
		t.Fatal(err)
	}
	call() // Nobody can.
	if status, body := get(t, p.ready["admin"]+"/metrics", ""); status != http.StatusOK ||
		strings.Contains(body, "\nkontor_log_lines_dropped_total 0\n") {
		t.Errorf("the metrics answer %d, or know of no line that was dropped", status)
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("the process ended with %v", err)
	}
}

// TestSecondSandbox: a sandbox that is started in the folder of another one that plays there leaves that one's database
// alone.
func TestSecondSandbox(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := startSandbox(t, dir, nil)
	before, err := os.Stat(filepath.Join(dir, "sandbox.db"))
	if err != nil {
		t.Fatal(err)
	}
	second := sandboxCommand(t, dir)
	said, err := second.CombinedOutput()
	if err == nil || !strings.Contains(string(said), "choose another folder with -data") {
		t.Errorf("the second sandbox ended with %v and said:\n%s", err, said)
	}
	after, err := os.Stat(filepath.Join(dir, "sandbox.db"))
	if err != nil || !os.SameFile(before, after) {
		t.Errorf("the first one's database is not what it was: %v", err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, first.ready["http"]+"/v1/customers",
		strings.NewReader(`{"customer":{"type":"PERSON"}}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+first.ready["key"])
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		t.Errorf("the first sandbox answers %d: %s", resp.StatusCode, body)
	}
	// When it has ended, its folder can be had, and begins empty.
	if err := first.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := first.cmd.Wait(); err != nil {
		t.Error(err)
	}
	third := startSandbox(t, dir, nil)
	if status, body := get(t, third.ready["http"]+"/v1/customers", third.ready["key"]); status != http.StatusOK ||
		strings.Contains(body, "customers/") {
		t.Errorf("the next sandbox answers %d: %s", status, body)
	}
}

// TestMetricsFromTheStart: a counter that appears with its first count shows no increase, so those that alerts look at
// are there before anything happened; and so is what tells of the store.
func TestMetricsFromTheStart(t *testing.T) {
	t.Parallel()
	p := startSandbox(t, t.TempDir(), nil)
	_, body := get(t, p.ready["admin"]+"/metrics", "")
	lines := strings.Split(body, "\n")
	for _, want := range [][]string{
		{`kontor_rpc_requests_total{`, `method="CreateShipment"`, `reason="STORE_UNAVAILABLE"`, `transport="rest"`},
		{`kontor_rpc_requests_total{`, `method="WatchConsents"`, `reason="INTERNAL"`, `transport="grpc"`},
		{`kontor_provider_calls_total{`, `provider="fimento"`, `operation="login"`, `outcome="credentials"`},
		{`kontor_provider_calls_total{`, `provider="finoos"`, `outcome="invalid_response"`},
		{`kontor_provider_breaker_state{`, `provider="finoos"`, `tenant="default"`},
		{`kontor_store_write_failures_total{`, `fault="gone"`},
		{`kontor_audit_gaps_total`}, {`kontor_log_lines_dropped_total`}, {`kontor_intents_open`}, {`kontor_consents_due`},
		{`kontor_store_last_write_ok`}, {`kontor_store_events_held_seconds`}, {`kontor_store_commit_duration_seconds_count`}, {`kontor_store_size_bytes`},
	} {
		if !slices.ContainsFunc(lines, func(line string) bool {
			return !strings.HasPrefix(line, "#") && !slices.ContainsFunc(want, func(part string) bool {
				return !strings.Contains(line, part)
			})
		}) {
			t.Errorf("nothing has %v", want)
		}
	}
}
