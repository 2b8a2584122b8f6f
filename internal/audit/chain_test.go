package audit

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/keys/keystest"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/sqlite"
)

// trails is a database with a sealer.
type trails struct {
	t    *testing.T
	path string
	db   *sqlite.Store
	keys *keys.Keys
	// added counts the entries, so that no two are equal.
	added int
	// now is the sealer's time.
	now    time.Time
	log    bytes.Buffer
	sealer *Sealer
	// broken counts how often the sealer told that a chain is.
	broken int
}

var noon = time.Date(2026, 5, 26, 12, 0, 0, 123_456_000, time.UTC)

func newTrails(t *testing.T) *trails {
	t.Helper()
	w := &trails{t: t, path: filepath.Join(t.TempDir(), "kontor.db"), now: noon}
	w.db, w.sealer = w.open(&w.log)
	w.keys = w.db.Keys()
	return w
}

// open gives a further store of the database, with a sealer of its own.
func (w *trails) open(log *bytes.Buffer) (*sqlite.Store, *Sealer) {
	w.t.Helper()
	db, err := sqlite.Open(w.t.Context(), w.path, keystest.StoreKey(), sqlite.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { db.Close() })
	return db, &Sealer{
		Store: db, Tenants: db.System(), MAC: db.Keys(), Clock: func() time.Time { return w.now },
		Log: slog.New(slog.NewJSONHandler(log, nil)), Broken: func() { w.broken++ },
	}
}

// wantBroken sees that the sealer told of so many broken chains, in the log, too.
func (w *trails) wantBroken(times int) {
	w.t.Helper()
	if logged := strings.Count(w.log.String(), "the audit trail was changed"); w.broken != times || logged != times {
		w.t.Errorf("a chain is broken %d times, and %d times in the log, want %d", w.broken, logged, times)
	}
}

// add appends entries of a tenant, each in a transaction of its own.
func (w *trails) add(tenant string, n int) {
	w.t.Helper()
	for range n {
		w.added++
		err := w.db.Update(w.t.Context(), tenant, func(tx store.Tx) error {
			return tx.AppendAudit(&store.Audit{
				Time: w.now, Tenant: tenant, Actor: "lending", Method: fmt.Sprint("Method", w.added),
				Resource: "consents/1", Peer: "192.0.2.1:5", RequestID: fmt.Sprint("r-", w.added), Outcome: OK,
			})
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *trails) seal(last bool) {
	w.t.Helper()
	if err := w.sealer.Seal(w.t.Context(), last); err != nil {
		w.t.Fatal(err)
	}
}

// positions lists those of a tenant's entries.
func (w *trails) positions(tenant string) (positions []int64) {
	w.t.Helper()
	err := w.db.View(w.t.Context(), tenant, func(r store.Reader) error {
		entries, err := r.AuditTrail(0, 1_000_000)
		for _, e := range entries {
			positions = append(positions, e.Position)
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return positions
}

// view reads as `gateway audit` does: beside whoever has the file.
func (w *trails) view(fn func(store.AuditTrails) error) {
	w.t.Helper()
	archive, err := sqlite.OpenReadOnly(w.t.Context(), w.path)
	if err != nil {
		w.t.Fatal(err)
	}
	defer archive.Close()
	if err := archive.ViewAudit(w.t.Context(), fn); err != nil {
		w.t.Fatal(err)
	}
}

// verify gives the reports by tenant.
func (w *trails) verify(outside ...Checkpoint) map[string]Report {
	w.t.Helper()
	found := map[string]Report{}
	w.view(func(all store.AuditTrails) error {
		reports, err := Verify(all, w.keys, "", outside)
		for _, r := range reports {
			found[r.Tenant] = r
		}
		return err
	})
	return found
}

func (w *trails) export(tenant string, after int64) string {
	w.t.Helper()
	var out bytes.Buffer
	w.view(func(all store.AuditTrails) error { return Export(all, &out, tenant, after, time.Time{}) })
	return out.String()
}

// tamper changes the file behind the store's back.
func (w *trails) tamper(statements ...string) {
	w.t.Helper()
	db, err := sql.Open("sqlite", w.path)
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1) // what is attached is the connection's
	for _, statement := range statements {
		result, err := db.Exec(statement)
		if err != nil {
			w.t.Fatalf("%s: %v", statement, err)
		}
		if changed, _ := result.RowsAffected(); changed == 0 && !regexp.MustCompile("^(CREATE|VACUUM|ATTACH)").MatchString(statement) {
			w.t.Fatalf("%s: nothing changed", statement)
		}
	}
}

// checkpointsLogged gives the checkpoints that stand in the log, as an operator copies them.
func (w *trails) checkpointsLogged() (found []Checkpoint) {
	w.t.Helper()
	for line := range strings.Lines(w.log.String()) {
		var logged struct{ Msg, Tenant, Checkpoint string }
		if err := json.Unmarshal([]byte(line), &logged); err != nil {
			w.t.Fatal(err)
		}
		if logged.Msg != "audit checkpoint" {
			continue
		}
		c, err := ParseCheckpoint(logged.Checkpoint)
		if err != nil || c.Tenant != logged.Tenant {
			w.t.Fatalf("%s: %v", line, err)
		}
		found = append(found, c)
	}
	return found
}

// TestSealedTrailIsWhole seals in several passes, more than one transaction takes, and verifies store and exports.
func TestSealedTrailIsWhole(t *testing.T) {
	t.Parallel()
	w := newTrails(t)
	w.add("a", 3)
	w.add("b", sealBatch+10)
	w.seal(false)
	w.now = w.now.Add(2 * time.Minute)
	w.add("a", 4)
	w.seal(false)
	w.add("a", 2) // not sealed yet
	outside := w.checkpointsLogged()
	if len(outside) != 3 { // one of each tenant's first entries, one of what came two minutes later
		t.Fatalf("the log has the checkpoints %v", outside)
	}
	reports := w.verify(outside...)
	a, b := w.positions("a"), w.positions("b")
	if r := reports["a"]; r.Fault != nil || r.Entries != 9 || r.Unsealed != 2 || r.Sealed != a[6] || r.Begin != 0 ||
		!r.SealTime.Equal(w.now) || r.Compared != 5 {
		t.Errorf("a: %+v", r)
	}
	if r := reports["b"]; r.Fault != nil || r.Entries != sealBatch+10 || r.Unsealed != 0 || r.Sealed != b[len(b)-1] {
		t.Errorf("b: %+v", r)
	}
	// All of them in one file, in two exports; and the second one alone.
	first := w.export("", 0)
	w.add("a", 1)
	w.seal(true)
	last := w.positions("a")[8]
	second := w.export("", last)
	for name, file := range map[string]string{"one after the other": first + second, "the second": second} {
		reports, err := VerifyExport(strings.NewReader(file), w.keys, "a", w.checkpointsLogged())
		if err != nil || len(reports) != 1 || reports[0].Fault != nil || reports[0].Sealed != w.positions("a")[9] {
			t.Errorf("%s: %+v, %v", name, reports, err)
		}
	}
}

// tampering is what somebody may do who can write the file and has no key. It is done to tenant a's ten entries, whose
// positions are p; nine of them are sealed, and stand among b's.
type tampering struct {
	name string
	do   func(p []int64) []string
	// found tells by its index at which of them it shows; see everywhere.
	found int
	// outside says that it takes a checkpoint from elsewhere to see it.
	outside bool
}

// everywhere stands for what shows before the first of them.
const everywhere = -100

const noEntry = "DELETE FROM audit WHERE position = %d"

func one(format string, at int) func([]int64) []string {
	return func(p []int64) []string { return []string{fmt.Sprintf(format, p[at])} }
}

var tamperings = []tampering{
	{name: "a field", do: one("UPDATE audit SET outcome = 'OK.' WHERE position = %d", 4), found: 4},
	{name: "the time", do: one("UPDATE audit SET time = time + 1 WHERE position = %d", 0), found: 0},
	{name: "the count", do: one("UPDATE audit SET count = 5 WHERE position = %d", 3), found: 3},
	{name: "text moved between fields", do: one(
		"UPDATE audit SET actor = actor || substr(method, 1, 1), method = substr(method, 2) WHERE position = %d", 2,
	), found: 2},
	{name: "an entry out of the middle", do: one(noEntry, 4), found: 5},
	{name: "the first entry", do: one(noEntry, 0), found: 1},
	{name: "the newest sealed entry", do: one(noEntry, 8), found: 8},
	{name: "all from the middle on", do: func(p []int64) []string {
		return []string{fmt.Sprintf("DELETE FROM audit WHERE tenant = 'a' AND position >= %d", p[5])}
	}, found: 8},
	{name: "an entry out of the middle, renumbered", do: func(p []int64) []string {
		return []string{
			fmt.Sprintf(noEntry, p[4]),
			fmt.Sprintf("UPDATE audit SET sequence = sequence - 1 WHERE tenant = 'a' AND position > %d", p[4]),
		}
	}, found: 5},
	{name: "two swapped", do: func(p []int64) []string {
		return []string{
			fmt.Sprintf("UPDATE audit SET position = -1 WHERE position = %d", p[3]),
			fmt.Sprintf("UPDATE audit SET position = %d WHERE position = %d", p[3], p[6]),
			fmt.Sprintf("UPDATE audit SET position = %d WHERE position = -1", p[6]),
		}
	}, found: 3},
	{name: "two swapped but for their seals", do: func(p []int64) []string {
		const swap = "UPDATE audit SET method = (SELECT method FROM audit WHERE position = %d) WHERE position = %d"
		return []string{
			fmt.Sprintf("CREATE TABLE kept AS SELECT method FROM audit WHERE position = %d", p[3]),
			fmt.Sprintf(swap, p[6], p[3]),
			fmt.Sprintf("UPDATE audit SET method = (SELECT method FROM kept) WHERE position = %d", p[6]),
			"DROP TABLE kept; UPDATE audit SET tenant = 'a' WHERE tenant = 'a'",
		}
	}, found: 3},
	{name: "an entry put in", do: func(p []int64) []string { // where b's stood
		return []string{
			fmt.Sprintf(noEntry, p[4]+1),
			fmt.Sprintf("INSERT INTO audit (position, time, tenant, actor, method, resource, peer, request_id, outcome) "+
				"SELECT %d, time, tenant, actor, method, resource, peer, request_id, outcome FROM audit "+
				"WHERE position = %d", p[4]+1, p[4]),
		}
	}, found: -5},
	{name: "an entry put in, with a seal", do: func(p []int64) []string {
		return []string{
			fmt.Sprintf(noEntry, p[4]+1),
			fmt.Sprintf("INSERT INTO audit (position, time, tenant, actor, method, resource, peer, request_id, outcome, "+
				"sequence, chain) SELECT %d, time, tenant, actor, method, resource, peer, request_id, outcome, "+
				"sequence + 1, chain FROM audit WHERE position = %d", p[4]+1, p[4]),
		}
	}, found: -5},
	{name: "an entry put in at the end, with a seal", do: func(p []int64) []string {
		return []string{fmt.Sprintf("UPDATE audit SET sequence = 10, chain = randomblob(32) WHERE position = %d", p[9])}
	}, found: 9},
	{name: "a chain value", do: one("UPDATE audit SET chain = randomblob(32) WHERE position = %d", 4), found: 4},
	{name: "a chain value taken away", do: one("UPDATE audit SET chain = NULL WHERE position = %d", 4), found: 4},
	{name: "a number in the chain", do: one("UPDATE audit SET sequence = 7 WHERE position = %d", 4), found: 4},
	{name: "another tenant's entry made one's own", do: func(p []int64) []string {
		return []string{fmt.Sprintf("UPDATE audit SET tenant = 'a' WHERE position = %d", p[4]+1)}
	}, found: -5},
	{name: "an entry given to another tenant", do: one("UPDATE audit SET tenant = 'b' WHERE position = %d", 4), found: 5},
	{name: "the seal's chain value", do: one("UPDATE audit_seals SET chain = randomblob(32) WHERE tenant = 'a' AND %d",
		8), found: 8},
	{name: "the seal's time", do: one("UPDATE audit_seals SET time = time + 1 WHERE tenant = 'a' AND %d", 8), found: 8},
	{name: "the seal", do: one("DELETE FROM audit_seals WHERE tenant = 'a' AND %d", 8), found: 0},
	{name: "the end, and the seal set back to an entry", do: func(p []int64) []string {
		return []string{
			fmt.Sprintf("UPDATE audit_seals SET (position, count, chain) = (SELECT position, sequence, chain FROM audit "+
				"WHERE position = %d) WHERE tenant = 'a'", p[5]),
			fmt.Sprintf("DELETE FROM audit WHERE tenant = 'a' AND position > %d", p[5]),
			fmt.Sprintf("DELETE FROM audit_checkpoints WHERE tenant = 'a' AND position > %d", p[5]),
		}
	}, found: 5},
	{name: "the end, and the seal set back to a checkpoint", do: func(p []int64) []string {
		return []string{
			fmt.Sprintf("UPDATE audit_seals SET (position, count, chain, time, mac) = (SELECT position, count, chain, "+
				"time, mac FROM audit_checkpoints WHERE position = %d) WHERE tenant = 'a'", p[2]),
			fmt.Sprintf("DELETE FROM audit WHERE tenant = 'a' AND position > %d", p[2]),
			fmt.Sprintf("DELETE FROM audit_checkpoints WHERE tenant = 'a' AND position > %d", p[2]),
		}
	}, found: 2},
	{name: "the end, and the seal as it once was", do: func(p []int64) []string {
		return []string{
			"UPDATE audit_seals SET (position, count, chain, time, mac) = (SELECT position, count, chain, time, mac " +
				"FROM once WHERE tenant = 'a') WHERE tenant = 'a'",
			fmt.Sprintf("DELETE FROM audit WHERE tenant = 'a' AND position > %d", p[2]),
			fmt.Sprintf("DELETE FROM audit_checkpoints WHERE tenant = 'a' AND position > %d", p[2]),
		}
	}, found: 8, outside: true},
	{name: "everything", do: func([]int64) []string {
		return []string{
			"DELETE FROM audit WHERE tenant = 'a'", "DELETE FROM audit_seals WHERE tenant = 'a'",
			"DELETE FROM audit_checkpoints WHERE tenant = 'a'",
		}
	}, found: everywhere},
	{name: "all that is sealed", do: func(p []int64) []string {
		return []string{
			fmt.Sprintf("DELETE FROM audit WHERE tenant = 'a' AND position < %d", p[9]),
			"DELETE FROM audit_seals WHERE tenant = 'a'", "DELETE FROM audit_checkpoints WHERE tenant = 'a'",
		}
	}, found: everywhere},
	{name: "the beginning, as if retention had removed it", do: func(p []int64) []string {
		return []string{
			fmt.Sprintf("INSERT INTO audit_seals SELECT tenant, 'cut', position, count, chain, time, mac "+
				"FROM audit_checkpoints WHERE position = %d", p[2]),
			fmt.Sprintf("DELETE FROM audit WHERE tenant = 'a' AND position <= %d", p[2]),
		}
	}, found: 2},
	{name: "a checkpoint's time", do: one("UPDATE audit_checkpoints SET time = 1 WHERE position = %d", 2), found: 2},
	{name: "a checkpoint", do: one("UPDATE audit_checkpoints SET count = 99 WHERE position = %d", 2), found: 2},
}

// TestTamperingIsFound changes the file in every way, and wants the first place named.
func TestTamperingIsFound(t *testing.T) {
	t.Parallel()
	for _, test := range tamperings {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newTrails(t)
			for i := range 10 {
				w.add("a", 1)
				w.add("b", 1)
				switch i {
				case 2, 8:
					w.now = w.now.Add(time.Hour)
					w.seal(true)
				}
				if i == 2 {
					// Somebody keeps a copy.
					w.tamper("CREATE TABLE once AS SELECT tenant, position, count, chain, time, mac FROM audit_seals")
				}
			}
			outside := w.checkpointsLogged()
			p := w.positions("a")
			if r := w.verify(outside...)["a"]; r.Fault != nil || r.Entries != 10 || r.Sealed != p[8] || r.Unsealed != 1 {
				t.Fatalf("before: %+v", r)
			}
			if err := w.db.Close(); err != nil {
				t.Fatal(err)
			}
			w.tamper(test.do(p)...)
			want := p[max(test.found, 0)]
			switch {
			case test.found == everywhere:
				want = 0
			case test.found < 0:
				want = p[-test.found-1] + 1 // where b's stood
			}
			for _, given := range [][]Checkpoint{nil, outside} {
				fault := w.verify(given...)["a"].Fault
				if test.outside && given == nil {
					if fault != nil {
						t.Errorf("found without a checkpoint from outside: %v", fault)
					}
					continue
				}
				if fault == nil || fault.Position != want {
					t.Errorf("found is %v, want position %d", fault, want)
				}
			}
		})
	}
}

// TestTheRollMissesTenants takes out all that there is of a tenant, and does to the roll what somebody can do who has
// no key. Nothing is sealed on top of it.
func TestTheRollMissesTenants(t *testing.T) {
	t.Parallel()
	everything := []string{
		"DELETE FROM audit WHERE tenant = 'a'", "DELETE FROM audit_seals WHERE tenant = 'a'",
		"DELETE FROM audit_checkpoints WHERE tenant = 'a'",
	}
	for _, test := range []struct {
		name string
		do   []string
		// tenant is whose report tells of it: "" is the roll's.
		tenant, what string
	}{
		{"nothing", nil, "a", ""},
		{"everything", everything, "a", allTakenOut},
		{"the roll, too", append(slices.Clone(everything), "DELETE FROM audit_roll"), "", rollMissing},
		{
			"the name, too",
			append(slices.Clone(everything), `UPDATE audit_roll SET tenants = '["b"]'`), "", rollChanged,
		},
		{"the name alone", []string{`UPDATE audit_roll SET tenants = '["b"]'`}, "", rollChanged},
		{
			"the name, and the roll as it once was",
			[]string{`UPDATE audit_roll SET tenants = '[]', mac = (SELECT mac FROM kept.audit_roll)`}, "a", notOnRoll,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newTrails(t)
			// Somebody keeps a copy.
			kept := filepath.Join(t.TempDir(), "kept.db")
			w.tamper("VACUUM INTO '" + kept + "'")
			w.add("a", 3)
			w.add("b", 3)
			w.seal(true)
			w.tamper(append([]string{"ATTACH '" + kept + "' AS kept"}, test.do...)...)
			for _, tenant := range []string{"", "a"} {
				var reports []Report
				w.view(func(all store.AuditTrails) (err error) {
					reports, err = Verify(all, w.keys, tenant, nil)
					return err
				})
				var found string
				for _, r := range reports {
					if r.Fault != nil {
						found += r.Tenant + ": " + r.Fault.What
					}
				}
				want := test.tenant + ": " + test.what
				if test.what == "" {
					want = ""
				}
				if test.what == notOnRoll && tenant == "" {
					want += "b: " + notOnRoll
				}
				if found != want {
					t.Errorf("of %q is found %q, want %q", tenant, found, want)
				}
			}
			w.add("a", 1)
			w.seal(true)
			if sealed := test.tenant == "a" && test.what != allTakenOut || test.name == "the name alone"; !sealed {
				w.wantBroken(1)
			}
		})
	}
	w := newTrails(t)
	w.add("a", 1)
	if r := w.verify(); len(r) != 1 || r["a"].Fault != nil {
		t.Errorf("before anything was sealed: %+v", r)
	}
}

// TestTamperedExport changes lines of an export.
func TestTamperedExport(t *testing.T) {
	t.Parallel()
	w := newTrails(t)
	for range 6 {
		w.add("a", 1)
		w.add("b", 1)
	}
	w.seal(true)
	p, outside := w.positions("a"), w.checkpointsLogged()
	lines := strings.SplitAfter(w.export("a", 0), "\n")
	lines = lines[:len(lines)-1]
	if len(lines) != 8 { // where it begins, six entries, where it ends
		t.Fatalf("the export has %d lines: %q", len(lines), lines)
	}
	for name, test := range map[string]struct {
		lines []string
		want  int64
	}{
		"whole":                {lines, 0},
		"changed":              {append(append([]string{}, lines[0], lines[1], strings.Replace(lines[2], "OK", "KO", 1)), lines[3:]...), p[1]},
		"taken out":            {append(append([]string{}, lines[:3]...), lines[4:]...), p[3]},
		"swapped":              {[]string{lines[0], lines[1], lines[3], lines[2], lines[4], lines[5], lines[6], lines[7]}, p[1]},
		"twice":                {append(append([]string{}, lines[:3]...), lines[2:]...), p[1]},
		"cut off":              {append(append([]string{}, lines[:5]...), lines[7]), p[5]},
		"cut off with its end": {lines[:5], p[5]},
		"without beginning":    {lines[3:], 0},
	} {
		reports, err := VerifyExport(strings.NewReader(strings.Join(test.lines, "")), w.keys, "a", outside)
		if err != nil || len(reports) != 1 {
			t.Fatalf("%s: %v, %v", name, reports, err)
		}
		var got int64
		if reports[0].Fault != nil {
			got = reports[0].Fault.Position
		}
		if got != test.want {
			t.Errorf("%s: found is %v, want position %d", name, reports[0].Fault, test.want)
		}
	}
	if _, err := VerifyExport(strings.NewReader("{\"checkpoint\":\"x\"}"), w.keys, "", nil); err == nil {
		t.Error("a line that is none of an export is taken")
	}
}

// TestAmbiguousExport changes lines of an export so that the entry is the one that was sealed to who reads it as this
// program does, and another one to who does not.
func TestAmbiguousExport(t *testing.T) {
	t.Parallel()
	w := newTrails(t)
	w.add("a", 3)
	w.seal(true)
	file := w.export("a", 0)
	lines := strings.SplitAfter(file, "\n")
	head := strings.TrimSuffix(strings.TrimPrefix(lines[4], "{"), "}\n") // where what is sealed ends
	for name, change := range map[string][2]string{
		"a field twice":                 {`"outcome":`, `"outcome":"FORGED","outcome":`},
		"a field once more in capitals": {`"outcome":"OK"`, `"outcome":"FORGED","OUTCOME":"OK"`},
		"a field that no entry has":     {`"outcome":`, `"note":"forged","outcome":`},
		"another order":                 {`{"position":`, `{"method":"FORGED","position":`},
		"an entry in a checkpoint":      {head, `"position":2,"outcome":"FORGED",` + head},
		"two entries in a line":         {"}\n" + lines[2], "} " + lines[2]},
		"a line with nothing":           {lines[2], "{}\n" + lines[2]},
	} {
		changed := strings.Replace(file, change[0], change[1], 1)
		if changed == file {
			t.Fatalf("%s: nothing was changed in %s", name, file)
		}
		if reports, err := VerifyExport(strings.NewReader(changed), w.keys, "a", nil); err == nil {
			t.Errorf("%s: %+v is taken", name, reports)
		}
	}
	for name, same := range map[string]string{
		"as it is": file, "without the last line break": strings.TrimSuffix(file, "\n"),
		"with another line break": strings.ReplaceAll(file, "\n", "\r\n"),
	} {
		if reports, err := VerifyExport(strings.NewReader(same), w.keys, "a", nil); err != nil || reports[0].Fault != nil {
			t.Errorf("%s: %+v, %v", name, reports, err)
		}
	}
}

// TestAnotherKeyVerifiesNothing verifies with the key of another store.
func TestAnotherKeyVerifiesNothing(t *testing.T) {
	t.Parallel()
	w := newTrails(t)
	w.add("a", 3)
	w.seal(true)
	w.keys = keys.Fresh()
	if r := w.verify()["a"]; r.Fault == nil || r.Fault.Position != w.positions("a")[0] {
		t.Errorf("found is %v", r.Fault)
	}
}

// TestNothingIsSealedOnTopOfTampering sets the seal back: a sealer that went on from there would make a chain that
// looks whole.
func TestNothingIsSealedOnTopOfTampering(t *testing.T) {
	t.Parallel()
	w := newTrails(t)
	w.add("a", 5)
	w.seal(true)
	p := w.positions("a")
	w.tamper(
		fmt.Sprintf("UPDATE audit_seals SET (position, count, chain) = (SELECT position, sequence, chain FROM audit "+
			"WHERE position = %d)", p[2]),
		fmt.Sprintf("DELETE FROM audit WHERE position > %d", p[2]), "DELETE FROM audit_checkpoints",
	)
	w.add("a", 2)
	w.add("b", 1)
	w.seal(true)
	if r := w.verify(); r["a"].Unsealed != 2 || r["a"].Fault == nil || r["b"].Fault != nil || r["b"].Sealed == 0 {
		t.Errorf("%+v", r)
	}
	w.wantBroken(1)
	// One that was not sealed gets something that looks like a seal.
	w = newTrails(t)
	w.add("a", 5)
	w.seal(true)
	w.add("a", 2)
	w.tamper("UPDATE audit SET sequence = 6, chain = randomblob(32) WHERE position = 6")
	w.seal(true)
	if r := w.verify()["a"]; r.Fault == nil || r.Fault.Position != 6 || r.Sealed != 5 {
		t.Errorf("%+v", r)
	}
	w.wantBroken(1)
	for _, made := range []string{
		"UPDATE audit_checkpoints SET time = 1", // all of it would be too old at once
		"INSERT INTO audit_checkpoints SELECT tenant, position - 1, count - 1, chain, 1, mac FROM audit_checkpoints",
	} {
		w := newTrails(t)
		w.add("a", 5)
		w.seal(true)
		w.tamper(made)
		w.sealer.Retention = time.Hour
		w.seal(false)
		if left := w.positions("a"); len(left) != 5 {
			t.Errorf("%s: %d entries are left", made, len(left))
		}
	}
}

// TestTwoPastsDoNotMix sets the file back, as a restored backup does, and puts an entry of what was sealed the first
// time into what was sealed the second time. Each entry is genuine, and stands in its own place.
func TestTwoPastsDoNotMix(t *testing.T) {
	t.Parallel()
	w := newTrails(t)
	w.add("a", 3)
	w.seal(true)
	const entry = "position, time, tenant, actor, method, resource, peer, request_id, outcome, count, first_time, " +
		"sequence, chain"
	const seal = "tenant, kind, position, count, chain, time, mac"
	w.tamper("CREATE TABLE seals AS SELECT " + seal + " FROM audit_seals")
	w.add("a", 3)
	w.seal(true)
	w.tamper(
		"CREATE TABLE first AS SELECT "+entry+" FROM audit",
		"DELETE FROM audit WHERE position > 3", "DELETE FROM audit_checkpoints WHERE position > 3",
		"DELETE FROM audit_seals", "INSERT INTO audit_seals ("+seal+") SELECT "+seal+" FROM seals",
		"UPDATE sqlite_sequence SET seq = 3 WHERE name = 'audit'",
	)
	w.add("a", 3)
	w.seal(true)
	if r := w.verify()["a"]; r.Fault != nil || r.Entries != 6 {
		t.Fatalf("the second past: %+v", r)
	}
	w.tamper("DELETE FROM audit WHERE position = 5",
		"INSERT INTO audit ("+entry+") SELECT "+entry+" FROM first WHERE position = 5")
	if r := w.verify()["a"]; r.Fault == nil || r.Fault.Position != 5 {
		t.Errorf("found is %v", r.Fault)
	}
}

// TestRetentionCutsAtACheckpoint removes more than one transaction may, and the rest verifies, also in the middle.
func TestRetentionCutsAtACheckpoint(t *testing.T) {
	t.Parallel()
	w := newTrails(t)
	w.add("a", sealBatch+50)
	w.add("b", 1)
	w.seal(true)
	w.now = w.now.Add(30 * time.Minute)
	w.add("a", 7)
	w.seal(true)
	w.add("a", 1)
	w.seal(false) // sealed, with no checkpoint behind it
	before := w.positions("a")
	outside := w.checkpointsLogged()
	w.sealer.Retention = time.Hour
	w.now = noon.Add(time.Hour)
	w.seal(false) // The first checkpoint is as old as entries may become.
	if left := w.positions("a"); len(left) != len(before) {
		t.Fatalf("%d entries are left of %d that are not too old", len(left), len(before))
	}
	w.now = w.now.Add(time.Microsecond)
	// A process that dies after the first chunk.
	ctx, cancel := context.WithCancel(t.Context())
	w.sealer.Store = &dying{Store: w.db, cancel: cancel}
	if err := w.sealer.Seal(ctx, false); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	w.sealer.Store = w.db
	if left := w.positions("a"); len(left) != len(before)-sealBatch {
		t.Fatalf("%d entries are left after the first chunk", len(left))
	}
	check := func(entries int64) {
		t.Helper()
		if r := w.verify(outside...)["a"]; r.Fault != nil || r.Entries != entries || r.Begin != before[sealBatch+49] {
			t.Errorf("%+v", r)
		}
		for _, file := range []string{w.export("", 0), w.export("a", before[sealBatch+52])} {
			reports, err := VerifyExport(strings.NewReader(file), w.keys, "", outside)
			if err != nil || reports[0].Fault != nil {
				t.Errorf("an export: %+v, %v", reports, err)
			}
		}
	}
	check(8)
	w.seal(false)
	if left := w.positions("a"); len(left) != 8 {
		t.Errorf("%d entries are left, want 8", len(left))
	}
	if left := w.positions("b"); len(left) != 0 {
		t.Errorf("b has %d entries left", len(left))
	}
	check(8)
	w.now = w.now.Add(24 * time.Hour)
	w.add("a", 1)
	w.seal(false)
	if r := w.verify(outside...)["a"]; r.Fault != nil || r.Entries != 1 || r.Unsealed != 0 || r.Passed != 2 {
		t.Errorf("all is too old but one: %+v", r)
	}
}

// TestTenantsTakeTurns has one tenant with much to seal before another one with little.
func TestTenantsTakeTurns(t *testing.T) {
	t.Parallel()
	w := newTrails(t)
	w.add("a", 2*sealBatch+1)
	w.add("b", 1)
	var turns []string
	w.sealer.Store = &noting{Store: w.db, updated: func(tenant string) { turns = append(turns, tenant) }}
	w.seal(true)
	if fmt.Sprint(turns) != "[a b a a]" {
		t.Errorf("the turns are %v", turns)
	}
	if r := w.verify(); r["a"].Unsealed+r["b"].Unsealed != 0 {
		t.Errorf("%+v", r)
	}
}

// noting tells whose Updates there are.
type noting struct {
	store.Store

	updated func(tenant string)
}

func (n *noting) Update(ctx context.Context, tenant string, fn func(store.Tx) error) error {
	n.updated(tenant)
	return n.Store.Update(ctx, tenant, fn)
}

// dying ends a process after its first Update.
type dying struct {
	store.Store

	cancel func()
}

func (d *dying) Update(ctx context.Context, tenant string, fn func(store.Tx) error) error {
	defer d.cancel()
	return d.Store.Update(ctx, tenant, fn)
}

// TestSealersMakeOneChain has several writers and sealers on stores of one database, in an order that the seed tells,
// and retention in between. There is one chain of each tenant, with every entry that was not cut.
func TestSealersMakeOneChain(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	w := newTrails(t)
	type process struct {
		db     *sqlite.Store
		sealer *Sealer
		log    bytes.Buffer
	}
	processes := make([]*process, 3)
	for i := range processes {
		processes[i] = &process{}
		processes[i].db, processes[i].sealer = w.open(&processes[i].log)
	}
	const rounds, tenants = 60, 2
	var group, sealing sync.WaitGroup
	written := make(chan struct{})
	for i, p := range processes {
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		for range 2 { // who writes
			random := rand.New(rand.NewPCG(seed, random.Uint64()))
			group.Go(func() {
				for range rounds {
					tenant := fmt.Sprint("t", random.IntN(tenants))
					n, fails := 1+random.IntN(3), random.IntN(5) == 0
					err := p.db.Update(t.Context(), tenant, func(tx store.Tx) error {
						for range n {
							if err := tx.AppendAudit(&store.Audit{Tenant: tenant, Method: "m", Time: noon}); err != nil {
								return err
							}
						}
						if fails {
							return errors.New("taken back")
						}
						return nil
					})
					if (err != nil) != fails {
						t.Error(err)
					}
				}
			})
		}
		sealing.Go(func() {
			for {
				select {
				case <-written:
					return
				default:
				}
				if err := p.sealer.Seal(t.Context(), random.IntN(4) == 0); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	close(written)
	sealing.Wait()
	w.seal(true)
	var outside []Checkpoint
	for _, p := range processes {
		outside = append(outside, (&trails{t: t, log: p.log}).checkpointsLogged()...)
	}
	for tenant, r := range w.verify(outside...) {
		if r.Fault != nil || r.Unsealed != 0 || int(r.Entries) != len(w.positions(tenant)) || r.Entries == 0 {
			t.Errorf("%+v", r)
		}
	}
	if outside = append(outside, w.checkpointsLogged()...); len(outside) < tenants {
		t.Errorf("only %d checkpoints were logged", len(outside))
	}
}

// TestEncodingIsOneToOne changes each field of an entry alone, and moves text from one to the next.
func TestEncodingIsOneToOne(t *testing.T) {
	t.Parallel()
	base := store.Audit{
		Position: 1, Time: noon, Tenant: "t", Actor: "a", Method: "m", Resource: "r", Peer: "p", RequestID: "i",
		Outcome: "o", Count: 2, FirstTime: noon.Add(-time.Minute),
	}
	seen := map[string]string{string(encode(&base, 1)): "the entry", string(encode(&base, 2)): "its sequence"}
	for name, change := range map[string]func(*store.Audit){
		"position": func(e *store.Audit) { e.Position = 2 }, "time": func(e *store.Audit) { e.Time = noon.Add(time.Microsecond) },
		"tenant": func(e *store.Audit) { e.Tenant = "t2" }, "actor": func(e *store.Audit) { e.Actor = "" },
		"method": func(e *store.Audit) { e.Method = "" }, "resource": func(e *store.Audit) { e.Resource = "" },
		"peer": func(e *store.Audit) { e.Peer = "" }, "request": func(e *store.Audit) { e.RequestID = "" },
		"outcome": func(e *store.Audit) { e.Outcome = "" }, "count": func(e *store.Audit) { e.Count = 3 },
		"first": func(e *store.Audit) { e.FirstTime = time.Time{} },
		"moved": func(e *store.Audit) { e.Actor, e.Method = "am", "" },
	} {
		e := base
		change(&e)
		text := string(encode(&e, 1))
		if other, ok := seen[text]; ok {
			t.Errorf("%s is encoded as %s", name, other)
		}
		seen[text] = name
	}
}

func TestCheckpointWords(t *testing.T) {
	t.Parallel()
	want := Checkpoint{Tenant: "default", Position: 4711, Count: 4700, Chain: []byte{0xfb, 0xff, 1}}
	if got, err := ParseCheckpoint(want.String()); err != nil || got.String() != want.String() {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "a:1:2", "a:1:2:!!", ":1:2:AA", "a:x:2:AA", "a:-1:2:AA", "a:1:2:AA:3"} {
		if _, err := ParseCheckpoint(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
