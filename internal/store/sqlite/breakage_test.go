//go:build unix

package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"kontor.dev/kontor/internal/keys/keystest"
	"kontor.dev/kontor/internal/store"
)

// load is several writers that write until they are told to stop, and remember what was acknowledged.
type load struct {
	s     *Store
	stop  context.CancelFunc
	group sync.WaitGroup
	// broken is set when the files are broken: from then on, begun counts the writes, acknowledged those that were
	// acknowledged although they began afterwards.
	broken              atomic.Bool
	begun, acknowledged atomic.Int64
	total               atomic.Int64

	mu      sync.Mutex
	details map[string]bool // of all that was acknowledged
}

// startLoad writes to as many consents as there are writers. Each event is large enough to need pages.
func startLoad(t *testing.T, s *Store) *load {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	l := &load{s: s, stop: stop, details: map[string]bool{}}
	for n, id := range childConsents {
		l.group.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				after := l.broken.Load()
				if after {
					l.begun.Add(1)
				}
				detail := fmt.Sprint(n, "-", i, strings.Repeat("x", 1500))
				if _, err := appendNext(ctx, s, id, detail); err != nil {
					runtime.Gosched()
					continue
				}
				l.total.Add(1)
				if after {
					l.acknowledged.Add(1)
				}
				l.mu.Lock()
				l.details[detail] = true
				l.mu.Unlock()
			}
		})
	}
	t.Cleanup(l.end)
	return l
}

func (l *load) end() {
	l.stop()
	l.group.Wait()
}

// until waits for a condition.
func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for limit := time.Now().Add(time.Minute); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("in vain: %s", what)
		}
	}
}

// lost are the details that were acknowledged and are not stored.
func (l *load) lost(t *testing.T, s *Store) (lost int) {
	t.Helper()
	stored := map[string]bool{}
	for _, id := range childConsents {
		for _, e := range events(t, s, id) {
			stored[e.Key] = true
		}
	}
	for detail := range l.details {
		if !stored[detail] {
			lost++
		}
	}
	return lost
}

// breakage breaks the files of a store that is being written, and may mend them again.
type breakage struct {
	name string
	// folder gives where the file is; nil for a folder of the test's own.
	folder func(*testing.T) string
	do     func(t *testing.T, s *Store)
	// kinds are what Ping may call it.
	kinds []store.FaultKind
	// mend heals it; nil where only a restart helps, or nothing.
	mend func(t *testing.T, s *Store)
	// takes says that what was acknowledged before is taken away by it.
	takes bool
}

// room is a file system of 16 MiB where that can be made, or any.
func room(t *testing.T) string {
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=16m", "none", dir).CombinedOutput(); err != nil {
		t.Logf("no file system of its own (%v, %s): the file's own limit is taken", err, out)
		return dir
	}
	t.Cleanup(func() {
		if err := exec.Command("umount", dir).Run(); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// onWriter runs a pragma on the writer's connection.
func onWriter(t *testing.T, s *Store, pragma string) {
	t.Helper()
	turn, err := s.writer.acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if turn.open != nil {
		turn.commit()
	}
	defer turn.pass()
	c, err := turn.connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.sql.ExecContext(t.Context(), "PRAGMA "+pragma); err != nil {
		t.Fatal(err)
	}
}

// reconnect has the writer open its connections with another setting from now on.
func reconnect(t *testing.T, s *Store, setting pragma) {
	t.Helper()
	db, err := newDB(s.files.path, append([]pragma{setting}, writerSettings...), &s.files)
	if err != nil {
		t.Fatal(err)
	}
	turn, err := s.writer.acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if turn.open != nil {
		turn.commit()
	}
	former := s.writer.db
	t.Cleanup(func() { former.Close() })
	s.writer.db, turn.conn.broken = db, true
	turn.pass()
}

// immutable makes files immutable, or no longer, and tells whether that can be done here.
func immutable(s *Store, sign string) bool {
	return exec.Command("chattr", sign+"i", s.files.path, s.files.path+"-wal").Run() == nil
}

func ballast(s *Store) string { return filepath.Join(filepath.Dir(s.files.path), "ballast") }

// fill takes the room that is left, where there is little.
func fill(t *testing.T, s *Store) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(filepath.Dir(s.files.path), &fs); err != nil {
		t.Fatal(err)
	}
	if left := int64(fs.Bavail) * fs.Bsize; left > 16<<20 {
		onWriter(t, s, "max_page_count = 1")
		return
	}
	file, err := os.Create(ballast(s))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for block := make([]byte, 4096); ; {
		if _, err := file.Write(block); err != nil {
			return
		}
	}
}

func breakages() []breakage {
	aside := func(s *Store) string { return s.files.path + ".aside" }
	return []breakage{
		{
			name: "full", folder: room, do: fill, kinds: []store.FaultKind{store.FaultFull},
			mend: func(t *testing.T, s *Store) {
				if os.Remove(ballast(s)) != nil {
					onWriter(t, s, "max_page_count = 1000000")
				}
			},
		}, {
			name: "read-only", kinds: []store.FaultKind{store.FaultReadOnly, store.FaultFailing},
			do: func(t *testing.T, s *Store) {
				if !immutable(s, "+") {
					t.Log("no file can be made immutable: the connections are made read-only")
					reconnect(t, s, pragma{"query_only", "ON", "1"})
					return
				}
				t.Cleanup(func() { immutable(s, "-") })
			},
			mend: func(t *testing.T, s *Store) {
				if !immutable(s, "-") {
					reconnect(t, s, pragma{"query_only", "OFF", "0"})
				}
			},
		}, {
			name: "moved away", kinds: []store.FaultKind{store.FaultGone},
			do:   func(t *testing.T, s *Store) { rename(t, s.files.path, aside(s)) },
			mend: func(t *testing.T, s *Store) { rename(t, aside(s), s.files.path) },
		}, {
			name: "folder moved away", kinds: []store.FaultKind{store.FaultGone},
			do: func(t *testing.T, s *Store) {
				rename(t, filepath.Dir(s.files.path), filepath.Dir(s.files.path)+".aside")
			},
			mend: func(t *testing.T, s *Store) {
				rename(t, filepath.Dir(s.files.path)+".aside", filepath.Dir(s.files.path))
			},
		}, {
			name: "removed", kinds: []store.FaultKind{store.FaultGone}, takes: true,
			do: func(t *testing.T, s *Store) {
				for _, suffix := range []string{"", "-wal", "-shm"} {
					remove(t, s.files.path+suffix)
				}
			},
		}, {
			name: "log removed", kinds: []store.FaultKind{store.FaultGone},
			do: func(t *testing.T, s *Store) { remove(t, s.files.path+"-wal") },
		}, {
			name: "replaced", kinds: []store.FaultKind{store.FaultReplaced},
			do: func(t *testing.T, s *Store) {
				other := openAt(t, filepath.Join(t.TempDir(), "other.db"))
				setUp(t, other, childConsents...)
				if err := other.Close(); err != nil {
					t.Fatal(err)
				}
				// The former file stays, so that what is in it can be looked at.
				rename(t, s.files.path, aside(s))
				rename(t, other.files.path, s.files.path)
			},
			mend: func(t *testing.T, s *Store) { rename(t, aside(s), s.files.path) },
		}, {
			name: "cut off", kinds: []store.FaultKind{store.FaultTruncated, store.FaultCorrupt}, takes: true,
			do: func(t *testing.T, s *Store) {
				// Not while the log is moved there, which would make the file as long as before.
				turn, err := s.writer.acquire(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				truncate(t, s.files.path, 8192)
				turn.pass()
			},
		}, {
			name: "log cut off", kinds: []store.FaultKind{store.FaultTruncated, store.FaultFailing}, takes: true,
			do: func(t *testing.T, s *Store) { truncate(t, s.files.path+"-wal", 0) },
		},
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func truncate(t *testing.T, path string, size int64) {
	t.Helper()
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
}

// TestBreakage breaks the files under load. Nothing that begins afterwards is acknowledged, Ping says what it is, and
// what was acknowledged before is there when the files are mended: without a restart, where that is possible.
func TestBreakage(t *testing.T) {
	for _, b := range breakages() {
		t.Run(b.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			if b.folder != nil {
				dir = b.folder(t)
			}
			path := filepath.Join(dir, "kontor.db")
			s, err := Open(t.Context(), path, keystest.StoreKey(), Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			setUp(t, s, childConsents...)
			l := startLoad(t, s)
			until(t, "some writes, and a file that has some of them", func() bool {
				return l.total.Load() > 60 && (s.Stats().Size > 10*4096 || b.name == "full")
			})
			b.do(t, s)
			if b.name != "full" { // What fits is stored as long as it fits.
				l.broken.Store(true)
			}
			var fault *store.FaultError
			until(t, "Ping fails", func() bool { return errors.As(s.Ping(t.Context()), &fault) })
			l.broken.Store(true)
			if !slices.Contains(b.kinds, fault.Kind) {
				t.Errorf("Ping says %q (%v), want one of %q", fault.Kind, fault, b.kinds)
			}
			until(t, "writes are tried", func() bool { return l.begun.Load() > 50 })
			if n := l.acknowledged.Load(); n > 0 && b.name != "full" {
				t.Errorf("%d writes were acknowledged that began after the breakage", n)
			}
			if b.mend != nil {
				b.mend(t, s)
				before := l.total.Load()
				until(t, "Ping is well again", func() bool { return s.Ping(t.Context()) == nil })
				until(t, "writes are acknowledged again", func() bool { return l.total.Load() > before+20 })
			}
			l.end()
			if err := s.Close(); err != nil {
				t.Logf("Close: %v", err)
			}
			if b.takes {
				return
			}
			again, err := Open(t.Context(), path, keystest.StoreKey(), Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			if lost := l.lost(t, again); lost > 0 {
				t.Errorf("%d of %d acknowledged writes are lost", lost, len(l.details))
			}
		})
	}
}

// TestCorruption writes over the pages of a file under load. Once that was noticed, nothing is written any more: what
// is written to a damaged file makes the damage larger.
func TestCorruption(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kontor.db")
	s, err := Open(t.Context(), path, keystest.StoreKey(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	setUp(t, s, childConsents...)
	l := startLoad(t, s)
	until(t, "the file is large", func() bool { return s.Stats().Size > 100*4096 })
	// In a process of its own: a file that is closed here takes SQLite's locks on it along.
	overwrite := exec.Command("dd", "if=/dev/urandom", "of="+path, "bs=4096", "seek=1", "count=90", "conv=notrunc")
	if out, err := overwrite.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	var fault *store.FaultError
	until(t, "Ping fails", func() bool {
		// Somebody reads what was long not read.
		_ = s.View(t.Context(), tenant, func(r store.Reader) error {
			_, err := r.ConsentEntries("", "", 1000)
			return err
		})
		return errors.As(s.Ping(t.Context()), &fault)
	})
	if fault.Kind != store.FaultCorrupt {
		t.Errorf("Ping says %q, want %q", fault.Kind, store.FaultCorrupt)
	}
	l.broken.Store(true)
	until(t, "writes are tried", func() bool { return l.begun.Load() > 50 })
	if n := l.acknowledged.Load(); n > 0 {
		t.Errorf("%d writes were acknowledged after the damage was noticed", n)
	}
	stats := s.Stats()
	if stats.Fault != store.FaultCorrupt || stats.Failed[store.FaultCorrupt] == 0 {
		t.Errorf("the stats say %+v", stats)
	}
}

// TestPingTriesToWrite: who is asked for nothing because it is not ready learns by itself that it is well again.
func TestPingTriesToWrite(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	commits := s.writer.commits.Load()
	for range 3 {
		if err := s.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.writer.commits.Load() - commits; n > 1 {
		t.Errorf("three pings made %d writes, want one at most", n)
	}
	onWriter(t, s, "query_only = ON")
	s.health.Note(store.NewFault(store.FaultFull, "made up"))
	var fault *store.FaultError
	if err := s.Ping(t.Context()); !errors.As(err, &fault) || fault.Kind != store.FaultReadOnly {
		t.Errorf("while nothing can be written: %v", err)
	}
	if err := s.Ping(t.Context()); err != nil { // The connection was given up, and the next one can write.
		t.Errorf("when something can be written again: %v", err)
	}
}

// TestRoomForLittleIsNotEnough: as long as there is no room for what calls may write, a store is not well, although
// small writes fit.
func TestRoomForLittleIsNotEnough(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	onWriter(t, s, "max_page_count = 1") // No page more than there are.
	s.health.Note(store.NewFault(store.FaultFull, "made up"))
	if err := s.probe(t.Context(), "UPDATE pulse SET probes = probes + 1 WHERE id = 1"); err != nil {
		t.Fatalf("a small write: %v", err)
	}
	var fault *store.FaultError
	for range 2 {
		onWriter(t, s, "max_page_count = 1") // A connection that failed is given up, and the setting with it.
		if err := s.Ping(t.Context()); !errors.As(err, &fault) || fault.Kind != store.FaultFull {
			t.Errorf("with room for little: %v", err)
		}
	}
	onWriter(t, s, "max_page_count = 1000000")
	if err := s.Ping(t.Context()); err != nil || s.health.Short() {
		t.Errorf("with room: %v", err)
	}
	probes := s.Stats().Failed[store.FaultFull]
	if err := s.Ping(t.Context()); err != nil || s.Stats().Failed[store.FaultFull] != probes {
		t.Errorf("and on: %v", err)
	}
}

// TestNoFileIsMade: a connection that is opened after the file went does not make an empty one in its place.
func TestNoFileIsMade(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	rename(t, s.files.path, s.files.path+".aside")
	for range 2 {
		if err := s.View(t.Context(), tenant, func(r store.Reader) error {
			_, err := r.Customers(store.Page{Size: 1})
			return err
		}); err == nil {
			t.Error("a new connection reads a file that is not there")
		}
		if _, err := appendNext(t.Context(), s, "consent", ""); err == nil {
			t.Error("a file that is not there is written")
		}
	}
	if _, err := os.Stat(s.files.path); err == nil {
		t.Error("there is a new file")
	}
	rename(t, s.files.path+".aside", s.files.path)
}

// BenchmarkCheck measures what looking at the files adds to a commit.
func BenchmarkCheck(b *testing.B) {
	s := openNew(b)
	setUp(b, s, "consent")
	turn := s.writer.tryAcquire()
	defer turn.pass()
	for b.Loop() {
		if err := errors.Join(s.files.check(), turn.kept()); err != nil {
			b.Fatal(err)
		}
	}
}
