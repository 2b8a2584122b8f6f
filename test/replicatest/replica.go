package replicatest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"kontor.dev/kontor/test/worldtest"
)

// Replica is one of the gateways of a world. It is safe for concurrent use.
type Replica struct {
	// Number counts from 1.
	Number int
	// Dir is the folder of its configuration and log.
	Dir string
	// Line leads to the database; nil in a world that goes without.
	Line *Line

	binary string
	env    []string

	mu sync.RWMutex
	// gateway is nil while it does not run.
	gateway *worldtest.Gateway
	frozen  bool
	// freezes counts how often it was frozen.
	freezes int
	// stubs are for calls, streams for streams: a connection carries a bounded number of them.
	stubs   *worldtest.Stubs
	streams []*worldtest.Stubs
	// former are those of processes that ended.
	former []*worldtest.Stubs
}

// hangUp closes the connections to processes that ended.
func (r *Replica) hangUp() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, stubs := range r.former {
		stubs.Close()
	}
	r.former = nil
}

// streamsEach is how many streams are opened on one connection: below what a gateway takes.
const streamsEach = 100

// Start starts the gateway and returns once it is ready.
func (r *Replica) Start() error {
	gateway, err := worldtest.StartGateway(r.binary, r.Dir, r.env...)
	if err != nil {
		return fmt.Errorf("gateway %d: %w", r.Number, err)
	}
	stubs, err := worldtest.Dial(gateway.GRPC, Key)
	if err != nil {
		gateway.Kill()
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gateway, r.stubs, r.frozen = gateway, stubs, false
	return nil
}

// Gateway is the running process; nil while there is none.
func (r *Replica) Gateway() *worldtest.Gateway {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.gateway
}

// HTTP is the base of REST's addresses, "" while the gateway does not run.
func (r *Replica) HTTP() string {
	if g := r.Gateway(); g != nil {
		return g.HTTP
	}
	return ""
}

// Stubs call the gateway; nil while it does not run.
func (r *Replica) Stubs() *worldtest.Stubs {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.stubs
}

// streamStubs are those for the numbered stream.
func (r *Replica) streamStubs(number int) (*worldtest.Stubs, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gateway == nil {
		return nil, errDown
	}
	for len(r.streams) <= number/streamsEach {
		stubs, err := worldtest.Dial(r.gateway.GRPC, Key)
		if err != nil {
			return nil, err
		}
		r.streams = append(r.streams, stubs)
	}
	return r.streams[number/streamsEach], nil
}

// errDown is that of calls to a gateway that does not run.
var errDown = errors.New("the gateway does not run")

// take takes the gateway out of the world: from here on nobody is sent to it.
func (r *Replica) take() *worldtest.Gateway {
	r.mu.Lock()
	gateway, frozen := r.gateway, r.frozen
	// Calls that are under way see how the gateway ends, and not that their connection was closed here.
	r.former = append(r.former, r.streams...)
	if r.stubs != nil {
		r.former = append(r.former, r.stubs)
	}
	r.gateway, r.stubs, r.streams, r.frozen = nil, nil, nil, false
	r.mu.Unlock()
	if gateway != nil && frozen {
		_ = gateway.Thaw()
	}
	return gateway
}

// Kill ends the gateway by SIGKILL, if it runs, and returns once it is gone.
func (r *Replica) Kill() {
	if gateway := r.take(); gateway != nil {
		gateway.Kill()
	}
}

// Stop ends the gateway by SIGTERM, if it runs, and demands that it ends well.
func (r *Replica) Stop() error {
	if gateway := r.take(); gateway != nil {
		return gateway.Stop()
	}
	return nil
}

// Freeze stops the gateway's process where it stands. Calls to it are not answered then.
func (r *Replica) Freeze() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gateway == nil {
		return errDown
	}
	r.frozen = true
	r.freezes++
	return r.gateway.Freeze()
}

// asleep tells whether the gateway is frozen, and how often it was.
func (r *Replica) asleep() (frozen bool, freezes int) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.frozen, r.freezes
}

// Thaw lets it go on.
func (r *Replica) Thaw() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gateway == nil {
		return errDown
	}
	r.frozen = false
	return r.gateway.Thaw()
}

// Run runs another command of the gateway with its configuration and gives what it printed.
func (r *Replica) Run(args ...string) (string, error) {
	cmd := exec.Command(r.binary, append(args, "--config", filepath.Join(r.Dir, "kontor.yaml"))...)
	cmd.Env = append(os.Environ(), r.env...)
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("gateway %v: %w\n%s%s", args, err, out, errOut.Bytes())
	}
	return string(out), nil
}

// warnings are the newest lines of its log that are more than information.
func (r *Replica) warnings() string {
	log, _ := os.ReadFile(filepath.Join(r.Dir, "gateway.log"))
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	lines = slices.DeleteFunc(lines, func(line string) bool { return strings.Contains(line, `"level":"INFO"`) })
	const most = 30
	return strings.Join(lines[max(0, len(lines)-most):], "\n")
}
