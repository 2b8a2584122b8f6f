//go:build failover

package failover

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"kontor.dev/kontor/test/worldtest"
)

// cluster is what scripts/patroni.sh started.
type cluster struct {
	// proxied is the address through HAProxy, hosts the one that names all nodes.
	proxied, hosts string

	t       *testing.T
	apis    []string
	program string
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t: t}
	var apis string
	for name, value := range map[string]*string{
		"KONTOR_TEST_PATRONI": &c.proxied, "KONTOR_TEST_PATRONI_HOSTS": &c.hosts, "KONTOR_TEST_PATRONI_APIS": &apis,
		"KONTOR_TEST_PATRONI_NODE": &c.program,
	} {
		if *value = os.Getenv(name); *value == "" {
			t.Fatalf("%s is not set: make test-failover, or scripts/patroni.sh <command>, sets it", name)
		}
	}
	c.apis = strings.Split(apis, ",")
	t.Cleanup(c.tell)
	c.whole()
	return c
}

// patroniTime is how the time in Patroni's own lines begins.
const patroniTime = "2006-01-02 15:04:05,"

// tell logs what the nodes said at last, when a test failed.
func (c *cluster) tell() {
	if !c.t.Failed() {
		return
	}
	logs, _ := filepath.Glob(filepath.Join(filepath.Dir(c.program), "*", "patroni.log"))
	for _, path := range logs {
		text, _ := os.ReadFile(path)
		// Of the server's lines, which have a dot in the time, there are too many.
		lines := slices.DeleteFunc(strings.Split(string(text), "\n"), func(line string) bool {
			return len(line) < len(patroniTime) || line[len(patroniTime)-1] != ',' || strings.Contains(line, " no action. ")
		})
		c.t.Logf("%s ends with\n%s", path, strings.Join(lines[max(0, len(lines)-100):], "\n"))
	}
}

// do does something to a node: start, kill, kill-server, freeze or thaw.
func (c *cluster) do(what string, node int) {
	c.t.Helper()
	if out, err := exec.Command(c.program, what, strconv.Itoa(node)).CombinedOutput(); err != nil {
		c.t.Fatalf("%s of node %d: %v\n%s", what, node, err, out)
	}
}

// member is a node as Patroni tells of it.
type member struct {
	Name, Role, State, Host string
	Port                    int
}

// address is where its server listens.
func (m member) address() string { return net.JoinHostPort(m.Host, strconv.Itoa(m.Port)) }

func (m member) node() int {
	n, _ := strconv.Atoi(strings.TrimPrefix(m.Name, "node"))
	return n
}

// asking bounds a question to a Patroni, which may be frozen.
var asking = &http.Client{Timeout: time.Second}

// members are the nodes, as any of them tells.
func (c *cluster) members() []member {
	for _, api := range c.apis {
		response, err := asking.Get("http://" + api + "/cluster")
		if err != nil {
			continue
		}
		var told struct{ Members []member }
		err = json.NewDecoder(response.Body).Decode(&told)
		response.Body.Close()
		if err == nil {
			return told.Members
		}
	}
	return nil
}

// now gives the primary, and a standby that has all that is acknowledged; the node 0 for none.
func (c *cluster) now() (primary, standby member) {
	for _, m := range c.members() {
		switch {
		case m.Role == "leader" && m.State == "running":
			primary = m
		case m.Role == "sync_standby" && (m.State == "running" || m.State == "streaming"):
			standby = m
		}
	}
	return primary, standby
}

// patience is how long a cluster may take to get whole: a lost node reads back what it has beyond the others.
const patience = 2 * time.Minute

// whole waits until there are a primary and a synchronous standby, and gives them.
func (c *cluster) whole() (primary, standby member) {
	c.t.Helper()
	worldtest.Within(c.t, "a primary with a synchronous standby", patience, func() bool {
		primary, standby = c.now()
		return primary.node() > 0 && standby.node() > 0
	})
	return primary, standby
}
