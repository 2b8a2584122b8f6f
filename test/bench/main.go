// Command bench measures what Kontor adds to what a provider does, from outside, and prints it as a table beside the
// bars that it is held to. `make bench` runs it; docs/performance.md says how to read it.
//
// A stub plays the provider, a proxy and a naive gateway stand where Kontor stands, and a process calls them in turn.
// Each is a process of its own, and what counts is the processors' time of the one in the middle. They are this program
// with a role's name as its first argument, but for Kontor, which is built as users build it and runs `gateway serve`
// with everything as by default but the quotas and bounds that one caller for all would run into.
//
// It fails when something could not be measured, and not for a bar that is missed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"kontor.dev/kontor/test/bench/stub"
	"kontor.dev/kontor/test/worldtest"
)

func main() {
	if len(os.Args) > 1 && roles[os.Args[1]] != nil {
		os.Exit(play(os.Args[1], os.Args[2:]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1) //nolint:gocritic // what was deferred has been done
	}
}

// options say what is measured, and at which size.
type options struct {
	rows   []string
	rounds int
	each   time.Duration
	// callers call at one time, on a consent each.
	callers int
	stub.Sizes
	// watchers are the idle ones, audience those of one event.
	watchers, audience int
	// polled is how many consents are due, listed how many there are when lists are read.
	polled int
	listed []int
	// benchtime is how often go test runs what is measured within a process, as its flag -benchtime has it.
	benchtime string
	// settle is how long memory is looked at once streams are open: the least that it was counts.
	settle  time.Duration
	profile string
	binary  string
}

// defaults are the sizes that the bars are for.
func defaults() options {
	return options{
		rounds: 6, each: time.Second, callers: 64, Sizes: stub.Sizes{Page: 1000, Large: 50_000},
		watchers: 2000, audience: 1000, polled: 20_000, listed: []int{1000, 10_000, 100_000}, benchtime: "1s",
		settle: time.Second,
	}
}

func run(ctx context.Context, args []string, out, errOut io.Writer) (err error) {
	o := defaults()
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(errOut)
	only := flags.String("rows", "", "the rows to measure, with commas between; all without")
	flags.IntVar(&o.rounds, "rounds", o.rounds, "how often the compared take turns")
	flags.DurationVar(&o.each, "each", o.each, "how long each has its turn")
	flags.StringVar(&o.profile, "profile", "", "write a CPU profile of Kontor to this file")
	flags.StringVar(&o.binary, "gateway", "", "the gateway to measure; built without")
	markdown := flags.Bool("markdown", false, "print the table as Markdown")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if o.rows, err = chosen(*only); err != nil {
		return err
	}
	figures, err := measure(ctx, o, errOut)
	if err != nil {
		return err
	}
	printTable(out, o, figures, *markdown)
	return failed(figures)
}

// chosen are the rows of a list, all of an empty one.
func chosen(list string) (names []string, err error) {
	for _, r := range rows {
		names = append(names, r.name)
	}
	if list == "" {
		return names, nil
	}
	asked := strings.Split(list, ",")
	for _, name := range asked {
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("there is no row %q, only %s", name, strings.Join(names, ", "))
		}
	}
	return asked, nil
}

// measure measures the rows. A row that cannot be measured says so in its figure.
func measure(ctx context.Context, o options, progress io.Writer) (figures []figure, err error) {
	dir, err := os.MkdirTemp("", "kontor-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	b := &bench{options: o, dir: dir}
	if b.binary == "" {
		b.binary = filepath.Join(dir, "gateway")
		if err := worldtest.Build(b.binary, b.edits()); err != nil {
			return nil, err
		}
	}
	defer func() { err = errors.Join(err, b.end()) }()
	if err := b.begin(); err != nil {
		return nil, err
	}
	for _, r := range rows {
		if !slices.Contains(o.rows, r.name) {
			continue
		}
		began := time.Now()
		got, err := r.measure(ctx, b)
		if err != nil {
			got = append(got, figure{title: r.name, failure: err.Error()})
		}
		for i := range got {
			got[i].row = r.name
			took := time.Since(began).Round(time.Second)
			fmt.Fprintf(progress, "%s (%s): %s\n", got[i].title, took, got[i].measured())
		}
		figures = append(figures, got...)
		if ctx.Err() != nil {
			return figures, ctx.Err()
		}
	}
	return figures, nil
}

// failed tells what could not be measured.
func failed(figures []figure) error {
	var errs []error
	for _, f := range figures {
		if f.failure != "" {
			errs = append(errs, fmt.Errorf("%s: not measured: %s", f.title, f.failure))
		}
	}
	return errors.Join(errs...)
}
