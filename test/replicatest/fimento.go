package replicatest

import "kontor.dev/kontor/internal/sandbox/fimento"

var _ = providers.Add(fimento.ID, provider{
	made:  func(w *World) int { return w.distinct(fimento.ID, "/process", "_id") },
	finds: true,
})
