package security

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/test/worldtest"
)

// separators stand between the parts of what somebody hashes.
var separators = []string{"", "\x00", "\n", ":", "|", "/", " ", ","}

// TestCopiedDatabase gives an attacker the database's files, after flows at all providers, with a dictionary that holds
// every secret of the configuration and every national id: nothing that is personal or opens something stands there,
// and no hash can be told from a guess. With the store key the lookups find what they should; with another one nothing.
func TestCopiedDatabase(t *testing.T) {
	w := newWorld(t, worldOptions{minInterval: 50 * time.Millisecond})
	s := w.stubs(t, keyOf(owner))
	var needles []needle
	see := func(what string, values ...string) {
		for _, value := range values {
			if value != "" {
				needles = append(needles, needle{what: what, value: value})
			}
		}
	}
	reference := "customer-canary-" + uuid.NewString()
	see("a customer's reference", reference)
	customer := must(s.Customers.CreateCustomer(t.Context(), &customerv1.CreateCustomerRequest{
		Customer:  &customerv1.Customer{Type: customerv1.Customer_PERSON, Reference: optional.Of(reference)},
		RequestId: uuid.NewString(),
	}))(t)
	requests := map[string]*consentv1.CreateConsentRequest{} // by the consent's name
	askFor := func(provider string) *consentv1.Consent {
		mark := "canary-" + uuid.NewString()
		request := &consentv1.CreateConsentRequest{
			Consent: &consentv1.Consent{
				Provider: provider, Market: worldtest.Of(provider).Market, Reference: optional.Of("reference-" + mark),
				RedirectUris: &consentv1.Consent_RedirectUris{
					Success: optional.Of("https://app.example.com/ok-" + mark),
					Error:   optional.Of("https://app.example.com/bad-" + mark),
					Exit:    optional.Of("https://app.example.com/out-" + mark),
				},
			},
			RequestId: uuid.NewString(),
		}
		if worldtest.Of(provider).TakesPsu {
			request.Psu = person()
		}
		made := must(s.Consents.CreateConsent(worldtest.AsPSU(t.Context()), request))(t)
		requests[made.GetName()] = request
		uris := request.GetConsent().GetRedirectUris()
		see("a consent's reference", request.GetConsent().GetReference())
		see("an idempotency key", request.GetRequestId())
		see("a redirect URI", uris.GetSuccess(), uris.GetError(), uris.GetExit())
		see("a link", made.GetLink().GetUri())
		return made
	}
	var kept, deleted []*consentv1.Consent
	var accountIDs []string
	var names bytes.Buffer // which stand in URLs, logs and traces
	for _, provider := range worldtest.Providers() {
		for _, list := range []*[]*consentv1.Consent{&kept, &deleted} {
			consent := approve(t, s, w.ours, askFor(provider))
			*list = append(*list, consent)
			for _, a := range accounts(t, s, consent) {
				accountIDs = append(accountIDs, a.GetAccountNumber(), a.GetIban())
				names.WriteString(a.GetName() + " " + a.GetConnection() + "\n")
				see("an account's number", a.GetAccountNumber(), a.GetIban())
			}
		}
	}
	for _, owner := range []string{customer.GetName(), ""} {
		mark := "Canary " + uuid.NewString()
		request := letter("Recipient "+mark, []byte("%PDF-1.4 "+mark))
		request.Shipment.Customer, request.Shipment.Subject = optional.Of(owner), "Subject "+mark
		request.Shipment.Address = &documentsv1.Shipment_Address{
			Street:      optional.Of("Street " + mark),
			HouseNumber: optional.Of("7"),
			Postcode:    optional.Of("20095"),
			City:        "City " + mark,
			CountryCode: "DE",
		}
		delivered(t, s, must(s.Documents.CreateShipment(t.Context(), request))(t))
		address := request.GetShipment().GetAddress()
		see("a recipient", request.GetShipment().GetRecipient())
		see("a subject", request.GetShipment().GetSubject())
		see("an address", address.GetStreet(), address.GetCity())
	}
	for _, consent := range deleted {
		must(s.Consents.DeleteConsent(worldtest.AsPSU(t.Context()), &consentv1.DeleteConsentRequest{
			Name: consent.GetName(),
		}))(t)
		_, err := s.Consents.CreateConsent(worldtest.AsPSU(t.Context()), requests[consent.GetName()])
		if reason := kerr.Reason(err).String(); reason != "CONSENT_NOT_FOUND" {
			t.Errorf("the request of a deleted consent gives %q", reason)
		}
	}
	for _, token := range callbackTokens(w.ours) {
		see("a callback's token", token)
	}

	// The dictionary: whole values, and what somebody would hash together.
	guesses := map[string]string{}
	for value, what := range worldtest.Secrets(w.ours) {
		guesses[value] = what
		see(what, value)
	}
	for _, played := range w.ours.InOrder() {
		for setting, value := range played.Player.Settings() {
			guesses[value] = played.Name + "'s " + setting
		}
	}
	for _, id := range []string{
		sandbox.GoodNationalID, sandbox.BadNationalID, sandbox.ExactNationalID, sandbox.FinnishGoodID,
		sandbox.FinnishBadID,
	} {
		for _, spelling := range spellings(id) {
			guesses[spelling] = "a national id"
		}
	}
	for _, id := range accountIDs {
		guesses[cmp.Or(id, "-")] = "an account's number"
	}
	for _, needle := range needles {
		guesses[needle.value] = needle.what
	}
	copied := must(worldtest.CopyStore(w.dir))(t)
	files := append(must(worldtest.Stored(t.Context(), copied))(t), beside(t, w)...)
	hashed, tried := 0, 0
	{
		hay := windows(append(names.Bytes(), files...))
		for value, what := range guesses {
			for _, text := range composed(w, value, kept, deleted) {
				for sum := range hashesOf(w, text) {
					tried++
					if hay.has(sum) {
						hashed++
						t.Errorf("%s shows as the hash of %q", what, text)
					}
				}
			}
		}
		// As requests were hashed once: with a key that was made of the providers' secrets.
		for _, request := range requests {
			bare := proto.CloneOf(request)
			bare.RequestId = ""
			body := must(proto.MarshalOptions{Deterministic: true}.Marshal(bare))(t)
			for sum := range hashesOf(w, string(body)) {
				tried++
				if hay.has(sum) {
					hashed++
					t.Error("a request shows as its hash")
				}
			}
		}
		// The test itself: what is hashed without a key is found.
		planted := sha256.Sum256([]byte("planted"))
		named := sha1.Sum([]byte("planted"))
		for what, form := range map[string]string{
			"raw": string(planted[:]), "hex": hex.EncodeToString(planted[:]),
			"base64": base64.StdEncoding.EncodeToString(planted[:]), "uuid": uuidOf(string(named[:])),
		} {
			hay := windows(append(bytes.Clone(files), " "+form...))
			if !hay.has(string(planted[:])) && !hay.has(string(named[:])) {
				t.Errorf("the search finds no hash that is written as %s", what)
			}
		}
	}
	found := newHaystack(t, needles).hits(t, "the copied database", files)

	wantReadable(t, w, copied, reference, kept, deleted, requests)
	t.Logf("%d bytes: %d strings, %d hits; %d hashes of %d guesses, %d hits", len(files), len(needles), found, tried,
		len(guesses), hashed)
}

// beside gives what stands beside the database: an export of the audit, and where there is one a backup, as the
// commands make them, and the log, which has the audit's checkpoints.
func beside(t *testing.T, w *world) (all []byte) {
	t.Helper()
	commands, names := [][]string{{"audit", "export"}}, []string{w.path("gateway.log")}
	if worldtest.Stores() == worldtest.SQLite { // PostgreSQL's own tools take backups, of the tables as they are.
		to := w.path("backup.db")
		commands, names = append(commands, []string{"backup", "--to", to}), append(names, to)
	}
	for _, args := range commands {
		command := exec.CommandContext(t.Context(), gatewayPath, append(args, "--config", w.path("kontor.yaml"))...)
		command.Dir = w.dir
		out, err := command.Output()
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		all = append(all, out...)
	}
	for _, name := range names {
		content := must(os.ReadFile(name))(t)
		if len(content) == 0 {
			t.Fatalf("%s is empty", name)
		}
		all = append(all, content...)
	}
	for _, part := range []string{`"checkpoint":"default:`, `"method":"CreateConsent"`} {
		if !bytes.Contains(all, []byte(part)) {
			t.Errorf("what stands beside the database has no %s", part)
		}
	}
	return all
}

// spellings are the ways to write a national id: as it is, and a Swedish one with and without century and hyphen.
func spellings(id string) []string {
	all := []string{id}
	if bare := strings.NewReplacer("-", "", "+", "").Replace(id); len(bare) == 12 {
		all = append(all, bare, bare[2:], bare[:8]+"-"+bare[8:], bare[2:8]+"-"+bare[8:])
	}
	return all
}

// composed are texts that somebody would hash to recognise a value: alone, and with the names around it.
func composed(w *world, value string, consents ...[]*consentv1.Consent) (all []string) {
	all = append(all, value, value+"\n")
	names := []string{"default", "customer-reference", "consent-reference", "redirect", "webhook", "shipment"}
	names = append(names, worldtest.Providers()...)
	for _, list := range consents {
		for _, consent := range list {
			id := strings.TrimPrefix(consent.GetName(), "consents/")
			for _, kind := range []string{"connection", "account"} {
				all = append(all, id+"\x00"+kind+"\x00"+value)
			}
		}
	}
	for _, separator := range separators[1:] {
		for _, name := range names {
			all = append(all, name+separator+value, value+separator+name, name+separator+value+separator,
				"default"+separator+name+separator+value)
		}
	}
	// All secrets of a tenant together, as a key was once made of them.
	var together strings.Builder
	for _, played := range w.ours.InOrder() {
		together.WriteString(played.ID + "\x00")
		for _, name := range played.Secrets {
			together.WriteString(played.Player.Settings()[name] + "\x00")
		}
	}
	return append(all, together.String())
}

// hashesOf are the hashes of a text by usual functions, plain and keyed with what can be guessed.
func hashesOf(w *world, text string) func(func(string) bool) {
	var guessed [][]byte
	var together strings.Builder
	for _, played := range w.ours.InOrder() {
		together.WriteString(played.ID + "\x00")
		for _, name := range played.Secrets {
			value := played.Player.Settings()[name]
			together.WriteString(value + "\x00")
			guessed = append(guessed, []byte(value))
		}
	}
	pepper := sha256.Sum256([]byte(together.String()))
	guessed = append(guessed, pepper[:], []byte("pepper"), []byte("kontor"), []byte("default"), nil,
		make([]byte, 32))
	return func(yield func(string) bool) {
		for _, function := range []func() hash.Hash{sha256.New, sha1.New, md5.New, sha512.New} {
			plain := function()
			plain.Write([]byte(text))
			if !yield(string(plain.Sum(nil))) {
				return
			}
		}
		for _, key := range guessed {
			keyed := hmac.New(sha256.New, key)
			keyed.Write([]byte(text))
			if !yield(string(keyed.Sum(nil))) {
				return
			}
		}
	}
}

// windowed tells whether a hash stands somewhere, by its first bytes: raw, in hex, base32, base64, or as a UUID that
// was made of it, of which six bytes are the hash's.
type windowed map[string]struct{}

// window is how many bytes of a hash are looked for: enough that none stands there by chance.
const window = 9

func windows(content []byte) windowed {
	all := make(windowed, len(content))
	for i := 0; i+window <= len(content); i++ {
		all[string(content[i:i+window])] = struct{}{}
	}
	for _, id := range uuids.FindAll(content, -1) {
		all[string(id[:uuidWindow])] = struct{}{}
	}
	return all
}

var uuids = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// uuidWindow is how much of a UUID is looked for: up to where its version stands.
const uuidWindow = 13

// uuidOf writes the beginning of a hash as a UUID does.
func uuidOf(sum string) string {
	id := uuid.Must(uuid.FromBytes([]byte(sum[:16])))
	id[6], id[8] = id[6]&0x0f|0x50, id[8]&0x3f|0x80
	return id.String()
}

var base32Names = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

func (w windowed) has(sum string) bool {
	for _, form := range []string{
		sum, fmt.Sprintf("%x", sum[:window]), fmt.Sprintf("%X", sum[:window]), base32Names.EncodeToString([]byte(sum)),
		base64.StdEncoding.EncodeToString([]byte(sum[:window])),
		base64.URLEncoding.EncodeToString([]byte(sum[:window])),
	} {
		if _, ok := w[form[:window]]; ok {
			return true
		}
	}
	_, ok := w[uuidOf(sum)[:uuidWindow]]
	return ok
}

// wantReadable opens the copy as the gateway does: with the store key what was kept is there, and nothing is left of
// what was deleted; with another one it does not open.
func wantReadable(
	t *testing.T, w *world, copied, reference string, kept, deleted []*consentv1.Consent,
	requests map[string]*consentv1.CreateConsentRequest,
) {
	t.Helper()
	other := must(keys.Parse(must(keys.New())(t)))(t)
	if _, err := worldtest.OpenStore(t.Context(), copied, other); !errors.Is(err, keys.ErrOtherStoreKey) {
		t.Errorf("another store key: %v", err)
	}
	db := must(worldtest.OpenStore(t.Context(), copied, must(worldtest.StoreKey(w.dir))(t)))(t)
	defer db.Close()
	var all strings.Builder
	err := db.View(t.Context(), "default", func(r store.Reader) error {
		byKey, err := r.CustomerByReference(db.Keys().Lookup(keys.CustomerReference, "default", reference))
		if err != nil || byKey.Resource.GetReference() != reference {
			t.Errorf("the customer is not found by the reference: %v", err)
		}
		_, err = r.CustomerByReference(keys.Fresh().Lookup(keys.CustomerReference, "default", reference))
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("other keys find the customer: %v", err)
		}
		for _, consent := range kept {
			row, err := r.Consent(strings.TrimPrefix(consent.GetName(), "consents/"))
			if err != nil {
				return err
			}
			if !proto.Equal(row.Redirects, requests[consent.GetName()].GetConsent().GetRedirectUris()) {
				t.Errorf("%s has other redirect URIs", consent.GetName())
			}
		}
		entries, err := r.ConsentEntries("", "", 100_000)
		for _, e := range entries {
			fmt.Fprintf(&all, "%s %+v %s\n", e.ConsentID, e.Event, e.After)
			if e.Event.Link != nil {
				fmt.Fprintf(&all, "%s\n", e.Event.Link.URI)
			}
		}
		rows, err2 := r.Consents(store.ConsentFilter{}, store.Page{Size: 1000})
		for _, row := range rows {
			fmt.Fprintf(&all, "%s %s %s\n", row.ID, row.Resource, row.Redirects)
		}
		return errors.Join(err, err2)
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, consent := range slices.Concat(kept, deleted) {
		wanted := requests[consent.GetName()].GetConsent()
		there := slices.Contains(kept, consent)
		for what, value := range map[string]string{
			"the reference": wanted.GetReference(), "a redirect URI": wanted.GetRedirectUris().GetSuccess(),
		} {
			if strings.Contains(all.String(), value) != there {
				t.Errorf("%s, which is there: %t: %s is found: %t", consent.GetName(), there, what, !there)
			}
		}
	}
}
