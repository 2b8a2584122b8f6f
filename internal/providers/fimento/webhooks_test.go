package fimento

import (
	"slices"
	"strings"
	"testing"
)

func idsIn(t *testing.T, body string) []string {
	t.Helper()
	ids, err := newFake(t).provider().Callbacks.Webhook(t.Context(), nil, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// What a webhook sends is not documented: every word in it may be an id, and likely ones come first.
func TestWebhooksAreHints(t *testing.T) {
	long := strings.Repeat("x", 129)
	for body, want := range map[string][]string{
		`{"event": "completed", "_id": "p1"}`:        {"p1", "completed"},
		`{"data": {"process": {"ProcessID": "p1"}}}`: {"p1"},
		`["p1", "p2"]`: {"p1", "p2"},
		`"p1"`:         {"p1"},
		`{"a": "two words", "b": "", "c": 5, "d": "` + long + `"}`: nil,
		`not JSON`: nil,
		``:         nil,
		strings.Repeat(`[`, 10) + `"p1"` + strings.Repeat(`]`, 10): nil,
	} {
		if got := idsIn(t, body); !slices.Equal(got, want) {
			t.Errorf("%s names %q, want %q", body, got, want)
		}
	}
	if got := idsIn(t, `[`+strings.Repeat(`"x",`, 99)+`{"_id": "p1"}]`); len(got) != webhookIDs {
		t.Errorf("%d ids are looked up", len(got))
	}
}

// FuzzWebhook reads any body for ids: never more than are looked up, and none that could not be one.
func FuzzWebhook(f *testing.F) {
	for _, seed := range []string{
		`{"_id":"a","processId":"b"}`, `[[["x"]]]`, `{"a":{"b":{"c":"d e"}}}`, `"x"`, `{`, strings.Repeat(`[`, 50),
		`[` + strings.Repeat(`"x",`, 70) + `"y"]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		ids, err := webhook(t.Context(), nil, body)
		if err != nil || len(ids) > webhookIDs {
			t.Errorf("%d ids, %v", len(ids), err)
		}
		for _, id := range ids {
			if id == "" || len(id) > longestID {
				t.Errorf("%q is taken for an id", id)
			}
		}
	})
}
