package upstream

import (
	"errors"
	"strings"
	"testing"
	"testing/iotest"

	"kontor.dev/kontor/internal/jsonread"
)

// A value that is read member by member, and names of objects that are skipped, count as long as they are kept.
func TestLimitOfOneValueCountsWhatIsKept(t *testing.T) {
	type kept struct{ parts []struct{} }
	part := func(d *jsonread.Decoder, _ *struct{}) error { return d.SkipValue() }
	read := jsonread.Members[kept]{
		jsonread.At("parts", func(d *jsonread.Decoder, k *kept) error { return jsonread.Slice(d, &k.parts, part) }),
	}.Read
	name := strings.Repeat("x", 500)
	for text, element := range map[string]func(*jsonread.Decoder, *kept) error{
		`[{"parts": [` + strings.Repeat("1,", 2000) + `1]}]`: func(d *jsonread.Decoder, k *kept) error {
			return jsonread.Whole(d, k, read)
		},
		`[{"other": {"` + name + `": {"` + name + `": {"` + name + `": 1}}}}]`: read,
	} {
		for limit, refused := range map[int64]bool{1000: true, 1 << 20: false} {
			b := &body{
				src: iotest.OneByteReader(strings.NewReader(text)), wire: &wireReader{}, limit: 1 << 20, value: limit,
				depth: 64,
			}
			_, err := b.run(consumer{decode: func(d *jsonread.Decoder) error {
				return jsonread.List(d, func(int) error { return element(d, &kept{}) })
			}})
			if (err != nil) != refused || refused && !errors.Is(b.err, errTooLarge) {
				t.Errorf("%.20s under a limit of %d: %v, %v", text, limit, err, b.err)
			}
		}
	}
}
