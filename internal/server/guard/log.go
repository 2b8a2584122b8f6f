package guard

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/google/uuid"
)

// What log lines may say, here and on the listeners.

// Milliseconds gives a duration as log lines have it.
func Milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// PanicText describes a panic without its value, unless the runtime made it: a value may hold anything.
func PanicText(value any) string {
	var fault runtime.Error
	if err, ok := value.(error); ok && errors.As(err, &fault) {
		return fault.Error()
	}
	return fmt.Sprintf("%T", value)
}

// CauseText keeps a cause short; it is for operators and never leaves the log.
func CauseText(cause error) string {
	text := cause.Error()
	return text[:min(len(text), 500)]
}

// maxRequestID is the length of the longest request id that is taken from a caller.
const maxRequestID = 128

// RequestID takes over the caller's id of a request, or makes one.
func RequestID(values []string) string {
	if len(values) == 1 && values[0] != "" && len(values[0]) <= maxRequestID && printable(values[0]) {
		return values[0]
	}
	return uuid.NewString()
}
