package sqlite

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Usable tells what would keep Open from making or opening the file at path for this process's user, as far as that can
// be seen without making or opening anything. It never quotes the path.
func Usable(path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	folder := filepath.Dir(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Lstat(path); err == nil {
			return errors.New("is a link that leads nowhere")
		}
		// What is missing of the folder would be made.
		for ; errors.Is(err, fs.ErrNotExist) && folder != filepath.Dir(folder); folder = filepath.Dir(folder) {
			if info, err = os.Stat(folder); err == nil {
				break
			}
		}
	case err == nil && !info.Mode().IsRegular():
		return errors.New("is not a file")
	case err == nil && !mayUse(path):
		return errors.New("is a file that this user may not read and write")
	case err == nil:
		if folder, err = filepath.EvalSymlinks(path); err == nil {
			folder = filepath.Dir(folder)
			info, err = os.Stat(folder)
		}
	}
	switch {
	case err != nil:
		return errors.New("lies in a folder that cannot be made or entered")
	case !info.IsDir():
		return errors.New("lies in a folder that is a file")
	case !mayChange(folder):
		return errors.New("lies in a folder that this user may not write to, or not make")
	}
	return nil
}

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
