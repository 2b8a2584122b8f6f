package worldtest

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Main runs a suite's tests with a gateway: the one that KONTOR_GATEWAY names, or one that is built for them, whose
// path is put into binary. With race it is built with the race detector when the tests are. After, if any, tells what
// went wrong in what the tests shared.
func Main(m *testing.M, suite string, binary *string, race bool, after func() error) (code int) {
	dir, err := os.MkdirTemp("", "kontor-"+suite+"-")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(dir)
	if given := os.Getenv("KONTOR_GATEWAY"); given != "" {
		*binary, err = filepath.Abs(given)
	} else {
		*binary = filepath.Join(dir, "gateway")
		var flags []string
		if race && raceDetector {
			flags = append(flags, "-race")
		}
		err = Build(*binary, nil, flags...)
	}
	if err != nil {
		return fail(err)
	}
	code = Run(m)
	if after != nil {
		if err := after(); err != nil {
			return fail(err)
		}
	}
	return code
}

// Edit changes a file of the repository for one build, and fails when the file is not what it expects.
type Edit func(source string) (string, error)

// edits are those for all gateways that tests build, by the file's path from the root: a provider that is in no other
// gateway is wired by them.
var edits = map[string]Edit{}

// editEverywhere adds to them.
func editEverywhere(place string, edit Edit) struct{} {
	edits[place] = edit
	return struct{}{}
}

// Build builds the gateway, with edits of its own besides those for all. The working directory is that of a suite.
func Build(path string, own map[string]Edit, flags ...string) error {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		return err
	}
	replace := map[string]string{} // as -overlay takes it
	for _, all := range []map[string]Edit{edits, own} {
		for place, edit := range all {
			file := filepath.Join(root, filepath.FromSlash(place))
			source, err := os.ReadFile(cmp.Or(replace[file], file))
			if err != nil {
				return err
			}
			changed, err := edit(string(source))
			if err != nil {
				return fmt.Errorf("%s: %w", place, err)
			}
			replace[file] = path + "." + strings.ReplaceAll(place, "/", "-")
			if err := os.WriteFile(replace[file], []byte(changed), 0o600); err != nil {
				return err
			}
		}
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return err
	}
	overlay := path + ".overlay.json"
	if err := os.WriteFile(overlay, text, 0o600); err != nil {
		return err
	}
	args := append([]string{"build", "-o", path, "-overlay", overlay}, flags...)
	build := exec.Command("go", append(args, "./cmd/gateway")...)
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build ./cmd/gateway: %w\n%s", err, out)
	}
	return nil
}

// Gateway is a running process.
type Gateway struct {
	// GRPC is an address, HTTP and Admin are URLs.
	GRPC, HTTP, Admin string

	process *exec.Cmd
	ended   chan struct{}
	err     error // how it ended; for who saw ended closed
}

// StartGateway runs `gateway serve` with the kontor.yaml of a folder and waits until it is ready. Its log goes to
// gateway.log there.
func StartGateway(binary, dir string, env ...string) (*Gateway, error) {
	log, err := os.OpenFile(filepath.Join(dir, "gateway.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the process has it
	ready := filepath.Join(dir, "ready.json")
	if err := os.Remove(ready); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	process := exec.Command(binary, "serve", "--config", filepath.Join(dir, "kontor.yaml"), "--ready-file", ready)
	process.Env = append(os.Environ(), env...)
	process.Stdout, process.Stderr = log, log
	g := &Gateway{process: process, ended: make(chan struct{})}
	started := make(chan error)
	go func() {
		// On Linux a child dies with the thread that made it: this one stays until the child has ended.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		dieWithParent(process)
		err := process.Start()
		started <- err
		if err == nil {
			g.err = process.Wait()
			close(g.ended)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(Patience)
	for {
		select {
		case <-tick.C:
			if content, err := os.ReadFile(ready); err == nil {
				return g, g.addresses(content)
			}
		case <-g.ended:
			return nil, fmt.Errorf("the gateway ended before it was ready: %w\n%s", g.err, LastWords(dir))
		case <-timeout:
			g.Kill()
			return nil, fmt.Errorf("the gateway did not get ready\n%s", LastWords(dir))
		}
	}
}

func (g *Gateway) addresses(ready []byte) error {
	var at struct{ GRPC, HTTP, Admin string }
	if err := json.Unmarshal(ready, &at); err != nil {
		return fmt.Errorf("ready file: %w", err)
	}
	if at.GRPC == "" || at.HTTP == "" || at.Admin == "" {
		return errors.New("ready file: an address is missing")
	}
	g.GRPC, g.HTTP, g.Admin = at.GRPC, at.HTTP, at.Admin
	return nil
}

// Stop stops the gateway as an operator does, by SIGTERM, and demands that it ends well.
func (g *Gateway) Stop() error {
	if err := g.process.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("the gateway was gone already: %w", err)
	}
	select {
	case <-g.ended:
		if g.err != nil {
			return fmt.Errorf("the gateway did not end well after SIGTERM: %w", g.err)
		}
		return nil
	case <-time.After(Patience):
		g.Kill()
		return errors.New("the gateway did not end after SIGTERM")
	}
}

// Kill ends the gateway by SIGKILL and returns once it is gone. It may be gone already.
func (g *Gateway) Kill() {
	_ = g.process.Process.Kill()
	<-g.ended
}

// Freeze stops the gateway's process where it stands, and Thaw lets it go on. Both return before the system has done
// so for each of its threads.
func (g *Gateway) Freeze() error { return freeze(g.process.Process) }

// Thaw lets a frozen gateway go on.
func (g *Gateway) Thaw() error { return thaw(g.process.Process) }

// Ended is closed once the gateway is gone.
func (g *Gateway) Ended() <-chan struct{} { return g.ended }

// Pid is the gateway's process id.
func (g *Gateway) Pid() int { return g.process.Process.Pid }

// Resident is how many bytes of memory the gateway has in use, 0 where the system does not tell.
func (g *Gateway) Resident() int64 { return Resident(g.Pid()) }

// Used is the processors' time that the gateway has used, 0 when it is gone, and where the system does not tell.
func (g *Gateway) Used() time.Duration { return Used(g.Pid()) }

// Metrics are what the gateway measures.
func (g *Gateway) Metrics() ([]byte, error) {
	resp, err := http.Get(g.Admin + "/metrics")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// LastWords is the end of a gateway's log.
func LastWords(dir string) string {
	log, _ := os.ReadFile(filepath.Join(dir, "gateway.log"))
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	return "last words of the gateway:\n" + strings.Join(lines[max(0, len(lines)-15):], "\n")
}
