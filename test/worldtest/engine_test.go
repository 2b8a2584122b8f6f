package worldtest

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// elsewhere are suites with stores that make test-postgres does not run, with why.
var elsewhere = map[string]string{
	"failover": "its gateways share a cluster of PostgreSQL in every run",
	"replicas": "its gateways share a PostgreSQL in every run",
	"scale":    "it measures both engines in every run",
}

// TestSuitesRunOnBothEngines: a suite whose gateways have stores is among those of make test-postgres.
func TestSuitesRunOnBothEngines(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^SUITES := (.*)$`).FindSubmatch(text)
	if line == nil {
		t.Fatal("the Makefile has no SUITES")
	}
	var found []string
	names, err := filepath.Glob(filepath.Join("..", "*", "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		folder := filepath.Base(filepath.Dir(name))
		if folder != "worldtest" && elsewhere[folder] == "" &&
			regexp.MustCompile(`worldtest\.(Main|Run|Config|OpenStore)\b`).Match(source) {
			found = append(found, "./test/"+folder)
		}
	}
	suites := strings.Fields(string(line[1]))
	slices.Sort(found)
	slices.Sort(suites)
	if found = slices.Compact(found); !slices.Equal(found, suites) {
		t.Errorf("suites with stores are %v, make test-postgres runs %v", found, suites)
	}
}

// TestConfined: a test that is for one engine is left out on the other one, and an entry without a test is noticed.
func TestConfined(t *testing.T) {
	t.Parallel()
	c := confined{}
	c.add(SQLite, "files", "TestFiles", "TestMoreFiles")
	c.add(Postgres, "replicas", "TestReplicas")
	for engine, want := range map[Engine][]string{
		SQLite: {"TestReplicas"}, Postgres: {"TestFiles", "TestMoreFiles"},
	} {
		if got := c.others(engine); !slices.Equal(got, want) {
			t.Errorf("on %s %v are left out, want %v", engine, got, want)
		}
	}
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte("package x\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("one_test.go", "func TestFiles() {}\nfunc TestMoreFiles() {}\n")
	write("x.go", "func TestReplicas() {}\n")
	if err := c.check(dir); err == nil {
		t.Error("an entry that is no test goes unnoticed")
	}
	write("two_test.go", "func TestReplicas() {}\n")
	if err := c.check(dir); err != nil {
		t.Error(err)
	}
	c.add(SQLite, "files", "helper")
	write("three_test.go", "func helper() {}\n")
	if err := c.check(dir); err == nil {
		t.Error("a function that is no test goes unnoticed")
	}
}
