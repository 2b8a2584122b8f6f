//go:build !race

package worldtest

const raceDetector = false
