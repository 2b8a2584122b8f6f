package main

import (
	"bytes"
	"runtime/debug"
	"strings"
	"testing"
)

func TestVersion(t *testing.T) {
	info := &debug.BuildInfo{GoVersion: "go1.26.0", Main: debug.Module{Version: "v1.2.3"}}
	var out bytes.Buffer
	if err := builtOf(info).describe(&out); err != nil {
		t.Fatal(err)
	}
	// A build outside of a checkout knows no commit.
	want := "version  v1.2.3\ncommit   unknown\ntime     unknown\ngo       go1.26.0\n"
	if out.String() != want {
		t.Errorf("%q, want %q", &out, want)
	}
	info.Settings = []debug.BuildSetting{
		{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.time", Value: "2026-01-31T00:00:00Z"},
		{Key: "vcs.modified", Value: "true"},
	}
	out.Reset()
	if err := builtOf(info).describe(&out); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"commit   abc, and changes that are not committed\n", "time     2026-01-31T00:00:00Z\n",
	} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("%q is not in %q", line, &out)
		}
	}
	said, err := called(t, "version")
	if err != nil || !strings.HasPrefix(said, "version  ") || !strings.Contains(said, "go       go") {
		t.Errorf("%q, %v", said, err)
	}
}
