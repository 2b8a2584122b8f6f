package providertest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/secret"
)

// testState: what an adapter remembers of a consent is all that it needs to go on, also in another process, and nothing
// shows it. That it stands in no log and no error is looked for after every test.
func testState(s *suite) {
	created := s.create()
	ref := s.approve(created.Ref)
	if !s.provider.KeepsState {
		for _, named := range s.keeper.all() {
			if !named.State.IsZero() {
				s.Error("the adapter does not say KeepsState, and a consent has one")
			}
		}
		return
	}
	if ref.State.IsZero() {
		s.Fatal("the adapter says KeepsState, and an approved consent has none")
	}
	shown, err := json.Marshal(ref)
	if err != nil {
		s.Fatal(err)
	}
	for _, text := range []string{string(shown), fmt.Sprintf("%v %+v %#v", ref, ref, &ref)} {
		for _, word := range words(ref.State, ref.ID) {
			if strings.Contains(text, word) {
				s.Error("a printed consent shows its state")
			}
		}
	}
	// After a restart there is nothing but what was stored.
	stored := ref
	stored.State = secret.New(strings.Clone(ref.State.Reveal()))
	s.provider = s.open("first", providers.Policy{Retries: -1})
	if got := s.accounts(stored); len(got) == 0 {
		s.Error("with the state that was stored no account can be read")
	}
	// Without it, or with something else in its place, the adapter says so and does not ask in somebody else's name.
	for name, state := range map[string]secret.String{
		"no state": {}, "text": secret.New("x"), "another form": secret.New(`{"x":[1]}`), "null": secret.New("null"),
	} {
		stored.State = state
		if _, err := s.provider.Accounts.ListAccounts(s.ctx(), stored); err == nil {
			s.Errorf("with %s accounts can be read", name)
		} else {
			s.failure(err)
		}
	}
}

// testStateRenewed: a state that changes during a read is kept before the read returns.
func testStateRenewed(s *suite) {
	ref := s.approved()
	s.h.Age(s, ref)
	left, leave := context.WithCancel(s.ctx())
	leave()
	_, err := s.provider.Accounts.ListAccounts(left, ref)
	if kind := s.failure(err).Kind; kind != providers.KindCanceled {
		s.Errorf("a caller that left while the state was old: %s", kind)
	}
	before := len(s.keeper.all())
	if got := s.accounts(ref); len(got) == 0 {
		s.Error("no account can be read with an old state")
	}
	kept := s.keeper.all()[before:]
	if len(kept) == 0 {
		s.Fatal("the state was not kept anew")
	}
	newest := kept[len(kept)-1]
	if newest.ID != ref.ID || newest.State.IsZero() || newest.State.Equal(ref.State) {
		s.Error("what was kept is another consent's, empty, or what there was before")
	}
	s.provider = s.open("first", providers.Policy{Retries: -1})
	before = len(s.keeper.all())
	if got := s.accounts(newest); len(got) == 0 {
		s.Error("no account can be read with the new state")
	}
	if again := len(s.keeper.all()) - before; again != 0 {
		s.Errorf("the new state was replaced %d times in one read", again)
	}
}
