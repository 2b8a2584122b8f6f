package replicatest

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Server is a PostgreSQL server of a test's own.
type Server struct {
	// Database is the address of an empty database.
	Database string

	t       *testing.T
	restart string // the program that does it
}

// NewServer starts a server by scripts/postgres.sh, which ends with the test: for what must not happen to a server that
// other tests use. The working directory is that of a suite.
func NewServer(t *testing.T) *Server {
	t.Helper()
	script := filepath.Join("..", "..", "scripts", "postgres.sh")
	// It tells what it made, and ends when nobody listens any more: when this process is gone, too.
	cmd := exec.Command("bash", script, "bash", "-c",
		`echo "$KONTOR_TEST_POSTGRES" && echo "$KONTOR_TEST_POSTGRES_RESTART" && cat >/dev/null`)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("scripts/postgres.sh: %v", err)
		}
	})
	s := &Server{t: t}
	lines := bufio.NewScanner(out)
	for _, told := range []*string{&s.Database, &s.restart} {
		if !lines.Scan() {
			t.Fatal("scripts/postgres.sh started no server")
		}
		*told = lines.Text()
	}
	return s
}

// Restart restarts the server, and returns once it takes connections again: well, or as after a crash.
func (s *Server) Restart(crash bool) error {
	mode := "fast"
	if crash {
		mode = "immediate"
	}
	if out, err := exec.Command(s.restart, mode).CombinedOutput(); err != nil {
		return fmt.Errorf("restart: %w\n%s", err, out)
	}
	return nil
}
