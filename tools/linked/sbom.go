package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"fmt"
	"io"
	"net/url"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// sbom prints the bill of materials of a binary as its build information tells it. Equal binaries have equal ones: the
// time in it is the commit's.
func sbom(dir, binary string, out io.Writer) error {
	content, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(content)
	modules, err := modulesFor(dir, []string{setting(info, "GOOS") + "/" + setting(info, "GOARCH")})
	if err != nil {
		return err
	}
	bom, err := billOf(info, sum, modules)
	if err != nil {
		return err
	}
	encoder := cdx.NewBOMEncoder(out, cdx.BOMFileFormatJSON)
	encoder.SetPretty(true)
	return encoder.EncodeVersion(bom, cdx.SpecVersion1_6)
}

func billOf(info *debug.BuildInfo, sum [sha256.Size]byte, sources []*module) (*cdx.BOM, error) {
	bom := cdx.NewBOM()
	bom.SerialNumber = serial(sum)
	main := cdx.Component{
		BOMRef: reference(info.Main.Path, info.Main.Version), Type: cdx.ComponentTypeApplication,
		Name: info.Main.Path, Version: info.Main.Version, PackageURL: reference(info.Main.Path, info.Main.Version),
		Hashes:   &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(sum[:])}},
		Licenses: &cdx.Licenses{{Expression: "Apache-2.0"}},
	}
	var properties []cdx.Property
	for _, name := range []string{"GOOS", "GOARCH", "CGO_ENABLED", "-trimpath", "vcs.revision", "vcs.modified"} {
		if value := setting(info, name); value != "" {
			properties = append(properties, cdx.Property{Name: "go:" + name, Value: value})
		}
	}
	main.Properties = &properties
	bom.Metadata = &cdx.Metadata{Component: &main}
	if at, err := time.Parse(time.RFC3339, setting(info, "vcs.time")); err == nil {
		bom.Metadata.Timestamp = at.UTC().Format(time.RFC3339)
	}
	goVersion := strings.TrimPrefix(info.GoVersion, "go")
	parts := []cdx.Component{{
		BOMRef: reference("std", goVersion), Type: cdx.ComponentTypeLibrary, Name: "std", Version: goVersion,
		PackageURL: reference("std", goVersion), Licenses: &cdx.Licenses{{Expression: "BSD-3-Clause"}},
	}}
	for _, linked := range info.Deps {
		at := slices.IndexFunc(sources, func(m *module) bool { return m.path == linked.Path })
		if at < 0 || sources[at].version != linked.Version || linked.Replace != nil {
			return nil, fmt.Errorf("%s %s is in the binary and not what the sources link", linked.Path, linked.Version)
		}
		texts, err := sources[at].texts()
		if err != nil {
			return nil, err
		}
		licence, err := sources[at].licence(texts)
		if err != nil {
			return nil, err
		}
		parts = append(parts, cdx.Component{
			BOMRef: reference(linked.Path, linked.Version), Type: cdx.ComponentTypeLibrary,
			Name: linked.Path, Version: linked.Version, PackageURL: reference(linked.Path, linked.Version),
			Licenses: &cdx.Licenses{{Expression: licence}}, Scope: cdx.ScopeRequired,
			// As go.sum has it. It is a hash of the hashes of all files, and so none of CycloneDX's.
			Properties: &[]cdx.Property{{Name: "go:sum", Value: linked.Sum}},
		})
	}
	var needs []string
	dependencies := []cdx.Dependency{}
	for _, part := range parts {
		needs = append(needs, part.BOMRef)
		dependencies = append(dependencies, cdx.Dependency{Ref: part.BOMRef})
	}
	dependencies = append(dependencies, cdx.Dependency{Ref: main.BOMRef, Dependencies: &needs})
	bom.Components, bom.Dependencies = &parts, &dependencies
	return bom, nil
}

// setting is what the build was told, "" where it was not.
func setting(info *debug.BuildInfo, key string) string {
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}

// reference is a module's package URL.
func reference(path, version string) string {
	return "pkg:golang/" + path + "@" + url.QueryEscape(version)
}

// serial makes a UUID (version 8) of a binary's hash, so that equal binaries have equal bills.
func serial(sum [sha256.Size]byte) string {
	id := sum[:16]
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}
