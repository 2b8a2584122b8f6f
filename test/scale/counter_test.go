package scale

import (
	"bufio"
	"bytes"
	big "encoding/binary"
	"io"
	"maps"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// counter stands between a gateway and PostgreSQL and counts what the gateway asks for.
type counter struct {
	listener net.Listener
	server   string

	mu sync.Mutex
	counts
}

// counts is what was asked for.
type counts struct {
	// transactions counts those that ended, by what they did: "read" or "write" and each statement's tables; "alone" and
	// the tables for a statement that is a transaction by itself.
	transactions map[string]int
	// statements counts them by their text.
	statements map[string]int
}

// all is how many transactions there were.
func (c counts) all() (sum int) {
	for _, n := range c.transactions {
		sum += n
	}
	return sum
}

// with counts the statements that have all of some texts.
func (c counts) with(texts ...string) (sum int) {
	for statement, n := range c.statements {
		if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(statement, text) }) {
			sum += n
		}
	}
	return sum
}

func newCounter(t *testing.T, server string) *counter {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &counter{listener: listener, server: server, counts: none()}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go c.carry(client)
		}
	}()
	return c
}

func none() counts { return counts{map[string]int{}, map[string]int{}} }

// take gives what was counted since it was last called.
func (c *counter) take() counts {
	c.mu.Lock()
	defer c.mu.Unlock()
	taken := c.counts
	c.counts = none()
	return taken
}

// soFar gives what was counted, and goes on.
func (c *counter) soFar() counts {
	c.mu.Lock()
	defer c.mu.Unlock()
	return counts{maps.Clone(c.transactions), maps.Clone(c.statements)}
}

// carry passes on what a client and the server say to each other.
func (c *counter) carry(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", c.server) //nolint:noctx // ends with the client's connection
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		_, _ = io.Copy(client, server)
		client.Close()
	}()
	from := bufio.NewReader(client)
	// The first message has no type.
	for first, now := true, (session{c: c}); ; first = false {
		head := make([]byte, 5)
		if first {
			head = head[:4]
		}
		if _, err := io.ReadFull(from, head); err != nil {
			return
		}
		size := int(big.BigEndian.Uint32(head[len(head)-4:])) - 4
		if size < 0 || size > 1<<28 {
			return
		}
		message := append(bytes.Clone(head), make([]byte, size)...)
		body := message[len(head):]
		if _, err := io.ReadFull(from, body); err != nil {
			return
		}
		if !first {
			now.heard(head[0], body)
		}
		if _, err := server.Write(message); err != nil {
			return
		}
	}
}

// session is what a connection is at.
type session struct {
	c *counter
	// parsed is the statement that is executed next.
	parsed string
	// open are the words for the transaction that is open, nil for none.
	open []string
}

// heard takes note of a message: a script, a statement that is parsed, or its execution.
func (s *session) heard(kind byte, body []byte) {
	switch kind {
	case 'Q':
		script, _, _ := strings.Cut(string(body), "\x00")
		s.asked(script)
	case 'P':
		_, rest, _ := strings.Cut(string(body), "\x00") // the statement's name
		s.parsed, _, _ = strings.Cut(rest, "\x00")
	case 'E':
		s.asked(s.parsed)
	}
}

var (
	spaces = regexp.MustCompile(`\s+`)
	tables = regexp.MustCompile(`(?:FROM|INTO|UPDATE|JOIN) ([a-z_]+)`)
)

// asked takes note of a statement, or of a script that begins or ends a transaction.
func (s *session) asked(text string) {
	text = strings.TrimSpace(spaces.ReplaceAllString(text, " "))
	switch word, _, _ := strings.Cut(text, " "); word {
	case "BEGIN":
		s.open = []string{"write"}
		if strings.Contains(text, "READ ONLY") {
			s.open = []string{"read"}
		}
		return
	case "COMMIT", "ROLLBACK":
		if s.open != nil {
			s.c.ended(strings.Join(s.open, " "))
		}
		s.open = nil
		return
	case "SET":
		return
	}
	s.c.mu.Lock()
	s.c.statements[text]++
	s.c.mu.Unlock()
	if s.open == nil {
		s.c.ended("alone " + about(text))
		return
	}
	s.open = append(s.open, about(text))
}

// about says what a statement is about: its first table, or its first words.
func about(text string) string {
	if found := tables.FindStringSubmatch(text); found != nil {
		return found[1]
	}
	return text[:min(len(text), 30)]
}

func (c *counter) ended(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.transactions[what]++
}
