package fimento

import "context"

// RegisterWebhook adds an address to those that Fimento calls when a process changes. What it sends there is not documented, and not signed:
// a call is a hint to read the process again.
func (a *adapter) RegisterWebhook(ctx context.Context, url string) error {
	return a.do(ctx, request{Operation: opAddWebhook, Body: wireWebhook{WebhookURL: url}}, nil)
}
