package sqlite

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// prepareFile makes the file and its folder where they do not exist, sees to it that only the owner can read the file,
// and returns its one path, so that whoever comes by another way finds the same file. SQLite gives the files that it
// makes beside it the mode of the file.
func prepareFile(path string) (string, error) {
	if path == "" {
		return "", errors.New("the path is empty")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	// An existing file must not be opened here: closing it would drop the locks that SQLite holds on it in this
	// process.
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
		if err == nil {
			err = file.Close()
		}
		if err != nil && !errors.Is(err, fs.ErrExist) { // Another process may be faster.
			return "", err
		}
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "", errors.New("not a file")
	}
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		info, err := os.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		if info.Mode().Perm()&0o077 != 0 {
			if err := os.Chmod(name, info.Mode().Perm()&0o700); err != nil {
				return "", err
			}
		}
	}
	return filepath.EvalSymlinks(path)
}
