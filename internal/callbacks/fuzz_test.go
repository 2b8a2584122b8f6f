package callbacks

import (
	"strings"
	"testing"
)

// FuzzWebhook reads any body for ids: never more than are looked up, and none that could not be one.
func FuzzWebhook(f *testing.F) {
	for _, seed := range []string{`{"_id":"a","processId":"b"}`, `[[["x"]]]`, `{"a":{"b":{"c":"d e"}}}`, `"x"`, `{`, strings.Repeat(`[`, 50), `[` + strings.Repeat(`"x",`, 70) + `"y"]`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		found := words(body)
		if len(found) > webhookRefs {
			t.Errorf("%d words", len(found))
		}
		for _, word := range found {
			if word == "" || len(word) > 128 {
				t.Errorf("%q is taken for an id", word)
			}
		}
	})
}
