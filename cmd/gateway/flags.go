package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
)

// errHelped says that the command only had to tell what it does.
var errHelped = errors.New("help")

// flags are a command's, and what --help says of it.
type flags struct {
	*flag.FlagSet

	said bytes.Buffer // by the flag package, until it is known where that belongs
}

// newFlags begins a command's flags. Usage is how it is called, without its flags; the sentence says what it does; the
// example can be copied.
func newFlags(usage, sentence, example string) *flags {
	f := &flags{FlagSet: flag.NewFlagSet(usage, flag.ContinueOnError)}
	f.SetOutput(&f.said)
	f.Usage = func() {
		fmt.Fprintf(&f.said, "usage: gateway %s [flags]\n\n%s\n\nexample:\n  %s\n", usage, sentence, example)
		has := false
		f.VisitAll(func(*flag.Flag) { has = true })
		if has {
			fmt.Fprintln(&f.said, "\nflags:")
			f.PrintDefaults()
		}
	}
	return f
}

// parse reads the flags. An argument that is left over is refused: it would be passed over, and whoever wrote it means
// something by it. Help goes to out, and what is wrong to errOut.
func (f *flags) parse(args []string, out, errOut io.Writer) error {
	err := f.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		_, _ = f.said.WriteTo(out)
		return errHelped
	}
	if err == nil && f.NArg() > 0 {
		return f.refuse(fmt.Sprintf("the argument %q is not understood", f.Arg(0)), errOut)
	}
	if err != nil {
		_, _ = f.said.WriteTo(errOut)
		return errUsage
	}
	return nil
}

// asksForHelp tells whether a word is one that flags take for a question.
func asksForHelp(word string) bool {
	return slices.Contains([]string{"-h", "-help", "--h", "--help"}, word)
}

// refuse says what is wrong with the words, and how they should be.
func (f *flags) refuse(what string, errOut io.Writer) error {
	fmt.Fprintln(&f.said, what)
	f.Usage()
	_, _ = f.said.WriteTo(errOut)
	return errUsage
}
