package crash

import (
	"math/rand/v2"
	"os"
	"sync"
	"testing"

	"github.com/google/uuid"

	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
)

// TestBackup takes a backup while callers are at work, as docs/operations-backup.md has it, loses the database, and
// restores it: all that was acknowledged before the backup began is there, keys included.
func TestBackup(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	random := rand.New(rand.NewPCG(uint64(*seed), 4))
	var before []*request
	for range 20 {
		r := &request{kind: creatingKinds()[random.IntN(len(creatingKinds()))], key: uuid.NewString()}
		r.answer = must(r.send(w.context(), w.client))(t)
		before = append(before, r)
	}
	stop := make(chan struct{})
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				r := &request{kind: aCustomer, key: uuid.NewString()}
				if _, err := r.send(w.context(), w.client); err != nil {
					t.Errorf("a backup disturbs a caller: %v", err)
					return
				}
			}
		})
	}
	w.run("backup", "--to", w.path("backup.db"))
	close(stop)
	group.Wait()
	if info, err := os.Stat(w.path("backup.db")); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the backup's mode: %v, %v", info, err)
	}
	if out, err := w.tryRun("backup", "--to", w.path("backup.db")); err == nil {
		t.Errorf("a file was overwritten: %s", out)
	}

	w.kill()
	for _, name := range []string{"kontor.db", "kontor.db-wal", "kontor.db-shm"} {
		if err := os.RemoveAll(w.path(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(w.path("backup.db"), w.path("kontor.db")); err != nil {
		t.Fatal(err)
	}
	w.verified()
	w.restart()
	for _, r := range before {
		w.settle(t, r)
		w.stands(t, r.answer, false)
	}
	must(w.client.Customers.CreateCustomer(w.context(), &customerv1.CreateCustomerRequest{
		Customer: &customerv1.Customer{Type: customerv1.Customer_PERSON},
	}))(t)
}
