package growth

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/assembly"
	"kontor.dev/kontor/internal/keys/keystest"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/test/worldtest"
)

// makes is a provider that makes a consent at once.
type makes struct {
	providers.Consents

	made atomic.Int64
}

func (m *makes) CreateConsent(context.Context, providers.NewConsent) (*providers.CreatedConsent, error) {
	return &providers.CreatedConsent{
		Ref:  providers.ConsentRef{ID: fmt.Sprint("process-", m.made.Add(1)), Market: "SE"},
		Link: providers.Link{URI: "https://bank.example.com/link", TTL: 24 * time.Hour},
	}, nil
}

const (
	creators = 64
	// creates is how many consents are made in a round.
	creates = 64 * 40
)

// BenchmarkCreates makes consents for 64 callers, each with an idempotency key, in a store on the disk with its default
// settings, and then puts the same rows into a second file by the same driver: in one goroutine, by prepared
// statements, the rows of 64 consents in each transaction. It reports both in turns: how many are durable in a second
// of time, and in one of CPU time of the process.
func BenchmarkCreates(b *testing.B) {
	if worldtest.Stores() != worldtest.SQLite {
		b.Skip("the rows are put into SQLite")
	}
	var made, bare, madeCPU, bareCPU, times, timesCPU []float64
	for range b.N {
		from := b.TempDir()
		wall, cpu := throughGateway(b, from)
		made, madeCPU = append(made, creates/wall), append(madeCPU, creates/cpu)
		bareWall, bareOf := byRows(b, from, b.TempDir())
		bare, bareCPU = append(bare, creates/bareWall), append(bareCPU, creates/bareOf)
		times, timesCPU = append(times, wall/bareWall), append(timesCPU, cpu/bareOf)
	}
	for unit, values := range map[string][]float64{
		"creates/s": made, "bare/s": bare, "creates/cpu-s": madeCPU, "bare/cpu-s": bareCPU, "times": times,
		"times-cpu": timesCPU,
	} {
		slices.Sort(values)
		b.ReportMetric(values[len(values)/2], unit)
	}
}

// took gives how long something took, in seconds of time and of this process's CPU time.
func took(tb testing.TB, do func()) (wall, cpu float64) {
	tb.Helper()
	used := func() float64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			tb.Fatal(err)
		}
		return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
	}
	began, before := time.Now(), used()
	do()
	return time.Since(began).Seconds(), used() - before
}

// throughGateway makes the consents.
func throughGateway(b *testing.B, dir string) (wall, cpu float64) {
	b.Helper()
	w := newWorldIn(b, dir, false)
	port := &makes{}
	native := providers.Support{Level: providers.Native}
	s, err := assembly.New(assembly.Options{
		Store: w.db, PublicURL: "https://kontor.example.com",
		Tenants: service.Tenants{tenant: {
			RedirectURIs: []string{"https://app.example.com/*"},
			Providers: []*providers.Provider{{
				ID: "testbank", DisplayName: "Testbank", Markets: []providers.Market{providers.MarketSE}, Consents: port,
				Capabilities: map[providers.Capability]providers.Support{"CreateConsent": native, "GetConsent": native},
			}},
		}},
	})
	if err != nil {
		b.Fatal(err)
	}
	wall, cpu = took(b, func() {
		var group sync.WaitGroup
		for range creators {
			group.Go(func() {
				for range creates / creators {
					if _, err := s.Servers.Consent.CreateConsent(w.ctx, &consentv1.CreateConsentRequest{
						RequestId: uuid.NewString(),
						Consent: &consentv1.Consent{
							Provider: "providers/testbank", Market: "SE",
							RedirectUris: &consentv1.Consent_RedirectUris{
								Success: optional.Of("https://app.example.com/done"),
							},
						},
						Psu: &consentv1.Psu{NationalId: "199503096316"},
					}); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		group.Wait()
	})
	if err := w.db.Close(); err != nil {
		b.Fatal(err)
	}
	return wall, cpu
}

// filled are the tables that a consent has rows in, those that others refer to first.
var filled = []string{
	"customers", "data_keys", "consents", "consent_log", "callbacks", "idempotency", "intents", "audit",
}

// byRows copies what is in one store to a new one.
func byRows(b *testing.B, from, to string) (wall, cpu float64) {
	b.Helper()
	db, err := worldtest.OpenStore(b.Context(), to, keystest.StoreKey())
	if err != nil {
		b.Fatal(err)
	}
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
	source, err := worldtest.Rows(b.Context(), from)
	if err != nil {
		b.Fatal(err)
	}
	defer source.Close()
	target, err := worldtest.Rows(b.Context(), to)
	if err != nil {
		b.Fatal(err)
	}
	defer target.Close()
	target.SetMaxOpenConns(1)
	for _, set := range []string{
		"journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "secure_delete = ON", "temp_store = MEMORY",
	} {
		if _, err := target.Exec("PRAGMA " + set); err != nil {
			b.Fatal(err)
		}
	}
	rows, inserts := map[string][][]any{}, map[string]*sql.Stmt{}
	for _, table := range filled {
		rows[table], inserts[table] = rowsOf(b, source, target, table) //nolint:sqlclosecheck // with target
	}
	return took(b, func() {
		for at := 0; at < creates; at += creators {
			if _, err := target.Exec("BEGIN IMMEDIATE"); err != nil {
				b.Fatal(err)
			}
			for _, table := range filled {
				n := len(rows[table])
				for _, row := range rows[table][n*at/creates : n*(at+creators)/creates] {
					if _, err := inserts[table].Exec(row...); err != nil {
						b.Fatal(table, err)
					}
				}
			}
			if _, err := target.Exec("COMMIT"); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// rowsOf reads a table, and prepares what puts a row into its like.
func rowsOf(b *testing.B, source, target *sql.DB, table string) (all [][]any, insert *sql.Stmt) {
	b.Helper()
	found, err := source.Query("SELECT * FROM " + table) //nolint:unqueryvet // whatever there is
	if err != nil {
		b.Fatal(err)
	}
	defer found.Close()
	names, err := found.Columns()
	if err != nil {
		b.Fatal(err)
	}
	for found.Next() {
		row := make([]any, len(names))
		into := make([]any, len(names))
		for i := range row {
			into[i] = &row[i]
		}
		if err := found.Scan(into...); err != nil {
			b.Fatal(err)
		}
		all = append(all, row)
	}
	if err := found.Err(); err != nil {
		b.Fatal(err)
	}
	into := "INSERT INTO " + table + " VALUES (?" + strings.Repeat(", ?", len(names)-1) + ")"
	insert, err = target.Prepare(into) //nolint:sqlclosecheck // with target
	if err != nil {
		b.Fatal(err)
	}
	return all, insert
}
