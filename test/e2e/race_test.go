//go:build race

package e2e

// raceDetector says that the gateway is to be built with the race detector, too. It then ends with an exit code of its own when it saw a race.
const raceDetector = true
