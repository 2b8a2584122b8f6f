package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"kontor.dev/kontor/internal/providers"
)

// Load reads a configuration from a file. Paths that are not absolute start at the file's folder. When something is
// wrong, the error is of type Problems.
func Load(path string, o Options) (*Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		message := "cannot be read"
		if errors.Is(err, fs.ErrNotExist) {
			message = "there is no such file"
		}
		return nil, Problems{{File: path, Message: message}}
	}
	o.Folder = filepath.Dir(path)
	o.exposed = exposed(path)
	config, problems := Parse(path, data, o)
	if len(problems) > 0 {
		return nil, problems
	}
	return config, nil
}

// Options says with what a configuration is read.
type Options struct {
	// Kinds are the kinds of providers that there are.
	Kinds []providers.Kind
	// Store says what is wrong with the address of a store, without quoting it. It gives the address with a path that
	// is not absolute put into a folder, and the folder on this machine in which the data lies, "" for none. Nil takes
	// any address as it is.
	Store func(address, folder string) (placed, dataFolder string, err error)
	// Folder is where paths start that are not absolute; empty for the folder that the process runs in.
	Folder string
	// Reads are the keys, such as "store", in which ${env:...} and ${file:...} are resolved; nil for all. What stands
	// elsewhere and refers to one keeps its default, and nothing that depends on it is wrong.
	Reads []string
	// Env and ReadFile resolve ${env:...} and ${file:...}; nil for the process's own environment and files.
	Env      func(name string) (string, bool)
	ReadFile func(path string) ([]byte, error)
	// Exposed tells whether everybody on the machine can read a file, which none with a secret must let them. Nil asks
	// the file system when ReadFile is nil, else nobody.
	Exposed func(path string) bool
	// WarnExposed has such files become Warnings of the Config instead of problems.
	WarnExposed bool
	// Check finds what is wrong with a configuration that is right in itself: what only those can tell who will work by
	// it. Keys are such as "tenants.default.providers.north" or "clients[0].tenant". May be nil.
	Check func(*Config) providers.Faults

	// exposed says that everybody on the machine can read the configuration itself.
	exposed bool
}

// Parse reads a configuration from data. Name is how problems call it. The Config is only of use when there are no
// problems.
func Parse(name string, data []byte, o Options) (*Config, Problems) {
	if o.Env == nil {
		o.Env = os.LookupEnv
	}
	if o.ReadFile == nil {
		o.ReadFile = os.ReadFile
		if o.Exposed == nil {
			o.Exposed = exposed
		}
	}
	p := &parser{file: name, options: o}
	config := Defaults()
	if root, ok := p.document(data); ok {
		p.config(root, &config)
		if o.Check != nil && len(p.problems) == 0 {
			for _, fault := range o.Check(&config) {
				root.find(fault.Key).problem(fault.Message)
			}
		}
	}
	p.problems.sort()
	p.warnings.sort()
	config.Warnings = p.warnings
	return &config, p.problems
}

// path places a path that is not absolute.
func (p *parser) path(name string) (string, error) {
	if filepath.IsAbs(name) {
		return name, nil
	}
	return filepath.Join(p.options.Folder, name), nil
}
