package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// command is the package that is linked.
const command = "./cmd/gateway"

// module is one that is linked.
type module struct {
	path, version string
	dir           string // where its source lies
	// packages are the folders of the packages that are linked, by their path in the module's folder.
	packages map[string]bool
}

// modulesFor gives the modules that are linked for any of the systems ("linux/amd64"), in alphabetical order, with Go's
// standard library as the first.
func modulesFor(dir string, systems []string) ([]*module, error) {
	all := map[string]*module{}
	for _, system := range systems {
		goos, goarch, ok := strings.Cut(system, "/")
		if !ok {
			return nil, fmt.Errorf("%q is no system such as linux/amd64", system)
		}
		out, err := goTool(dir, []string{"GOOS=" + goos, "GOARCH=" + goarch},
			"list", "-deps", "-json=Dir,Module", command)
		if err != nil {
			return nil, err
		}
		for packages := json.NewDecoder(bytes.NewReader(out)); ; {
			var one listed
			err := packages.Decode(&one)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, err
			}
			if one.Module == nil || one.Module.Main {
				continue
			}
			m := all[one.Module.Path]
			if m == nil {
				m = &module{path: one.Module.Path, version: one.Module.Version, dir: one.Module.Dir}
				m.packages = map[string]bool{}
				all[m.path] = m
			}
			within, err := filepath.Rel(m.dir, one.Dir)
			if err != nil {
				return nil, err
			}
			m.packages[within] = true
		}
	}
	root, err := goTool(dir, nil, "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	modules := []*module{{
		// Without a version: which Go builds is not for this repository to say.
		path: "Go's standard library", dir: strings.TrimSpace(string(root)), packages: map[string]bool{".": true},
	}}
	for _, path := range slices.Sorted(maps.Keys(all)) {
		modules = append(modules, all[path])
	}
	return modules, nil
}

// listed is a package as `go list` tells it.
type listed struct {
	Dir    string `json:"Dir"`
	Module *struct {
		Path    string `json:"Path"`
		Version string `json:"Version"`
		Dir     string `json:"Dir"`
		Main    bool   `json:"Main"`
	} `json:"Module"`
}

// goTool runs the go command in a folder, for a build without C.
func goTool(dir string, env []string, args ...string) ([]byte, error) {
	run := exec.CommandContext(context.Background(), "go", args...)
	run.Dir, run.Env = dir, append(append(os.Environ(), "CGO_ENABLED=0"), env...)
	var said bytes.Buffer
	run.Stderr = &said
	out, err := run.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, &said)
	}
	return out, nil
}

// legal is what files are called that say under which terms a source may be used.
var legal = regexp.MustCompile(`(?i)^(.+[-_.])?(licen[cs]es?|copying|notices?|patents)([-_.].+)?$`)

// ofCode are files that are called so and say nothing of that kind.
var ofCode = regexp.MustCompile(`(?i)\.(go|s|c|h|py|sh|json|ya?ml)$`)

// texts gives a module's legal files, by their path in it: those beside the linked packages, and in any folder above.
func (m *module) texts() (map[string]string, error) {
	folders := map[string]bool{}
	for folder := range m.packages {
		for ; !folders[folder]; folder = filepath.Dir(folder) {
			folders[folder] = true
		}
	}
	texts := map[string]string{}
	for folder := range folders {
		entries, err := os.ReadDir(filepath.Join(m.dir, folder))
		if err != nil {
			return nil, err
		}
		for _, entry := range entries {
			name := entry.Name()
			if entry.IsDir() || !legal.MatchString(name) || ofCode.MatchString(name) {
				continue
			}
			file := filepath.Join(folder, name)
			text, err := os.ReadFile(filepath.Join(m.dir, file))
			if err != nil {
				return nil, err
			}
			texts[filepath.ToSlash(file)] = string(text)
		}
	}
	return texts, nil
}

// licence gives the SPDX expression of the terms that the module as a whole is under. It fails where it does not know
// them, and where they are such that nobody has agreed to link.
func (m *module) licence(texts map[string]string) (string, error) {
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		upper := strings.ToUpper(name)
		base := strings.TrimSuffix(upper, filepath.Ext(upper))
		if base != "LICENSE" && base != "LICENCE" && base != "COPYING" {
			continue
		}
		kinds := kindsOf(texts[name])
		if len(kinds) == 0 {
			return "", fmt.Errorf("%s: %s is under terms that are not known here", m.path, name)
		}
		return strings.Join(kinds, " AND "), nil
	}
	return "", fmt.Errorf("%s: no licence is found", m.path)
}

var spaces = regexp.MustCompile(`[\s,*"“”]+`)

// kindsOf gives the licences of a text by their SPDX ids; none where a part of it is not known.
func kindsOf(text string) []string {
	text = strings.ToLower(spaces.ReplaceAllString(text, " "))
	if strings.Contains(text, "gnu ") && strings.Contains(text, "general public license") {
		return nil
	}
	var kinds []string
	if strings.Contains(text, "apache license version 2.0") {
		kinds = append(kinds, "Apache-2.0")
	}
	if strings.Contains(text, "redistribution and use in source and binary forms") {
		if strings.Contains(text, "neither the name") || strings.Contains(text, "neither name") ||
			strings.Contains(text, "may not be used to endorse") {
			kinds = append(kinds, "BSD-3-Clause")
		} else {
			kinds = append(kinds, "BSD-2-Clause")
		}
	}
	if strings.Contains(text, "permission is hereby granted free of charge to any person obtaining a copy") {
		kinds = append(kinds, "MIT")
	}
	return kinds
}
