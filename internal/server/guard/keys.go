package guard

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"strings"

	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/identity"
)

// Authenticator finds out who calls.
type Authenticator interface {
	// Authenticate gives the client for the values of the metadata or header `authorization`. Whatever its error says
	// stays inside: the caller sees UNAUTHENTICATED.
	Authenticate(ctx context.Context, authorization []string) (identity.Identity, error)
}

// Keys authenticates clients by the keys of the configuration, sent as `Bearer <key>`.
type Keys struct {
	digests []digest
}

type digest struct {
	sum    [sha256.Size]byte
	client identity.Identity
}

// NewKeys takes the clients of a configuration. Each may have several keys.
func NewKeys(clients []config.Client) *Keys {
	keys := &Keys{}
	for _, client := range clients {
		id := identity.Identity{ClientID: client.ID, Tenant: client.Tenant, Scopes: client.Scopes}
		for _, sum := range client.Keys {
			keys.digests = append(keys.digests, digest{sum, id})
		}
	}
	return keys
}

var errNoClient = errors.New("no client has this key")

// Authenticate implements Authenticator. It takes as long for a wrong key as for a right one.
func (k *Keys) Authenticate(_ context.Context, authorization []string) (identity.Identity, error) {
	key, err := bearer(authorization)
	if err != nil {
		return identity.Identity{}, err
	}
	sum := sha256.Sum256([]byte(key))
	found := -1
	for i := range k.digests {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(sum[:], k.digests[i].sum[:]), i, found)
	}
	if found < 0 {
		return identity.Identity{}, errNoClient
	}
	return k.digests[found].client, nil
}

// maxKey is the length of the longest key or token that is looked at.
const maxKey = 8 << 10

// bearer gives the key of an authorization. Two of them are refused: a proxy and Kontor might choose differently.
func bearer(authorization []string) (string, error) {
	if len(authorization) != 1 {
		return "", errors.New("there must be one authorization")
	}
	scheme, key, _ := strings.Cut(authorization[0], " ")
	if !strings.EqualFold(scheme, "bearer") || key == "" || len(key) > maxKey || strings.ContainsAny(key, " ,\t") {
		return "", errors.New("the authorization must be a Bearer key")
	}
	return key, nil
}
