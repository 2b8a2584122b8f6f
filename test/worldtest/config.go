package worldtest

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/sandbox/sandboxes"
)

// Config is a gateway's configuration, in front of played providers.
type Config struct {
	// HTTP is where REST listens; "" for any free port.
	HTTP string
	// PublicURL is where providers and browsers reach the gateway's callbacks.
	PublicURL string
	// Store is the store's address; "" for one beside kontor.yaml, of the engine that the environment names.
	Store   string
	Tenants []Tenant
	Clients []Client
	// More are further lines of kontor.yaml.
	More string
}

// Tenant is a tenant with its providers.
type Tenant struct {
	ID string
	// Redirects are the addresses to which a consent may lead the customer back.
	Redirects string
	Providers []Block
}

// Block is a provider of a tenant, with the settings by which it is reached.
type Block struct {
	*sandboxes.Played
	// As is the id under which the tenant has the provider, where that is not the dialect's; "" for that.
	As string
	// URL replaces the address of the played provider, for what stands between; "" for none.
	URL string
	// Set replaces further settings.
	Set map[string]string
}

// Client is one who calls.
type Client struct {
	ID, Tenant, Key string
	// Scopes are a list in YAML, without brackets.
	Scopes string
}

// Everything are the scopes of who may do everything.
const Everything = `"*"`

// KeyOf makes a client's key out of its id, for the clients of one suite.
func KeyOf(suite, client string) string {
	sum := sha256.Sum256([]byte(suite + " key of " + client))
	return "kontor_" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// Blocks are those of providers by id, or of all.
func Blocks(r *sandboxes.Running, ids ...string) []Block {
	var blocks []Block
	for _, played := range r.InOrder() {
		if len(ids) == 0 || slices.Contains(ids, played.ID) {
			blocks = append(blocks, Block{Played: played})
		}
	}
	return blocks
}

// key is the provider's id for the tenant.
func (b Block) key() string { return cmp.Or(b.As, b.ID) }

// Settings are those of the block in kontor.yaml.
func (b Block) Settings() map[string]string {
	settings := maps.Clone(b.Player.Settings())
	if b.key() != b.ID {
		settings["kind"] = b.ID
	}
	if b.URL != "" {
		settings["base_url"] = strings.Replace(settings["base_url"], b.Played.URL, b.URL, 1)
	}
	maps.Copy(settings, b.Set)
	return settings
}

// Write writes kontor.yaml into a folder, with a database beside it unless Store names one. Providers' secrets come
// from files with the ending .secret and, in turn, from the environment: what Write gives must stand in it.
func (c Config) Write(dir string) (env []string, err error) {
	var text strings.Builder
	address := c.Store
	if address == "" {
		if address, err = storeIn(context.Background(), dir); err != nil {
			return nil, err
		}
	}
	fmt.Fprintf(&text, `listen: {grpc: "127.0.0.1:0", http: %q, admin: "127.0.0.1:0"}
public_url: %s
store: %q
`, cmp.Or(c.HTTP, "127.0.0.1:0"), c.PublicURL, address)
	references := map[string]string{} // to secrets, by value
	refer := func(name, secret string) (string, error) {
		if references[secret] != "" {
			return references[secret], nil
		}
		if len(references)%2 == 1 {
			variable := strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(name))
			env = append(env, variable+"="+secret)
			references[secret] = "${env:" + variable + "}"
			return references[secret], nil
		}
		references[secret] = "${file:" + name + ".secret}"
		return references[secret], os.WriteFile(filepath.Join(dir, name+".secret"), []byte(secret+"\n"), 0o600)
	}
	if err := writeStoreKey(filepath.Join(dir, "store_key.secret")); err != nil {
		return nil, err
	}
	text.WriteString("store_key: \"${file:store_key.secret}\"\ntenants:\n")
	for _, tenant := range c.Tenants {
		fmt.Fprintf(&text, "  %s:\n    redirect_uris: [%q]\n    providers:\n", tenant.ID, tenant.Redirects)
		for _, block := range tenant.Providers {
			fmt.Fprintf(&text, "      %s:\n", block.key())
			settings := block.Settings()
			for _, name := range slices.Sorted(maps.Keys(settings)) {
				value := settings[name]
				if slices.Contains(block.Secrets, name) {
					if value, err = refer(block.key()+"."+name, value); err != nil {
						return nil, err
					}
				}
				fmt.Fprintf(&text, "        %s: %q\n", name, value)
			}
		}
	}
	text.WriteString("clients:\n")
	for _, client := range c.Clients {
		hash := sha256.Sum256([]byte(client.Key))
		fmt.Fprintf(&text, "  - {id: %s, tenant: %s, key_sha256: %s, scopes: [%s]}\n",
			client.ID, client.Tenant, hex.EncodeToString(hash[:]), client.Scopes)
	}
	text.WriteString(c.More)
	return env, os.WriteFile(filepath.Join(dir, "kontor.yaml"), []byte(text.String()), 0o600)
}

// writeStoreKey makes a store key, unless there is one from an earlier configuration of the same gateway.
func writeStoreKey(path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	key, err := keys.New()
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(key.Reveal()+"\n"), 0o600)
}

// HoldsSecrets tells whether a file of a gateway's folder is meant to hold secrets.
func HoldsSecrets(file string) bool {
	return filepath.Base(file) == "kontor.yaml" || filepath.Ext(file) == ".secret"
}

// Secrets are the providers' secrets that stand in settings, with what each is.
func Secrets(r *sandboxes.Running) map[string]string {
	secrets := map[string]string{}
	for _, played := range r.InOrder() {
		for _, name := range played.Secrets {
			secrets[played.Player.Settings()[name]] = played.Name + "'s " + name
		}
	}
	return secrets
}
