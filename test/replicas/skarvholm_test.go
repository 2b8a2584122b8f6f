package replicas

import "kontor.dev/kontor/test/example/played"

var (
	_ = creates.Add(played.ID, played.OpCreateConsent)
	_ = polls.Add(played.ID, played.OpGetConsent)
)
