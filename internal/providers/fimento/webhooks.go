package fimento

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// RegisterWebhook adds an address to those that Fimento calls when a process changes. What it sends there is not
// documented, and not signed: a call is a hint to read the process again.
func (a *adapter) RegisterWebhook(ctx context.Context, url string) error {
	return a.do(ctx, request{Operation: opAddWebhook, Body: wireWebhook{WebhookURL: url}}, nil)
}

const (
	// webhookIDs bounds how many of a webhook's words are taken for ids.
	webhookIDs = 64
	// webhookDepth bounds how deep a webhook's body is searched.
	webhookDepth = 8
	// longestID is more than any process's id has.
	longestID = 128
)

// webhook gives the words in a body that could be ids of processes, those called _id or processId first. A body that
// is not JSON names none.
func webhook(_ context.Context, _ http.Header, body []byte) ([]string, error) {
	var document any
	if json.Unmarshal(body, &document) != nil {
		return nil, nil //nolint:nilerr // whatever it is, it names no process
	}
	var first, rest []string
	var walk func(key string, value any, depth int)
	walk = func(key string, value any, depth int) {
		if depth > webhookDepth {
			return
		}
		switch v := value.(type) {
		case map[string]any:
			for k, child := range v {
				walk(k, child, depth+1)
			}
		case []any:
			for _, child := range v {
				walk(key, child, depth+1)
			}
		case string:
			switch {
			case v == "" || len(v) > longestID || strings.ContainsAny(v, " \t\n"):
			case key == "_id" || strings.EqualFold(key, "processId"):
				first = append(first, v)
			case len(rest) < webhookIDs: // those that are called ids are looked for to the end
				rest = append(rest, v)
			}
		}
	}
	walk("", document, 0)
	ids := slices.Concat(first, rest)
	return ids[:min(len(ids), webhookIDs)], nil
}

type wireWebhook struct {
	WebhookURL string `json:"webhookUrl"`
}
