// Package deploy holds what deploy/ has to those who read it: Helm, Kubernetes' types, Compose's and Envoy's. It is a
// module of its own, so that theirs are no dependencies of Kontor or of its other tools.
package deploy
