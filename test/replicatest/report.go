package replicatest

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// TableVariable names the environment's variable with the file that rows are added to, for scripts/chaos-postgres.sh.
const TableVariable = "KONTOR_CHAOS_TABLE"

// columns are those of a row, and the table's first line.
const columns = "fault\ttimes\twrites\tacknowledged\tcalls\tfailed by reason\tunknown\tlost\tdoubled\tstreams\t" +
	"events\tgaps\trepeats\treorders\ttook"

// Row is a line of the table, in tabs: what was done to the gateways, how often, and what became of it.
func (r *Result) Row(fault string, times int, took time.Duration) string {
	calls := 0
	var failed []string
	for _, reason := range slices.SortedFunc(maps.Keys(r.Reasons), func(a, b string) int {
		return cmp.Compare(r.Reasons[b], r.Reasons[a])
	}) {
		calls += r.Reasons[reason]
		if reason != "OK" {
			failed = append(failed, fmt.Sprintf("%s %d", reason, r.Reasons[reason]))
		}
	}
	return fmt.Sprintf("%s\t%d\t%d\t%d\t%d\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s", fault, times, r.Writes,
		r.Acknowledged, calls, cmp.Or(strings.Join(failed, ", "), "-"), r.Unknown, r.Lost, r.Doubled, r.Connections,
		r.Events, r.Gaps, r.Repeats, r.Reorders, took.Round(time.Second))
}

// Report tells the row in the test's log, and adds it to the table of the environment, if there is one.
func (r *Result) Report(t *testing.T, fault string, times int, took time.Duration) {
	t.Helper()
	row := r.Row(fault, times, took)
	names, values := strings.Split(columns, "\t"), strings.Split(row, "\t")
	for i, name := range names {
		values[i] = name + ": " + values[i]
	}
	t.Log(strings.Join(values, "; "))
	path := os.Getenv(TableVariable)
	if path == "" {
		return
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
	if err == nil {
		if about, failed := file.Stat(); failed == nil && about.Size() == 0 {
			row = columns + "\n" + row
		}
		_, err = fmt.Fprintln(file, row)
		_ = file.Close()
	}
	if err != nil {
		t.Error(err)
	}
}
