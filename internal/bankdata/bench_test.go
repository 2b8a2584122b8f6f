//go:build unix

package bankdata_test

import (
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/assembly"
	"kontor.dev/kontor/internal/assembly/assemblytest"
	"kontor.dev/kontor/internal/keys/keystest"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/sqlite"
)

// BenchmarkListAccounts reads the accounts under 64 consents, by so many callers at a time, from a provider that
// answers at once. It tells the CPU time of the process and the commits for each read: what a read costs beside its
// transport and its provider.
func BenchmarkListAccounts(b *testing.B) {
	for _, callers := range []int{1, 8, 64} {
		b.Run(map[int]string{1: "alone", 8: "8 callers", 64: "64 callers"}[callers], func(b *testing.B) {
			db, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "kontor.db"), keystest.StoreKey(),
				sqlite.Options{Alone: true})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = db.Close() })
			g := assemblytest.New(b, func(o *assembly.Options, p *providers.Provider) {
				o.Store, p.Accounts = db, &bank{}
			})
			names := make([]string, 64)
			for i := range names {
				row := g.Create(b)
				err := db.Update(b.Context(), row.Tenant, func(tx store.Tx) error {
					row, err := tx.Consent(row.ID)
					if err != nil {
						return err
					}
					row.Resource.Status, row.NextPoll = consentv1.Consent_AUTHORIZED, time.Time{}
					row.Resource.DataStage = consentv1.DataStage_READY
					row.Resource.Origin = consentv1.ConsentOrigin_NATIVE
					row.Resource.Link.Status = typev1.Link_COMPLETED
					return tx.UpdateConsent(row)
				})
				if err != nil {
					b.Fatal(err)
				}
				names[i] = row.Resource.GetName()
			}
			b.ReportAllocs()
			commits, cpu := db.Stats().Commits.Count, cpuTime(b)
			b.ResetTimer()
			var next atomic.Int64
			var group sync.WaitGroup
			for range callers {
				group.Go(func() {
					for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
						request := &bankingv1.ListAccountsRequest{Parent: names[n%64]}
						if _, err := g.Servers.Banking.ListAccounts(g.Ctx, request); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			group.Wait()
			b.ReportMetric(float64((cpuTime(b)-cpu).Microseconds())/float64(b.N), "cpu-µs/op")
			b.ReportMetric(float64(db.Stats().Commits.Count-commits)/float64(b.N), "commits/op")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "reads/s")
		})
	}
}

// cpuTime is what the process has used.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
