package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Load reads a configuration from a file. Paths in ${file:...} and under tls that are not absolute start at the file's folder. When something
// is wrong, the error is of type Problems.
func Load(path string) (*Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		message := "cannot be read"
		if errors.Is(err, fs.ErrNotExist) {
			message = "there is no such file"
		}
		return nil, Problems{{File: path, Message: message}}
	}
	folder := filepath.Dir(path)
	readFile := func(name string) ([]byte, error) { return os.ReadFile(inFolder(folder, name)) }
	config, problems := Parse(path, data, os.LookupEnv, readFile)
	if len(problems) > 0 {
		return nil, problems
	}
	if config.TLS != nil {
		config.TLS.CertFile, config.TLS.KeyFile = inFolder(folder, config.TLS.CertFile), inFolder(folder, config.TLS.KeyFile)
		if config.TLS.ClientCAFile != "" {
			config.TLS.ClientCAFile = inFolder(folder, config.TLS.ClientCAFile)
		}
	}
	return config, nil
}

func inFolder(folder, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(folder, name)
}

// Parse reads a configuration from data. Name is how problems call it; env and readFile resolve ${env:...} and ${file:...}. The Config is
// only of use when there are no problems.
func Parse(name string, data []byte, env func(string) (string, bool), readFile func(string) ([]byte, error)) (*Config, Problems) {
	p := &parser{file: name, env: env, readFile: readFile}
	config := Defaults()
	if root, ok := p.document(data); ok {
		p.config(root, &config)
	}
	p.problems.sort()
	return &config, p.problems
}
