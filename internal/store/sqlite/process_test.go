//go:build unix

package sqlite

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"kontor.dev/kontor/internal/keys/keystest"
)

// TestMain lets the test binary be the other process that some tests need.
func TestMain(m *testing.M) {
	if role := os.Getenv(childRole); role != "" {
		os.Exit(runChild(role, os.Getenv(childPath)))
	}
	os.Exit(m.Run())
}

// What the test binary does instead of testing when it is started with childRole set.
const (
	childRole = "KONTOR_TEST_CHILD"
	childPath = "KONTOR_TEST_PATH"

	roleLock  = "lock"
	roleWrite = "write"
	roleFill  = "fill"
	// roleBackup writes a backup beside the file, says so when it is copied, and waits to be killed; roleRestore makes
	// the file of such a backup likewise.
	roleBackup  = "backup"
	roleRestore = "restore"
)

// childConsents are those that a child writes to.
var childConsents = []string{"a", "b", "c"}

// runChild is the child's main.
func runChild(role, path string) int {
	if role == roleLock {
		lock, err := Lock(path)
		if err != nil {
			fmt.Println(err)
			return 1
		}
		_ = lock.Close()
		return 0
	}
	copied := func(string) {
		fmt.Println("copied")
		select {}
	}
	if role == roleRestore {
		disk := realDisk
		disk.copied = copied
		_, err := disk.restore(context.Background(), path, keystest.StoreKey(),
			pair(path+".backup", path+".backup-keys"))
		fmt.Println(err)
		return 1
	}
	if role == roleBackup {
		r, err := OpenReadOnly(context.Background(), path)
		if err == nil {
			r.disk.copied = copied
			err = r.Backup(context.Background(), path+".backup", path+".backup-keys")
		}
		fmt.Println(err)
		return 1
	}
	s, err := Open(context.Background(), path, keystest.StoreKey(), Options{})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	switch role {
	case roleWrite:
		writeUntilKilled(s)
	case roleFill:
		err = fillDisk(s, path)
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

func startChild(t *testing.T, role, path string) (*exec.Cmd, io.Reader) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childRole+"="+role, childPath+"="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, out
}

// TestLock starts a second process that wants the lock, by all ways that lead to the file.
func TestLock(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "data", "kontor.db")
	lock, err := Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "data"), filepath.Join(dir, "folder")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path, filepath.Join(dir, "file.db")); err != nil {
		t.Fatal(err)
	}
	for _, way := range []string{path, filepath.Join(dir, "folder", "kontor.db"), filepath.Join(dir, "file.db")} {
		cmd, out := startChild(t, roleLock, way)
		said, _ := io.ReadAll(out)
		if err := cmd.Wait(); err == nil || !strings.Contains(string(said),
			ErrLocked.Error()) || !strings.Contains(string(said), way) {
			t.Errorf("a second process ended with %v and said %q, want a refusal", err, said)
		}
		if second, err := Lock(way); !errors.Is(err, ErrLocked) {
			t.Errorf("a second lock in the same process: error %v, want %v", err, ErrLocked)
			if err == nil {
				second.Close()
			}
		}
		openAt(t, way) // It keeps nobody from opening the file.
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	cmd, out := startChild(t, roleLock, path)
	said, _ := io.ReadAll(out)
	if err := cmd.Wait(); err != nil {
		t.Errorf("another process cannot have the lock that was given back: %v, %s", err, said)
	}
}

// TestKilledBackup kills a backup when all of it is written and nothing of it is checked: there is nothing that looks
// like a backup, and the next one clears away.
func TestKilledBackup(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kontor.db")
	appendAudit(t, openAt(t, path), "kept")
	cmd, out := startChild(t, roleBackup, path)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "copied\n" {
		t.Errorf("the backup said %q, %v", line, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // It was killed.
	backups := func() (found []string) {
		for _, name := range listed(t, filepath.Dir(path)) {
			if !strings.HasPrefix(name, "kontor.db-") && name != "kontor.db" {
				found = append(found, name)
			}
		}
		return found
	}
	for _, left := range backups() {
		if !strings.HasPrefix(left, partialPrefix) {
			t.Errorf("the killed backup left %s", left)
		}
	}
	if err := openReadOnly(t, path).Backup(t.Context(), path+".backup", path+".backup-keys"); err != nil {
		t.Fatal(err)
	}
	if left := backups(); !slices.Equal(left, []string{
		"kontor.db.backup", "kontor.db.backup-keys", "kontor.db" + backupMark,
	}) {
		t.Errorf("after the next one there is %v", left)
	}
}

// writeUntilKilled appends events from several sides and says of each that it is stored, once it is.
func writeUntilKilled(s *Store) {
	var group sync.WaitGroup
	for n := range 4 {
		group.Go(func() {
			for i := 0; ; i++ {
				consentID := childConsents[(n+i)%len(childConsents)]
				detail := fmt.Sprintf("%d-%d-%d", os.Getpid(), n, i)
				sequence, err := appendNext(context.Background(), s, consentID, detail)
				if err != nil {
					fmt.Println("error:", err)
					return
				}
				// One write each: a line is whole or not there.
				fmt.Fprintf(os.Stdout, "%s %d %s\n", consentID, sequence, detail)
			}
		})
	}
	group.Wait()
}

// TestKill kills a process that writes, again and again, and looks for everything that it said was stored.
func TestKill(t *testing.T) {
	t.Parallel()
	const kills = 20
	randomSeed := rand.Uint64()
	t.Logf("seed %d", randomSeed)
	random := rand.New(rand.NewPCG(randomSeed, 0))
	path := filepath.Join(t.TempDir(), "kontor.db")
	s := openAt(t, path)
	setUp(t, s, childConsents...)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	acknowledged := map[string]string{} // details by consent and sequence
	for range kills {
		cmd, out := startChild(t, roleWrite, path)
		lines, killAfter := bufio.NewScanner(out), 1+random.IntN(80)
		for n := 1; lines.Scan(); n++ {
			fields := strings.Fields(lines.Text())
			if len(fields) != 3 || fields[0] == "error:" {
				t.Fatalf("the child says %q", lines.Text())
			}
			key := fields[0] + " " + fields[1]
			if former, ok := acknowledged[key]; ok {
				t.Errorf("%s was acknowledged for %s and %s", key, former, fields[2])
			}
			acknowledged[key] = fields[2]
			if n == killAfter {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); err == nil {
			t.Fatal("the child ended by itself")
		}
		s, err := Open(t.Context(), path, keystest.StoreKey(), Options{})
		if err != nil {
			t.Fatalf("after a kill: %v", err)
		}
		stored := map[string]string{}
		for _, consentID := range childConsents {
			for _, event := range events(t, s, consentID) {
				stored[fmt.Sprint(consentID, " ", event.Sequence)] = event.Key
			}
		}
		for key, detail := range acknowledged {
			if stored[key] != detail {
				t.Errorf("%s was acknowledged for %s and is %q", key, detail, stored[key])
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d acknowledged writes", len(acknowledged))
	if len(acknowledged) < kills {
		t.Errorf("only %d writes were acknowledged", len(acknowledged))
	}
}

// fillDisk limits the size of the files that the process writes, so that commits fail, writes until many have, lifts
// the limit and goes on.
func fillDisk(s *Store, path string) error {
	signal.Ignore(syscall.SIGXFSZ) // The write then fails with EFBIG.
	const commits, failures = 40, 25
	write := func(prefix string, n int) error {
		detail := fmt.Sprintf("%s-%d-%s", prefix, n, strings.Repeat("x", 2000))
		sequence, err := appendNext(context.Background(), s, childConsents[0], detail)
		if err != nil {
			fmt.Printf("refused %s %v\n", detail, strings.ReplaceAll(err.Error(), "\n", " "))
			return err
		}
		fmt.Printf("acknowledged %s %d\n", detail, sequence)
		return nil
	}
	log, err := os.Stat(path + "-wal")
	if err != nil {
		return err
	}
	var unlimited syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &unlimited); err != nil {
		return err
	}
	limit := unlimited
	limit.Cur = uint64(log.Size()) + 200_000 + 777 // Not at the end of a page.
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	for n, failed := 0, 0; failed < failures; n++ {
		if write("full", n) != nil {
			failed++
		}
		if n > 10_000 {
			return errors.New("the limit has no effect")
		}
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &unlimited); err != nil {
		return err
	}
	for n := range commits {
		if err := write("room", n); err != nil {
			return err
		}
	}
	return s.Close()
}

// TestFullDisk counts what was acknowledged and what is stored, after a disk was full and had room again.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kontor.db")
	s := openAt(t, path)
	setUp(t, s, childConsents...)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	cmd, out := startChild(t, roleFill, path)
	lines := bufio.NewScanner(out)
	acknowledged, refused, commits := map[string]bool{}, 0, 0
	for lines.Scan() {
		outcome, rest, _ := strings.Cut(lines.Text(), " ")
		detail, reason, _ := strings.Cut(rest, " ")
		switch outcome {
		case "acknowledged":
			acknowledged[detail] = true
		case "refused":
			refused++
			if strings.Contains(reason, "commit") {
				commits++
			}
		default:
			t.Errorf("the child says %q", lines.Text())
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("the child: %v", err)
	}
	stored := events(t, openAt(t, path), childConsents[0])
	for _, event := range stored {
		if !acknowledged[event.Key] {
			t.Errorf("event %d was refused and is stored", event.Sequence)
		}
	}
	if len(stored) != len(acknowledged) {
		t.Errorf("%d events are stored, %d were acknowledged", len(stored), len(acknowledged))
	}
	t.Logf("%d acknowledged, %d refused, %d of them by COMMIT", len(acknowledged), refused, commits)
	if len(acknowledged) < 40 || refused == 0 || commits == 0 {
		t.Error("the disk was never full, or always")
	}
}
