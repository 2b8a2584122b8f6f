package rest

import (
	"bytes"
	"sync"
)

// maxScratch is how large a buffer is kept for further answers, in bytes.
const maxScratch = 1 << 20

// scratch has the buffers in which answers are made: one grows to its size once, and not for each answer.
var scratch = sync.Pool{New: func() any { return new([]byte) }}

// inScratch gives a copy of what is appended to a buffer: who gets it may keep it.
func inScratch(write func(b []byte) ([]byte, error)) ([]byte, error) {
	buffer := scratch.Get().(*[]byte) //nolint:forcetypeassert // nothing else is put there
	b, err := write((*buffer)[:0])
	if err != nil {
		return nil, err
	}
	text := bytes.Clone(b)
	if cap(b) <= maxScratch {
		*buffer = b
		scratch.Put(buffer)
	}
	return text, nil
}
