//go:build !unix

package worldtest

import (
	"errors"
	"os"
)

var errFreeze = errors.New("processes cannot be stopped and continued on this system")

func freeze(*os.Process) error { return errFreeze }

func thaw(*os.Process) error { return errFreeze }
