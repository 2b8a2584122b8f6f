package replicatest

import "kontor.dev/kontor/test/example/played"

var _ = providers.Add(played.ID, provider{
	made: func(w *World) int { return w.distinct(played.ID, "/consents", "consentId") },
})
