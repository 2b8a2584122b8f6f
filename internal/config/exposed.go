package config

import (
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"kontor.dev/kontor/internal/secret"
)

// The bits of a file's mode that are everybody's.
const (
	othersRead  = 0o004
	othersEnter = 0o001
)

// exposed tells whether everybody on this machine can read a file: it says so, and so does each folder above it. A file
// that is not there, and any on a system without such bits, is not.
func exposed(path string) bool {
	if runtime.GOOS == "windows" {
		return false
	}
	path, err := filepath.Abs(path)
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return false
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&othersRead == 0 {
		return false
	}
	for folder := filepath.Dir(path); ; folder = filepath.Dir(folder) {
		if info, err = os.Stat(folder); err != nil || info.Mode().Perm()&othersEnter == 0 {
			return false
		}
		if folder == filepath.Dir(folder) {
			return true
		}
	}
}

const exposedFile = "can be read by everybody on this machine: take that away, as with chmod o-r"

// exposed notes that a value is a secret, or names one, that everybody on the machine can read. That is a problem, or a
// warning: in a container, where secrets are mounted so that all can read them, nobody else is on the machine.
func (v value) exposed(how string) {
	found := Problem{File: v.parser.file, Line: v.node.Line, Path: v.path, Message: how + " " + exposedFile}
	list := &v.parser.problems
	if v.parser.options.WarnExposed {
		list = &v.parser.warnings
	}
	if !slices.Contains(*list, found) { // A store's address is read twice.
		*list = append(*list, found)
	}
}

// hidden reads a secret. One that stands in the configuration itself is only as secret as that file.
func hidden(dst *secret.String, parse func(string) (secret.String, error)) func(value) {
	return func(v value) {
		before := len(v.parser.problems)
		scalar(dst, parse)(v)
		inline := reference.ReplaceAllString(v.plain().Value, "") != ""
		if inline && v.parser.options.exposed && len(v.parser.problems) == before {
			v.exposed("is a secret in a file that")
		}
	}
}

// storeSecret reads the address of a store, which is a secret when there is a password in it.
func (p *parser) storeSecret(dst *secret.String) func(value) {
	return func(v value) {
		scalar(dst, p.storeAddress)(v)
		if address, err := url.Parse(dst.Reveal()); err == nil && address.User != nil {
			if _, has := address.User.Password(); has {
				hidden(dst, p.storeAddress)(v)
			}
		}
	}
}

// keyFile reads the path of a file with a private key.
func (v value) keyFile(dst *string) {
	scalar(dst, v.parser.path)(v)
	if check := v.parser.options.Exposed; check != nil && *dst != "" && check(*dst) {
		v.exposed("names a file that")
	}
}
