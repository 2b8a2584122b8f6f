package listing_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kontor.dev/kontor/internal/listing"
)

const hold = 5 * time.Minute

// entry is something to list.
type entry struct {
	rank int64
	name string
}

var key = listing.Key{Tenant: "default", Consent: "c", Standing: "AUTHORIZED", Query: "all"}

// read reads entries and gives the page behind a place.
func read(h *listing.Held, key listing.Key, entries []entry, at listing.Place, size int) (listing.Page, bool) {
	b := h.Build(key, at, size)
	defer b.Close()
	for _, e := range entries {
		b.Add(e.rank, e.name, []byte(e.name))
	}
	return b.Page(time.Now(), true)
}

// walk goes through all pages, each from what is held or, if it is not there, from what now gives. It gives all names,
// and how often was read.
func walk(t *testing.T, h *listing.Held, size int, now func(page int) []entry) (names []string, reads int) {
	t.Helper()
	at := listing.Place{}
	for n := 0; ; n++ {
		page, ok := h.Page(key, at, size)
		if !ok {
			reads++
			if page, ok = read(h, key, now(n), at, size); !ok {
				t.Fatalf("page %d was not found", n)
			}
		}
		for _, item := range page.Items {
			names = append(names, string(item))
		}
		if page.Next == nil {
			return names, reads
		}
		at, ok = listing.ParsePlace(page.Next.Bytes())
		if !ok || at != *page.Next {
			t.Fatalf("the place %+v is read as %+v", *page.Next, at)
		}
	}
}

// some makes entries of random ranks.
func some(random *rand.Rand, n, ranks int) []entry {
	entries := make([]entry, n)
	for i := range entries {
		entries[i] = entry{rank: random.Int64N(int64(ranks)) - 3, name: fmt.Sprintf("name-%d", i)}
	}
	return entries
}

// sorted gives the names in the order of a listing.
func sorted(entries []entry) []string {
	entries = slices.Clone(entries)
	slices.SortStableFunc(entries, func(a, b entry) int { return int(a.rank - b.rank) })
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.name
	}
	return names
}

func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

// However a listing is served, its pages are the whole of it, in order, each item once.
func TestPagesAreTheWhole(t *testing.T) {
	random := seeded(t)
	for range 200 {
		entries := some(random, random.IntN(60), 1+random.IntN(8))
		size := 1 + random.IntN(12)
		all := func(int) []entry { return entries }
		for what, h := range map[string]*listing.Held{
			"held":        listing.New(hold, 1<<20),
			"never held":  listing.New(0, 1<<20),
			"no room":     listing.New(hold, 100),
			"little room": listing.New(hold, 140<<10), // for one step, of which another is refused
		} {
			names, reads := walk(t, h, size, all)
			if !slices.Equal(names, sorted(entries)) {
				t.Fatalf("%s, %d by %d: %v, want %v", what, len(entries), size, names, sorted(entries))
			}
			pages := max(1, (len(entries)+size-1)/size)
			if what == "held" && reads != 1 || what == "never held" && reads != pages {
				t.Fatalf("%s: %d pages are %d reads", what, pages, reads)
			}
		}
	}
}

// A listing that outgrows its room while it is read gives the same page as one that fits.
func TestListingsThatDoNotFit(t *testing.T) {
	random := seeded(t)
	entries := some(random, 3000, 40)
	long := strings.Repeat("x", 200)
	for i := range entries {
		entries[i].name += long
	}
	fits, grows := listing.New(hold, 64<<20), listing.New(hold, 300<<10)
	all := func(int) []entry { return entries }
	whole, one := walk(t, fits, 100, all)
	parts, many := walk(t, grows, 100, all)
	if !slices.Equal(whole, sorted(entries)) || !slices.Equal(parts, whole) {
		t.Error("the pages differ")
	}
	if one != 1 || many != 30 || grows.Bytes() != 0 {
		t.Errorf("%d and %d reads, %d bytes taken", one, many, grows.Bytes())
	}
}

// What comes and goes between two pages makes no page repeat or skip what was there all the time, and a place that
// cannot be told is not found.
func TestPagesReadAnew(t *testing.T) {
	day := func(names ...string) (entries []entry) { // ranks fall as days do
		for _, name := range names {
			entries = append(entries, entry{rank: -int64(name[0] - '0'), name: name})
		}
		return entries
	}
	before := day("3a", "3b", "2a", "2b", "2c", "1a")
	for what, c := range map[string]struct {
		now  []entry
		want []string // nil: not found
	}{
		"as before":                      {before, []string{"2b", "2c", "1a"}},
		"a new one on top":               {day("4a", "3a", "3b", "2a", "2b", "2c", "1a"), []string{"2b", "2c", "1a"}},
		"an old one gone":                {day("3a", "2a", "2b", "2c", "1a"), []string{"2b", "2c", "1a"}},
		"a new one behind":               {day("3a", "3b", "2a", "2b", "2c", "2d", "1a"), []string{"2b", "2c", "2d", "1a"}},
		"the last seen gone":             {day("3a", "3b", "2b", "2c", "1a"), nil},
		"another before it":              {day("3a", "3b", "2x", "2a", "2b", "2c", "1a"), nil},
		"the last seen moved in its day": {day("3a", "3b", "2b", "2a", "2c", "1a"), nil},
		"the last seen on another day":   {append(day("3a", "3b", "2b", "2c", "1a"), entry{-3, "2a"}), nil},
		"nothing":                        {nil, nil},
	} {
		for mode, h := range map[string]*listing.Held{"holds": listing.New(hold, 1<<20), "holds not": listing.New(0, 0)} {
			first, ok := read(listing.New(hold, 1<<20), key, before, listing.Place{}, 3) // by another process
			if !ok || first.Next == nil {
				t.Fatal("no first page")
			}
			page, ok := read(h, key, c.now, *first.Next, 3)
			var got []string
			for _, item := range page.Items {
				got = append(got, string(item))
			}
			want := c.want[:min(3, len(c.want))]
			if ok != (c.want != nil) || !slices.Equal(got, want) {
				t.Errorf("%s, %s: %v, %t, want %v", what, mode, got, ok, want)
			}
		}
	}
}

// A place of one process is found in what another one holds, and not in what another query gave.
func TestPlacesOfOtherListings(t *testing.T) {
	here, there := listing.New(hold, 1<<20), listing.New(hold, 1<<20)
	entries := some(seeded(t), 30, 5)
	first, _ := read(here, key, entries, listing.Place{}, 10)
	if _, ok := read(there, key, entries, listing.Place{}, 20); !ok {
		t.Fatal("no page")
	}
	want, _ := here.Page(key, *first.Next, 10)
	got, ok := there.Page(key, *first.Next, 10)
	if !ok || !slices.EqualFunc(got.Items, want.Items, bytes.Equal) {
		t.Errorf("%s, want %s", got.Items, want.Items)
	}
	other := key
	other.Query = "other"
	if _, ok := here.Page(other, *first.Next, 10); ok {
		t.Error("a place serves another query")
	}
	if _, ok := here.Page(key, listing.Place{}, 10); ok {
		t.Error("a first page is not read anew")
	}
}

// What is held goes when it is not used, when it is used for ever, and when its consent stands otherwise; also what is
// being read then.
func TestListingsGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := listing.New(hold, 1<<20)
		entries := some(seeded(t), 30, 5)
		first, _ := read(h, key, entries, listing.Place{}, 10)
		used := func() bool {
			_, ok := h.Page(key, *first.Next, 10)
			return ok
		}
		for i := range 3 {
			time.Sleep(hold - time.Second)
			if !used() {
				t.Fatalf("it is gone after use %d", i)
			}
		}
		time.Sleep(hold)
		synctest.Wait()
		if h.Bytes() != 0 || used() {
			t.Errorf("%d bytes are held of what nobody uses", h.Bytes())
		}
		first, _ = read(h, key, entries, listing.Place{}, 10)
		began := time.Now()
		for used() {
			time.Sleep(hold / 2)
		}
		if time.Since(began) > 13*hold {
			t.Errorf("it is held for %v", time.Since(began))
		}

		first, _ = read(h, key, entries, listing.Place{}, 10)
		h.Keep(key.Tenant, key.Consent, key.Standing)
		h.Keep("other", key.Consent, "REVOKED")
		h.Keep(key.Tenant, "other", "REVOKED")
		if !used() {
			t.Error("it went without need")
		}
		b := h.Build(key, listing.Place{}, 10)
		for _, e := range entries {
			b.Add(e.rank, e.name, nil)
		}
		h.Keep(key.Tenant, key.Consent, "REVOKED")
		if used() || h.Bytes() > 64<<10 {
			t.Error("it is held although its consent has ended")
		}
		if page, ok := b.Page(time.Now(), true); !ok || len(page.Items) != 10 {
			t.Error("who reads gets no page")
		}
		b.Close()
		if h.Bytes() != 0 {
			t.Errorf("%d bytes are held of what was being read when its consent ended", h.Bytes())
		}
		b = h.Build(key, listing.Place{}, 10)
		b.Add(0, "left", nil)
		b.Close() // its reader failed
		if h.Bytes() != 0 {
			t.Errorf("%d bytes are held of a read that failed", h.Bytes())
		}
	})
}

// No more is held than may be, as counted and as the process sees it; one tenant takes nothing from who holds less.
func TestMemoryIsBounded(t *testing.T) {
	const bound = 16 << 20
	h := listing.New(hold, bound)
	memory := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := memory()
	text := strings.Repeat("x", 250)
	fill := func(tenant, consent string, n int) listing.Page {
		k := listing.Key{Tenant: tenant, Consent: consent}
		b := h.Build(k, listing.Place{}, 1)
		defer b.Close()
		for i := range n {
			b.Add(0, fmt.Sprint(i), []byte(text))
		}
		page, _ := b.Page(time.Now(), true)
		return page
	}
	small := fill("small", "c", 2000)
	for i := range 100 {
		fill("large", fmt.Sprint("c", i), 1000+i*100)
		if h.Bytes() > bound {
			t.Fatalf("%d bytes are taken", h.Bytes())
		}
	}
	if _, ok := h.Page(listing.Key{Tenant: "small", Consent: "c"}, *small.Next, 1); !ok {
		t.Error("a tenant lost its listing to one that holds more")
	}
	if h.Bytes() < bound/2 {
		t.Errorf("only %d bytes are in use", h.Bytes())
	}
	if grown := memory() - before; grown > bound*5/4 {
		t.Errorf("%d bytes of memory are in use for %d", grown, bound)
	}
	runtime.KeepAlive(h)

	// One that takes more than half is not held, and takes the place of none.
	h = listing.New(hold, bound)
	beside := fill("large", "c", 5000)
	if page := fill("large", "too large", 30_000); len(page.Items) != 1 || page.Next == nil {
		t.Error("a listing that is too large gives no page")
	}
	if _, ok := h.Page(listing.Key{Tenant: "large", Consent: "c"}, *beside.Next, 1); !ok || h.Bytes() > bound/2 {
		t.Errorf("%d bytes are held of what is too large", h.Bytes())
	}
	// While it is read, no more of it is kept than its page needs.
	before = memory()
	b := h.Build(listing.Key{Tenant: "large", Consent: "too large"}, listing.Place{}, 10)
	defer b.Close()
	for i := range 200_000 {
		b.Add(int64(i%1000), fmt.Sprint(i), []byte(text))
	}
	if grown := memory() - before; grown > bound/4 {
		t.Errorf("%d bytes of memory are kept for a page of 10", grown)
	}
	if page, ok := b.Page(time.Now(), true); !ok || len(page.Items) != 10 {
		t.Error("it gives no page")
	}
}

// Nobody makes the package fail by a place.
func FuzzPlace(f *testing.F) {
	h := listing.New(hold, 1<<20)
	entries := []entry{{1, "a"}, {1, "b"}, {2, "c"}}
	first, _ := read(h, key, entries, listing.Place{}, 1)
	f.Add(first.Next.Bytes(), 1)
	f.Add([]byte{}, 2)
	f.Fuzz(func(t *testing.T, raw []byte, size int) {
		at, ok := listing.ParsePlace(raw)
		if !ok {
			return
		}
		size = 1 + max(size, 0)%5
		if page, ok := h.Page(key, at, size); ok && len(page.Items) > size {
			t.Errorf("%d items", len(page.Items))
		}
		for _, held := range []*listing.Held{listing.New(hold, 1<<20), listing.New(0, 0)} {
			if page, ok := read(held, key, entries, at, size); ok && len(page.Items) > size {
				t.Errorf("%d items", len(page.Items))
			}
		}
	})
}
