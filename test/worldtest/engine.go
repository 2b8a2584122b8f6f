package worldtest

import (
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What the environment says about the gateways' stores: StoreVariable is "postgres" for schemas in the database that
// PostgresVariable names, as scripts/postgres.sh sets it; else they are SQLite files.
const (
	StoreVariable    = "KONTOR_TEST_STORE"
	PostgresVariable = "KONTOR_TEST_POSTGRES"
	// serversLog names the file that the server writes its log to.
	serversLog = "KONTOR_TEST_POSTGRES_LOG"
)

// Engine is what keeps the gateways' stores.
type Engine string

// The engines.
const (
	SQLite   Engine = "SQLite"
	Postgres Engine = "PostgreSQL"
)

// Stores tells which engine keeps the stores of this run.
func Stores() Engine {
	if os.Getenv(StoreVariable) == "postgres" {
		return Postgres
	}
	return SQLite
}

// checkStores tells what is wrong with the environment.
func checkStores() error {
	switch os.Getenv(StoreVariable) {
	case "":
		return nil
	case "postgres":
		if os.Getenv(PostgresVariable) == "" {
			return errors.New(PostgresVariable + " is not set: make test-postgres, or scripts/postgres.sh <command>, " +
				"starts a server and sets it")
		}
		return nil
	}
	return errors.New(StoreVariable + " must be empty or postgres")
}

// confined are tests of the suite that say something of one engine alone, with why.
type confined map[string]struct {
	to  Engine
	why string
}

// only are those of this suite.
var only = confined{}

// Only confines tests of a suite to one engine, since they are about nothing that the other one has. With the other one
// they are not started.
func Only(to Engine, why string, tests ...string) struct{} {
	only.add(to, why, tests...)
	return struct{}{}
}

func (c confined) add(to Engine, why string, tests ...string) {
	for _, test := range tests {
		if _, twice := c[test]; twice || why == "" {
			panic("worldtest: " + test + " is confined twice, or nobody says why")
		}
		c[test] = struct {
			to  Engine
			why string
		}{to, why}
	}
}

// others are the tests that are not for an engine, in alphabetical order.
func (c confined) others(engine Engine) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(c)) {
		if c[name].to != engine {
			names = append(names, name)
		}
	}
	return names
}

// check tells which of the tests are none in a folder: who renames a test and not its entry would have it run where it
// must not.
func (c confined) check(folder string) error {
	there := map[string]bool{}
	names, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil {
		return err
	}
	for _, name := range names {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil {
				there[f.Name.Name] = true
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c)) {
		if !there[name] || !strings.HasPrefix(name, "Test") {
			return fmt.Errorf("%s is confined to %s and is no test of this suite", name, c[name].to)
		}
	}
	return nil
}

// leaveOut has the tests of m not started that are not for the engine of this run.
func leaveOut() error {
	if err := errors.Join(checkStores(), only.check(".")); err != nil {
		return err
	}
	names := only.others(Stores())
	if len(names) == 0 {
		return nil
	}
	for _, name := range names {
		fmt.Printf("not started on %s: %s: %s\n", Stores(), name, only[name].why)
	}
	pattern := "^(" + strings.Join(names, "|") + ")$"
	if given := flag.Lookup("test.skip").Value.String(); given != "" {
		pattern = given + "|" + pattern
	}
	return flag.Set("test.skip", pattern)
}

// Run runs a suite's tests, those that are for the engine of this run.
func Run(m *testing.M) (code int) {
	if err := leaveOut(); err != nil {
		return fail(err)
	}
	return m.Run()
}

func fail(err error) (code int) {
	fmt.Fprintln(os.Stderr, "FAIL:", err)
	return 1
}
