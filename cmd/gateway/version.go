package main

import (
	"fmt"
	"io"
	"runtime/debug"
	"text/tabwriter"
)

// built is what the build says of itself.
type built struct {
	// version is the module's, such as v1.2.3, or (devel).
	version string
	// commit and time are of the source that was built; empty where the build did not see it. modified says that there
	// was more in it than the commit.
	commit, time string
	modified     bool
	// compiler is Go's version.
	compiler string
}

func builtOf(info *debug.BuildInfo) built {
	b := built{version: info.Main.Version, compiler: info.GoVersion}
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			b.commit = setting.Value
		case "vcs.time":
			b.time = setting.Value
		case "vcs.modified":
			b.modified = setting.Value == "true"
		}
	}
	return b
}

// version is what traces say of the build.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	b := builtOf(info)
	if b.commit == "" {
		return b.version
	}
	return b.version + " " + b.commit
}

// describe writes one line for each thing that is known.
func (b built) describe(out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	commit := b.commit
	if commit != "" && b.modified {
		commit += ", and changes that are not committed"
	}
	for _, line := range [][2]string{
		{"version", b.version}, {"commit", commit}, {"time", b.time}, {"go", b.compiler},
	} {
		if line[1] == "" {
			line[1] = "unknown"
		}
		fmt.Fprintf(table, "%s\t%s\n", line[0], line[1])
	}
	return table.Flush()
}

// runVersion says which build this is.
func runVersion(args []string, out, errOut io.Writer) error {
	flags := newFlags("version", "Says which version this is, and of which commit it was built.", "gateway version")
	if err := flags.parse(args, out, errOut); err != nil {
		return err
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return builtOf(info).describe(out)
}
