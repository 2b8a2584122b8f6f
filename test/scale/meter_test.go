package scale

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// meter is what was used so far.
type meter struct {
	gateways, server time.Duration // of the processors
	xid              int64         // the next number of a transaction
	wal              int64         // bytes that the server wrote ahead
}

// since gives what so many calls took since another reading.
func (m meter) since(before meter, calls int, took time.Duration) load {
	each := time.Duration(max(calls, 1))
	return load{
		each: float64(calls) / took.Seconds(), gateway: (m.gateways - before.gateways) / each,
		server: (m.server - before.server) / each, xids: float64(m.xid-before.xid) / float64(each),
		wal: (m.wal - before.wal) / int64(each),
	}
}

func (w *world) meter(t *testing.T) (m meter) {
	t.Helper()
	for _, r := range w.up {
		m.gateways += r.gateway.Used()
	}
	if w.engine != "postgres" {
		return m
	}
	c, err := pgx.Connect(t.Context(), w.address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	var backend int
	const query = "SELECT pg_backend_pid(), pg_snapshot_xmax(pg_current_snapshot())::text::bigint, " +
		"pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"
	if err := c.QueryRow(t.Context(), query).Scan(&backend, &m.xid, &m.wal); err != nil {
		t.Fatal(err)
	}
	m.server = serverUsed(backend)
	return m
}

// serverUsed is the processors' time that a server has used: that of its first process, which has also that of all
// that have ended, and of those that run. 0 where the system does not tell.
func serverUsed(backend int) (used time.Duration) {
	own := statOf(backend)
	if own == nil {
		return 0
	}
	first := own[1]
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0
	}
	for _, process := range all {
		pid, err := strconv.Atoi(filepath.Base(process))
		if err != nil {
			continue
		}
		stat := statOf(pid)
		if stat == nil || stat[1] != first && strconv.Itoa(pid) != first {
			continue
		}
		fields := []int{11, 12}
		if strconv.Itoa(pid) == first {
			fields = append(fields, 13, 14)
		}
		for _, field := range fields {
			ticks, err := strconv.ParseInt(stat[field], 10, 64)
			if err == nil {
				used += time.Duration(ticks) * 10 * time.Millisecond
			}
		}
	}
	return used
}

// statOf gives what the system says of a process behind its name: state, parent and so on; nil when it is gone.
func statOf(pid int) []string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 15 {
		return nil
	}
	return fields
}
