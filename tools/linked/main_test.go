package main

import (
	"bytes"
	"crypto/sha256"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// source makes a module with files.
func source(t *testing.T, path string, files map[string]string, packages ...string) *module {
	t.Helper()
	m := &module{path: path, version: "v1.2.3", dir: t.TempDir(), packages: map[string]bool{}}
	for name, text := range files {
		file := filepath.Join(m.dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, folder := range packages {
		m.packages[folder] = true
	}
	return m
}

const mit = "Permission is hereby granted, free of charge, to any person\nobtaining a copy of this software"

func TestLicences(t *testing.T) {
	bsd := "Redistribution and use in source and binary forms, with or without modification"
	for text, want := range map[string]string{
		mit:                                  "MIT",
		bsd:                                  "BSD-2-Clause",
		bsd + "\nNeither the name of Google": "BSD-3-Clause",
		bsd + "\nNeither name of the holder": "BSD-3-Clause",
		"Apache License\n  Version 2.0, January 2004":               "Apache-2.0",
		"the Apache License, Version 2.0 (the \"License\")\n" + mit: "Apache-2.0 AND MIT",
		"GNU LESSER GENERAL PUBLIC LICENSE\n" + mit:                 "",
		"Do with it what you like":                                  "",
	} {
		m := source(t, "example.com/m", map[string]string{"LICENSE": text}, ".")
		texts, err := m.texts()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := m.licence(texts); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v, want %q", text, got, err, want)
		}
	}
	if _, err := source(t, "example.com/m", nil, ".").licence(nil); err == nil {
		t.Error("a module without a licence is taken")
	}
}

// TestNotices: what lies beside a linked package or above it is listed, once for all who share it; what lies elsewhere
// in the module, or is code, is not.
func TestNotices(t *testing.T) {
	one := source(t, "example.com/one", map[string]string{
		"LICENSE": mit, "NOTICE": "of one", "inner/LICENSE.third": "of inner", "other/LICENSE": "elsewhere",
		"license.go": "of code",
	}, "inner/deep", "inner")
	if err := os.MkdirAll(filepath.Join(one.dir, "inner/deep"), 0o700); err != nil {
		t.Fatal(err)
	}
	two := source(t, "example.com/two", map[string]string{"LICENSE.txt": mit + "\r\n"}, ".")
	text, err := noticesOf([]*module{one, two})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"example.com/one v1.2.3: MIT\n", "example.com/one: LICENSE\nexample.com/two: LICENSE.txt\n\n" + mit,
		"\n\nof one\n", "\n\nof inner\n",
	} {
		if strings.Count(text, want) != 1 {
			t.Errorf("%q is not once in\n%s", want, text)
		}
	}
	for _, foreign := range []string{"elsewhere", "of code"} {
		if strings.Contains(text, foreign) {
			t.Errorf("%q is in\n%s", foreign, text)
		}
	}
}

// TestBill holds the bill to CycloneDX's schema, and to the binary.
func TestBill(t *testing.T) {
	part := source(t, "example.com/part", map[string]string{"LICENSE": mit}, ".")
	info := &debug.BuildInfo{
		GoVersion: "go1.26.0", Main: debug.Module{Path: "kontor.dev/kontor", Version: "v1.2.3"},
		Deps: []*debug.Module{{Path: part.path, Version: part.version, Sum: "h1:abc="}},
		Settings: []debug.BuildSetting{
			{Key: "vcs.time", Value: "2026-01-31T01:02:03+01:00"}, {Key: "vcs.revision", Value: "abc"},
		},
	}
	bom, err := billOf(info, sha256.Sum256([]byte("binary")), []*module{part})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := cdx.NewBOMEncoder(&out, cdx.BOMFileFormatJSON).EncodeVersion(bom, cdx.SpecVersion1_6); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"timestamp":"2026-01-31T00:02:03Z"`, `"purl":"pkg:golang/example.com/part@v1.2.3"`, `"expression":"MIT"`,
		`"dependsOn":["pkg:golang/std@1.26.0","pkg:golang/example.com/part@v1.2.3"]`,
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s is not in %s", want, &out)
		}
	}
	parsed, err := jsonschema.UnmarshalJSON(&out)
	if err != nil {
		t.Fatal(err)
	}
	schema := schemaOfBills(t)
	if err := schema.Validate(parsed); err != nil {
		t.Error(err)
	}
	parsed.(map[string]any)["serialNumber"] = "none"
	if schema.Validate(parsed) == nil {
		t.Error("the schema takes everything")
	}
	part.version = "v1.2.4"
	if _, err := billOf(info, [sha256.Size]byte{}, []*module{part}); err == nil {
		t.Error("a bill was made of sources that are not those of the binary")
	}
}

// schemaOfBills is CycloneDX's, as its library has it.
func schemaOfBills(t *testing.T) *jsonschema.Schema {
	t.Helper()
	dir, err := goTool(".", nil, "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go")
	if err != nil {
		t.Fatal(err)
	}
	const at = "http://cyclonedx.org/schema/"
	compiler := jsonschema.NewCompiler()
	for _, name := range []string{"bom-1.6.schema.json", "spdx.schema.json", "jsf-0.82.schema.json"} {
		file := strings.Replace(name, "jsf-0.82.schema", "jsf-0.82.schemax", 1) // as the library spells it
		text, err := os.Open(filepath.Join(strings.TrimSpace(string(dir)), "schema", file))
		if err != nil {
			t.Fatal(err)
		}
		defer text.Close()
		document, err := jsonschema.UnmarshalJSON(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := compiler.AddResource(at+name, document); err != nil {
			t.Fatal(err)
		}
	}
	schema, err := compiler.Compile(at + "bom-1.6.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}
