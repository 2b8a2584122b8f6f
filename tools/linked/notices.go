package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const noticesFile = "THIRD_PARTY_NOTICES"

// notices compares THIRD_PARTY_NOTICES with what a gateway links, or writes it.
func notices(dir string, systems []string, write bool) error {
	modules, err := modulesFor(dir, systems)
	if err != nil {
		return err
	}
	text, err := noticesOf(modules)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, noticesFile)
	if write {
		return os.WriteFile(path, []byte(text), 0o644)
	}
	present, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if string(present) != text {
		return errors.New(noticesFile + " is not what is linked: run make notices, and look at what changed")
	}
	return nil
}

// noticesOf lists the modules with their licences, and then each legal text once, with the modules that it is from.
func noticesOf(modules []*module) (string, error) {
	var list, terms strings.Builder
	from := map[string][]string{} // modules and files, by text
	var order []string
	for _, m := range modules {
		texts, err := m.texts()
		if err != nil {
			return "", err
		}
		licence, err := m.licence(texts)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&list, "%s: %s\n", strings.TrimSpace(m.path+" "+m.version), licence)
		for _, name := range slices.Sorted(maps.Keys(texts)) {
			text := strings.TrimSpace(strings.ReplaceAll(texts[name], "\r\n", "\n"))
			if from[text] == nil {
				order = append(order, text)
			}
			from[text] = append(from[text], m.path+": "+name)
		}
	}
	for _, text := range order {
		fmt.Fprintf(&terms, "\n%s\n%s\n\n%s\n", strings.Repeat("=", 80), strings.Join(from[text], "\n"), text)
	}
	return "Kontor is under the Apache License 2.0 (LICENSE). Its binary contains the following works of others.\n" +
		"`make notices` writes this file.\n\n" + list.String() + terms.String(), nil
}
