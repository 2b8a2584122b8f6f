//go:build race

package worldtest

// raceDetector says that the tests run with the race detector. A gateway that was built with it ends with an exit code
// of its own when it saw a race.
const raceDetector = true
