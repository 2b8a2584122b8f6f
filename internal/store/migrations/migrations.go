// Package migrations reads the steps by which a database's tables came to be.
package migrations

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// Step is one step, from the version below its own. A step that was released never changes; a new one follows it.
type Step struct {
	Version   int
	Name, SQL string
	Checksum  string
}

// Load reads the files of the folder "migrations" in order: 0001_<name>.sql, 0002_<name>.sql and so on.
func Load(files fs.FS) ([]Step, error) {
	names, err := fs.Glob(files, "migrations/*.sql") // sorted
	if err != nil {
		return nil, err
	}
	steps := make([]Step, len(names))
	for i, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		base := strings.TrimSuffix(path.Base(name), ".sql")
		number, _, _ := strings.Cut(base, "_")
		if version, err := strconv.Atoi(number); err != nil || version != i+1 || len(number) != 4 {
			return nil, fmt.Errorf("migration %s should have number %04d", base, i+1)
		}
		sum := sha256.Sum256(text)
		steps[i] = Step{Version: i + 1, Name: base, SQL: string(text), Checksum: hex.EncodeToString(sum[:])}
	}
	return steps, nil
}
