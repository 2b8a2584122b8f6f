package security

import (
	"encoding/base64"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// minInterval is the shortest time between two reads of a consent that nobody authenticated asked for, as it is by
// default.
const minInterval = 5 * time.Second

// guess is a token as an attacker would make one.
func guess(r *rand.Rand) string {
	raw := make([]byte, 32)
	for i := range raw {
		raw[i] = byte(r.UintN(256))
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// storm sends n requests from many senders at once and counts the answers by status.
func storm(n int, send func(i int, r *rand.Rand) int) map[int]int {
	var senders sync.WaitGroup
	var next atomic.Int64
	var mu sync.Mutex
	statuses := map[int]int{}
	for sender := range 16 {
		senders.Go(func() {
			r := rand.New(rand.NewPCG(uint64(*seed), uint64(sender)))
			for i := int(next.Add(1)); i <= n; i = int(next.Add(1)) {
				status := send(i, r)
				mu.Lock()
				statuses[status]++
				mu.Unlock()
			}
		})
	}
	senders.Wait()
	return statuses
}

// strip leaves out the blanks that protobuf puts in at random.
func strip(text string) string { return strings.ReplaceAll(text, " ", "") }
