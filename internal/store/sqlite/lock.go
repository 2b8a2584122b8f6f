package sqlite

import (
	"fmt"
	"io"
)

// Lock takes the file at path for this process, until it is closed or the process ends: nobody else gets the lock
// meanwhile, whatever way leads to the file. It stands beside the file (suffix ".lock") and keeps nobody from Open: it
// is for who wants to be the only one that serves.
func Lock(path string) (io.Closer, error) {
	file, err := prepareFile(path)
	if err == nil {
		var lock io.Closer
		if lock, err = lockFile(file + ".lock"); err == nil {
			return lock, nil
		}
	}
	return nil, fmt.Errorf("sqlite: %s: %w", path, err)
}
